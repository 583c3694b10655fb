//! The changes of state that the strips of a list are drawn from.

use super::*;

suite! {
    changes_of_state_are_answered_by_instance_the_earliest_first
}

async fn changes_of_state_are_answered_by_instance_the_earliest_first(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "begin"), event(2, 2, 1, 0, "begin")]).await.unwrap();
    judged(&store, at(0)).await;
    judged(&store, at(DAY)).await;
    let all = store.strips(&[of(1), of(2), of(3)], at(0), at(2 * DAY)).await.unwrap();
    let up = state_change(at(0), None, State::Up);
    let down = state_change(at(3_600), Some(State::Up), State::Down);
    assert_eq!(all[&of(2)], [up.clone(), down.clone()]);
    assert_eq!(all[&of(1)], [up, down.clone()]);
    assert!(!all.contains_key(&of(3)));
    let later = store.strips(&[of(2)], at(1), at(2 * DAY)).await.unwrap();
    assert_eq!(later[&of(2)], [down]);
    let earlier = store.strips(&[of(1), of(2)], at(-10), at(-1)).await.unwrap();
    assert!(earlier.is_empty() && store.strips(&[], at(0), at(DAY)).await.unwrap().is_empty());
}
