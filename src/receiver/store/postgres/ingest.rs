//! Storing events, and adding them to their runs and instances.
//!
//! Most events are updates that say nothing new. One statement stores these ([`append_steady_updates`]); all
//! other events take a transaction of several statements ([`append_others`]).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use futures_util::future::join;
use uuid::Uuid;

use super::WRITERS;
use super::admission::{self, Admitted};
use super::changed_ids::link_changed_ids;
use super::connection::{Connection, failed};
use super::deltas::{INSERT_INSTANCES, UPDATE_INSTANCES, UPSERT_RUNS, write_instances, write_runs};
use super::events::{StoredEvents, forks, insert_events};
use super::steady::append_steady_updates;
use crate::receiver::store::merge::{InstanceDelta, RunDelta, sum_up};
use crate::receiver::store::{Appended, Ingest, NewEvent, PostgresFleetStore, StoreError};

#[async_trait]
impl Ingest for PostgresFleetStore {
    fn writers(&self) -> usize {
        WRITERS
    }

    fn shard_of(&self, instance_id: Uuid) -> usize {
        let shards = self.shards.read().unwrap_or_else(PoisonError::into_inner);
        shards.as_ref().map_or(0, |shards| shards.of(instance_id))
    }

    async fn append(&self, events: &[NewEvent]) -> Result<Vec<Appended>, StoreError> {
        let (shards, connection) = (self.shards().await?, self.connect_to_write().await?);
        let mut answers = vec![Appended::Before; events.len()];
        for places in shards.divide(0..events.len(), |place| events[*place].instance_id) {
            let of_shard: Vec<&NewEvent> = places.iter().map(|place| &events[*place]).collect();
            let of_shard = append(&connection, &of_shard).await.map_err(failed)?;
            if of_shard.contains(&Appended::New) {
                self.stored_since_mark.store(true, Ordering::Relaxed);
            }
            places.into_iter().zip(of_shard).for_each(|(place, answer)| answers[place] = answer);
        }
        connection.give_back();
        Ok(answers)
    }
}

/// Stores events of one shard.
async fn append(
    connection: &Connection,
    events: &[&NewEvent],
) -> Result<Vec<Appended>, tokio_postgres::Error> {
    let contested = contested(events);
    let is_steady = append_steady_updates(connection, events, &contested).await?;
    let mut others: Vec<&NewEvent> = Vec::new();
    let mut seen = HashMap::new();
    // The place of each event among the others, and whether it is the first with its content.
    let places: Vec<Option<(usize, bool)>> = events
        .iter()
        .copied()
        .zip(is_steady)
        .map(|(event, is_steady)| {
            let next = others.len();
            let content = (event.instance_id, event.id);
            let place = match is_steady {
                true => return None,
                false if contested.contains(&event.instance_id) => next,
                false => *seen.entry(content).or_insert(next),
            };
            if place == next {
                others.push(event);
            }
            Some((place, place == next))
        })
        .collect();
    let answers = loop {
        if others.is_empty() {
            break Vec::new();
        }
        if let Some(answers) = append_others(connection, &others).await? {
            break answers;
        }
    };
    let answer = |place: Option<(usize, bool)>| match place {
        None => Appended::New,
        Some((place, true)) => answers[place],
        Some((place, false)) => answers[place].again(),
    };
    Ok(places.into_iter().map(answer).collect())
}

/// The instances of which several keys report in a batch. Their events are taken one after the other: where one of them
/// gives the instance to its key, what becomes of the next ones depends on it.
fn contested(events: &[&NewEvent]) -> HashSet<Uuid> {
    let mut keys = HashMap::new();
    let is_of_another = |event: &&&NewEvent| {
        *keys.entry(event.instance_id).or_insert(event.facts.key_id) != event.facts.key_id
    };
    events.iter().filter(is_of_another).map(|event| event.instance_id).collect()
}

const DELETE_INSTANCES: &str = "delete from telemetry_instance where instance_id = any($1)";

