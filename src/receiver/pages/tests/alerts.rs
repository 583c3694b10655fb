//! The page "Alerts".

use actix_web::http::StatusCode;
use jiff::SignedDuration;

use super::{assert_page, form};
use crate::receiver::fixture::{Fixture, instance_id};
use crate::receiver::judging::judgement;
use crate::receiver::store::{Change, Instance, Judgement, Run, Transition};

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
        "<tr><th scope=\"row\"><a href=\"instances/{id}\"><bdi>&#60;script&#62;alert(&#39;x&#39;)&#60;/script&#62;&#34;&#38;</bdi></a><small><bdi>&#60;b&#62;\\u{{202e}}move</bdi></small></th>",
    );
    for never in ["nobody was told", "Latest changes that people are told of"] {
        assert!(!page.body.contains(never), "{never} is in {}", page.body);
    }
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
