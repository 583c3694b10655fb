//! The page of a server as it is written: in each of its states, with each of its flags, and where less or more is known
//! than usual.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::super::tests::{assert_page, post_name};
use crate::receiver::NewKey;
use crate::receiver::fixture::{Fixture, HOSTILE, event, instance_id};
use crate::receiver::store::NewEvent;

mod flags;
mod states;

/// The server that all events are of.
const SERVER: u32 = 3;

/// An event of a server that reports every hour, this many minutes before now.
fn report(run: u16, number: i64, minutes: i64, reason: &str) -> NewEvent {
    let received_at = Timestamp::now() - SignedDuration::from_mins(minutes);
    let received_at = Timestamp::from_microsecond(received_at.as_microsecond()).unwrap();
    let mut event = event(SERVER, received_at);
    event.id = Uuid::from_u128(u128::from(run) << 96 | u128::from(number.unsigned_abs()) << 64);
    event.run_id = Uuid::from_u128(u128::from(run));
    event.sequence = number;
    event.received_at = received_at;
    event.day = received_at.to_zoned(jiff::tz::TimeZone::UTC).date();
    event.reason = reason.to_owned();
    event.facts.custom_id = Some("eu-west 3".to_owned());
    event.facts.key_id = Uuid::nil();
    event.data = r#"{"build_version":"1.0","license_valid":true,"custom_id":"eu-west 3"}"#.to_owned();
    event
}

async fn page(fixture: &Fixture) -> String {
    let page = fixture.get(&format!("/fleet/instances/{}", instance_id(SERVER))).await;
    assert_page(&page, StatusCode::OK);
    page.body
}

/// The page of a server that sent these events, those of each stage at once.
async fn page_of(stages: &[Vec<NewEvent>]) -> String {
    page(&Fixture::of(stages, Duration::ZERO).await).await
}

fn assert_shows(page: &str, texts: &[&str]) {
    for text in texts {
        assert!(page.contains(text), "{text} is not in {page}");
    }
}

/// Whether the legend, and so the picture, has this mark.
fn has_mark(page: &str, word: &str) -> bool {
    page.contains(&format!("</svg> {word}</li>"))
}

#[actix_rt::test]
async fn muted() {
    let fixture = Fixture::of(&[vec![report(1, 1, 300, "begin")]], Duration::ZERO).await;
    let at = |action: &str| format!("/fleet/instances/{}/{action}", instance_id(SERVER));
    let asked = fixture.get(&at("mute")).await;
    assert_page(&asked, StatusCode::OK);
    assert_shows(
        &asked.body,
        &["<h1>Mute <bdi>eu-west 3</bdi>?</h1>", "<form class=\"filter\" method=\"post\" action=\"mute\">"],
    );
    let form = TestRequest::post()
        .uri(&at("mute"))
        .insert_header(("content-type", "application/x-www-form-urlencoded"))
        .set_payload("seconds=3600&reason=%3Cb%3Emoving");
    let muted = fixture.ask(form).await;
    assert_eq!(
        (muted.status, muted.header("location")),
        (StatusCode::SEE_OTHER, &*format!("../{}", instance_id(SERVER)))
    );
    assert_shows(
        &page(&fixture).await,
        &["Nobody is told of it: it is muted until ", "(<bdi>&#60;b&#62;moving</bdi>)"],
    );
    assert_shows(
        &fixture.get(&at("mute")).await.body,
        &["It is muted until ", "<bdi>&#60;b&#62;moving</bdi>"],
    );
    let unmute = format!("action=\"{}/unmute\"", instance_id(SERVER));
    assert_shows(&page(&fixture).await, &[&unmute, "<button>Unmute</button>", ">Mute for longer…</a>"]);
    let unmuted = fixture.ask(TestRequest::post().uri(&at("unmute"))).await;
    assert_eq!(unmuted.header("location"), format!("../{}", instance_id(SERVER)));
    let unmuted = page(&fixture).await;
    assert!(!unmuted.contains("it is muted until") && unmuted.contains(">Mute…</a>"), "{unmuted}");

    let by_filter = TestRequest::post()
        .uri("/fleet/mute?state=down")
        .insert_header(("content-type", "application/x-www-form-urlencoded"));
    fixture.ask(by_filter.set_payload("seconds=3600&reason=moving")).await;
    let page = page(&fixture).await;
    assert_shows(&page, &[") with all that match a filter.", "alerts#mutes\">Unmute…</a>"]);
    assert!(!page.contains(&unmute), "{page}");
}

