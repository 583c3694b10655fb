//! Events that are shown and deleted, and refused requests.

use std::time::Duration;

use actix_web::http::StatusCode;
use jiff::Timestamp;
use uuid::Uuid;

use super::super::page::short;
use super::{assert_page, form, new_key, post_event, post_name};
use crate::receiver::fixture::{Fixture, event, event_id, instance_id};

/// What the row of an event begins with.
const EVENT: &str = "<tr><th scope=\"row\"><a href=\"instances/";

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

    let of_second = format!("events?instance={}&reason=begin", instance_id(2));
    for (server, place) in [
        ("late%20one", of_second.as_str()),
        (&instance_id(2).to_string(), &of_second),
        // No server, and more than one.
        ("nobody", "./?search=nobody"),
        ("e", "./?search=e"),
    ] {
        let found = fixture.get(&format!("/fleet/events?reason=begin&server={server}")).await;
        assert_eq!((found.status, found.header("location")), (StatusCode::SEE_OTHER, place));
    }

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
async fn a_page_of_events_counts_those_that_come_while_it_is_open() {
    let fixture = Fixture::with(3).await;
    let asked = async |page: &str| {
        let page = fixture.get(page).await;
        assert_page(&page, StatusCode::OK);
        let from =
            page.body.split("<p id=\"new\" data-from=\"").nth(1).and_then(|rest| rest.split('"').next());
        from.map(|from| format!("/fleet/{}", from.replace("&#38;", "&").replace("&amp;", "&")))
    };
    let (all, ends) =
        (asked("/fleet/events").await.unwrap(), asked("/fleet/events?reason=end").await.unwrap());
    let none = fixture.get(&all).await;
    assert_eq!(none.status, StatusCode::OK);
    assert!(!none.body.contains("<a"), "{}", none.body);

    let key = new_key(&fixture, "one").await;
    assert_eq!(post_event(&fixture, &key.key, 7).await, 200);
    assert_eq!(post_event(&fixture, &key.key, 8).await, 200);
    let two = fixture.get(&all).await;
    assert!(two.body.contains("<a class=\"btn\" href=\"events?\">2 new, show</a>"), "{}", two.body);
    assert!(!fixture.get(&ends).await.body.contains("<a"));

    // A page of earlier events begins with none that came meanwhile.
    let first = fixture.get("/fleet/events?limit=1").await.body;
    let next =
        first.split("<a class=\"btn\" rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(asked(&format!("/fleet/{}", next.replace("&#38;", "&"))).await, None);
    for wrong in ["", "since=yesterday", "since=2026-11-26T03:14:07Z&resaon=end"] {
        let refused = fixture.get(&format!("/fleet/events/new?{wrong}")).await;
        assert_page(&refused, StatusCode::BAD_REQUEST);
    }
}

#[actix_rt::test]
async fn the_server_that_has_the_name_is_preferred_to_those_whose_names_contain_it() {
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let names = ["a web", "Web", "web-1", "web-2", "twin", "Twin"];
    let named = |(number, name): (u32, &str)| {
        let mut event = event(number, now);
        event.facts.custom_id = Some(name.to_owned());
        event
    };
    let fixture = Fixture::of(&[(1..).zip(names).map(named).collect()], Duration::ZERO).await;
    let of = |number| format!("events?instance={}", instance_id(number));
    for (server, place) in [
        ("web", of(2)),
        ("WEB-1", of(3)),
        ("eb-2", of(4)),
        ("we", "./?search=we".to_owned()),
        ("twin", "./?search=twin".to_owned()),
    ] {
        let found = fixture.get(&format!("/fleet/events?server={server}")).await;
        assert_eq!((found.status, found.header("location")), (StatusCode::SEE_OTHER, place.as_str()));
    }
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
        &format!("with the key <a href=\"server/keys/{}\"><b><bdi>&#60;b&#62;two</bdi></b></a>", two.id),
        "A server whose every request is refused is missing from the fleet, or shown as down.",
    ] {
        assert!(page.body.contains(shown), "{shown} is not in {}", page.body);
    }
    assert!(!page.body.contains("<i>"), "{}", page.body);
    assert!(
        fixture
            .get("/fleet/events")
            .await
            .body
            .contains("<a href=\"refused\">1 refused request is listed apart</a>")
    );
    fixture.receiver.judge().await.unwrap();
    post_name(&fixture, &one.key, instance_id(9)).await;
    let named = fixture.get("/fleet/refused").await;
    let link = format!("<a href=\"instances/{}\"><bdi>", Uuid::from_u128(1));
    let nowhere = format!("<code>{}</code> (not in the fleet)", short(&instance_id(9)));
    assert!(named.body.contains(&link) && named.body.contains(&nowhere), "{}", named.body);
    let csv = fixture.get("/fleet/api/refused.csv").await;
    assert_eq!(csv.body.matches("\r\n").count(), 3, "{}", csv.body);
    assert!(csv.body.contains(",<b>two,403,other-key,"), "{}", csv.body);
}

#[actix_rt::test]
async fn refused_requests_are_shown_with_what_is_down_and_without_the_store() {
    let badge = "<b data-some=\"down\"><span data-n=\"down\">1</span>";
    let page = Fixture::with(1).await.get("/fleet/refused").await;
    assert_page(&page, StatusCode::OK);
    assert!(page.body.contains(badge), "{}", page.body);
    let page = Fixture::without_store().get("/fleet/refused").await;
    assert_page(&page, StatusCode::OK);
    assert!(page.body.contains("<b data-some=\"down\" hidden>"), "{}", page.body);
}
