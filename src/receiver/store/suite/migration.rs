//! A fleet that an earlier version made.

use super::keys::key;
use super::*;
use crate::receiver::judging::judgement::decide;

/// The time of the dumps, and a little more.
const NOW: i64 = 31 * 3_600 + 30 * 60;

/// Checks that the fleet of a dump, in whose `events` more were stored meanwhile, is that of this version.
pub(in crate::receiver::store) async fn is_taken_over(store: &Arc<dyn FleetStore>, events: usize) {
    store.make_room(at(NOW)).await.unwrap();
    assert_eq!(all_events(store).await.len(), events, "no event is lost");
    let decide = |instance: &Instance, runs: &[Run]| decide(instance, runs, &[], at(NOW));
    while store.judge(at(NOW), 1_000, &decide).await.unwrap() == 1_000 {}
    let id = |number: u128| Uuid::from_u128(0x4000_8000_0000_0000_0000 + number);
    let of = async |number: u128| store.instance(id(number)).await.unwrap().unwrap();
    let states = [of(1).await, of(2).await, of(3).await, of(4).await].map(|instance| instance.state);
    assert_eq!(states, [State::Up, State::Ended, State::Up, State::Up]);
    let third = of(3).await;
    assert!(third.flags.several_runs && !third.flags.crashed, "replicas are no crash: {third:?}");
    assert_eq!(of(4).await.facts.key_id, Uuid::nil(), "which key it was is not known");
    assert_eq!(of(1).await.facts.custom_id.as_deref(), Some("Site-1"));
    let run = store.runs(id(2), 10).await.unwrap().remove(0);
    assert_eq!((run.ended_at.is_some(), run.updates, run.frequency), (true, 1, Some(3_600)));
    for (release, number) in [("1.4", 2), ("2.0", 3), ("main", 4)] {
        let filter = InstanceFilter { release: Some(release.to_owned()), ..InstanceFilter::default() };
        let found = store.instances(&filter, Sort::Worst, None, 10).await.unwrap();
        assert_eq!(found.iter().map(|one| one.instance_id).collect::<Vec<_>>(), [id(number)], "{release}");
    }
    // Its key is what it was, with the limits of a new one.
    let known = store.keys().await.unwrap().remove(0);
    assert_eq!(
        (known.name.as_str(), known.new_per_hour, known.takes_any_frequency),
        ("customers", Some(1_000), false)
    );
    // Nobody owns what is there: the next key that reports it does, and that is no news.
    store.add_key(&key(5, "other")).await.unwrap();
    let by = |key_id: Uuid, sequence: i64| {
        let event = event(0, 101, sequence, NOW, "update");
        NewEvent { instance_id: id(1), facts: Facts { key_id, ..event.facts.clone() }, ..event }
    };
    assert_eq!(store.append(&[by(known.id, 3), by(super::of(5), 4)]).await.unwrap(), [New, OtherKey]);
    let told = store.transitions(id(1), 100).await.unwrap();
    assert!(told.iter().all(|transition| transition.change != Change::Key), "{told:?}");
}

/// A mute as an earlier version wrote it, to whom servers without a license key were among the invalid ones.
pub(in crate::receiver::store) const OLD_FILTER: &str = "state=down&license=invalid&search=license%3Dinvalid";

/// Checks that a mute by [`OLD_FILTER`] mutes what it muted, and that of three instances the first has a valid license,
/// the second one that is not, and the third none.
pub(in crate::receiver::store) async fn licenses_are_told_apart(store: &dyn FleetStore) {
    let muted = Muted::Filter("state=down&license=invalid%2Cnone&search=license%3Dinvalid".to_owned());
    assert_eq!(store.mutes().await.unwrap().remove(0).of, muted);
    for (license, number) in [(License::Valid, 1), (License::Invalid, 2), (License::None, 3)] {
        let filter = InstanceFilter { licenses: vec![license], ..InstanceFilter::default() };
        let found = store.instances(&filter, Sort::Worst, None, 10).await.unwrap();
        let found: Vec<_> = found.iter().map(|one| one.instance_id).collect();
        assert_eq!(found, [super::of(number)], "{license:?}");
    }
}
