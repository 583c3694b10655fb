//! Keys of the webhook.

use futures_util::future::join_all;
use secrecy::{ExposeSecret, SecretString};

use super::*;

suite! {
    keys_are_kept
    names_of_keys_are_unique_until_they_are_revoked
    secrets_of_keys_are_replaced
    the_last_use_of_a_key_never_moves_back
    the_instances_of_a_key_are_counted
}

pub(super) fn key(number: u8, name: &str) -> StoredKey {
    StoredKey {
        id: of(u128::from(number)),
        name: name.to_owned(),
        hash: [number; 32],
        old_hash: None,
        token_hash: None,
        secrets: Vec::new(),
        rate: None,
        forget_after: None,
        takes_any_frequency: false,
        new_per_hour: Some(1_000),
        created_at: at(i64::from(number)),
        last_used_at: None,
        revoked_at: None,
    }
}

fn exposed(key: &StoredKey) -> Vec<&str> {
    key.secrets.iter().map(ExposeSecret::expose_secret).collect()
}

async fn keys_are_kept(database: &impl Database) {
    let store = started(database).await;
    assert!(store.keys().await.unwrap().is_empty());
    let signed = StoredKey {
        token_hash: Some([9; 32]),
        secrets: vec!["whsec_'\"\\,{}".into(), "whsec_2".into()],
        rate: Some(50),
        forget_after: Some(24),
        ..key(2, "a \"name\"")
    };
    assert!(store.add_key(&signed).await.unwrap());
    assert!(store.add_key(&key(1, "earlier")).await.unwrap());
    let keys = database.store().keys().await.unwrap();
    assert_eq!([keys[0].id, keys[1].id], [of(1), of(2)], "oldest first");
    let kept = &keys[1];
    assert_eq!((kept.name.as_str(), kept.hash, kept.token_hash), ("a \"name\"", [2; 32], Some([9; 32])));
    assert_eq!((exposed(kept), kept.rate), (vec!["whsec_'\"\\,{}", "whsec_2"], Some(50)));
    assert_eq!((kept.forget_after, keys[0].forget_after), (Some(24), None));
    assert_eq!((kept.created_at, kept.last_used_at, kept.revoked_at), (at(2), None, None));
    assert_eq!((keys[0].token_hash, keys[0].secrets.len(), keys[0].rate), (None, 0, None));
}

async fn names_of_keys_are_unique_until_they_are_revoked(database: &impl Database) {
    let store = started(database).await;
    let add = async |number| database.store().add_key(&key(number, "name")).await.unwrap();
    let added = join_all((1..=4).map(add)).await;
    assert_eq!(added.iter().filter(|added| **added).count(), 1, "{added:?}");
    let id = store.keys().await.unwrap()[0].id;
    assert!(store.revoke_key(id, at(10)).await.unwrap());
    assert!(!store.revoke_key(id, at(11)).await.unwrap());
    assert!(!store.revoke_key(of(99), at(11)).await.unwrap());
    assert!(store.add_key(&key(5, "name")).await.unwrap());
    assert!(!store.add_key(&key(6, "name")).await.unwrap());
    let revoked: Vec<_> = store.keys().await.unwrap().iter().map(|key| key.revoked_at).collect();
    assert_eq!(revoked, [Some(at(10)), None]);
}

async fn secrets_of_keys_are_replaced(database: &impl Database) {
    let store = started(database).await;
    store.add_key(&key(1, "name")).await.unwrap();
    let secrets: [SecretString; 2] = ["new".into(), "old".into()];
    assert!(store.set_key_secrets(of(1), &[], &secrets).await.unwrap());
    assert_eq!(exposed(&store.keys().await.unwrap()[0]), ["new", "old"]);
    assert!(!store.set_key_secrets(of(1), &[], &secrets).await.unwrap(), "it has others by now");
    assert!(store.set_key_secrets(of(1), &secrets, &secrets[..1]).await.unwrap());
    assert_eq!(exposed(&store.keys().await.unwrap()[0]), ["new"]);
    assert!(!store.set_key_secrets(of(2), &[], &secrets).await.unwrap());
    store.revoke_key(of(1), at(2)).await.unwrap();
    assert!(!store.set_key_secrets(of(1), &secrets[..1], &secrets).await.unwrap());
}

async fn the_last_use_of_a_key_never_moves_back(database: &impl Database) {
    let store = started(database).await;
    store.add_key(&key(1, "one")).await.unwrap();
    store.add_key(&key(2, "two")).await.unwrap();
    store.touch_keys(&[(of(1), at(20)), (of(3), at(20))]).await.unwrap();
    store.touch_keys(&[(of(1), at(10)), (of(2), at(10))]).await.unwrap();
    let used: Vec<_> = store.keys().await.unwrap().iter().map(|key| key.last_used_at).collect();
    assert_eq!(used, [Some(at(20)), Some(at(10))]);
}

async fn the_instances_of_a_key_are_counted(database: &impl Database) {
    let store = started(database).await;
    assert!(store.count_by_key().await.unwrap().is_empty());
    store.add_key(&key(1, "one")).await.unwrap();
    let of_key = |number, mut event: NewEvent| {
        event.facts.key_id = of(number);
        event
    };
    let events = [
        of_key(1, event(1, 1, 1, 0, "begin")),
        of_key(1, event(1, 1, 2, 5, "update")),
        of_key(1, event(2, 2, 1, 0, "begin")),
        of_key(9, event(3, 3, 1, 0, "begin")),
        of_key(9, event(4, 4, 1, 0, "begin")),
        of_key(9, event(4, 4, 2, 5, "end")),
    ];
    store.append(&events).await.unwrap();
    judged(&store, at(10)).await;
    let mut counts = store.count_by_key().await.unwrap();
    counts.sort_unstable_by_key(|counted| (counted.key_id, counted.state.rank()));
    let count = |key, state, count| KeyCount { key_id: of(key), state, count };
    assert_eq!(counts, [count(1, State::Up, 2), count(9, State::Up, 1), count(9, State::Ended, 1)]);
}
