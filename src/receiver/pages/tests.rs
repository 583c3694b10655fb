use actix_web::App;
use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::web::scope;
use jiff::SignedDuration;
use serde_json::json;
use uuid::Uuid;

use crate::receiver::fixture::{Answer, Fixture, HOSTILE, event_id, instance_id};
use crate::receiver::judging::judgement;
use crate::receiver::store::{Change, Instance, Judgement, Run, Transition};
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

/// A page that shows a secret, with the address of this server.
fn assert_made(answer: &Answer, status: StatusCode) {
    let body = answer.body.replace("http://localhost/fleet/webhooks/", "");
    assert_page(&Answer { status: answer.status, headers: answer.headers.clone(), body }, status);
}

/// What the row of a server in the list of the fleet begins with.
pub(super) const ROW: &str = "<tr><td><input type=\"checkbox\" name=\"id\" value=\"";

/// What the row of an event begins with.
const EVENT: &str = "<tr><th scope=\"row\"><a href=\"instances/";

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
async fn the_fleet_is_shown_escaped_filtered_and_page_by_page() {
    let fixture = Fixture::with(60).await;
    let page = fixture.get("/fleet/").await;
    assert_page(&page, StatusCode::OK);
    assert!(page.body.contains("&#60;script&#62;") && !page.body.contains(HOSTILE));
    let down = "<a class=\"down alarm\" href=\"?state=down\" data-alarm=\"down\">";
    assert!(
        page.body.contains(down) && page.body.contains(">1 server is down, 1 is late</h1>"),
        "{}",
        page.body
    );
    assert!(
        page.body.contains("<title data-n=\"title\">1 down, 1 late · Telemetry</title>"),
        "{}",
        page.body
    );
    assert_eq!(page.body.matches(ROW).count(), 40);
    let next = page.body.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let rest = fixture.get(&format!("/fleet/{}", next.replace("&#38;", "&"))).await;
    assert_page(&rest, StatusCode::OK);
    assert_eq!(rest.body.matches(ROW).count(), 20);
    assert!(!rest.body.contains("rel=\"next\""));

    let down = fixture.get("/fleet/?search=&state=down&license=&flag=&version=").await;
    assert_eq!(down.body.matches(ROW).count(), 1);
    assert!(down.body.contains("name=\"state\" value=\"down\" checked"), "{}", down.body);
    let bad = fixture.get("/fleet/?state=fine").await;
    assert_page(&bad, StatusCode::BAD_REQUEST);
}

#[actix_rt::test]
async fn a_filter_goes_along_to_the_next_page() {
    let fixture = Fixture::with(7).await;
    let page = fixture.get("/fleet/?state=up&version=1.0&search=0000&limit=2").await;
    let next = page.body.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(next.starts_with("?state=up&#38;version=1.0&#38;search=0000&#38;limit=2&#38;after="), "{next}");
    let rest = fixture.get(&format!("/fleet/{}", next.replace("&#38;", "&"))).await;
    assert_eq!(rest.body.matches(ROW).count(), 1);
}

#[actix_rt::test]
async fn an_empty_fleet_says_what_to_do() {
    let fixture = Fixture::with(0).await;
    let page = fixture.get("/fleet/").await;
    assert_page(&page, StatusCode::OK);
    assert!(page.body.contains("No server has reported yet"));
    assert_page(&fixture.get("/fleet/events").await, StatusCode::OK);
}

#[actix_rt::test]
async fn an_instance_is_shown_with_its_runs_changes_and_events() {
    let fixture = Fixture::with(2).await;
    let page = fixture.get(&format!("/fleet/instances/{}", instance_id(1))).await;
    assert_page(&page, StatusCode::OK);
    for shown in [
        "&#60;script&#62;",
        ">Runs of the last 14 days</h2>",
        "0 runs were lost",
        "went down",
        &event_id(1).to_string(),
        "../events?instance=",
    ] {
        assert!(page.body.contains(shown), "{shown} is not in {}", page.body);
    }
    for unknown in [instance_id(9).to_string(), "x".to_owned()] {
        let page = fixture.get(&format!("/fleet/instances/{unknown}")).await;
        assert_page(&page, StatusCode::NOT_FOUND);
        assert!(page.body.contains("href=\"../pages.css?"));
    }
}

