use std::pin::{Pin, pin};
use std::time::Duration;

use actix_web::App;
use actix_web::body::MessageBody;
use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::web::scope;
use futures_util::future::poll_fn;
use jiff::SignedDuration;
use uuid::Uuid;

use super::tests::{ROW, assert_page, form};
use crate::receiver::fixture::{Fixture, HOSTILE, instance_id};
use crate::receiver::store::{MOST_MUTES, Mute, Muted};
use crate::receiver::{NewKey, Receiver};
use crate::wire::build::BuildInfo;
use crate::wire::license::LicenseState;
use crate::wire::payload::{Payload, Reason};

/// Posts an event of a server to the webhook.
async fn post_event(fixture: &Fixture, key: &str, name: &str, spoilt: bool) -> StatusCode {
    let app = init_service(App::new().configure(fixture.receiver.webhooks())).await;
    let (build, id) = (BuildInfo::new("2.3.1"), Uuid::from_u128(77));
    let payload = Payload::new(&build, id, &LicenseState::default(), Reason::Begin, Some(name)).to_json();
    let payload = String::from_utf8(payload).unwrap();
    let request = TestRequest::post()
        .uri(&format!("/webhooks/{key}"))
        .insert_header(("content-type", "application/json"))
        .set_payload(if spoilt { payload.replace("2.3.1", "2.3.2") } else { payload });
    call_service(&app, request.to_request()).await.status()
}

#[actix_rt::test]
async fn several_states_and_flags_are_filtered_by_and_each_is_dropped_by_a_link() {
    let fixture = Fixture::with(7).await;
    let page = fixture.get("/fleet/?state=down&state=late&license=&heard=&sort=name").await;
    assert_page(&page, StatusCode::OK);
    assert_eq!(page.body.matches(ROW).count(), 2);
    for shown in [
        "<a href=\"?sort=name\"> <bdi>down or late</bdi>",
        "aria-sort=\"ascending\"><span class=\"say\">Server</span><a href=\"?state=down%2Clate&#38;sort=name\">Server",
        "href=\"api/instances.csv?state=down%2Clate&#38;sort=name\"",
        "2 servers, by name.",
        "href=\"mute?state=down%2Clate\">Mute all 2 that match…",
        "href=\"forget?state=down%2Clate\">Forget all 2 that match…",
    ] {
        assert!(page.body.contains(shown), "{shown} is not in {}", page.body);
    }
    let down = fixture.get("/fleet/?state=down").await;
    assert!(
        down.body.contains("<a class=\"down alarm\" href=\"?state=down\" aria-current=\"true\""),
        "{}",
        down.body
    );
    let none = fixture.get("/fleet/?state=ended&flag=cloned").await;
    assert_page(&none, StatusCode::OK);
    for shown in [
        "No server matches.",
        "<a href=\"?flag=cloned\"> <bdi>ended</bdi>",
        "<a href=\"?state=ended\"> <bdi>cloned</bdi>",
    ] {
        assert!(none.body.contains(shown), "{shown} is not in {}", none.body);
    }
    assert!(!none.body.contains("Mute all"), "{}", none.body);
}

