//! The page of a server in each of its states, as it is written.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::super::tests::{assert_page, post_name};
use crate::receiver::NewKey;
use crate::receiver::fixture::{Fixture, HOSTILE, event, instance_id};
use crate::receiver::store::NewEvent;

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
async fn down_with_a_run_that_was_lost() {
    let page = page_of(&[
        vec![report(1, 1, 4_000, "begin")],
        vec![report(1, 2, 3_940, "update")],
        vec![report(2, 1, 3_600, "begin")],
        vec![report(2, 2, 3_540, "update")],
    ])
    .await;
    assert_shows(
        &page,
        &[
            "<title>eu-west 3 is down · Telemetry</title>",
            "<h1><bdi>eu-west 3</bdi> <span class=\"st down\">",
            "Silent for 2 days 11 h. It reports every 1 h, and last did ",
            "; counted as down since ",
            "<section class=\"box alarm down\"",
            "<p class=\"remark down\"><b>It cannot be known from here.</b> No other server was heard since it was, so ",
            "1 run was lost in the last 7 days, the last ",
            "went down: nothing heard for two intervals<small>late for 1 h</small>",
            "<p><small>Nothing else is known to have changed since <time",
            "</time>, when it was first seen.</small></p>",
            "run <code>0001</code> was lost: no end was heard<small>after ",
            "<li>Is the machine up, and the server on it?</li>",
            "/forget\">Forget it</a>",
            "<dt>Was due</dt>",
            "1.0 · 0001, lost ",
            "1.0 · 0002, silent since ",
        ],
    );
    let (changes, facts) = (page.find("What happened</h2>"), page.find("Identity</h2>"));
    assert!(changes.is_some() && changes < facts, "what happened comes before what does not change");
    for word in ["begin", "update", "lost: no end was heard", "late", "down"] {
        assert!(has_mark(&page, word), "{word}");
    }
    assert!(!has_mark(&page, "end") && !page.contains("the receiver itself was away"));
}

#[actix_rt::test]
async fn down_while_another_one_of_its_product_is_up() {
    let mut other = report(7, 1, 20, "begin");
    (other.instance_id, other.facts.custom_id) = (instance_id(4), Some("<b>eu-west 4".to_owned()));
    let fixture = Fixture::of(&[vec![report(1, 1, 300, "begin")], vec![other]], Duration::ZERO).await;
    let body = page(&fixture).await;
    assert_shows(
        &body,
        &[
            "<b>It is the server or its network, not the receiver.</b> 1 other server was heard since it was: <a href=\"",
            "<bdi>&#60;b&#62;eu-west 4</bdi></a> with the same product is up, and was heard ",
            " UTC. Its key is not known. Which of the two it is cannot be known from here.</p>",
        ],
    );
    let answer = fixture.get(&format!("/fleet/api/instances/{}", instance_id(SERVER))).await.json();
    let evidence = &answer["evidence"];
    assert_eq!((&evidence["others"], &evidence["at_least"]), (&1.into(), &false.into()));
    assert_eq!(
        (&evidence["witness"]["shares"], evidence["witness"]["instance_id"].as_str()),
        (&"product".into(), Some(&*instance_id(4).to_string()))
    );
    let well = fixture.get(&format!("/fleet/api/instances/{}", instance_id(4))).await.json();
    assert!(well["evidence"].is_null(), "{well}");
}

#[actix_rt::test]
async fn down_while_something_sends_in_its_name() {
    let fixture = Fixture::of(&[vec![report(1, 1, 4_000, "begin")]], Duration::ZERO).await;
    let key = fixture.receiver.keys().create(NewKey::named("<b>Acme")).await.unwrap();
    for _ in 0..2 {
        post_name(&fixture, &key.key, instance_id(SERVER)).await;
    }
    let page = page(&fixture).await;
    assert_shows(
        &page,
        &[
            "What to look at</h2>\n<p><b>Something still sends in its name</b>: the last request came <time",
            "</time>, and was refused. 2 requests that name it were refused. Why, and what to do: <a href=\"../refused#",
            "Some or all came with another key: <bdi>&#60;b&#62;Acme</bdi>. The server belongs to <bdi>not known</bdi>.",
            "<li>Is it this server that sends?",
        ],
    );
    assert!(!page.contains("Is the machine up"), "{page}");
}

