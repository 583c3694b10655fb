//! Storing events, and adding them to their runs and instances.
//!
//! Most events are updates that say nothing new. One statement stores these ([`append_steady_updates`]); all
//! other events take a transaction of several statements ([`append_others`]).

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::WRITERS;
use super::columns::column;
use super::connection::{Connection, connect, failed};
use super::deltas::{INSERT_INSTANCES, UPDATE_INSTANCES, UPSERT_RUNS, write_instances, write_runs};
use super::steady::append_steady_updates;
use crate::receiver::store::merge::{InstanceDelta, RunDelta, sum_up};
use crate::receiver::store::{Ingest, NewEvent, PostgresFleetStore, StoreError};

#[async_trait]
impl Ingest for PostgresFleetStore {
    fn writers(&self) -> usize {
        WRITERS
    }

    async fn append(&self, events: &[NewEvent]) -> Result<Vec<bool>, StoreError> {
        let connection = connect(&self.writers).await?;
        let answers = append(&connection, events).await.map_err(failed)?;
        if answers.contains(&true) {
            self.stored_since_mark.store(true, Ordering::Relaxed);
        }
        connection.give_back();
        Ok(answers)
    }
}

async fn append(connection: &Connection, events: &[NewEvent]) -> Result<Vec<bool>, tokio_postgres::Error> {
    let mut answers = append_steady_updates(connection, events).await?;
    // Of two equal events within the batch, the first one is new.
    let mut seen = HashSet::new();
    let (places, others): (Vec<usize>, Vec<&NewEvent>) = events
        .iter()
        .enumerate()
        .filter(|(place, event)| !answers[*place] && seen.insert((event.instance_id, event.id)))
        .unzip();
    if others.is_empty() {
        return Ok(answers);
    }
    let other_answers = loop {
        if let Some(answers) = append_others(connection, &others).await? {
            break answers;
        }
    };
    places.into_iter().zip(other_answers).for_each(|(place, is_new)| answers[place] = is_new);
    Ok(answers)
}

/// Locks the known instances of a batch. From here on until the end of the transaction their events are
/// stored one after another, so that an event that is new by its number stays new.
const LOCK_INSTANCES: &str = "\
select instance_id from telemetry_instance where instance_id = any($1) order by instance_id for update";

/// Locks the known runs of a batch, against [`append_steady_updates`], which locks no instance.
const LOCK_RUNS: &str = "\
select from telemetry_run where (instance_id, run_id) in (select * from unnest($1::uuid[], $2::uuid[]))
order by instance_id, run_id for update of telemetry_run";

/// Stores the events that are new.
///
/// The primary key finds a repeated event of the same day. On other days it is looked for only if the number
/// does not prove that it is new, because that is a look into every partition. (Not a join: a plan that was
/// made while the tables were small would later read all runs.)
const INSERT_EVENTS: &str = "\
insert into telemetry_event (instance_id, id, day, ts, reason, run_id, sequence, frequency, data, key_id, product)
select event.instance_id, event.id, event.day, event.ts, event.reason, event.run_id, event.sequence, event.frequency,
    event.data::json, event.key_id, event.product
from unnest($1::uuid[], $2::uuid[], $3::date[], $4::timestamptz[], $5::text[], $6::uuid[], $7::bigint[], $8::boolean[],
        $9::integer[], $10::text[], $11::uuid[], $12::text[])
    as event (instance_id, id, day, ts, reason, run_id, sequence, is_numbered, frequency, data, key_id, product)
where (event.is_numbered and event.sequence > coalesce((
        select run.last_sequence from telemetry_run run
        where run.instance_id = event.instance_id and run.run_id = event.run_id), -1))
    or not exists (
        select from telemetry_event seen where seen.instance_id = event.instance_id and seen.id = event.id)
order by event.instance_id, event.id
on conflict do nothing
returning instance_id, id";

const DELETE_INSTANCES: &str = "delete from telemetry_instance where instance_id = any($1)";

