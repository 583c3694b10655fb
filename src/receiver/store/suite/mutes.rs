//! Mutes.

use super::*;

suite! {
    mutes_are_kept_and_removed
    a_mute_is_kept_for_a_week_after_its_end
    there_are_no_more_mutes_than_can_be_looked_through
    mutes_are_added_together_or_not_at_all
    who_was_kept_back_is_judged_again_when_woken
}

fn mute(number: u128, of_what: Muted, until: i64) -> Mute {
    Mute {
        id: of(number),
        of: of_what,
        reason: "maintenance of \"site 7\"".to_owned(),
        until: at(until),
        created_at: at(0),
    }
}

async fn mutes_are_kept_and_removed(database: &impl Database) {
    let store = started(database).await;
    assert_eq!(store.mutes().await.unwrap(), []);
    let all = [
        mute(1, Muted::Filter("state=down&search=%C3%A4".to_owned()), 300),
        mute(3, Muted::Instance(of(7)), 200),
        mute(2, Muted::Key(of(8)), 100),
    ];
    for mute in [&all[2], &all[0], &all[1]] {
        assert!(store.add_mutes(std::slice::from_ref(mute)).await.unwrap());
    }
    assert_eq!(database.store().mutes().await.unwrap(), all, "the last to end first");
    assert!(store.remove_mute(of(3)).await.unwrap());
    assert!(!store.remove_mute(of(3)).await.unwrap());
    assert_eq!(store.mutes().await.unwrap(), [all[0].clone(), all[2].clone()]);
}

async fn a_mute_is_kept_for_a_week_after_its_end(database: &impl Database) {
    let store = started(database).await;
    let ends = mute(1, Muted::Key(of(8)), 100);
    store.add_mutes(std::slice::from_ref(&ends)).await.unwrap();
    let a_day = Duration::from_secs(86_400);
    store.tidy(at(7 * DAY + 100), a_day).await.unwrap();
    assert_eq!(store.mutes().await.unwrap(), [ends]);
    store.tidy(at(7 * DAY + 101), a_day).await.unwrap();
    assert_eq!(store.mutes().await.unwrap(), []);
}

async fn there_are_no_more_mutes_than_can_be_looked_through(database: &impl Database) {
    let store = started(database).await;
    let ended = Mute { created_at: at(-200), ..mute(9_999, Muted::Key(of(8)), 0) };
    assert!(store.add_mutes(std::slice::from_ref(&ended)).await.unwrap());
    for number in 0..MOST_MUTES as u128 {
        assert!(store.add_mutes(&[mute(number, Muted::Key(of(8)), 100)]).await.unwrap(), "{number}");
    }
    assert!(!store.add_mutes(&[mute(5_000, Muted::Key(of(8)), 100)]).await.unwrap());
    assert!(store.remove_mute(of(7)).await.unwrap());
    assert!(store.add_mutes(&[mute(5_000, Muted::Key(of(8)), 100)]).await.unwrap());
}

async fn mutes_are_added_together_or_not_at_all(database: &impl Database) {
    let store = started(database).await;
    let from = |first: u128, count: i64| -> Vec<Mute> {
        let numbers = first..first + count as u128;
        numbers.map(|number| mute(number, Muted::Instance(of(number)), 100)).collect()
    };
    assert!(store.add_mutes(&[]).await.unwrap());
    assert!(store.add_mutes(&from(0, MOST_MUTES - 10)).await.unwrap());
    assert!(!store.add_mutes(&from(2_000, 11)).await.unwrap());
    assert_eq!(store.mutes().await.unwrap(), from(0, MOST_MUTES - 10));
    assert!(store.add_mutes(&from(2_000, 10)).await.unwrap());
    let twice = [from(3_000, 1), from(2_000, 1)].concat();
    store.remove_mute(of(0)).await.unwrap();
    store.remove_mute(of(1)).await.unwrap();
    store.add_mutes(&twice).await.unwrap_err();
    let all = store.mutes().await.unwrap();
    assert_eq!(
        all,
        [from(2, MOST_MUTES - 12), from(2_000, 10)].concat(),
        "none of those that failed is kept"
    );
}

async fn who_was_kept_back_is_judged_again_when_woken(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "begin"), event(2, 2, 1, 0, "begin")]).await.unwrap();
    let decide = |instance: &Instance, runs: &[Run]| Judgement {
        untold: instance.instance_id == of(2),
        ..decided(at(DAY), instance, runs)
    };
    assert_eq!(store.judge(at(DAY), 10, &decide).await.unwrap(), 2);
    let untold = |id| {
        let store = store.clone();
        async move { store.instance(of(id)).await.unwrap().unwrap().untold }
    };
    assert_eq!((untold(1).await, untold(2).await), (false, true));
    assert!(judged(&store, at(2 * DAY)).await.is_empty());
    assert_eq!(store.wake_untold(at(2 * DAY)).await.unwrap(), 1);
    assert_eq!(store.wake_untold(at(2 * DAY)).await.unwrap(), 0);
    assert_eq!(judged(&store, at(2 * DAY)).await, [of(2)]);
    assert!(!untold(2).await);
}
