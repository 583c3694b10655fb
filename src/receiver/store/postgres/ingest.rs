//! Storing events, and adding them to their runs and instances.
//!
//! Most events are updates that say nothing new. One statement stores these ([`append_steady_updates`]); all
//! other events take a transaction of several statements ([`append_others`]).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use futures_util::future::join;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::WRITERS;
use super::admission::{self, Admitted};
use super::columns::column;
use super::connection::{Connection, connect, failed};
use super::deltas::{INSERT_INSTANCES, UPDATE_INSTANCES, UPSERT_RUNS, write_instances, write_runs};
use super::steady::append_steady_updates;
use crate::receiver::store::merge::{InstanceDelta, RunDelta, sum_up};
use crate::receiver::store::ownership::ids_of_same_number;
use crate::receiver::store::{Appended, Ingest, NewEvent, PostgresFleetStore, StoreError};

#[async_trait]
impl Ingest for PostgresFleetStore {
    fn writers(&self) -> usize {
        WRITERS
    }

    async fn append(&self, events: &[NewEvent]) -> Result<Vec<Appended>, StoreError> {
        let connection = connect(&self.writers).await?;
        let answers = append(&connection, events).await.map_err(failed)?;
        if answers.contains(&Appended::New) {
            self.stored_since_mark.store(true, Ordering::Relaxed);
        }
        connection.give_back();
        Ok(answers)
    }
}

async fn append(
    connection: &Connection,
    events: &[NewEvent],
) -> Result<Vec<Appended>, tokio_postgres::Error> {
    let is_steady = append_steady_updates(connection, events).await?;
    let mut others: Vec<&NewEvent> = Vec::new();
    let mut seen = HashMap::new();
    // The place of each event among the others, and whether it is the first with its content.
    let places: Vec<Option<(usize, bool)>> = events
        .iter()
        .zip(is_steady)
        .map(|(event, is_steady)| {
            let next = others.len();
            let content = (event.instance_id, event.id, event.facts.key_id);
            let place = if is_steady { return None } else { *seen.entry(content).or_insert(next) };
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

/// Locks the known runs of a batch, against [`append_steady_updates`], which locks no instance.
const LOCK_RUNS: &str = "\
select instance_id, run_id, last_sequence from telemetry_run where (instance_id, run_id) in (select * from unnest($1::uuid[], $2::uuid[]))
order by instance_id, run_id for update of telemetry_run";

/// Stores the events that are new.
///
/// The primary key finds a repeated event of the same day. On other days it is looked for only if the number
/// does not prove that it is new, because that is a look into every partition. (Not a join: a plan that was
/// made while the tables were small would later read all runs.)
const INSERT_EVENTS: &str = "\
insert into telemetry_event (instance_id, id, day, ts, reason, run_id, sequence, frequency, data, key_id, product,
    imported)
select event.instance_id, event.id, event.day, event.ts, event.reason, event.run_id, event.sequence, event.frequency,
    event.data::json, event.key_id, event.product, event.imported
from unnest($1::uuid[], $2::uuid[], $3::date[], $4::timestamptz[], $5::text[], $6::uuid[], $7::bigint[], $8::boolean[],
        $9::integer[], $10::text[], $11::uuid[], $12::text[], $13::boolean[])
    as event (instance_id, id, day, ts, reason, run_id, sequence, is_numbered, frequency, data, key_id, product,
        imported)
where (event.is_numbered and event.sequence > coalesce((
        select run.last_sequence from telemetry_run run
        where run.instance_id = event.instance_id and run.run_id = event.run_id), -1))
    or not exists (
        select from telemetry_event seen where seen.instance_id = event.instance_id and seen.id = event.id)
order by event.instance_id, event.id
on conflict do nothing
returning instance_id, id";

const DELETE_INSTANCES: &str = "delete from telemetry_instance where instance_id = any($1)";

/// Which of these events share the `webhook-id`, and not the content, with another one of their instance.
const SELECT_FORKS: &str = "\
select event.instance_id, event.id
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) as event (instance_id, id, first, last)
where exists (
    select from telemetry_event other
    where other.instance_id = event.instance_id and other.id between event.first and event.last and other.id <> event.id)";

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
    link_changed_ids(connection, &inserted, &stored).await?;
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

/// The events of a batch that are new.
struct StoredEvents<'a> {
    /// By instance and id.
    new: BTreeMap<(Uuid, Uuid), &'a NewEvent>,
    /// The highest number of each run, by instance and run, before these events.
    highest: HashMap<(Uuid, Uuid), i64>,
}

impl StoredEvents<'_> {
    /// What became of each event of a batch. The same content may come with two keys, where one takes the instance over
    /// from the other; the first of them is new.
    fn answers(&self, events: &[&NewEvent], refused: Vec<Option<Appended>>) -> Vec<Appended> {
        let mut seen = HashSet::new();
        let mut answer = |event: &NewEvent| {
            let id = (event.instance_id, event.id);
            if self.new.contains_key(&id) && seen.insert(id) { Appended::New } else { Appended::Before }
        };
        events.iter().zip(refused).map(|(event, refused)| refused.unwrap_or_else(|| answer(event))).collect()
    }
}

