//! The page of the fleet.

use std::time::Duration;

use actix_web::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{ROW, assert_page, new_key, post_event, post_name};
use crate::receiver::fixture::{Fixture, HOSTILE, event, event_id, instance_id};
use crate::receiver::judging::judgement;
use crate::receiver::store::{Change, Instance, Judgement, NewEvent, Run, State, Transition};

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
    assert_eq!(page.body.matches(ROW).count(), 30);
    let remark = "<p class=\"remark late\">Nobody is told of what changes: alerts have no destination. <a href=\"alerts\">";
    assert!(page.body.contains(remark), "{}", page.body);
    let next = page.body.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let rest = fixture.get(&format!("/fleet/{}", next.replace("&#38;", "&"))).await;
    assert_page(&rest, StatusCode::OK);
    assert_eq!(rest.body.matches(ROW).count(), 30);
    assert!(!rest.body.contains("rel=\"next\""));
    let of_fifty = fixture.get("/fleet/?limit=50").await.body;
    assert!(of_fifty.contains("rel=\"next\" href=\"?limit=50&#38;after="), "{of_fifty}");

    let down = fixture.get("/fleet/?search=&state=down&license=&flag=&version=").await;
    assert_eq!(down.body.matches(ROW).count(), 1);
    assert!(down.body.contains("name=\"state\" value=\"down\" checked"), "{}", down.body);
    // A part of the fleet is named, and not what is wrong with the rest.
    assert!(down.body.contains("<h1>1 server: <bdi>down</bdi></h1>"), "{}", down.body);
    assert!(down.body.contains("&#38;key=") && down.body.contains(">1 of <bdi>"), "{}", down.body);
    assert!(!down.body.contains("Silent: ") && !down.body.contains(remark), "{}", down.body);
    let bad = fixture.get("/fleet/?state=fine").await;
    assert_page(&bad, StatusCode::BAD_REQUEST);
}

#[actix_rt::test]
async fn numbers_beside_a_part_of_the_fleet_are_those_that_their_links_lead_to() {
    let fixture = Fixture::with(60).await;
    let numbers = |page: &str| -> Vec<i64> {
        let (_, tiles) = page.split_once("<ul class=\"tally\"").unwrap();
        let (tiles, _) = tiles.split_once("</ul>").unwrap();
        let number = |tile: &str| tile.split_once('>').unwrap().1.split('<').next().unwrap().parse().unwrap();
        tiles.split("<b").skip(1).map(number).collect()
    };
    let all = fixture.get("/fleet/").await.body;
    assert_eq!(numbers(&all).iter().sum::<i64>(), 60);
    // Another state of the same servers is a click away.
    assert_eq!(numbers(&fixture.get("/fleet/?state=down").await.body), numbers(&all));
    let part = fixture.get("/fleet/?release=2.0&state=up").await.body;
    let of_part = numbers(&part);
    assert!(of_part.iter().sum::<i64>() < 60 && of_part[2] > 0, "{of_part:?}");
    for (state, number) in ["down", "late", "up", "ended"].iter().zip(&of_part) {
        let list = fixture.get(&format!("/fleet/api/instances.csv?release=2.0&state={state}")).await.body;
        assert_eq!(list.lines().count() as i64, number + 1, "{state}: {list}");
    }
    // Of a list of one state, the numbers of the others are of what is not in it.
    let others = [0, 1, 3].into_iter().filter(|state| of_part[*state] > 0).count();
    assert_eq!(part.matches("<small>not in this list</small>").count(), others, "{part}");
    let down = fixture.get("/fleet/?state=down").await.body;
    assert!(down.contains("<small>not in this list</small>"), "{down}");
    assert!(!all.contains("not in this list"), "{all}");
    // Who has no license is asked of those that are in use.
    let no_license = "<a href=\"?state=down%2Clate%2Cup&#38;license=invalid\">License invalid ";
    let (_, chip) = all.split_once(no_license).unwrap_or_else(|| panic!("{no_license} is not in {all}"));
    let number: usize = chip.split('<').next().unwrap().parse().unwrap();
    let list = fixture.get("/fleet/api/instances.csv?state=down%2Clate%2Cup&license=invalid").await.body;
    assert_eq!(list.lines().count(), number + 1, "{list}");
    // What is told live is of the whole fleet.
    assert!(!part.contains("data-n=\"up\"") && all.contains("data-n=\"up\""), "{part}");
    assert!(part.contains(">License invalid</a>"), "{part}");
}

