//! The order of arrival.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;

/// Events of three runs, with times that know nothing of their numbers, and an order in which they come in
/// batches, some of them twice.
fn arrivals() -> impl Strategy<Value = (Vec<NewEvent>, Vec<Vec<NewEvent>>)> {
    let reasons =
        prop::sample::select(vec!["begin", "update", "update", "license-state-change", "end", "hello"]);
    let frequency = prop::option::of(1..4_i32);
    let outline = (1..=3_u128, 0..40_i64, reasons, frequency, 0..3_u8);
    prop::collection::vec(outline, 1..14)
        .prop_map(|events| {
            let numbered = events.into_iter().enumerate();
            let events = numbered.map(|(number, (run, seconds, reason, frequency, version))| NewEvent {
                frequency,
                facts: facts(&version.to_string()),
                // No two at the same time: of these, the first to arrive would count.
                ..event(0, run, number as i64, seconds * 4_000 + number as i64, reason)
            });
            events.collect::<Vec<_>>()
        })
        .prop_flat_map(|events| {
            let twice: Vec<_> = events.iter().chain(events.iter().step_by(3)).cloned().collect();
            let cuts = prop::collection::vec(any::<bool>(), twice.len());
            (Just(events), Just(twice).prop_shuffle(), cuts)
        })
        .prop_map(|(events, shuffled, cuts)| {
            let mut batches = vec![Vec::new()];
            for (event, cut) in shuffled.into_iter().zip(cuts) {
                if cut {
                    batches.push(Vec::new());
                }
                batches.last_mut().unwrap().push(event);
            }
            (events, batches)
        })
}

/// All that is known of an instance, but for its id.
async fn known(store: &Arc<dyn FleetStore>, id: Uuid) -> impl PartialEq + std::fmt::Debug + use<> {
    let filter = EventFilter { instance_id: Some(id), ..EventFilter::default() };
    let mut events = store.events(&filter, None, 100).await.unwrap();
    events.iter_mut().for_each(|event| event.instance_id = Uuid::nil());
    let mut instance = store.instance(id).await.unwrap().unwrap();
    instance.instance_id = Uuid::nil();
    // The runs of both instances have the same ids, as if one were the other after its id was changed.
    let mut transitions = store.transitions(id, 10).await.unwrap();
    transitions.retain(|transition| transition.change != Change::Id);
    (instance, store.runs(id, 10).await.unwrap(), events, transitions)
}

fn the_order_of_arrival_does_not_matter(database: &impl Database) {
    let runtime = runtime();
    let store = runtime.block_on(started(database));
    let mut runner = TestRunner::new(ProptestConfig { cases: 64, ..ProptestConfig::default() });
    let arrives = async |id: Uuid, events: &[NewEvent]| {
        let events: Vec<_> =
            events.iter().map(|event| NewEvent { instance_id: id, ..event.clone() }).collect();
        store.append(&events).await.unwrap();
    };
    let done = runner.run(&arrivals(), |(in_order, batches)| {
        runtime.block_on(async {
            let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
            arrives(one, &in_order).await;
            for batch in &batches {
                arrives(other, batch).await;
            }
            let now = at(3 * DAY);
            prop_assert_eq!(judged(&store, now).await.len(), 2);
            prop_assert_eq!(known(&store, one).await, known(&store, other).await);
            Ok(())
        })
    });
    done.unwrap();
}

#[cfg(feature = "sqlite")]
#[test]
fn the_order_of_arrival_does_not_matter_to_sqlite() {
    the_order_of_arrival_does_not_matter(&SqliteDatabase::new());
}

#[cfg(feature = "postgres")]
#[test]
fn the_order_of_arrival_does_not_matter_to_postgresql() {
    the_order_of_arrival_does_not_matter(&PostgresDatabase::new());
}