/// Stores events of any kind in one transaction, and answers for each whether it is new.
///
/// Rows are locked in the order of known instances, new instances, runs, events, and each of these in the
/// order of ids, so that receivers never wait for each other in a circle. Returns `None` if another receiver
/// inserted one of the new instances at the same time: the transaction has to be repeated, and will know that
/// instance.
async fn append_others(
    connection: &Connection,
    events: &[&NewEvent],
) -> Result<Option<Vec<bool>>, tokio_postgres::Error> {
    let known = lock_instances(connection, events).await?;
    let (_, mut inserted) = sum_up(events.iter().copied());
    inserted.retain(|instance| !known.contains(&instance.instance_id));
    if !insert_instances(connection, &inserted).await? {
        connection.batch_execute("rollback").await?;
        return Ok(None);
    }
    let new = insert_events(connection, events).await?;
    let answers: Vec<bool> =
        events.iter().map(|event| new.contains(&(event.instance_id, event.id))).collect();
    let stored = events.iter().zip(&answers).filter(|(_, is_new)| **is_new).map(|(event, _)| *event);
    let (runs, mut instances) = sum_up(stored);
    delete_idle(connection, &inserted, &instances).await?;
    // An instance that was just inserted with the values of the same events is complete.
    instances.retain(|instance| find(&inserted, instance.instance_id) != Some(instance));
    write_deltas(connection, &runs, &instances).await?;
    Ok(Some(answers))
}

/// Begins the transaction and locks the instances that are known. Returns their ids.
async fn lock_instances(
    connection: &Connection,
    events: &[&NewEvent],
) -> Result<HashSet<Uuid>, tokio_postgres::Error> {
    let lock = connection.prepared(LOCK_INSTANCES).await?;
    let instance_ids = column(events, |event| event.instance_id);
    let parameters: [&(dyn ToSql + Sync); 1] = [&instance_ids];
    // Pipelined. The first failure is returned, not one that follows from it.
    let (begun, known) =
        tokio::join!(connection.batch_execute("begin"), connection.query(&lock, &parameters));
    begun?;
    Ok(known?.iter().map(|row| row.get(0)).collect())
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

/// Locks the runs of the events and stores the events that are new. Returns the instance and the id of each.
async fn insert_events(
    connection: &Connection,
    events: &[&NewEvent],
) -> Result<HashSet<(Uuid, Uuid)>, tokio_postgres::Error> {
    let lock = connection.prepared(LOCK_RUNS).await?;
    let insert = connection.prepared(INSERT_EVENTS).await?;
    let instance_ids = column(events, |event| event.instance_id);
    let ids = column(events, |event| event.id);
    let days = column(events, |event| event.day);
    let times = column(events, |event| event.received_at);
    let reasons = column(events, |event| event.reason.as_str());
    let run_ids = column(events, |event| event.run_id);
    let sequences = column(events, |event| event.sequence);
    let numbered = column(events, |event| event.is_numbered);
    let frequencies = column(events, |event| event.frequency);
    let data = column(events, |event| event.data.as_str());
    let key_ids = column(events, |event| event.facts.key_id);
    let products = column(events, |event| event.facts.product.as_str());
    let parameters: [&(dyn ToSql + Sync); 12] = [
        &instance_ids,
        &ids,
        &days,
        &times,
        &reasons,
        &run_ids,
        &sequences,
        &numbered,
        &frequencies,
        &data,
        &key_ids,
        &products,
    ];
    let runs: [&(dyn ToSql + Sync); 2] = [&instance_ids, &run_ids];
    let (locked, inserted) =
        tokio::join!(connection.execute(&lock, &runs), connection.query(&insert, &parameters));
    locked?;
    Ok(inserted?.iter().map(|row| (row.get(0), row.get(1))).collect())
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
    let update_instances = connection.prepared(&UPDATE_INSTANCES).await?;
    let upsert_runs = connection.prepared(&UPSERT_RUNS).await?;
    let write_instances = async {
        match instances.is_empty() {
            true => Ok(Vec::new()),
            false => write_instances(connection, &update_instances, instances).await,
        }
    };
    let write_runs = async {
        match runs.is_empty() {
            true => Ok(0),
            false => write_runs(connection, &upsert_runs, runs).await,
        }
    };
    let (instances, runs, committed) =
        tokio::join!(write_instances, write_runs, connection.batch_execute("commit"));
    instances?;
    runs?;
    committed
}
