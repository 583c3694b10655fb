//! Queries: counts, filters and pages.

use super::*;

suite! {
    the_summary_counts_every_instance
    instances_are_filtered
    a_search_finds_parts_of_custom_ids_and_beginnings_of_ids
    paging_through_instances_shows_each_once_in_order
    events_are_filtered
    paging_through_events_shows_each_once_in_order
    what_is_not_there_is_not_found
}

async fn the_summary_counts_every_instance(database: &impl Database) {
    let store = started(database).await;
    assert_eq!(store.summary(at(0)).await.unwrap(), []);
    let crashed = Flags { crashed: true, ..Flags::default() };
    let unlicensed = Facts { license_valid: false, ..facts("2.0") };
    instances_that_are(
        &store,
        &[
            instance(1, State::Up, 0),
            instance(2, State::Up, 5),
            Instance { first_seen_at: at(DAY / 2), ..instance(3, State::Up, 0) },
            instance(4, State::Down, 0),
            Instance { flags: crashed, facts: unlicensed.clone(), ..instance(5, State::Late, 0) },
        ],
    )
    .await;
    let group = Group {
        state: State::Up,
        license_valid: true,
        flags: Flags::default(),
        is_new: false,
        build_version: "1.0".to_owned(),
        count: 1,
    };
    let mut summary = store.summary(at(DAY)).await.unwrap();
    summary.sort_by_key(|group| (group.state.rank(), group.is_new));
    assert_eq!(
        summary,
        [
            Group { state: State::Down, ..group.clone() },
            Group {
                state: State::Late,
                license_valid: false,
                flags: crashed,
                build_version: "2.0".to_owned(),
                ..group.clone()
            },
            Group { count: 2, ..group.clone() },
            Group { is_new: true, ..group.clone() },
        ]
    );
}

async fn instances_are_filtered(database: &impl Database) {
    let store = started(database).await;
    let flags =
        |crashed, several_runs, restarting| Flags { crashed, several_runs, cloned: crashed, restarting };
    instances_that_are(
        &store,
        &[
            Instance { flags: flags(true, false, false), ..instance(1, State::Up, 0) },
            Instance { flags: flags(false, true, false), ..instance(2, State::Down, 0) },
            Instance { flags: flags(false, false, true), ..instance(3, State::Late, 0) },
            Instance {
                facts: Facts { license_valid: false, ..facts("1.0") },
                ..instance(4, State::Ended, 0)
            },
            Instance { facts: facts("2.0"), ..instance(5, State::Up, 1) },
            Instance { first_seen_at: at(10), ..instance(6, State::Up, 2) },
        ],
    )
    .await;
    let all = InstanceFilter::default();
    let cases: [(InstanceFilter, &[u128]); 18] = [
        (all.clone(), &[2, 3, 6, 5, 1, 4]),
        (InstanceFilter { state: Some(State::Up), ..all.clone() }, &[6, 5, 1]),
        (InstanceFilter { license_valid: Some(false), ..all.clone() }, &[4]),
        (InstanceFilter { license_valid: Some(true), ..all.clone() }, &[2, 3, 6, 5, 1]),
        (InstanceFilter { build_version: Some("2.0".to_owned()), ..all.clone() }, &[5]),
        (InstanceFilter { build_version: Some("2".to_owned()), ..all.clone() }, &[]),
        (InstanceFilter { release: Some("2.0".to_owned()), ..all.clone() }, &[5]),
        (InstanceFilter { release: Some("1.0".to_owned()), state: Some(State::Up), ..all.clone() }, &[6, 1]),
        (InstanceFilter { older_than: Some(Release::of("v2").key), ..all.clone() }, &[2, 3, 6, 1, 4]),
        (InstanceFilter { older_than: Some(Release::of("2.0.1").key), ..all.clone() }, &[2, 3, 6, 5, 1, 4]),
        (InstanceFilter { older_than: Some(Release::of("1.0").key), ..all.clone() }, &[]),
        (InstanceFilter { crashed: Some(true), ..all.clone() }, &[1]),
        (InstanceFilter { several_runs: Some(true), ..all.clone() }, &[2]),
        (InstanceFilter { cloned: Some(true), ..all.clone() }, &[1]),
        (InstanceFilter { restarting: Some(true), ..all.clone() }, &[3]),
        (InstanceFilter { restarting: Some(false), ..all.clone() }, &[2, 6, 5, 1, 4]),
        (InstanceFilter { first_seen_after: Some(at(0)), ..all.clone() }, &[6]),
        (InstanceFilter { state: Some(State::Up), crashed: Some(false), ..all.clone() }, &[6, 5]),
    ];
    for (filter, expected) in cases {
        let found = store.instances(&filter, None, 10).await.unwrap();
        let ids: Vec<_> = found.iter().map(|instance| instance.instance_id.as_u128()).collect();
        assert_eq!(ids, expected, "{filter:?}");
        assert_eq!(found, matching(&store, &filter).await, "{filter:?}");
    }
    assert_eq!(store.instances(&all, None, 2).await.unwrap().len(), 2);
}

