//! The page of a server, and its move to another key.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;

use super::{assert_page, new_key};
use crate::receiver::fixture::{Fixture, event_id, instance_id};

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