#[actix_rt::test]
async fn kinds_that_no_server_is_of_have_no_chip() {
    let fixture = Fixture::with(7).await;
    let page = fixture.get("/fleet/").await;
    assert!(page.body.contains("?flag=crashed\">Crashed 1</a>"), "{}", page.body);
    assert!(!page.body.contains("Cloned 0") && !page.body.contains("Muted 0"), "{}", page.body);
    let server = format!("/fleet/instances/{}/mute", instance_id(3));
    assert_eq!(fixture.ask(form(&server, "seconds=3600&reason=moved")).await.status, StatusCode::SEE_OTHER);
    let page = fixture.get("/fleet/").await;
    assert!(
        page.body.contains("?flag=muted\">Muted 1</a>") && page.body.contains("muted until"),
        "{}",
        page.body
    );
    let of_muted = fixture.get("/fleet/?flag=muted").await;
    assert_eq!(of_muted.body.matches(ROW).count(), 1);
    assert!(!of_muted.body.contains("href=\"mute?"), "a mute is not of what is muted");
    let mutes = fixture.get("/fleet/api/mutes").await.json();
    let end = format!("/fleet/mutes/{}/remove", mutes["mutes"][0]["id"].as_str().unwrap());
    assert_eq!(fixture.ask(form(&end, "")).await.status, StatusCode::SEE_OTHER);
    assert!(!fixture.get("/fleet/").await.body.contains("Muted 1"));
    let by_api = TestRequest::post().uri("/fleet/api/mutes").set_json(serde_json::json!({
        "instance_id": instance_id(3), "seconds": 3600, "reason": "moved"
    }));
    let made = fixture.ask(by_api).await;
    assert!(fixture.get("/fleet/").await.body.contains("?flag=muted\">Muted 1</a>"));
    let end = format!("/fleet/api/mutes/{}", made.json()["id"].as_str().unwrap());
    assert_eq!(fixture.ask(TestRequest::delete().uri(&end)).await.status, StatusCode::NO_CONTENT);
    assert!(!fixture.get("/fleet/").await.body.contains("Muted 1"));
}

#[actix_rt::test]
async fn all_selected_servers_are_muted_or_none_is() {
    let fixture = Fixture::with(12).await;
    let mute = |number: u32| Mute {
        id: Uuid::from_u128(number.into()),
        of: Muted::Key(Uuid::from_u128(7)),
        reason: "maintenance".to_owned(),
        until: fixture.now + SignedDuration::from_hours(1),
        created_at: fixture.now,
    };
    let made: Vec<Mute> = (11..=MOST_MUTES as u32).map(mute).collect();
    assert!(fixture.storage().0.add_mutes(&made).await.unwrap());
    let count = async || fixture.get("/fleet/api/mutes").await.json()["mutes"].as_array().unwrap().len();
    let ids = |count| {
        let ids: Vec<String> = (1..=count).map(|number| format!("id={}", instance_id(number))).collect();
        form(&format!("/fleet/mute?{}", ids.join("&")), "seconds=3600&reason=move")
    };
    let refused = fixture.ask(ids(11)).await;
    assert_page(&refused, StatusCode::CONFLICT);
    assert!(refused.body.contains("Nothing was muted."), "{}", refused.body);
    assert_eq!(count().await, 990);
    assert_eq!(fixture.ask(ids(10)).await.status, StatusCode::SEE_OTHER);
    assert_eq!(count().await, 1_000);
}

#[actix_rt::test]
async fn selected_servers_are_named_and_then_muted_or_forgotten() {
    let fixture = Fixture::with(7).await;
    let ids = format!("id={}&id={}", instance_id(1), instance_id(4));
    let mute = fixture.get(&format!("/fleet/mute?{ids}")).await;
    assert_page(&mute, StatusCode::OK);
    assert!(mute.body.contains("<h1>Mute 2 servers</h1>"), "{}", mute.body);
    assert!(mute.body.contains("&#60;script&#62;") && !mute.body.contains(HOSTILE), "{}", mute.body);
    let action =
        mute.body.split("action=\"mute?").nth(1).unwrap().split('"').next().unwrap().replace("&#38;", "&");
    for body in ["reason=x", "seconds=1&reason=x", "seconds=3600&reason=x&more=1"] {
        assert_page(
            &fixture.ask(form(&format!("/fleet/mute?{action}"), body)).await,
            StatusCode::BAD_REQUEST,
        );
    }
    let left_open = "seconds=3600&reason=x&from=2026-01-01T00:00:00Z";
    let refused = fixture.ask(form(&format!("/fleet/mute?{action}"), left_open)).await;
    assert_page(&refused, StatusCode::BAD_REQUEST);
    let why = "The time that was chosen is over, or nearly: open the form again and choose another.";
    assert!(refused.body.contains(why), "{}", refused.body);
    let done = fixture.ask(form(&format!("/fleet/mute?{action}"), "seconds=3600&reason=being+moved")).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "alerts#mutes"));
    let mutes = fixture.get("/fleet/api/mutes").await.json();
    assert_eq!(mutes["mutes"].as_array().unwrap().len(), 2, "{mutes}");
    assert_eq!(mutes["mutes"][0]["reason"], "being moved");

    let forget = fixture.get(&format!("/fleet/forget?{ids}")).await;
    assert_page(&forget, StatusCode::OK);
    assert!(
        forget.body.contains("Forget 2 servers</h1>") && forget.body.contains("&#60;script&#62;"),
        "{}",
        forget.body
    );
    let action = forget
        .body
        .split("action=\"forget?")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .replace("&#38;", "&");
    let done = fixture.ask(form(&format!("/fleet/forget?{action}"), "")).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "./"));
    assert_eq!(fixture.get("/fleet/").await.body.matches(ROW).count(), 5);

    for nothing in ["mute", "mute?flag=muted", "mute?state=fine", "forget", "mute?id=x"] {
        assert_page(&fixture.get(&format!("/fleet/{nothing}")).await, StatusCode::BAD_REQUEST);
    }
    let all_that_match = fixture.ask(form("/fleet/mute?state=up", "seconds=3600&reason=x")).await;
    assert_eq!(all_that_match.status, StatusCode::SEE_OTHER);
    let mutes = fixture.get("/fleet/api/mutes").await.json();
    assert!(mutes.to_string().contains("\"filter\":\"state=up\""), "{mutes}");
}

