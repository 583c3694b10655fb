//! The mark of receivers that are at work.

use futures_util::future::join_all;

use super::*;

suite! {
    an_outage_is_the_time_without_a_mark
    outages_are_remembered_for_sixty_days
}

async fn an_outage_is_the_time_without_a_mark(database: &impl Database) {
    let store = started(database).await;
    let limit = Duration::from_secs(60);
    let mark = async |seconds| store.mark(by(at(seconds)), limit).await.unwrap().outages;
    assert_eq!(mark(0).await, []);
    assert_eq!(mark(60).await, []);
    let first = Outage { began_at: at(60), ended_at: at(200) };
    let other = database.store();
    assert_eq!(other.mark(by(at(200)), limit).await.unwrap().outages, [first]);
    assert_eq!(mark(190).await, [first], "a clock that is behind");
    assert_eq!(mark(250).await, [first], "the mark did not move back");
    let second = Outage { began_at: at(250), ended_at: at(900) };
    assert_eq!(mark(900).await, [first, second]);

    let marks = join_all([&store, &other].map(|store| store.mark(by(at(2_000)), limit))).await;
    assert!(marks.iter().all(|marked| marked.as_ref().unwrap().outages.len() == 3), "{marks:?}");
}

async fn outages_are_remembered_for_sixty_days(database: &impl Database) {
    let store = started(database).await;
    let (limit, year) = (Duration::from_secs(60), Duration::from_secs(365 * 86_400));
    store.mark(by(at(0)), limit).await.unwrap();
    assert_eq!(store.mark(by(at(100)), limit).await.unwrap().outages.len(), 1);
    store.make_room(at(60 * DAY)).await.unwrap();
    assert_eq!(store.mark(by(at(59 * DAY)), year).await.unwrap().outages.len(), 1);
    assert_eq!(store.mark(by(at(61 * DAY)), year).await.unwrap().outages.len(), 0);
}