#[actix_rt::test]
async fn events_are_shown_filtered_and_deleted() {
    let fixture = Fixture::with(3).await;
    let page = fixture.get("/fleet/events?reason=begin&instance=&from=2020-01-01T00:00&to=").await;
    assert_page(&page, StatusCode::OK);
    assert!(page.body.contains("value=\"2020-01-01T00:00:00\""), "{}", page.body);
    assert_eq!(page.body.matches(EVENT).count(), 3);
    assert_page(&fixture.get("/fleet/events?from=yesterday").await, StatusCode::BAD_REQUEST);
    let none = fixture.get("/fleet/events?to=2020-01-01T00:00").await;
    assert_page(&none, StatusCode::OK);
    assert!(none.body.contains("<p>No event matches. Events are kept for 90 days.</p>"), "{}", none.body);

    let path = format!("/fleet/instances/{}/events/{}", instance_id(2), event_id(2));
    let page = fixture.get(&path).await;
    assert_page(&page, StatusCode::OK);
    for payload in
        ["{ &#34;z&#34;: 1.0, &#34;number&#34;: 2", "{\n  &#34;z&#34;: 1.0,\n  &#34;number&#34;: 2,"]
    {
        assert!(page.body.contains(payload), "{payload} is not in {}", page.body);
    }
    let asked = fixture.get(&format!("{path}/delete")).await;
    assert_page(&asked, StatusCode::OK);
    assert!(
        asked.body.contains("<form class=\"filter\" method=\"post\" action=\"delete\">"),
        "{}",
        asked.body
    );
    let deleted = fixture.ask(form(&format!("{path}/delete"), "")).await;
    assert_eq!(deleted.status, StatusCode::SEE_OTHER);
    assert_eq!(deleted.header("location"), "../../../../events");
    assert_page(&fixture.get(&path).await, StatusCode::NOT_FOUND);
    assert_page(&fixture.ask(form(&format!("{path}/delete"), "")).await, StatusCode::NOT_FOUND);
}

#[actix_rt::test]
async fn keys_are_made_shown_once_rotated_and_revoked() {
    let fixture = Fixture::with(0).await;
    let made = fixture.ask(form("/fleet/server/keys", "name=%3Cb%3Eone&rate=&signed=on")).await;
    assert_made(&made, StatusCode::CREATED);
    for shown in [
        "<h1>The key <bdi>&#60;b&#62;one</bdi>: copy it now</h1>",
        "SIRVEO_TELEMETRY_URL=http://localhost/fleet/webhooks/",
        "SIRVEO_TELEMETRY_SIGNING_SECRET=whsec_",
        "curl -i &#39;http://localhost/fleet/webhooks/",
    ] {
        assert!(made.body.contains(shown), "{shown} is not in {}", made.body);
    }
    assert_eq!(made.header("cache-control"), "no-store");
    for (body, status) in [
        ("name=%3Cb%3Eone", StatusCode::CONFLICT),
        ("name=", StatusCode::BAD_REQUEST),
        ("name=two&rate=0", StatusCode::BAD_REQUEST),
        ("name=two&signed=yes", StatusCode::BAD_REQUEST),
        ("name=two&more=1", StatusCode::BAD_REQUEST),
    ] {
        assert_page(&fixture.ask(form("/fleet/server/keys", body)).await, status);
    }
    let page = fixture.get("/fleet/server").await;
    assert_page(&page, StatusCode::OK);
    assert!(page.body.contains("&#60;b&#62;one") && !page.body.contains("whsec_"), "{}", page.body);
    let id = fixture.get("/fleet/api/keys").await.json()["keys"][0]["id"].as_str().unwrap().to_owned();
    let rotated = fixture.ask(form(&format!("/fleet/server/keys/{id}/secrets"), "")).await;
    assert_page(&rotated, StatusCode::OK);
    assert!(!rotated.body.contains("curl"), "{}", rotated.body);
    assert!(rotated.body.contains("whsec_"));
    // As by a second click, or a reload.
    let again = fixture.ask(form(&format!("/fleet/server/keys/{id}/secrets"), "")).await;
    assert_page(&again, StatusCode::CONFLICT);
    assert!(fixture.get("/fleet/server").await.body.contains("a signature, two secrets"));
    let of_key = fixture.get(&format!("/fleet/server/keys/{id}")).await;
    assert_page(&of_key, StatusCode::OK);
    assert!(of_key.body.contains("<h1>Key <bdi>&#60;b&#62;one</bdi></h1>"), "{}", of_key.body);
    assert!(of_key.body.contains("Keep only the new secret"), "{}", of_key.body);
    for (change, to) in [("finish", format!("../{id}")), ("revoke", "../../../server#keys".to_owned())] {
        let changed = fixture.ask(form(&format!("/fleet/server/keys/{id}/{change}"), "")).await;
        assert_eq!((changed.status, changed.header("location")), (StatusCode::SEE_OTHER, to.as_str()));
    }
    let revoked = fixture.get(&format!("/fleet/server/keys/{id}")).await;
    assert_page(&revoked, StatusCode::OK);
    assert!(
        revoked.body.contains("It is revoked") && !revoked.body.contains("Revoke for good"),
        "{}",
        revoked.body
    );
    assert!(fixture.get("/fleet/server").await.body.contains("<summary>1 revoked key</summary>"));
    assert_page(
        &fixture.ask(form(&format!("/fleet/server/keys/{id}/revoke"), "")).await,
        StatusCode::NOT_FOUND,
    );
}