/// The instances of which the filter itself says that they match, in the order of pages.
async fn matching(store: &Arc<dyn FleetStore>, filter: &InstanceFilter) -> Vec<Instance> {
    all_instances(store).await.into_iter().filter(|instance| filter.matches(instance)).collect()
}

async fn a_search_finds_parts_of_custom_ids_and_beginnings_of_ids(database: &impl Database) {
    let store = started(database).await;
    let named = |id: u128, name: &str| Instance {
        facts: Facts { custom_id: Some(name.to_owned()), ..facts("1.0") },
        ..instance(id, State::Up, -(id as i64 % 100))
    };
    const LONG: u128 = 0xABCDEF01_2345_6789_ABCD_EF0123456701;
    instances_that_are(
        &store,
        &[
            named(1, "Berlin-1"),
            named(2, "100% \\ sure_thing"),
            named(3, "1000 sureXthing"),
            named(4, "MÜNCHEN Straße İzmir"),
            instance(LONG, State::Up, -10),
        ],
    )
    .await;
    let cases: [(&str, &[u128]); 19] = [
        ("berlin", &[1]),
        ("LIN-1", &[1]),
        ("0%", &[2]),
        ("sure_", &[2]),
        ("\\", &[2]),
        ("sure", &[2, 3]),
        ("'", &[]),
        ("abcdef01", &[LONG]),
        ("ABCDEF01-2345-6", &[LONG]),
        ("abcdef01-2345-6789-abcd-ef0123456701", &[LONG]),
        ("abcdef01-2345-6789-abcd-ef01234567012", &[]),
        ("bcdef", &[]),
        ("abcdef0123", &[]),
        ("abcdef01-%", &[]),
        ("münchen", &[4]),
        ("ÜNCHEN STRAß", &[4]),
        ("İZMIR", &[4]),
        ("izmir", &[]),
        ("munchen", &[]),
    ];
    for (search, expected) in cases {
        let filter = InstanceFilter { search: Some(search.to_owned()), ..InstanceFilter::default() };
        let found = store.instances(&filter, None, 10).await.unwrap();
        let ids: Vec<_> = found.iter().map(|instance| instance.instance_id.as_u128()).collect();
        assert_eq!(ids, expected, "{search}");
    }
}

async fn paging_through_instances_shows_each_once_in_order(database: &impl Database) {
    let store = started(database).await;
    let all: Vec<_> = (0..40_u128)
        .map(|number| {
            let state = State::ALL[(number % 4) as usize];
            instance(number * 7_919 % 40, state, (number / 8 % 3) as i64)
        })
        .collect();
    instances_that_are(&store, &all).await;
    let mut expected: Vec<_> = all
        .iter()
        .map(|instance| {
            (instance.state.rank(), std::cmp::Reverse(instance.state_since), instance.instance_id)
        })
        .collect();
    expected.sort();
    for (state, limit) in [(None, 1), (None, 7), (None, 40), (Some(State::Late), 3)] {
        let filter = InstanceFilter { state, ..InstanceFilter::default() };
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.instances(&filter, after, limit).await.unwrap();
            let Some(last) = page.last() else { break };
            let (state, state_since, instance_id) = (last.state, last.state_since, last.instance_id);
            after = Some(InstanceCursor { state, state_since, instance_id });
            seen.extend(page.iter().map(|instance| instance.instance_id));
        }
        let expected = expected.iter().filter(|(rank, _, _)| state.is_none_or(|state| state.rank() == *rank));
        assert_eq!(seen, expected.map(|(_, _, id)| *id).collect::<Vec<_>>(), "{limit}");
    }
}