#[actix_rt::test]
async fn late() {
    let page = page_of(&[vec![report(1, 1, 130, "begin")], vec![report(1, 2, 70, "update")]]).await;
    assert_shows(
        &page,
        &[
            "<title>eu-west 3 is late · Telemetry</title>",
            "Silent for 1 h 10 min. It reports every 1 h, and was due ",
            "Unless it is heard, it counts as down from ",
            "<section class=\"box alarm late\"",
            "late: its report did not come in time<small>up for 2 h",
            "<dt>Grace</dt><dd>5 min</dd>",
        ],
    );
}

#[actix_rt::test]
async fn up_and_new_and_without_anything_to_look_at() {
    let page = page_of(&[vec![report(1, 1, 130, "begin")], vec![report(1, 2, 10, "update")]]).await;
    assert_shows(
        &page,
        &[
            "<title>eu-west 3 is up · Telemetry</title>",
            " datetime=\"",
            "10 min ago</time>, and up for ",
            "first seen</span>",
            "<dt>Due</dt>",
            ", the newest</dd>",
            "1 run; times are UTC. Run 0001, version 1.0, began ",
            "it is alive.</p>",
        ],
    );
    assert!(!page.contains("What to look at"), "{page}");
}

#[actix_rt::test]
async fn ended() {
    let page = page_of(&[vec![report(1, 1, 500, "begin")], vec![report(1, 2, 400, "end")]]).await;
    assert_shows(
        &page,
        &[
            "<title>eu-west 3 has ended · Telemetry</title>",
            "its last run was stopped in good order, and nothing is expected of it.",
            "ended: its last run said so<small>late for 35 min</small>",
            "1.0 · 0001, ended ",
        ],
    );
    assert!(
        has_mark(&page, "end") && !page.contains("What to look at") && !page.contains("ue</dt>"),
        "{page}"
    );
}

#[actix_rt::test]
async fn several_runs() {
    let page = page_of(&[
        vec![report(1, 1, 120, "begin")],
        vec![report(2, 1, 90, "begin")],
        vec![report(1, 2, 60, "update"), report(2, 2, 30, "update")],
        vec![report(1, 3, 5, "update")],
    ])
    .await;
    assert_shows(
        &page,
        &[
            "<section class=\"box alarm late\"",
            "Replicas that share one database do that",
            "run <code>0002</code> began while <code>0001</code> was alive<small>a replica, or a copy of its database</small>",
            "1.0 · 0002, beside 0001",
        ],
    );
}

#[actix_rt::test]
async fn cloned() {
    let mut copy = report(1, 2, 20, "update");
    (copy.id, copy.data) = (Uuid::from_u128(copy.id.as_u128() + 1), "{}".to_owned());
    let page =
        page_of(&[vec![report(1, 1, 90, "begin")], vec![report(1, 2, 30, "update")], vec![copy]]).await;
    assert_shows(
        &page,
        &[
            "A number of a run came again with another content, at ",
            "<span class=\"tag late\">number used twice</span>",
        ],
    );
}

#[actix_rt::test]
async fn restarting() {
    let begins = (0..12).map(|number| vec![report(number + 1, 1, 59 - 5 * i64::from(number), "begin")]);
    let page = page_of(&begins.collect::<Vec<_>>()).await;
    assert_shows(
        &page,
        &[
            "<section class=\"box alarm late\"",
            "A process keeps dying and being started again",
            "<title>eu-west 3 is up, restarting · Telemetry</title>",
            "up</span>, <span class=\"st late\">restarting</span>: 12 begins in the last hour</h1>",
            "12 runs; times are UTC. 12 runs, version 1.0, began one after the other from ",
            "1.0 · 12 runs since ",
        ],
    );
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
