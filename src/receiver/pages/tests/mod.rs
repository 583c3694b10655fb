//! The pages as a browser sees them, and what is the same of all.

mod adoption;
mod alerts;
mod changes;
mod events;
mod fleet;
mod instance;
mod keys;
mod licenses;

use actix_web::App;
use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, call_service, init_service};
use uuid::Uuid;

use crate::receiver::fixture::{Answer, Fixture, instance_id};
use crate::receiver::{CreatedKey, NewKey, WebhookKey};
use crate::wire::build::BuildInfo;
use crate::wire::license::LicenseState;
use crate::wire::payload::{Payload, Reason};

/// A page as all are to be.
pub(super) fn assert_page(answer: &Answer, status: StatusCode) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    let script = answer.body.split("<script src=\"").nth(1).unwrap_or_default();
    assert!(script.starts_with("pages.js?") || script.starts_with("../"), "{}", answer.body);
    assert_eq!((answer.body.matches("<script").count(), script.contains("\" defer></script>")), (1, true));
    for never in ["style=\"", " onclick", "http://", "https://", "href=\"/", "action=\"/"] {
        assert!(!answer.body.contains(never), "{never} in {}", answer.body);
    }
    for always in ["lang=\"en\"", "name=\"viewport\"", "href=\"#main\"", "<h1", "pages.css"] {
        assert!(answer.body.contains(always), "{always} is not in {}", answer.body);
    }
    let without_label = answer.body.matches("<input type=\"hidden\"").count()
        + answer.body.matches("aria-label=\"Select ").count();
    let inputs = answer.body.matches("<input").count() - without_label;
    let fields = inputs + answer.body.matches("<select").count();
    assert_eq!(answer.body.matches("<label>").count(), fields);
    assert_eq!(answer.body.matches("<th>").count(), 0);
}

/// What the row of a server in the list of the fleet begins with.
pub(super) const ROW: &str = "<tr><td><input type=\"checkbox\" name=\"id\" value=\"";

pub(super) fn form(path: &str, body: &'static str) -> TestRequest {
    TestRequest::post()
        .uri(path)
        .insert_header(("content-type", "application/x-www-form-urlencoded"))
        .set_payload(body)
}

#[actix_rt::test]
async fn a_scope_without_its_slash_is_led_to_it() {
    let fixture = Fixture::with(0).await;
    let answer = fixture.get("/fleet?state=up").await;
    assert_eq!(answer.status, StatusCode::PERMANENT_REDIRECT);
    assert_eq!(answer.header("location"), "./fleet/?state=up");
}

#[actix_rt::test]
async fn an_address_that_is_none_is_a_page_for_a_browser() {
    let fixture = Fixture::with(0).await;
    for (path, root) in [("nowhere", ""), ("events/", "../"), ("server/keys/7/", "../../../")] {
        let asked = TestRequest::get().uri(&format!("/fleet/{path}"));
        let answer = fixture.ask(asked.insert_header(("accept", "text/html,*/*;q=0.8"))).await;
        assert_page(&answer, StatusCode::NOT_FOUND);
        assert!(answer.body.contains(&format!("href=\"{root}./\"")), "{path}: {}", answer.body);
    }
    // What was shown once is not there for whoever comes again by its address.
    for (path, to) in [("server/keys", "../server#keys"), ("server/keys/7/secrets", "../../../server#keys")] {
        let answer = fixture.get(&format!("/fleet/{path}")).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, to));
    }
}

#[actix_rt::test]
async fn without_telemetry_of_its_own_the_server_sends_nothing() {
    let fixture = Fixture::with(0).await;
    assert_page(&fixture.ask(form("/fleet/server/send", "")).await, StatusCode::NOT_FOUND);
    let style = fixture.get("/fleet/pages.css").await;
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(style.header("cache-control"), "no-store");
}

#[actix_rt::test]
async fn without_the_store_pages_say_so_and_the_server_is_shown() {
    let fixture = Fixture::without_store();
    let server = fixture.get("/fleet/server").await;
    assert_page(&server, StatusCode::OK);
    assert_eq!(server.body.matches("tore does not answer").count(), 3, "{}", server.body);
    for path in ["", "events", &format!("instances/{}", instance_id(1))] {
        let page = fixture.get(&format!("/fleet/{path}")).await;
        assert_page(&page, StatusCode::SERVICE_UNAVAILABLE);
        assert!(page.body.contains("The store is not available"), "{}", page.body);
        assert!(!page.body.contains("fleet.db"), "{}", page.body);
    }
    let made = fixture.ask(form("/fleet/server/keys", "name=one")).await;
    assert_page(&made, StatusCode::SERVICE_UNAVAILABLE);
}

/// Posts to the webhook and returns the status.
async fn post_event(fixture: &Fixture, key: &WebhookKey, instance: u128) -> u16 {
    post_license(fixture, key, instance, &LicenseState::default()).await
}

/// The same, with a license.
async fn post_license(fixture: &Fixture, key: &WebhookKey, instance: u128, license: &LicenseState) -> u16 {
    let app = init_service(App::new().configure(fixture.receiver.webhooks())).await;
    let (build, id) = (BuildInfo::new("0.1.0"), Uuid::from_u128(instance));
    let payload = Payload::new(&build, id, license, Reason::Begin, None);
    let request = TestRequest::post()
        .uri(&format!("/webhooks/{}", key.expose()))
        .insert_header(("content-type", "application/json"))
        .insert_header(("user-agent", "<i>product/1"))
        .set_payload(payload.to_json());
    call_service(&app, request.to_request()).await.status().as_u16()
}

/// Posts a request that names a server and has nothing else that an event has.
pub(super) async fn post_name(fixture: &Fixture, key: &WebhookKey, instance: Uuid) {
    let app = init_service(App::new().configure(fixture.receiver.webhooks())).await;
    let request = TestRequest::post()
        .uri(&format!("/webhooks/{}", key.expose()))
        .set_json(serde_json::json!({ "instance_id": instance }));
    assert!(call_service(&app, request.to_request()).await.status().is_client_error());
}

async fn new_key(fixture: &Fixture, name: &str) -> CreatedKey {
    fixture.receiver.keys().create(NewKey::named(name)).await.unwrap()
}

#[actix_rt::test]
async fn the_style_sheet_is_kept_for_as_long_as_it_is_the_same() {
    let fixture = Fixture::with(0).await;
    let page = fixture.get("/fleet/").await;
    let address = page.body.split("rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let style = fixture.get(&format!("/fleet/{address}")).await;
    assert_eq!(style.header("cache-control"), "public, max-age=31536000, immutable");
    let zipped = TestRequest::get().uri("/fleet/").insert_header(("accept-encoding", "gzip, br"));
    let answer = fixture.ask(zipped).await;
    assert_eq!((answer.header("content-encoding"), answer.header("vary")), ("gzip", "accept-encoding"));
}
