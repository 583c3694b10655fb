//! Queries for instances: counts, filters and pages.

use super::*;

suite! {
    the_summary_counts_every_instance
    instances_are_filtered
    a_search_finds_parts_of_custom_ids_and_beginnings_of_ids
    paging_through_instances_shows_each_once_in_order
    what_is_silent_is_found_by_the_last_event
    instances_are_counted_by_state
}

async fn the_summary_counts_every_instance(database: &impl Database) {
    let store = started(database).await;
    assert_eq!(store.summary(at(0)).await.unwrap(), []);
    let crashed = Flags { crashed: true, ..Flags::default() };
    let unlicensed = Facts { license_valid: false, ..facts("2.0") };
    let not_valid = Facts { license_key_hash: Some(hash(1)), ..unlicensed.clone() };
    instances_that_are(
        &store,
        &[
            instance(1, State::Up, 0),
            instance(2, State::Up, 5),
            Instance { first_seen_at: at(DAY / 2), ..instance(3, State::Up, 0) },
            instance(4, State::Down, 0),
            Instance { flags: crashed, facts: unlicensed, ..instance(5, State::Late, 0) },
            Instance { facts: not_valid, ..instance(6, State::Ended, 0) },
        ],
    )
    .await;
    let group = Group {
        state: State::Up,
        license: License::Valid,
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
                license: License::None,
                flags: crashed,
                build_version: "2.0".to_owned(),
                ..group.clone()
            },
            Group { count: 2, ..group.clone() },
            Group { is_new: true, ..group.clone() },
            Group {
                state: State::Ended,
                license: License::Invalid,
                build_version: "2.0".to_owned(),
                ..group.clone()
            },
        ]
    );
}

/// The hash of a license key.
fn hash(number: u8) -> String {
    format!("{number:02x}").repeat(32)
}

/// Instances of which each differs from the others in what is filtered by.
async fn all_kinds(store: &Arc<dyn FleetStore>) {
    let flags =
        |crashed, several_runs, restarting| Flags { crashed, several_runs, cloned: crashed, restarting };
    let not_valid = Facts {
        license_valid: false,
        license_key_hash: Some(hash(1)),
        build_os: "windows".to_owned(),
        ..facts("main")
    };
    instances_that_are(
        store,
        &[
            Instance { flags: flags(true, false, false), ..instance(1, State::Up, 0) },
            Instance { flags: flags(false, true, false), ..instance(2, State::Down, 0) },
            Instance { flags: flags(false, false, true), ..instance(3, State::Late, 0) },
            Instance {
                facts: Facts { license_valid: false, ..facts("1.0") },
                ..instance(4, State::Ended, 0)
            },
            Instance {
                facts: Facts { license_key_hash: Some(hash(2)), ..facts("2.0") },
                ..instance(5, State::Up, 1)
            },
            Instance { first_seen_at: at(10), ..instance(6, State::Up, 2) },
            Instance { facts: not_valid, ..instance(7, State::Down, -1) },
        ],
    )
    .await;
}