async fn events_are_filtered(database: &impl Database) {
    let store = started(database).await;
    let events = [
        event(1, 1, 1, 0, "begin"),
        event(1, 1, 2, 10, "update"),
        event(2, 2, 3, 20, "begin"),
        event(2, 2, 4, DAY, "update"),
        event(2, 2, 5, 2 * DAY, "end"),
    ];
    store.append(&events).await.unwrap();
    let all = EventFilter::default();
    let reason = |reason: &str| Some(reason.to_owned());
    let cases: [(EventFilter, &[i64]); 10] = [
        (all.clone(), &[5, 4, 3, 2, 1]),
        (EventFilter { instance_id: Some(of(2)), ..all.clone() }, &[5, 4, 3]),
        (EventFilter { instance_id: Some(of(3)), ..all.clone() }, &[]),
        (EventFilter { reason: reason("begin"), ..all.clone() }, &[3, 1]),
        (EventFilter { reason: reason("beg"), ..all.clone() }, &[]),
        (EventFilter { instance_id: Some(of(2)), reason: reason("begin"), ..all.clone() }, &[3]),
        (EventFilter { from: Some(at(10)), ..all.clone() }, &[5, 4, 3, 2]),
        (EventFilter { to: Some(at(10)), ..all.clone() }, &[1]),
        (EventFilter { from: Some(at(20)), to: Some(at(2 * DAY)), ..all.clone() }, &[4, 3]),
        (EventFilter { reason: reason("update"), from: Some(at(11)), ..all.clone() }, &[4]),
    ];
    for (filter, expected) in cases {
        let found = store.events(&filter, None, 10).await.unwrap();
        let sequences: Vec<_> = found.iter().map(|event| event.sequence).collect();
        assert_eq!(sequences, expected, "{filter:?}");
    }
    assert_eq!(store.events(&all, None, 2).await.unwrap().len(), 2);
}

async fn paging_through_events_shows_each_once_in_order(database: &impl Database) {
    let store = started(database).await;
    let all: Vec<_> = (0..60_i64)
        .map(|number| {
            let (instance, day) = (number as u128 % 3, number % 2);
            event(
                instance,
                1,
                number * 7_919 % 60,
                number / 20 + day * DAY,
                ["begin", "update"][day as usize],
            )
        })
        .collect();
    store.append(&all).await.unwrap();
    let mut expected: Vec<_> = all.iter().cloned().map(stored).collect();
    expected.sort_by_key(|event| std::cmp::Reverse((event.received_at, event.instance_id, event.id)));
    let everything = EventFilter::default();
    for (filter, limit) in [
        (everything.clone(), 1),
        (everything.clone(), 7),
        (EventFilter { instance_id: Some(of(2)), ..everything.clone() }, 3),
        (EventFilter { reason: Some("begin".to_owned()), ..everything.clone() }, 4),
        (EventFilter { from: Some(at(1)), to: Some(at(DAY + 2)), ..everything }, 4),
    ] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.events(&filter, after, limit).await.unwrap();
            let Some(last) = page.last() else { break };
            let (received_at, instance_id, id) = (last.received_at, last.instance_id, last.id);
            after = Some(EventCursor { received_at, instance_id, id });
            seen.extend(page);
        }
        let expected: Vec<_> = expected
            .iter()
            .filter(|event| filter.instance_id.is_none_or(|id| id == event.instance_id))
            .filter(|event| filter.reason.as_ref().is_none_or(|reason| *reason == event.reason))
            .filter(|event| filter.from.is_none_or(|from| event.received_at >= from))
            .filter(|event| filter.to.is_none_or(|to| event.received_at < to))
            .cloned()
            .collect();
        assert_eq!(seen, expected, "{filter:?}");
    }
}

async fn what_is_not_there_is_not_found(database: &impl Database) {
    let store = started(database).await;
    assert_eq!(store.instance(of(1)).await.unwrap(), None);
    assert_eq!(store.event(of(1), of(1)).await.unwrap(), None);
    assert!(!store.delete_event(of(1), of(1)).await.unwrap());
    assert_eq!(store.runs(of(1), 10).await.unwrap(), []);
    assert_eq!(store.transitions(of(1), 10).await.unwrap(), []);
    assert_eq!(all_instances(&store).await, []);
}