/// Locks the runs of the events and stores the events that are new.
async fn insert_events<'a>(
    connection: &Connection,
    events: &[&'a NewEvent],
) -> Result<StoredEvents<'a>, tokio_postgres::Error> {
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
    let imported = column(events, |event| event.is_imported);
    let parameters: [&(dyn ToSql + Sync); 13] = [
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
        &imported,
    ];
    let runs: [&(dyn ToSql + Sync); 2] = [&instance_ids, &run_ids];
    let (locked, inserted) =
        tokio::join!(connection.query(&lock, &runs), connection.query(&insert, &parameters));
    let highest = locked?.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect();
    let inserted: HashSet<(Uuid, Uuid)> = inserted?.iter().map(|row| (row.get(0), row.get(1))).collect();
    let by_id = events.iter().map(|event| ((event.instance_id, event.id), *event));
    Ok(StoredEvents { new: by_id.filter(|(id, _)| inserted.contains(id)).collect(), highest })
}

/// Instance and id of the new events whose number had been used before by another event: evidence of a clone, or of a
/// snapshot that was restored. A number above all others of its run has not.
async fn forks(
    connection: &Connection,
    stored: &StoredEvents<'_>,
) -> Result<HashSet<(Uuid, Uuid)>, tokio_postgres::Error> {
    let mut highest = stored.highest.clone();
    let mut in_doubt: Vec<(Uuid, Uuid)> = Vec::new();
    let number_of = |(instance_id, id): &(Uuid, Uuid)| (*instance_id, ids_of_same_number(*id));
    let mut of_number = HashMap::<_, u32>::new();
    for id in stored.new.keys() {
        *of_number.entry(number_of(id)).or_default() += 1;
    }
    for (id, event) in &stored.new {
        let before = highest.insert((event.instance_id, event.run_id), event.sequence);
        // Of those in this batch that have one number, each is a fork: which of them came first does not matter.
        let is_alone = of_number.get(&number_of(id)) == Some(&1);
        let is_above = event.is_numbered && before.is_none_or(|before| event.sequence > before);
        if !is_above || !is_alone {
            highest
                .extend(before.map(|before| ((event.instance_id, event.run_id), before.max(event.sequence))));
            in_doubt.push(*id);
        }
    }
    if in_doubt.is_empty() {
        return Ok(HashSet::new());
    }
    let select = connection.prepared(SELECT_FORKS).await?;
    let instance_ids = column(&in_doubt, |(instance_id, _)| *instance_id);
    let ids = column(&in_doubt, |(_, id)| *id);
    let first = column(&in_doubt, |(_, id)| ids_of_same_number(*id).0);
    let last = column(&in_doubt, |(_, id)| ids_of_same_number(*id).1);
    let rows = connection.query(&select, &[&instance_ids, &ids, &first, &last]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Notes of each new instance whose run one other instance of its key had: its id was changed (receiver §3). A run of
/// several others is a sender's mistake.
const LINK_CHANGED_IDS: &str = "\
insert into telemetry_transition (instance_id, at, change, \"from\", \"to\")
select side.id::uuid, new.at, 'id', before.id, new.instance_id::text
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[]) as new (instance_id, run_id, key_id, at)
cross join lateral (
    select min(run.instance_id::text) as id, count(*) as count from (
        select instance_id from telemetry_run
        where run_id = new.run_id and key_id = new.key_id and instance_id <> new.instance_id limit 2) as run) as before
cross join lateral (values (before.id), (new.instance_id::text)) as side (id)
where before.count = 1
on conflict do nothing";

async fn link_changed_ids(
    connection: &Connection,
    inserted: &[InstanceDelta<'_>],
    stored: &StoredEvents<'_>,
) -> Result<(), tokio_postgres::Error> {
    let is_linked =
        |event: &&&NewEvent| !event.run_id.is_nil() && find(inserted, event.instance_id).is_some();
    // One event for each run, the earliest.
    let mut new: BTreeMap<(Uuid, Uuid), &NewEvent> = BTreeMap::new();
    for event in stored.new.values().filter(is_linked) {
        let earliest = new.entry((event.instance_id, event.run_id)).or_insert(event);
        if event.received_at < earliest.received_at {
            *earliest = event;
        }
    }
    if new.is_empty() {
        return Ok(());
    }
    let new: Vec<&NewEvent> = new.into_values().collect();
    let link = connection.prepared(LINK_CHANGED_IDS).await?;
    let instance_ids = column(&new, |event| event.instance_id);
    let run_ids = column(&new, |event| event.run_id);
    let key_ids = column(&new, |event| event.facts.key_id);
    let times = column(&new, |event| event.received_at);
    connection.execute(&link, &[&instance_ids, &run_ids, &key_ids, &times]).await?;
    Ok(())
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
    let update_instances = connection.prepared(&UPDATE_INSTANCES).await?;
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