#[actix_rt::test]
async fn what_was_not_heard_for_longer_than_14_days_is_not_active() {
    let now = Timestamp::now();
    let long_ago = now - SignedDuration::from_hours(15 * 24);
    let fixture =
        Fixture::of(&[vec![event(1, long_ago)], vec![event(2, now), event(3, now)]], Duration::ZERO).await;
    let page = fixture.get("/fleet/").await.body;
    assert!(page.contains("known servers are up or late, <a href=\"adoption\">2 active</a>."), "{page}");
    let fleet = fixture.get("/fleet/api/fleet").await.json();
    assert_eq!((&fleet["total"], &fleet["active"]), (&3.into(), &2.into()));
}

#[actix_rt::test]
async fn releases_are_those_of_servers_that_have_not_ended() {
    let fixture = Fixture::with(7).await;
    let some = fixture.get("/fleet/").await;
    let link = "href=\"?release=1.0&amp;state=down%2Clate%2Cup\"";
    for shown in ["<h2>Releases in use</h2>", "Servers that have not ended, by release", link] {
        assert!(some.body.contains(shown), "{shown} is not in {}", some.body);
    }
    let part = fixture.get("/fleet/?state=up").await.body;
    assert!(part.contains("<h2>Releases in use by the whole fleet</h2>"), "{part}");
}

#[actix_rt::test]
async fn the_fleet_says_that_requests_are_refused() {
    let fixture = Fixture::with(1).await;
    assert!(!fixture.get("/fleet/").await.body.contains(" refused in the last "));
    let key = new_key(&fixture, "one").await;
    for _ in 0..2 {
        post_name(&fixture, &key.key, instance_id(7)).await;
    }
    let page = fixture.get("/fleet/").await;
    assert_page(&page, StatusCode::OK);
    for shown in [
        "<p class=\"remark late\">2 requests were refused in the last hour, the last ",
        " ago. <a href=\"refused\">Why</a></p>",
    ] {
        assert!(page.body.contains(shown), "{shown} is not in {}", page.body);
    }
}

/// An event of the same server and run, so many hours before now.
fn heard(number: u32, hours: i64) -> NewEvent {
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let sequence = i64::from(number);
    NewEvent { id: event_id(number), sequence, ..event(4, now - SignedDuration::from_hours(hours)) }
}

#[actix_rt::test]
async fn who_came_back_last_is_named_with_how_long_it_was_down() {
    let fixture = Fixture::of(&[vec![heard(1, 10)], vec![heard(2, 0)]], Duration::ZERO).await;
    let page = fixture.get("/fleet/").await;
    assert_page(&page, StatusCode::OK);
    let link = format!("<a href=\"instances/{}\"><bdi>00000004</bdi></a> <time", instance_id(4));
    let named = format!("<a href=\"changes?kind=back\">Back last</a>: {link}");
    assert!(page.body.contains(&named), "{named} is not in {}", page.body);
    assert!(page.body.contains("</time> after 7 h 55 min. As of "), "{}", page.body);
    let up = fixture.get("/fleet/?state=up").await;
    assert_page(&up, StatusCode::OK);
    for shown in ["<small>after 7 h 55 min down</small>", "1 server, the latest change of state first."] {
        assert!(up.body.contains(shown), "{shown} is not in {}", up.body);
    }
    let rows = fixture.get("/fleet/api/instances?strip=true").await.json();
    assert_eq!(rows["instances"][0]["back_after"], 7 * 3_600 + 55 * 60);
}

#[actix_rt::test]
async fn who_came_back_last_is_named_also_where_it_was_down_for_longer_than_is_looked_at() {
    let fixture = Fixture::of(&[vec![heard(1, 40 * 24)], vec![heard(2, 0)]], Duration::ZERO).await;
    let page = fixture.get("/fleet/").await;
    assert_page(&page, StatusCode::OK);
    let (_, back) =
        page.body.split_once("<a href=\"changes?kind=back\">Back last</a>: ").expect("it is named");
    let (back, _) = back.split_once(" As of ").unwrap();
    assert!(back.contains(&instance_id(4).to_string()) && back.ends_with("</time>."), "{back}");
}