async fn instances_are_filtered(database: &impl Database) {
    let store = started(database).await;
    all_kinds(&store).await;
    let all = InstanceFilter::default();
    let of_state = |states: &[State]| InstanceFilter { states: states.to_vec(), ..all.clone() };
    let of_license = |licenses: &[License]| InstanceFilter { licenses: licenses.to_vec(), ..all.clone() };
    let of_hash = |digits: &str| InstanceFilter { license_hash: Some(digits.to_owned()), ..all.clone() };
    let of_system = |system: &str| InstanceFilter { system: Some(system.to_owned()), ..all.clone() };
    let any_of =
        |filters: &[InstanceFilter]| InstanceFilter { any_of: Some(filters.to_vec()), ..all.clone() };
    let version = |version: &str| Some(version.to_owned());
    let key = |version: &str| Some(Release::of(version).key);
    let ids = InstanceFilter { ids: vec![of(4), of(2), of(9)], ..all.clone() };
    let down = of_state(&[State::Down]);
    let cases: [(InstanceFilter, &[u128]); 34] = [
        (all.clone(), &[2, 7, 3, 6, 5, 1, 4]),
        (ids.clone(), &[2, 4]),
        (of_state(&[State::Up]), &[6, 5, 1]),
        (of_state(&[State::Down, State::Late]), &[2, 7, 3]),
        (of_state(&[State::Down, State::Ended]), &[2, 7, 4]),
        (of_license(&[License::None]), &[4]),
        (of_license(&[License::Invalid]), &[7]),
        (of_license(&[License::Invalid, License::None]), &[7, 4]),
        (of_license(&[License::Valid]), &[2, 3, 6, 5, 1]),
        (of_hash("0101"), &[7]),
        (of_hash(&hash(2)), &[5]),
        (of_hash("03"), &[]),
        (of_system("linux/amd64"), &[2, 3, 6, 5, 1, 4]),
        (of_system("windows/amd64"), &[7]),
        (of_system("linux"), &[]),
        (InstanceFilter { build_version: version("2.0"), ..all.clone() }, &[5]),
        (InstanceFilter { build_version: version("2"), ..all.clone() }, &[]),
        (InstanceFilter { release: version("2.0"), ..all.clone() }, &[5]),
        (InstanceFilter { release: version("1.0"), ..of_state(&[State::Up]) }, &[6, 1]),
        (InstanceFilter { older_than: key("v2"), ..all.clone() }, &[2, 3, 6, 1, 4]),
        (InstanceFilter { older_than: key("2.0.1"), ..all.clone() }, &[2, 3, 6, 5, 1, 4]),
        (InstanceFilter { older_than: key("1.0"), ..all.clone() }, &[]),
        (InstanceFilter { crashed: Some(true), ..all.clone() }, &[1]),
        (InstanceFilter { several_runs: Some(true), ..all.clone() }, &[2]),
        (InstanceFilter { cloned: Some(true), ..all.clone() }, &[1]),
        (InstanceFilter { restarting: Some(true), ..all.clone() }, &[3]),
        (InstanceFilter { restarting: Some(false), ..all.clone() }, &[2, 7, 6, 5, 1, 4]),
        (InstanceFilter { first_seen_after: Some(at(0)), ..all.clone() }, &[6]),
        (InstanceFilter { last_seen_before: Some(at(10)), ..all.clone() }, &[2, 7, 3, 5, 1, 4]),
        (InstanceFilter { last_seen_before: Some(at(0)), ..all.clone() }, &[]),
        (InstanceFilter { crashed: Some(false), ..of_state(&[State::Up]) }, &[6, 5]),
        (any_of(&[]), &[]),
        (any_of(&[ids.clone(), of_hash("0101"), InstanceFilter { crashed: Some(true), ..down }]), &[2, 7, 4]),
        (InstanceFilter { crashed: Some(true), ..any_of(&[ids, of_state(&[State::Up])]) }, &[1]),
    ];
    for (filter, expected) in cases {
        let found = store.instances(&filter, Sort::Worst, None, 10).await.unwrap();
        let ids: Vec<_> = found.iter().map(|instance| instance.instance_id.as_u128()).collect();
        assert_eq!(ids, expected, "{filter:?}");
        assert_eq!(found, matching(&store, &filter).await, "{filter:?}");
    }
    assert_eq!(store.instances(&all, Sort::Worst, None, 2).await.unwrap().len(), 2);
    // As many as there may be mutes.
    let many: Vec<_> =
        (100..1_100).map(|id| InstanceFilter { key_id: Some(of(id)), ..all.clone() }).collect();
    assert_eq!(store.instances(&any_of(&many), Sort::Worst, None, 10).await.unwrap(), []);
}

/// An update that says nothing new changes the run alone in some stores.
async fn what_is_silent_is_found_by_the_last_event(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "begin"), event(2, 2, 1, 0, "begin")]).await.unwrap();
    judged(&store, at(1)).await;
    store.append(&[event(1, 1, 2, 100, "update")]).await.unwrap();
    let silent = async |before: i64| {
        let filter = InstanceFilter { last_seen_before: Some(at(before)), ..InstanceFilter::default() };
        let found = store.instances(&filter, Sort::Worst, None, 10).await.unwrap();
        assert_eq!(found, matching(&store, &filter).await);
        found.iter().map(|one| one.instance_id.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!((silent(0).await, silent(1).await), (vec![], vec![2]));
    assert_eq!((silent(100).await, silent(101).await), (vec![2], vec![1, 2]));
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
        let found = store.instances(&filter, Sort::Worst, None, 10).await.unwrap();
        let ids: Vec<_> = found.iter().map(|instance| instance.instance_id.as_u128()).collect();
        assert_eq!(ids, expected, "{search}");
    }
}