/// Does what a command of a page says, and returns the status.
async fn run(fixture: &Fixture, page: &str) -> u16 {
    let command = page.split("aria-label=\"Command\">").nth(1).unwrap().split("</pre>").next().unwrap();
    let command = command.replace("&#39;", "'").replace("&#34;", "\"").replace("&#38;", "&");
    // As a shell takes it apart: nothing of it has a quotation mark within.
    let words: Vec<&str> = command.split('\'').collect();
    let [_, url, rest @ ..] = &words[..] else { panic!("{command}") };
    let mut request = TestRequest::post().uri(url.strip_prefix("http://localhost").unwrap());
    for option in rest.chunks_exact(2) {
        request = match option[0].trim_matches([' ', '\\', '\n']) {
            "-H" => request.insert_header(option[1].split_once(": ").unwrap()),
            "-d" => request.set_payload(option[1].to_owned()),
            other => panic!("{other} in {command}"),
        };
    }
    let app = App::new().service(scope("/fleet").configure(fixture.receiver.webhooks()));
    call_service(&init_service(app).await, request.to_request()).await.status().as_u16()
}

#[actix_rt::test]
async fn the_command_of_a_new_key_sends_what_is_taken_and_alarms_nobody() {
    let fixture = Fixture::with(0).await;
    let first = fixture.ask(form("/fleet/first", "name=one")).await;
    assert_made(&first, StatusCode::CREATED);
    assert_eq!(run(&fixture, &first.body).await, 200);
    let made = fixture.ask(form("/fleet/server/keys", "name=two&signed=on&token=on")).await;
    assert_made(&made, StatusCode::CREATED);
    assert_eq!(run(&fixture, &made.body).await, 200);
    assert_eq!(run(&fixture, &made.body.replace("Bearer ", "Bearer x")).await, 401);
    assert_eq!(run(&fixture, &made.body.replace("try-out", "try-in")).await, 401);
    fixture.receiver.judge().await.unwrap();
    let listed = fixture.get("/fleet/api/instances").await.json();
    let servers: Vec<_> = listed["instances"].as_array().unwrap().iter().collect();
    assert_eq!(servers.len(), 2);
    for server in servers {
        assert_eq!((&server["custom_id"], &server["state"]), (&json!("try-out"), &json!("ended")));
    }
    let page = fixture.get("/fleet/first").await;
    assert!(page.body.contains("It has arrived:</b>") && page.body.contains(">try-out<"), "{}", page.body);
    assert_eq!(fixture.get("/fleet/api/alerts").await.json()["waiting"], 0);
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

async fn new_key(fixture: &Fixture, name: &str) -> CreatedKey {
    fixture.receiver.keys().create(NewKey::named(name)).await.unwrap()
}

#[actix_rt::test]
async fn the_fleet_is_filtered_by_key_and_product_and_exported_so() {
    let fixture = Fixture::with(2).await;
    let key = new_key(&fixture, "<b>mine").await;
    assert_eq!(post_event(&fixture, &key.key, 1).await, 200);
    let page = fixture.get("/fleet/").await;
    assert_page(&page, StatusCode::OK);
    assert!(page.body.contains("<bdi>&#60;b&#62;mine</bdi>"), "{}", page.body);
    assert!(page.body.contains("<bdi>00000000, revoked</bdi>"), "{}", page.body);
    assert!(page.body.contains("<a href=\"api/instances.csv?\">CSV</a>"), "{}", page.body);
    let of_key = fixture.get(&format!("/fleet/?key={}&product=", key.id)).await;
    assert_eq!(of_key.body.matches(ROW).count(), 1);
    let option = format!("<option value=\"{}\" selected>&#60;b&#62;mine</option>", key.id);
    assert!(of_key.body.contains(&option), "{}", of_key.body);
    assert!(of_key.body.contains(&format!("api/instances.jsonl?key={}\"", key.id)), "{}", of_key.body);
    let of_product = fixture.get("/fleet/?key=&product=example-server").await;
    assert_eq!(of_product.body.matches(ROW).count(), 2);
    assert!(of_product.body.contains("name=\"product\" maxlength=\"256\" value=\"example-server\""));
    // A key that no longer is, as by an old bookmark.
    let nobody = fixture.get(&format!("/fleet/?key={}", Uuid::from_u128(7))).await;
    assert_page(&nobody, StatusCode::OK);
    assert!(nobody.body.contains("selected>00000000, revoked</option>"), "{}", nobody.body);
}

#[actix_rt::test]
async fn a_server_says_what_to_look_at_and_moves_to_another_key() {
    let fixture = Fixture::with(1).await;
    let path = format!("/fleet/instances/{}", instance_id(1));
    let page = fixture.get(&path).await;
    assert!(page.body.contains("<p>Its key is revoked, so its events are refused."), "{}", page.body);
    let key = new_key(&fixture, "<b>other").await;
    let revoked = new_key(&fixture, "revoked").await;
    fixture.receiver.keys().revoke(revoked.id).await.unwrap();
    let page = fixture.get(&format!("{path}/owner")).await;
    assert_page(&page, StatusCode::OK);
    let option = format!("<option value=\"{}\">&#60;b&#62;other</option></select>", key.id);
    assert!(page.body.contains(&option), "{}", page.body);

    let give = |body: String| {
        TestRequest::post()
            .uri(&format!("{path}/owner"))
            .insert_header(("content-type", "application/x-www-form-urlencoded"))
            .set_payload(body)
    };
    let foreign = give(format!("key={}", key.id)).insert_header(("sec-fetch-site", "cross-site"));
    assert_eq!(fixture.ask(foreign).await.status, StatusCode::FORBIDDEN);
    for (body, status) in [
        ("key=".to_owned(), StatusCode::BAD_REQUEST),
        (String::new(), StatusCode::BAD_REQUEST),
        (format!("key={}&more=1", key.id), StatusCode::BAD_REQUEST),
        (format!("key={}", revoked.id), StatusCode::NOT_FOUND),
    ] {
        assert_page(&fixture.ask(give(body)).await, status);
    }
    let moved = fixture.ask(give(format!("key={}", key.id))).await;
    assert_eq!(
        (moved.status, moved.header("location")),
        (StatusCode::SEE_OTHER, &*format!("../{}", instance_id(1)))
    );
    let page = fixture.get(&path).await;
    assert!(page.body.contains("<bdi>&#60;b&#62;other</bdi></a><small>"), "{}", page.body);
    assert!(page.body.contains("<dt>Product</dt><dd><bdi>example-server</bdi></dd>"), "{}", page.body);
}

#[actix_rt::test]
async fn refused_requests_are_shown_escaped() {
    let fixture = Fixture::with(0).await;
    let page = fixture.get("/fleet/refused").await;
    assert_page(&page, StatusCode::OK);
    assert!(page.body.contains("<h1>No request was refused</h1>"), "{}", page.body);
    let (one, two) = (new_key(&fixture, "one").await, new_key(&fixture, "<b>two").await);
    assert_eq!(post_event(&fixture, &one.key, 1).await, 200);
    assert_eq!(post_event(&fixture, &two.key, 1).await, 403);
    let page = fixture.get("/fleet/refused").await;
    assert_page(&page, StatusCode::OK);
    for shown in [
        "<h1>1 request was refused, ",
        "up to 250 with a key in use and 50 others.",
        "<bdi>&#60;b&#62;two</bdi>",
        "Answered with 403 <code>other-key</code>",
        "The server belongs to another key: <code>instance_id</code>",
        &format!("/owner?key={}\">move it to this key…</a>", two.id),
        "<bdi>0.1.0</bdi>",
        "an operator can move it",
        "href=\"api/refused.csv\"",
    ] {
        assert!(page.body.contains(shown), "{shown} is not in {}", page.body);
    }
    assert!(!page.body.contains("<i>"), "{}", page.body);
    assert!(
        fixture.get("/fleet/events").await.body.contains("<a href=\"refused\">the last refused request</a>")
    );
    let csv = fixture.get("/fleet/api/refused.csv").await;
    assert_eq!(csv.body.matches("\r\n").count(), 2, "{}", csv.body);
    assert!(csv.body.contains(",<b>two,403,other-key,"), "{}", csv.body);
}

#[actix_rt::test]
async fn limits_of_keys_are_changed_and_the_key_in_the_url_replaced() {
    let fixture = Fixture::with(0).await;
    let made = fixture.ask(form("/fleet/server/keys", "name=one&new_per_hour=any&any_frequency=on")).await;
    assert_made(&made, StatusCode::CREATED);
    let row = async || fixture.get("/fleet/api/keys").await.json()["keys"][0].clone();
    assert_eq!(
        (row().await["new_per_hour"].as_i64(), row().await["any_frequency"].as_bool()),
        (None, Some(true))
    );
    let page = fixture.get("/fleet/server").await;
    assert_page(&page, StatusCode::OK);
    assert!(page.body.contains("the URL alone, any frequency"), "{}", page.body);
    assert!(page.body.contains("<td class=\"num\">any</td><td class=\"num\">any</td></tr>"), "{}", page.body);
    let id = row().await["id"].as_str().unwrap().to_owned();
    let at = |change: &str| format!("/fleet/server/keys/{id}/{change}");
    for body in ["new_per_hour=0", "new_per_hour=many", "any_frequency=yes", "more=1"] {
        assert_page(&fixture.ask(form(&at("limits"), body)).await, StatusCode::BAD_REQUEST);
    }
    let changed = fixture.ask(form(&at("limits"), "new_per_hour=25")).await;
    assert_eq!((changed.status, changed.header("location")), (StatusCode::SEE_OTHER, &*format!("../{id}")));
    assert_eq!(
        (row().await["new_per_hour"].as_i64(), row().await["any_frequency"].as_bool()),
        (Some(25), Some(false))
    );
    let of_key = async || fixture.get(&format!("/fleet/server/keys/{id}")).await;
    let page = of_key().await;
    assert_page(&page, StatusCode::OK);
    assert!(page.body.contains("value=\"25\""), "{}", page.body);
    assert!(!page.body.contains("End the old URL"), "{}", page.body);

    assert_page(&fixture.ask(form(&at("replace"), "keep_hours=745")).await, StatusCode::BAD_REQUEST);
    let replaced = fixture.ask(form(&at("replace"), "keep_hours=24")).await;
    assert_made(&replaced, StatusCode::OK);
    assert!(replaced.body.contains("localhost/fleet/webhooks/"), "{}", replaced.body);
    assert_eq!(replaced.header("cache-control"), "no-store");
    assert_eq!(fixture.get(&at("replace")).await.status, StatusCode::SEE_OTHER);
    let page = of_key().await;
    assert_page(&page, StatusCode::OK);
    assert!(page.body.contains("is valid for another 23 h 59 min"), "{}", page.body);
    assert!(page.body.contains("End the old URL now"), "{}", page.body);
    assert_eq!(fixture.ask(form(&at("end-old"), "")).await.status, StatusCode::SEE_OTHER);
    assert!(!of_key().await.body.contains("End the old URL now"));

    for change in ["limits", "replace", "end-old"] {
        let foreign = form(&at(change), "").insert_header(("sec-fetch-site", "cross-site"));
        assert_eq!(fixture.ask(foreign).await.status, StatusCode::FORBIDDEN, "{change}");
    }
    fixture.ask(form(&at("revoke"), "")).await;
    for change in ["limits", "replace", "end-old"] {
        assert_page(&fixture.ask(form(&at(change), "")).await, StatusCode::NOT_FOUND);
    }
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

#[actix_rt::test]
async fn adoption_says_what_runs_and_leads_to_who_runs_it() {
    let fixture = Fixture::with(5).await;
    let page = fixture.get("/fleet/adoption").await;
    assert_page(&page, StatusCode::OK);
    for shown in [
        "<title>2.0 on 40 % · Telemetry</title>",
        "<h1>2.0 runs on 40 % of the fleet</h1>",
        "./?state=down%2Clate%2Cup&#38;release=2.0",
        "5 active servers</a>",
        "<a href=\"?days=365&#38;by=release&#38;as=servers\">1 year</a>",
        "api/adoption.csv?from=",
        "before: not known",
        "No server is older than 1.0.",
        "linux/amd64",
        "no release came out since servers are counted",
        "<p><small>The lists behind the numbers have servers as well",
    ] {
        assert!(page.body.contains(shown), "{shown} is not in {}", page.body);
    }
    // One day was counted: all others are open, and no zeros.
    assert_eq!(page.body.matches("<path class=\"v").count(), 2, "{}", page.body);
    assert!(page.body.contains("d=\"M178 ") && page.body.contains("Counted since "), "{}", page.body);

    for query in
        ["days=30&by=version&as=share", "key=00000000-0000-0000-0000-000000000063", "product=example-server"]
    {
        assert_page(&fixture.get(&format!("/fleet/adoption?{query}")).await, StatusCode::OK);
    }
    let nobody = fixture.get("/fleet/adoption?product=%3Cscript%3E").await;
    assert_page(&nobody, StatusCode::OK);
    assert!(nobody.body.contains("None of these servers is active"), "{}", nobody.body);
    assert!(nobody.body.contains("product=%3Cscript%3E"), "{}", nobody.body);
    assert_page(&fixture.get("/fleet/adoption?days=7").await, StatusCode::BAD_REQUEST);
}

#[actix_rt::test]
async fn alerts_say_who_is_told_and_who_is_muted() {
    let fixture = Fixture::with(1).await;
    let page = fixture.get("/fleet/alerts").await;
    assert_page(&page, StatusCode::OK);
    assert!(page.body.contains("<h1>Nobody is told: alerts have no destination</h1>"), "{}", page.body);
    assert!(page.body.contains("went down<small>"), "{}", page.body);
    assert_page(&fixture.ask(form("/fleet/alerts/test", "")).await, StatusCode::NOT_FOUND);
    let unknown = format!("/fleet/alerts/{}/give-up", instance_id(1));
    assert_page(&fixture.ask(form(&unknown, "")).await, StatusCode::NOT_FOUND);
    let mute = format!("/fleet/instances/{}/mute", instance_id(1));
    let muted = fixture.ask(form(&mute, "seconds=3600&reason=%3Cb%3E%E2%80%AEmove")).await;
    assert_eq!(muted.status, StatusCode::SEE_OTHER);
    let page = fixture.get("/fleet/alerts").await;
    assert_page(&page, StatusCode::OK);
    let id = instance_id(1);
    let row = format!(
        "<tr><th scope=\"row\"><a href=\"instances/{id}\">server <code>{}</code></a><small><bdi>&#60;b&#62;\\u{{202e}}move</bdi></small></th>",
        super::page::short(&id)
    );
    assert!(page.body.contains(&row) && page.body.contains("<small>for another "), "{}", page.body);
    let before = fixture.get("/fleet/mutes").await;
    assert_eq!((before.status, before.header("location")), (StatusCode::SEE_OTHER, "alerts#mutes"));
}

#[actix_rt::test]
async fn who_went_down_is_shown_however_many_were_late_since() {
    let fixture = Fixture::with(2).await;
    let later = fixture.now + SignedDuration::from_hours(2_000);
    let state = |seconds, from: &str, to: &str| Transition {
        at: fixture.now + SignedDuration::from_secs(seconds),
        change: Change::State,
        from: Some(from.to_owned()),
        to: to.to_owned(),
    };
    let flaps = (0..150).map(|number| match number % 2 {
        0 => state(number, "late", "up"),
        _ => state(number, "up", "late"),
    });
    let flaps: Vec<_> = flaps.collect();
    let decide = |instance: &Instance, runs: &[Run]| {
        let judgement = judgement::decide(instance, runs, &[], fixture.now);
        let is_late = instance.instance_id == instance_id(2);
        Judgement { transitions: if is_late { flaps.clone() } else { Vec::new() }, ..judgement }
    };
    assert_eq!(fixture.storage().0.judge(later, 10, &decide).await.unwrap(), 2);
    let page = fixture.get("/fleet/alerts").await;
    assert_page(&page, StatusCode::OK);
    assert_eq!(page.body.matches("went down<small>").count(), 1, "{}", page.body);
    assert!(!page.body.contains("No server went down"), "{}", page.body);
}

#[actix_rt::test]
async fn licenses_are_counted_shared_lost_and_found() {
    let nobody = Fixture::with(0).await.get("/fleet/licenses").await;
    assert_page(&nobody, StatusCode::OK);
    assert!(nobody.body.contains("<h1>No server has reported yet</h1>"), "{}", nobody.body);

    let fixture = Fixture::with(0).await;
    let key = new_key(&fixture, "<b>one").await;
    let (shared, lost) = ("5a".repeat(32), "0f".repeat(32));
    let report = async |server, hash: Option<&String>, is_valid| {
        let license = LicenseState::new(hash.cloned(), is_valid);
        assert_eq!(post_license(&fixture, &key.key, server, &license).await, 200);
        fixture.receiver.judge().await.unwrap();
    };
    report(1, Some(&shared), true).await;
    report(2, Some(&shared), true).await;
    report(3, Some(&lost), true).await;
    report(4, None, false).await;
    report(3, Some(&lost), false).await;

    let page = async |query: &str| fixture.get(&format!("/fleet/licenses?{query}")).await;
    let all = page("hash=").await;
    assert_page(&all, StatusCode::OK);
    let link = |number| {
        let id = Uuid::from_u128(number);
        format!("<a href=\"instances/{id}\"><bdi>{}</bdi></a>", super::page::short(&id))
    };
    let count = |license: &str, servers| {
        let query = format!("./?state=down%2Clate%2Cup&amp;license={license}");
        format!("<dt>{license}</dt><dd><a href=\"{query}\">{servers}</a>")
    };
    let on_two = format!(
        "<code title=\"{shared}\">5a5a5a5a5a5a…</code></a></th><td class=\"num\"><a href=\"./?license-hash={shared}\">2</a></td><td>{}, {}</td></tr>",
        link(1),
        link(2)
    );
    for shown in [
        "<h1>1 license is invalid, 1 key is on more servers than one</h1>",
        "<p>1 license was lost within the last week.",
        &count("invalid", 1),
        &count("none", 1),
        &count("valid", 2),
        &on_two,
        &format!("<tr><th scope=\"row\">{}</th><td><time", link(3)),
        "</time></td><td>invalid</td><td><bdi>&#60;b&#62;one</bdi></td></tr>",
    ] {
        assert!(all.body.contains(shown), "{shown} is not in {}", all.body);
    }

    let found = page("hash=5A5A5A5A").await;
    assert_page(&found, StatusCode::OK);
    let (list, _) = found.body.split_once("id=\"shared\"").unwrap();
    assert!(list.contains("Servers of the key <code>5a5a5a5a</code>"), "{list}");
    assert!([1, 2].iter().all(|number| list.contains(&link(*number))), "{list}");
    assert_eq!(list.matches("<tr><th scope=\"row\">").count(), 2, "{list}");
    let none = page("hash=0123456789abcdef").await;
    assert_page(&none, StatusCode::OK);
    assert!(none.body.contains("No server reports a key with this hash"), "{}", none.body);
    assert_page(&page("hash=xyz").await, StatusCode::BAD_REQUEST);
}