#[actix_rt::test]
async fn without_a_name_and_with_a_hostile_one() {
    let mut nameless = report(1, 1, 10, "begin");
    (nameless.facts.custom_id, nameless.data) = (None, "{}".to_owned());
    assert_shows(
        &page_of(&[vec![nameless]]).await,
        &["<title>00000003 is up · Telemetry</title>", "<h1><bdi>00000003</bdi> "],
    );

    let mut hostile = report(1, 1, 10, "begin");
    let name = format!("\u{202e}{HOSTILE}");
    hostile.data = serde_json::json!({ "custom_id": name, "build_version": name }).to_string();
    hostile.facts.custom_id = Some(name.clone());
    for field in
        [&mut hostile.facts.build_version, &mut hostile.facts.build_commit, &mut hostile.facts.build_time]
    {
        field.clone_from(&name);
    }
    for field in [&mut hostile.facts.build_mode, &mut hostile.facts.build_os, &mut hostile.facts.product] {
        field.clone_from(&name);
    }
    hostile.facts.license_key_hash = Some(name.clone());
    hostile.facts.license_valid = false;
    hostile.reason = name;
    let page = page_of(&[vec![hostile]]).await;
    assert_shows(&page, &["<h1><bdi>\\u{202e}&#60;script&#62;", "Its license is not valid."]);
    assert!(!page.contains('\u{202e}') && !page.contains("<script>"), "{page}");
}

#[actix_rt::test]
async fn imported_from_a_file() {
    let mut events = [report(1, 1, 900, "begin"), report(1, 2, 840, "update")];
    for event in &mut events {
        event.is_imported = true;
    }
    let page = page_of(&[events.to_vec()]).await;
    assert_shows(
        &page,
        &[
            "<title>eu-west 3 is up · Telemetry</title>",
            "What is known of it came from a file, and ends ",
            "1.0 · 0001, known until ",
        ],
    );
    assert!(!page.contains("What to look at") && !page.contains("ue</dt>"), "{page}");
}

#[actix_rt::test]
async fn runs_without_a_name() {
    let mut unnumbered = [report(0, 1, 90, "begin"), report(0, 2, 30, "update")];
    for event in &mut unnumbered {
        (event.is_numbered, event.sequence) = (false, event.received_at.as_microsecond());
    }
    let page = page_of(&[unnumbered.to_vec()]).await;
    assert_shows(
        &page,
        &[
            "1.0 · not named</text>",
            "A run without a name, version 1.0, began ",
            "<td><span class=\"quiet\">not named</span></td><td class=\"num\"></td>",
        ],
    );
}

#[actix_rt::test]
async fn more_runs_than_are_known() {
    let begins: Vec<_> = (1..=60).map(|run| report(run, 1, 61 - i64::from(run), "begin")).collect();
    let page = page_of(&[begins]).await;
    let shown =
        ["<small>The latest 50 runs are known here.</small>", "These runs in a table", "At least 50 runs; "];
    assert_shows(&page, &shown);
}

#[actix_rt::test]
async fn more_events_than_are_marked() {
    let events: Vec<_> = (0..510).map(|number| report(1, 510 - number, number * 30 + 1, "update")).collect();
    let page = page_of(&[events]).await;
    assert_shows(&page, &["The latest 500 events are marked, those since "]);
    assert!(page.len() < 60_000, "{} bytes", page.len());
}

#[actix_rt::test]
async fn after_a_pause_of_the_receiver() {
    let fixture = Fixture::of(&[vec![report(1, 1, 300, "begin")]], Duration::from_secs(4 * 3_600)).await;
    assert_shows(
        &page(&fixture).await,
        &[
            "the receiver itself was away</li>",
            "<rect class=\"away\"",
            "The receiver itself was away for 4 h from ",
        ],
    );
}

#[actix_rt::test]
async fn it_is_forgotten_and_moved_after_a_page_that_asks() {
    let fixture = Fixture::of(&[vec![report(1, 1, 10, "begin")]], Duration::ZERO).await;
    let at = |action: &str| format!("/fleet/instances/{}/{action}", instance_id(SERVER));
    let none = fixture.get(&at("owner")).await;
    assert_page(&none, StatusCode::OK);
    assert_shows(&none.body, &["There is no other key in use.", "href=\"../../server#keys\""]);
    let key = fixture.receiver.keys().create(NewKey::named("<b>other")).await.unwrap();
    let page = fixture.get(&format!("{}?key={}", at("owner"), key.id)).await;
    assert_page(&page, StatusCode::OK);
    assert_shows(
        &page.body,
        &[&format!("<option value=\"{}\" selected>&#60;b&#62;other</option></select>", key.id)],
    );
    assert_page(&fixture.get(&at("owner?key=x")).await, StatusCode::BAD_REQUEST);

    let page = fixture.get(&at("forget")).await;
    assert_page(&page, StatusCode::OK);
    assert_shows(
        &page.body,
        &[
            "<h1>Forget <bdi>eu-west 3</bdi>?</h1>",
            "comes back as new with its next report",
            "<button class=\"danger\">",
        ],
    );
    let form = TestRequest::post()
        .uri(&at("forget"))
        .insert_header(("content-type", "application/x-www-form-urlencoded"));
    let forgotten = fixture.ask(form).await;
    assert_eq!((forgotten.status, forgotten.header("location")), (StatusCode::SEE_OTHER, "../../"));
    for action in ["forget", "mute", "owner"] {
        assert_page(&fixture.get(&at(action)).await, StatusCode::NOT_FOUND);
    }
}