#[actix_rt::test]
async fn an_empty_fleet_leads_to_its_first_server() {
    let fixture = Fixture::with(0).await;
    let page = fixture.get("/fleet/").await;
    assert_page(&page, StatusCode::OK);
    for shown in
        ["Make a key", "action=\"first\"", "Waiting for the first event…", "data-from=\"first?unattended\""]
    {
        assert!(page.body.contains(shown), "{shown} is not in {}", page.body);
    }
    assert_page(&fixture.ask(form("/fleet/first", "name=")).await, StatusCode::BAD_REQUEST);
    let request = form("/fleet/first", "name=%3Cb%3Emine").insert_header(("host", "fleet.example:8443"));
    let made = fixture.ask(request).await;
    assert_eq!((made.status, made.header("cache-control")), (StatusCode::CREATED, "no-store"));
    assert!(made.body.contains("The key <bdi>&#60;b&#62;mine</bdi> is made"), "{}", made.body);
    let url = made.body.split("SIRVEO_TELEMETRY_URL=").nth(1).unwrap().split('<').next().unwrap();
    let key = url.strip_prefix("http://fleet.example:8443/fleet/webhooks/").unwrap().to_owned();
    assert_eq!(made.body.matches(&key).count(), 2, "in the variable and in the command: {}", made.body);
    assert_eq!(made.body.matches("class=\"copy\"").count(), 2);
    assert!(!fixture.get("/fleet/").await.body.contains(&key));

    assert_eq!(post_event(&fixture, &key, "first", true).await, StatusCode::UNPROCESSABLE_ENTITY);
    let page = fixture.get("/fleet/first").await;
    assert_page(&page, StatusCode::OK);
    assert!(
        page.body.contains("A request was refused") && page.body.contains("checksum must be"),
        "{}",
        page.body
    );
    let remark =
        page.body.split("<div class=\"remark\">").nth(1).and_then(|rest| rest.split("</div>").next());
    let remark = remark.expect("the reason stands in the remark");
    assert!(
        remark.contains("checksum must be") && remark.contains("The body was changed on the way"),
        "{remark}"
    );

    assert_eq!(post_event(&fixture, &key, "<i>first", false).await, StatusCode::OK);
    fixture.receiver.judge().await.unwrap();
    let page = fixture.get("/fleet/first").await;
    assert_page(&page, StatusCode::OK);
    let link = format!(
        "<a href=\"instances/{}\"><bdi>&#60;i&#62;first</bdi></a>, version <bdi>2.3.1</bdi>",
        Uuid::from_u128(77)
    );
    assert!(page.body.contains(&link) && !page.body.contains("was refused"), "{}", page.body);
    // What an open page takes over.
    let headline = "<h1 id=\"begun\" data-from=\"first?unattended\">The first server has reported</h1>";
    assert!(page.body.contains(headline), "{}", page.body);
    assert_eq!(fixture.get("/fleet/").await.body.matches(ROW).count(), 1);
    // A mistake that is made afterwards is told as well.
    assert_eq!(post_event(&fixture, &key, "second", true).await, StatusCode::UNPROCESSABLE_ENTITY);
    let page = fixture.get("/fleet/first").await.body;
    assert!(page.contains("It has arrived:") && page.contains("A request was refused"), "{page}");
}

