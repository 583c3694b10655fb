//! The licenses of the fleet.

use super::*;

suite! {
    a_key_is_shared_by_servers_that_have_not_ended
    keys_whose_servers_have_no_valid_license_are_found
    licenses_that_were_lost_are_found
}

fn hash(number: u8) -> String {
    format!("{number:02x}").repeat(32)
}

async fn a_key_is_shared_by_servers_that_have_not_ended(database: &impl Database) {
    let store = started(database).await;
    let none = Counted { total: 0, rows: Vec::new() };
    assert_eq!(store.shared_licenses(10).await.unwrap(), none);
    let with = |id: u128, state: State, key: Option<u8>| Instance {
        facts: Facts {
            license_key_hash: key.map(hash),
            custom_id: (id == 2).then(|| "Site-2".to_owned()),
            ..facts("1.0")
        },
        ..instance(id, state, 0)
    };
    let mut all = vec![
        with(1, State::Up, Some(1)),
        with(2, State::Down, Some(1)),
        with(3, State::Ended, Some(1)),
        with(4, State::Up, Some(2)),
        with(5, State::Ended, Some(2)),
        with(6, State::Up, None),
        with(7, State::Up, None),
    ];
    all.extend((10..17).map(|id| with(id, State::Up, Some(3))));
    instances_that_are(&store, &all).await;
    let shared = store.shared_licenses(10).await.unwrap();
    let first_five = (10..15).map(|id| (of(id), None)).collect();
    let named = vec![(of(2), Some("Site-2".to_owned())), (of(1), None)];
    let expected = [
        SharedLicense { hash: hash(3), servers: 7, named: first_five },
        SharedLicense { hash: hash(1), servers: 2, named },
    ];
    assert_eq!((shared.total, &shared.rows[..]), (2, &expected[..]));
    let one = store.shared_licenses(1).await.unwrap();
    assert_eq!((one.total, &one.rows[..]), (2, &expected[..1]));
}

async fn keys_whose_servers_have_no_valid_license_are_found(database: &impl Database) {
    let store = started(database).await;
    let found = async |limit| store.unlicensed_keys(limit).await.unwrap();
    assert_eq!(found(10).await, Counted { total: 0, rows: Vec::new() });
    let with = |id: u128, key: u128, license: License, state: State| Instance {
        facts: Facts {
            key_id: of(key),
            license_valid: license == License::Valid,
            license_key_hash: (license != License::None).then(|| hash(1)),
            ..facts("1.0")
        },
        ..instance(id, state, 0)
    };
    let all = [
        with(1, 1, License::Valid, State::Up),
        with(2, 2, License::None, State::Up),
        with(3, 2, License::None, State::Down),
        with(4, 2, License::Valid, State::Up),
        with(5, 3, License::Invalid, State::Late),
        with(6, 3, License::Invalid, State::Ended),
        with(7, 4, License::Invalid, State::Up),
        with(8, 4, License::None, State::Up),
        with(9, 5, License::Invalid, State::Ended),
        with(10, 6, License::None, State::Up),
        with(11, 7, License::Invalid, State::Up),
    ];
    instances_that_are(&store, &all).await;
    let of_key = |key, invalid, none, servers| KeyLicenses { key_id: of(key), invalid, none, servers };
    let expected =
        [of_key(4, 1, 1, 2), of_key(3, 1, 0, 1), of_key(7, 1, 0, 1), of_key(2, 0, 2, 3), of_key(6, 0, 1, 1)];
    assert_eq!(found(10).await, Counted { total: 5, rows: expected.to_vec() });
    assert_eq!(found(2).await, Counted { total: 5, rows: expected[..2].to_vec() });
}

async fn licenses_that_were_lost_are_found(database: &impl Database) {
    let store = started(database).await;
    let events: Vec<_> = (1..=3).map(|id| event(id, id, 1, 0, "begin")).collect();
    store.append(&events).await.unwrap();
    let license = |at, to: &str| {
        let from = Some(if to == "valid" { "invalid" } else { "valid" }.to_owned());
        Transition { at, change: Change::License, from, to: to.to_owned() }
    };
    let decide = |instance: &Instance, runs: &[Run]| {
        let transitions = match instance.instance_id.as_u128() {
            1 => vec![license(at(100), "invalid"), license(at(200), "valid"), license(at(300), "invalid")],
            2 => vec![license(at(50), "invalid")],
            _ => vec![license(at(400), "valid")],
        };
        let facts = Facts { license_valid: false, license_key_hash: Some(hash(1)), ..facts("1.0") };
        Judgement { transitions, facts, ..decided(at(0), instance, runs) }
    };
    assert_eq!(store.judge(at(500), 10, &decide).await.unwrap(), 3);
    let lost = async |since: i64, limit: i64| {
        let Counted { total, rows } = store.lost_licenses(at(since), limit).await.unwrap();
        assert!(rows.iter().all(|row| row.license == License::Invalid));
        let rows = rows.iter().map(|row| (row.instance_id.as_u128(), row.transition.at)).collect::<Vec<_>>();
        (total, rows)
    };
    assert_eq!(lost(0, 10).await, (3, vec![(1, at(300)), (1, at(100)), (2, at(50))]));
    assert_eq!(lost(0, 1).await, (3, vec![(1, at(300))]));
    assert_eq!(lost(100, 10).await, (2, vec![(1, at(300)), (1, at(100))]));
    assert_eq!(lost(301, 10).await, (0, vec![]));
}