async fn paging_through_instances_shows_each_once_in_order(database: &impl Database) {
    let store = started(database).await;
    let names = [None, Some("a"), Some("Z"), Some("Ä"), None];
    let versions = ["1.10", "1.9", "main", "1.10.0-rc.1"];
    let all: Vec<_> = (0..40_u128)
        .map(|number| {
            let state = State::ALL[(number % 4) as usize];
            let facts = Facts {
                custom_id: names[number as usize % 5].map(str::to_owned),
                ..facts(versions[number as usize / 3 % 4])
            };
            let instance = instance(number * 7_919 % 40, state, (number / 8 % 3) as i64);
            Instance { facts, first_seen_at: at((number % 7) as i64), ..instance }
        })
        .collect();
    instances_that_are(&store, &all).await;
    for sort in Sort::ALL {
        let expected = in_order(&all, sort);
        for (states, limit) in [
            (vec![], 1),
            (vec![], 7),
            (vec![], 40),
            (vec![State::Late], 3),
            (vec![State::Down, State::Ended], 3),
        ] {
            let filter = InstanceFilter { states, ..InstanceFilter::default() };
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = store.instances(&filter, sort, after, limit).await.unwrap();
                let Some(last) = page.last() else { break };
                after = Some(InstanceCursor::of(sort, last));
                seen.extend(page.iter().map(|instance| instance.instance_id));
            }
            let expected = expected.iter().filter(|instance| filter.matches(instance));
            let expected: Vec<_> = expected.map(|instance| instance.instance_id).collect();
            assert_eq!(seen, expected, "{sort:?} {filter:?} {limit}");
        }
    }
}

/// The instances in an order, by comparing them.
fn in_order(all: &[Instance], sort: Sort) -> Vec<Instance> {
    let mut all = all.to_vec();
    let id = |one: &Instance| one.instance_id;
    let name = |one: &Instance| one.facts.custom_id.as_deref().map(str::to_lowercase);
    all.sort_by(|one, other| match sort {
        Sort::Worst => (one.state.rank(), other.state_since, id(one)).cmp(&(
            other.state.rank(),
            one.state_since,
            id(other),
        )),
        Sort::Silent => (one.state.rank(), one.state_since, id(other)).cmp(&(
            other.state.rank(),
            other.state_since,
            id(one),
        )),
        Sort::Name => {
            (name(one).is_none(), name(one), id(one)).cmp(&(name(other).is_none(), name(other), id(other)))
        }
        Sort::Version => {
            let key = |one: &Instance| (Release::of(&one.facts.build_version).key, id(one));
            key(one).cmp(&key(other))
        }
        Sort::FirstSeen => (other.first_seen_at, id(other)).cmp(&(one.first_seen_at, id(one))),
    });
    all
}

async fn instances_are_counted_by_state(database: &impl Database) {
    let store = started(database).await;
    let all = InstanceFilter::default();
    assert_eq!(store.count_by_state(&all).await.unwrap(), []);
    assert_eq!(store.count_ended(at(0)).await.unwrap(), 0);
    all_kinds(&store).await;
    let counts = store.count_by_state(&all).await.unwrap();
    assert_eq!(counts, [(State::Down, 2), (State::Late, 1), (State::Up, 3), (State::Ended, 1)]);
    let of_hash = InstanceFilter { license_hash: Some("0202".to_owned()), ..all.clone() };
    assert_eq!(store.count_by_state(&of_hash).await.unwrap(), [(State::Up, 1)]);
    let crashed = InstanceFilter { crashed: Some(true), ..all };
    assert_eq!(store.count_by_state(&crashed).await.unwrap(), [(State::Up, 1)]);
    assert_eq!((store.count_ended(at(0)).await.unwrap(), store.count_ended(at(1)).await.unwrap()), (1, 0));
}
