//! The pages "All changes" and "Servers by key".

use actix_web::http::StatusCode;
use jiff::SignedDuration;
use uuid::Uuid;

use super::{assert_page, new_key, post_event};
use crate::receiver::Storage;
use crate::receiver::fixture::{Fixture, instance_id};
use crate::receiver::judging::judgement;
use crate::receiver::store::{Change, Instance, Judgement, LOOKED_AT, Run, Transition};

/// What the row of a change begins with.
const ROW: &str = "<tr><th scope=\"row\"><time ";

#[actix_rt::test]
async fn changes_are_listed_by_kind_and_page_by_page() {
    let fixture = Fixture::with(60).await;
    let page = fixture.get("/fleet/changes").await;
    assert_page(&page, StatusCode::OK);
    assert_eq!(page.body.matches(ROW).count(), 50);
    assert!(
        page.body.contains("<h1>The last change was ") && !page.body.contains(">Show all<"),
        "{}",
        page.body
    );
    let next = page.body.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let rest = fixture.get(&format!("/fleet/{}", next.replace("&#38;", "&"))).await;
    assert_page(&rest, StatusCode::OK);
    assert_eq!(rest.body.matches(ROW).count(), 10);
    assert!(
        rest.body.contains("<h1>Earlier changes</h1>") && !rest.body.contains("rel=\"next\""),
        "{}",
        rest.body
    );

    let key = Uuid::from_u128(99);
    let down = fixture.get(&format!("/fleet/changes?kind=down&key={key}")).await;
    assert_page(&down, StatusCode::OK);
    for shown in [
        "<h1>A server went down ".to_owned(),
        format!("<a href=\"instances/{}\"><bdi>&#60;script&#62;", instance_id(1)),
        "</span> went down</td><td></td>".to_owned(),
        format!("<a href=\"?key={key}\" aria-current=\"true\">Down</a>"),
        format!("<a href=\"?kind=down%2Cback&#38;key={key}\">Up again</a>"),
        "<a href=\"?kind=down\" aria-current=\"true\">key <bdi>00000000, revoked</bdi>".to_owned(),
        format!("href=\"api/changes.csv?kind=down&#38;key={key}\""),
        "<a href=\"changes\">Show all</a>".to_owned(),
    ] {
        assert!(down.body.contains(&shown), "{shown} is not in {}", down.body);
    }
    assert_eq!(down.body.matches(ROW).count(), 1);
    let none = fixture.get("/fleet/changes?kind=version").await;
    assert_page(&none, StatusCode::OK);
    assert!(none.body.contains("<h1>No change matches</h1>"), "{}", none.body);
    let nobody = fixture.get("/fleet/changes?kind=back").await;
    assert_page(&nobody, StatusCode::OK);
    let begun = "Servers that had ended are apart: <a href=\"?kind=begun\">those that began again</a>.";
    assert!(nobody.body.contains(begun), "{}", nobody.body);
    assert_page(&fixture.get("/fleet/changes?kind=weather").await, StatusCode::BAD_REQUEST);
    let empty = Fixture::with(0).await.get("/fleet/changes").await;
    assert_page(&empty, StatusCode::OK);
    assert!(empty.body.contains("<h1>Nothing has changed yet</h1>"), "{}", empty.body);
}

#[actix_rt::test]
async fn what_is_rare_is_found_behind_many_others() {
    let fixture = Fixture::with(2).await;
    let Storage(store) = fixture.storage();
    let later = fixture.now + SignedDuration::from_hours(24 * 60);
    let decide = |instance: &Instance, runs: &[Run]| {
        let version = |number| Transition {
            at: fixture.now + SignedDuration::from_secs(number),
            change: Change::Version,
            from: None,
            to: "a".to_owned(),
        };
        let transitions = (1..=LOOKED_AT).map(version).collect();
        Judgement { transitions, alerts: Vec::new(), ..judgement::decide(instance, runs, &[], later) }
    };
    assert_eq!(store.judge(later, 1, &decide).await.unwrap(), 1);
    let down = fixture.get("/fleet/changes?kind=down").await;
    assert_page(&down, StatusCode::OK);
    assert!(down.body.contains("<h1>A server went down "), "{}", down.body);
    assert_eq!(down.body.matches(ROW).count(), 1);
}

#[actix_rt::test]
async fn changes_go_on_after_those_of_an_earlier_answer() {
    let fixture = Fixture::with(7).await;
    let mut seen = Vec::new();
    let mut path = "/fleet/api/changes?kind=new,down,late&limit=3".to_owned();
    loop {
        let page = fixture.get(&path).await.json();
        let changes = page["changes"].as_array().unwrap();
        assert!(changes.len() <= 3);
        seen.extend(changes.iter().map(|change| change["instance_id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/fleet/api/changes?kind=new,down,late&limit=3&after={next}");
    }
    seen.sort();
    let expected: Vec<_> = (1..=7).map(|number| instance_id(number).to_string()).collect();
    assert_eq!(seen, expected);
    let lines = fixture.get("/fleet/api/changes.jsonl?kind=down").await;
    assert_eq!(lines.body.lines().count(), 1, "{}", lines.body);
}

#[actix_rt::test]
async fn keys_say_how_many_of_their_servers_are_lost() {
    let fixture = Fixture::with(3).await;
    let key = new_key(&fixture, "<b>mine").await;
    assert_eq!(post_event(&fixture, &key.key, 77).await, 200);
    let page = fixture.get("/fleet/by-key").await;
    assert_page(&page, StatusCode::OK);
    let lost = Uuid::from_u128(99);
    for shown in [
        "<h1>1 of 2 keys has servers that are down</h1>".to_owned(),
        format!("<a href=\"./?key={lost}\"><bdi>00000000, revoked</bdi></a><small>3 servers"),
        format!("<a class=\"st down\" href=\"./?key={lost}&amp;state=down\">1</a>"),
        format!("<a href=\"./?key={}\"><bdi>&#60;b&#62;mine</bdi></a><small>1 server ", key.id),
    ] {
        assert!(page.body.contains(&shown), "{shown} is not in {}", page.body);
    }
    let fleet = fixture.get("/fleet/").await.body;
    assert!(
        fleet.contains("<a href=\"by-key\">By key</a>")
            && fleet.contains("<a href=\"changes\">All changes</a>")
    );
    let empty = Fixture::with(0).await.get("/fleet/by-key").await;
    assert_page(&empty, StatusCode::OK);
    assert!(empty.body.contains("<h1>No key has a server</h1>"), "{}", empty.body);
}
