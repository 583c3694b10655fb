//! Storing the events of a batch that are new.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

use futures_util::future::join;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::columns::column;
use super::connection::Connection;
use super::routed_sql::RoutedSql;
use crate::receiver::store::ownership::ids_of_same_number;
use crate::receiver::store::{Appended, NewEvent};

/// Locks the known runs of a batch, against [`append_steady_updates`](super::steady::append_steady_updates), which locks no instance.
static LOCK_RUNS: LazyLock<RoutedSql> = LazyLock::new(|| {
    RoutedSql::new(
        "select instance_id, run_id, last_sequence from telemetry_run
         where «instance_id = any($1) and »(instance_id, run_id) in (select * from unnest($1::uuid[], $2::uuid[]))
         order by instance_id, run_id for update of telemetry_run",
    )
});

/// Stores the events that are new.
///
/// The primary key finds a repeated event of the same day. On other days it is looked for only if the number
/// does not prove that it is new, because that is a look into every partition. (Not a join: a plan that was
/// made while the tables were small would later read all runs.)
static INSERT_EVENTS: LazyLock<RoutedSql> = LazyLock::new(|| {
    RoutedSql::new(
        "\
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
        where run.instance_id = event.instance_id and run.run_id = event.run_id« and run.instance_id = any($1)»), -1))
    or not exists (
        select from telemetry_event seen
        where seen.instance_id = event.instance_id and seen.id = event.id« and seen.instance_id = any($1)»)
order by event.instance_id, event.id
on conflict do nothing
returning instance_id, id",
    )
});

/// Which of these events share the `webhook-id`, and not the content, with another one of their instance.
static SELECT_FORKS: LazyLock<RoutedSql> = LazyLock::new(|| {
    RoutedSql::new(
        "\
select event.instance_id, event.id
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) as event (instance_id, id, first, last)
where exists (
    select from telemetry_event other
    where other.instance_id = event.instance_id and other.id between event.first and event.last and other.id <> event.id
        « and other.instance_id = any($1)»)",
    )
});

/// The events of a batch that are new.
pub(super) struct StoredEvents<'a> {
    /// By instance and id.
    pub(super) new: BTreeMap<(Uuid, Uuid), &'a NewEvent>,
    /// The highest number of each run, by instance and run, before these events.
    highest: HashMap<(Uuid, Uuid), i64>,
}

impl StoredEvents<'_> {
    /// What became of each event of a batch. The same content may come with two keys, where one takes the instance over
    /// from the other; the first of them is new.
    pub(super) fn answers(&self, events: &[&NewEvent], refused: Vec<Option<Appended>>) -> Vec<Appended> {
        let mut seen = HashSet::new();
        let mut answer = |event: &NewEvent| {
            let id = (event.instance_id, event.id);
            if self.new.contains_key(&id) && seen.insert(id) { Appended::New } else { Appended::Before }
        };
        events.iter().zip(refused).map(|(event, refused)| refused.unwrap_or_else(|| answer(event))).collect()
    }
}

/// Locks the runs of the events and stores the events that are new.
pub(super) async fn insert_events<'a>(
    connection: &Connection,
    events: &[&'a NewEvent],
) -> Result<StoredEvents<'a>, tokio_postgres::Error> {
    let lock = connection.routed(&LOCK_RUNS).await?;
    let insert = connection.routed(&INSERT_EVENTS).await?;
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
        join(connection.query(&lock, &runs), connection.query(&insert, &parameters)).await;
    let highest = locked?.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect();
    let inserted: HashSet<(Uuid, Uuid)> = inserted?.iter().map(|row| (row.get(0), row.get(1))).collect();
    let by_id = events.iter().map(|event| ((event.instance_id, event.id), *event));
    Ok(StoredEvents { new: by_id.filter(|(id, _)| inserted.contains(id)).collect(), highest })
}

/// Instance and id of the new events whose number had been used before by another event: evidence of a clone, or of a
/// snapshot that was restored. A number above all others of its run has not.
pub(super) async fn forks(
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
    let select = connection.routed(&SELECT_FORKS).await?;
    let instance_ids = column(&in_doubt, |(instance_id, _)| *instance_id);
    let ids = column(&in_doubt, |(_, id)| *id);
    let first = column(&in_doubt, |(_, id)| ids_of_same_number(*id).0);
    let last = column(&in_doubt, |(_, id)| ids_of_same_number(*id).1);
    let rows = connection.query(&select, &[&instance_ids, &ids, &first, &last]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
