//! The page "Adoption".

use std::time::Duration;

use actix_web::http::StatusCode;
use jiff::{SignedDuration, Timestamp};

use super::assert_page;
use crate::receiver::fixture::{Fixture, event};
use crate::receiver::store::NewEvent;

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
        "&#38;older-than=2.0&#38;sort=version\">3 servers</a> are older.</p>",
        "<h2>Who is behind 2.0</h2>",
        "<small><bdi>on 1.0</bdi></small></th><td class=\"num\">3<small>of 5</small></td><td class=\"num\">0</td>",
        "linux/amd64",
        "no release came out since servers are counted",
        "<p><small>Active is what has not ended and was heard within 14 days; the lists behind the numbers",
    ] {
        assert!(page.body.contains(shown), "{shown} is not in {}", page.body);
    }
    // One day was counted: all others are open, and no zeros.
    assert_eq!(page.body.matches("<path class=\"v").count(), 2, "{}", page.body);
    assert!(page.body.contains("d=\"M178 ") && page.body.contains("Counted since "), "{}", page.body);

    let of_product = fixture.get("/fleet/adoption?product=example-server").await.body;
    assert!(
        of_product.contains("&#38;older-than=2.0&#38;sort=version&#38;product=example-server\"><bdi>"),
        "{of_product}"
    );
    assert!(
        !of_product.contains("<h2>Licenses</h2>") && page.body.contains("<h2>Licenses</h2>"),
        "{of_product}"
    );

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

/// An event of a server of another release for each number.
fn release(number: u32, now: Timestamp) -> NewEvent {
    let mut event = event(number, now);
    event.facts.build_version = format!("{number}.0.0");
    event
}

#[actix_rt::test]
async fn who_is_behind_is_named_with_the_releases_and_listed_with_the_oldest_first() {
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let events = (1..=14).map(|number| release(number, now)).collect();
    let fixture = Fixture::of(&[events], Duration::ZERO).await;
    fixture.storage().0.take_census(now).await.unwrap();
    let page = fixture.get("/fleet/adoption").await;
    assert_page(&page, StatusCode::OK);
    for shown in [
        "</bdi></a><small><bdi>on 1.0, 2.0, 3.0 and 10 more</bdi></small></th><td class=\"num\">13<small>of 14</small></td><td class=\"num\">12</td>",
        "&#38;older-than=14.0&#38;sort=version\">13 servers</a> are older, <a href=",
        "&#38;older-than=13.0&#38;sort=version\">12</a> of them than 13.0.</p>",
        "&#38;older-than=14.0&#38;sort=version\">The 13 servers older than 14.0</a>",
        "&#38;older-than=13.0&#38;sort=version\">The 12 servers older than 13.0</a>",
    ] {
        assert!(page.body.contains(shown), "{shown} is not in {}", page.body);
    }
    let list = fixture.get("/fleet/?state=down%2Clate%2Cup&older-than=13.0&sort=version").await;
    assert!(list.body.contains("12 servers, by version, the oldest first."), "{}", list.body);
}

#[actix_rt::test]
async fn a_young_fleet_is_compared_with_the_first_day_that_was_counted() {
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let earlier = now - SignedDuration::from_hours(9 * 24);
    let days = [vec![release(1, earlier)], vec![release(2, now), release(3, now)]];
    let fixture = Fixture::of(&days[..1], Duration::ZERO).await;
    let store = fixture.storage().0;
    store.take_census(earlier).await.unwrap();
    store.append(&days[1]).await.unwrap();
    fixture.receiver.judge().await.unwrap();
    store.take_census(now).await.unwrap();
    let page = fixture.get("/fleet/adoption").await;
    assert_page(&page, StatusCode::OK);
    let day = earlier.strftime("%-d %b");
    for shown in [
        &format!("<h2 id=\"figures\">Since {day}, the first of these days that was counted</h2>"),
        &format!(
            "<dt>Active servers</dt><dd><a href=\"./?state=down%2Clate%2Cup\">3</a><small>+2 from 1 on {day}</small>"
        ),
        &format!("<small>the same as on {day}</small>"),
        &format!("<small>since {day}</small>"),
    ] {
        assert!(page.body.contains(shown), "{shown} is not in {}", page.body);
    }
}