/// The next part of an answer that goes on.
async fn next_of(mut body: Pin<&mut impl MessageBody<Error: std::fmt::Debug>>) -> Option<String> {
    let chunk = poll_fn(|context| body.as_mut().poll_next(context));
    let chunk = tokio::time::timeout(Duration::from_secs(60), chunk).await.expect("something is told");
    chunk.map(|chunk| String::from_utf8(chunk.unwrap().to_vec()).unwrap())
}

#[actix_rt::test]
async fn open_pages_are_told_what_changes_until_they_are_closed() {
    let fixture = Fixture::with(3).await;
    let key = fixture.receiver.keys().create(NewKey::named("mine")).await.unwrap().key;
    // Another receiver of the same store tells what this one judges.
    let other = Receiver::builder(fixture.storage()).start().unwrap();
    let app = init_service(App::new().service(scope("/fleet").configure(other.fleet()))).await;
    let ask = |path: &str| call_service(&app, TestRequest::get().uri(path).to_request());
    assert_eq!(ask("/fleet/live?after=x").await.status(), StatusCode::BAD_REQUEST);
    let answer = ask("/fleet/live").await;
    let header = |name: &str| answer.headers().get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(
        (header("content-type"), header("cache-control")),
        ("text/event-stream".into(), "no-store".into())
    );
    assert_eq!((header("x-accel-buffering"), header("content-encoding")), ("no".into(), "identity".into()));

    let mut body = pin!(answer.into_body());
    let mut next = async || next_of(body.as_mut()).await;
    let begin = next().await.unwrap();
    assert!(begin.starts_with("retry: 1000\n\n") && begin.contains(":\nevent: pulse\ndata: {"), "{begin}");
    let mut until = async |expected: &str| {
        let mut told = String::new();
        while !told.contains(expected) {
            told += &next().await.expect("it has not ended");
        }
        told
    };
    let counts = if begin.contains("\"down\":\"1\"") { begin } else { until("\"down\":\"1\"").await };
    assert!(counts.contains("\"changed\":[]"), "{counts}");
    assert_eq!(post_event(&fixture, key.expose(), "<i>", false).await, StatusCode::OK);
    fixture.receiver.judge().await.unwrap();
    let told = until("\"changed\":[[").await;
    assert!(told.contains(&format!("[\"{}\",\"new\"]", Uuid::from_u128(77))), "{told}");
    if !told.contains("\"total\":\"4\"") {
        until("\"total\":\"4\"").await;
    }
    // For a page that comes back after what is kept it is not known whether anything changed.
    let mut behind = pin!(ask("/fleet/live?after=1").await.into_body());
    let begin = next_of(behind.as_mut()).await.unwrap();
    assert!(
        begin.contains("\"more\":\"There may be changes, show\"") && begin.contains("\"say\":\"\""),
        "{begin}"
    );
    other.close_live();
    while next().await.is_some() {}
    assert_eq!(ask("/fleet/live").await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[actix_rt::test]
async fn a_page_that_comes_back_when_nothing_is_kept_is_not_told_of_many_changes() {
    let fixture = Fixture::with(3).await;
    let app = init_service(App::new().service(scope("/fleet").configure(fixture.receiver.fleet()))).await;
    let answer = call_service(&app, TestRequest::get().uri("/fleet/live?after=1").to_request()).await;
    let mut body = pin!(answer.into_body());
    let mut told = String::new();
    while !told.contains("\"changed\":[]") {
        told += &next_of(body.as_mut()).await.expect("it has not ended");
    }
    assert!(
        told.contains("\"more\":\"There may be changes, show\"") && told.contains("\"say\":\"\""),
        "{told}"
    );
}