#[actix_rt::test]
async fn where_more_are_down_than_are_named_the_first_page_says_whose_they_are() {
    let silent: Vec<NewEvent> = (1..=6).map(|number| heard(number, 40 * 24)).collect();
    let instances = (0..6).map(|place| instance_id(100 + place));
    let events = silent.into_iter().zip(instances).map(|(mut event, id)| {
        event.instance_id = id;
        event
    });
    let fixture = Fixture::of(&[events.collect()], Duration::ZERO).await;
    let page = fixture.get("/fleet/").await;
    assert_page(&page, StatusCode::OK);
    for shown in [
        ">6 servers are down</h1>",
        "and <a href=\"?state=down\">1 more</a>; down in all: <a href=\"?state=down&#38;key=",
        ">6 of <bdi>00000000, revoked</bdi></a>. ",
    ] {
        assert!(page.body.contains(shown), "{shown} is not in {}", page.body);
    }
    // All their names alone, where the list has them all.
    let named = |body: &str| -> Option<(String, usize)> {
        let (_, fold) = body.split_once("<details><summary>")?;
        let (summary, names) = fold.split_once("</summary><ul class=\"names\">")?;
        let (names, _) = names.split_once("</ul>")?;
        let all_have_times = names.matches("<time").count() == names.matches("<li>").count();
        all_have_times.then(|| (summary.to_owned(), names.matches("<li>").count()))
    };
    assert_eq!(named(&page.body), Some(("All 6 that are down, and since when".to_owned(), 6)));
    for other in ["/fleet/?limit=5", "/fleet/?state=down"] {
        assert_eq!(named(&fixture.get(other).await.body), None, "{other}");
    }
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
    // Who looks for the name of a customer is led to its servers.
    let looked_for = fixture.get("/fleet/?search=MINE").await;
    let link =
        format!("Servers of a key of that name: <a href=\"?key={}\"><bdi>&#60;b&#62;mine</bdi></a>", key.id);
    assert!(looked_for.body.contains(&link), "{}", looked_for.body);
    let of_product = fixture.get("/fleet/?key=&product=example-server").await;
    assert_eq!(of_product.body.matches(ROW).count(), 2);
    assert!(
        of_product
            .body
            .contains("name=\"product\" maxlength=\"256\" placeholder=\"any\" value=\"example-server\"")
    );
    // A key that no longer is, as by an old bookmark.
    let nobody = fixture.get(&format!("/fleet/?key={}", Uuid::from_u128(7))).await;
    assert_page(&nobody, StatusCode::OK);
    assert!(nobody.body.contains("selected>00000000, revoked</option>"), "{}", nobody.body);
}

#[actix_rt::test]
async fn a_page_is_small_where_every_server_came_back_ten_times() {
    let fixture = Fixture::with(60).await;
    let later = fixture.now + SignedDuration::from_hours(2_000);
    let change = |number: i64| {
        let (from, to) = if number % 2 == 0 { (State::Down, State::Up) } else { (State::Up, State::Down) };
        // The last two come after each was first seen.
        let ago = if number < 2 {
            SignedDuration::from_millis(number)
        } else {
            SignedDuration::from_hours(30 * number)
        };
        let (from, to) = (Some(from.as_str().to_owned()), to.as_str().to_owned());
        Transition { at: fixture.now - ago, change: Change::State, from, to }
    };
    let changes: Vec<_> = (0..20).rev().map(change).collect();
    let decide = |instance: &Instance, runs: &[Run]| {
        let judgement = judgement::decide(instance, runs, &[], fixture.now);
        Judgement { state: State::Up, transitions: changes.clone(), ..judgement }
    };
    assert_eq!(fixture.storage().0.judge(later, 100, &decide).await.unwrap(), 60);
    for query in ["", "?state=up"] {
        let page = fixture.get(&format!("/fleet/{query}")).await;
        assert_page(&page, StatusCode::OK);
        assert_eq!(page.body.matches(ROW).count(), 30);
        assert!(page.body.contains("after 0 s"), "{}", page.body);
        assert!(page.body.len() <= 60_000, "{query}: {} bytes", page.body.len());
    }
}