/// Stores events of any kind in one transaction, and answers for each what became of it.
///
/// Rows are locked in the order of known instances, keys, new instances, runs, events, and each of these in the
/// order of ids, so that receivers never wait for each other in a circle. Returns `None` if another receiver
/// inserted one of the new instances at the same time: the transaction has to be repeated, and will know that
/// instance.
async fn append_others(
    connection: &Connection,
    events: &[&NewEvent],
) -> Result<Option<Vec<Appended>>, tokio_postgres::Error> {
    let Admitted { known, admission } = admission::look(connection, events).await?;
    let is_admitted = |(_, refused): &(&&NewEvent, &Option<Appended>)| refused.is_none();
    let admitted: Vec<&NewEvent> =
        events.iter().zip(&admission.refused).filter(is_admitted).map(|(event, _)| *event).collect();
    if admitted.is_empty() {
        connection.commit().await?;
        return Ok(Some(admission.refused.into_iter().flatten().collect()));
    }
    let (_, mut inserted) = sum_up(admitted.iter().copied(), &HashSet::new());
    inserted.retain(|instance| !known.contains(&instance.instance_id));
    if !insert_instances(connection, &inserted).await? {
        connection.batch_execute("rollback").await?;
        return Ok(None);
    }
    admission::write_take_overs(connection, &admission.taken_over).await?;
    let stored = insert_events(connection, &admitted).await?;
    let forks = forks(connection, &stored).await?;
    let answers = stored.answers(events, admission.refused);
    let new = events.iter().zip(&answers).filter(|(_, answer)| **answer == Appended::New);
    let (runs, mut instances) = sum_up(new.map(|(event, _)| *event), &forks);
    delete_idle(connection, &inserted, &instances).await?;
    link_changed_ids(connection, &first_of_runs(&inserted, &stored)).await?;
    // An instance that was just inserted with the values of the same events is complete.
    instances.retain(|instance| find(&inserted, instance.instance_id) != Some(instance));
    write_deltas(connection, &runs, &instances).await?;
    Ok(Some(answers))
}

/// Returns `false` if another receiver inserted one of the instances at the same time.
async fn insert_instances(
    connection: &Connection,
    instances: &[InstanceDelta<'_>],
) -> Result<bool, tokio_postgres::Error> {
    if instances.is_empty() {
        return Ok(true);
    }
    let insert = connection.prepared(&INSERT_INSTANCES).await?;
    Ok(write_instances(connection, &insert, instances).await?.len() == instances.len())
}

/// An event of each run of the instances that were inserted, the earliest.
fn first_of_runs<'a>(inserted: &[InstanceDelta<'_>], stored: &StoredEvents<'a>) -> Vec<&'a NewEvent> {
    let is_of_new =
        |event: &&&NewEvent| !event.run_id.is_nil() && find(inserted, event.instance_id).is_some();
    let mut first: BTreeMap<(Uuid, Uuid), &NewEvent> = BTreeMap::new();
    for event in stored.new.values().filter(is_of_new) {
        let earliest = first.entry((event.instance_id, event.run_id)).or_insert(event);
        if event.received_at < earliest.received_at {
            *earliest = event;
        }
    }
    first.into_values().collect()
}

/// Deletes the instances that were inserted although none of their events is new: these instances had been
/// forgotten before their events were.
async fn delete_idle(
    connection: &Connection,
    inserted: &[InstanceDelta<'_>],
    with_new_events: &[InstanceDelta<'_>],
) -> Result<(), tokio_postgres::Error> {
    let inserted = inserted.iter().map(|instance| instance.instance_id);
    let idle: Vec<Uuid> = inserted.filter(|id| find(with_new_events, *id).is_none()).collect();
    if !idle.is_empty() {
        let delete = connection.prepared(DELETE_INSTANCES).await?;
        connection.execute(&delete, &[&idle]).await?;
    }
    Ok(())
}

/// The delta of an instance, in the order that [`sum_up`] returns.
fn find<'a, 'b>(deltas: &'b [InstanceDelta<'a>], id: Uuid) -> Option<&'b InstanceDelta<'a>> {
    deltas.binary_search_by_key(&id, |delta| delta.instance_id).ok().map(|place| &deltas[place])
}

/// Adds the new events to their instances and runs, and commits.
async fn write_deltas(
    connection: &Connection,
    runs: &[RunDelta<'_>],
    instances: &[InstanceDelta<'_>],
) -> Result<(), tokio_postgres::Error> {
    // Where no run has a new event, no instance has one.
    if runs.is_empty() {
        return connection.commit().await;
    }
    let update_instances = connection.routed(&UPDATE_INSTANCES).await?;
    let upsert_runs = connection.prepared(&UPSERT_RUNS).await?;
    let write_instances = async {
        match instances.is_empty() {
            true => Ok(Vec::new()),
            false => write_instances(connection, &update_instances, instances).await,
        }
    };
    let write = async {
        let (instances, runs) = join(write_instances, write_runs(connection, &upsert_runs, runs)).await;
        instances.and(runs.map(drop))
    };
    connection.commit_with(write).await
}
