//! How events are stored, and what they add to runs and instances.

use std::collections::HashSet;
use std::sync::LazyLock;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};
use uuid::Uuid;

use super::columns::{FACTS, FactColumns, column};
use super::connection::Connection;
use crate::receiver::store::merge::{InstanceDelta, RunDelta, fingerprint, fold};
use crate::receiver::store::{NewEvent, State};

/// Most events are updates that say nothing new: [`append_updates`] takes these, and what is not one is left to
/// [`append_news`].
pub(super) async fn append(
    connection: &Connection,
    events: &[NewEvent],
) -> Result<Vec<bool>, tokio_postgres::Error> {
    let mut answers = append_updates(connection, events).await?;
    // Of two that are the same within the batch, the first is the new one.
    let mut seen = HashSet::new();
    let (places, left): (Vec<usize>, Vec<&NewEvent>) = events
        .iter()
        .enumerate()
        .filter(|(place, event)| !answers[*place] && seen.insert((event.instance_id, event.id)))
        .unzip();
    if left.is_empty() {
        return Ok(answers);
    }
    let news = loop {
        if let Some(news) = append_news(connection, &left).await? {
            break news;
        }
    };
    places.into_iter().zip(news).for_each(|(place, is_new)| answers[place] = is_new);
    Ok(answers)
}

/// An update of a steady run whose last event said the same of the server: it changes the run's last sight and nothing
/// else. That its number is higher than the run's last shows that it was not seen before, and the lock on the run's row
/// keeps it so; the primary key needs no second look. The same lock makes it wait for a judgement of the instance, and
/// look again whether the run is still steady. What does not fit is not touched.
const INSERT_UPDATES: &str = "\
with moved as (
    update telemetry_run run set
        last_seen_at = greatest(run.last_seen_at, event.ts),
        last_sequence = event.sequence,
        frequency_sequence = case when event.frequency is null then run.frequency_sequence else event.sequence end,
        updates = run.updates + 1,
        last_update_at = greatest(run.last_update_at, event.ts),
        first_update_at = least(run.first_update_at, event.ts),
        facts_at = event.ts
    from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::date[], $5::timestamptz[], $6::uuid[], $7::bigint[],
            $8::integer[], $9::text[]) with ordinality
        as event (instance_id, id, fingerprint, day, ts, run_id, sequence, frequency, data, place)
    where run.instance_id = event.instance_id and run.run_id = event.run_id and run.is_steady
        and run.fingerprint = event.fingerprint and run.last_sequence < event.sequence
        and run.first_seen_at <= event.ts
        and run.frequency is not distinct from event.frequency
    returning event.*
), stored as (
    insert into telemetry_event (instance_id, id, day, ts, reason, run_id, sequence, frequency, data)
    select instance_id, id, day, ts, 'update', run_id, sequence, frequency, data::json from moved
)
select coalesce(array_agg(place), '{}') from moved";

/// One statement and one round trip. Answers for each event whether it was one and is stored now.
async fn append_updates(
    connection: &Connection,
    events: &[NewEvent],
) -> Result<Vec<bool>, tokio_postgres::Error> {
    let of_run = |(_, event): &(usize, &NewEvent)| (event.instance_id, event.run_id);
    // In the order in which rows are locked; of several of one run the statement would take any.
    let mut by_run: Vec<(usize, &NewEvent)> = events.iter().enumerate().collect();
    by_run.sort_unstable_by_key(of_run);
    let (places, updates): (Vec<usize>, Vec<&NewEvent>) = by_run
        .chunk_by(|one, next| of_run(one) == of_run(next))
        .filter_map(|of_run| match of_run {
            [(place, event)] if event.is_numbered && event.reason == "update" => Some((*place, *event)),
            _ => None,
        })
        .unzip();
    let mut answers = vec![false; events.len()];
    if updates.is_empty() {
        return Ok(answers);
    }
    let statement = connection.prepared(INSERT_UPDATES).await?;
    let instance_ids = column(&updates, |event| event.instance_id);
    let ids = column(&updates, |event| event.id);
    let fingerprints = column(&updates, |event| fingerprint(&event.facts));
    let days = column(&updates, |event| event.day);
    let times = column(&updates, |event| event.received_at);
    let run_ids = column(&updates, |event| event.run_id);
    let sequences = column(&updates, |event| event.sequence);
    let frequencies = column(&updates, |event| event.frequency);
    let data = column(&updates, |event| event.data.as_str());
    let parameters: [&(dyn ToSql + Sync); 9] =
        [&instance_ids, &ids, &fingerprints, &days, &times, &run_ids, &sequences, &frequencies, &data];
    let stored: Vec<i64> = connection.query_one(&statement, &parameters).await?.get(0);
    for number in stored {
        // Counted from 1.
        answers[places[number as usize - 1]] = true;
    }
    Ok(answers)
}

/// Their events come one after the other from here on: what is new by its number stays so until the end of the transaction.
const LOCK_INSTANCES: &str = "\
select instance_id from telemetry_instance where instance_id = any($1) order by instance_id for update";

/// The same, for the events that come by [`INSERT_UPDATES`].
const LOCK_RUNS: &str = "\
select from telemetry_run where (instance_id, run_id) in (select * from unnest($1::uuid[], $2::uuid[]))
order by instance_id, run_id for update of telemetry_run";

/// Repetitions are found by the primary key where they fall on one day. On another day they are looked for, but only
/// for events that are not known to be new by their number: that would be a look into every partition. (Not a join: a
/// plan made while the tables are small would read all runs later.)
const INSERT_EVENTS: &str = "\
insert into telemetry_event (instance_id, id, day, ts, reason, run_id, sequence, frequency, data)
select event.instance_id, event.id, event.day, event.ts, event.reason, event.run_id, event.sequence, event.frequency,
    event.data::json
from unnest($1::uuid[], $2::uuid[], $3::date[], $4::timestamptz[], $5::text[], $6::uuid[], $7::bigint[], $8::boolean[],
        $9::integer[], $10::text[])
    as event (instance_id, id, day, ts, reason, run_id, sequence, is_numbered, frequency, data)
where (event.is_numbered and event.sequence > coalesce((
        select run.last_sequence from telemetry_run run
        where run.instance_id = event.instance_id and run.run_id = event.run_id), -1))
    or not exists (
        select from telemetry_event seen where seen.instance_id = event.instance_id and seen.id = event.id)
order by event.instance_id, event.id
on conflict do nothing
returning instance_id, id";

static UPSERT_RUNS: LazyLock<String> = LazyLock::new(|| {
    let latest = |column: &&str| {
        format!(
            "{column} = case when excluded.last_sequence > run.last_sequence then excluded.{column} else run.{column} end"
        )
    };
    let facts = FACTS.join(", ");
    let latest_facts: Vec<String> = FACTS.iter().chain(&["facts_at", "fingerprint"]).map(latest).collect();
    format!(
        "insert into telemetry_run as run (instance_id, run_id, first_seen_at, last_seen_at, begun, ended_at,
             end_sequence, last_sequence, frequency, frequency_sequence, updates, first_update_at, last_update_at,
             facts_at, fingerprint, {facts})
         select * from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::boolean[],
             $6::timestamptz[], $7::bigint[], $8::bigint[], $9::integer[], $10::bigint[], $11::integer[],
             $12::timestamptz[], $13::timestamptz[], $14::timestamptz[], $15::bigint[], $16::text[], $17::text[],
             $18::text[], $19::text[], $20::text[], $21::text[], $22::text[], $23::boolean[], $24::text[])
         on conflict (instance_id, run_id) do update set
             first_seen_at = least(run.first_seen_at, excluded.first_seen_at),
             last_seen_at = greatest(run.last_seen_at, excluded.last_seen_at),
             begun = run.begun or excluded.begun,
             ended_at = case when excluded.end_sequence > coalesce(run.end_sequence, -1)
                 then excluded.ended_at else run.ended_at end,
             end_sequence = greatest(run.end_sequence, excluded.end_sequence),
             last_sequence = greatest(run.last_sequence, excluded.last_sequence),
             frequency = case when excluded.frequency_sequence > coalesce(run.frequency_sequence, -1)
                 then excluded.frequency else run.frequency end,
             frequency_sequence = greatest(run.frequency_sequence, excluded.frequency_sequence),
             updates = run.updates + excluded.updates,
             first_update_at = least(run.first_update_at, excluded.first_update_at),
             last_update_at = greatest(run.last_update_at, excluded.last_update_at),
             {}",
        latest_facts.join(", ")
    )
});

/// New instances, as their events have them. Answers which were made: not one that another receiver makes.
static INSERT_INSTANCES: LazyLock<String> = LazyLock::new(|| {
    let facts = FACTS.join(", ");
    format!(
        "insert into telemetry_instance as instance (instance_id, first_seen_at, last_seen_at, has_news, run_id,
             frequency, state_rank, state_since, check_at, {facts})
         select id, first_seen_at, last_seen_at, has_news, run_id, coalesce(frequency, 0), {}, first_seen_at,
             first_seen_at, {facts}
         from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::boolean[], $5::uuid[], $6::integer[],
             $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::boolean[],
             $15::text[])
             as delta (id, first_seen_at, last_seen_at, has_news, run_id, frequency, {facts})
         on conflict do nothing
         returning instance_id",
        State::Up.rank()
    )
});

const DELETE_INSTANCES: &str = "delete from telemetry_instance where instance_id = any($1)";

/// An update of an instance that is up changes nothing but the time of its last sight, so that no index is touched. All
/// else makes the instance due.
static UPDATE_INSTANCES: LazyLock<String> = LazyLock::new(|| {
    let facts = FACTS.join(", ");
    let of = |row: &str| FACTS.map(|column| format!("{row}.{column}")).join(", ");
    format!(
        "update telemetry_instance instance set
             first_seen_at = least(instance.first_seen_at, delta.first_seen_at),
             last_seen_at = greatest(instance.last_seen_at, delta.last_seen_at),
             has_news = delta.has_news,
             check_at = case
                 when delta.has_news or instance.state_rank <> {} or instance.run_id <> delta.run_id
                     or coalesce(delta.frequency, 0) not in (0, instance.frequency)
                     or ({}) is distinct from ({})
                 then least(instance.check_at, delta.last_seen_at)
                 else instance.check_at
             end
         from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::boolean[], $5::uuid[], $6::integer[],
             $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::boolean[],
             $15::text[])
             as delta (id, first_seen_at, last_seen_at, has_news, run_id, frequency, {facts})
         where instance.instance_id = delta.id",
        State::Up.rank(),
        of("instance"),
        of("delta"),
    )
});

/// In one transaction: whose events they are, which are new, and what these come to. Rows are locked in the order of
/// instances that are known, instances that are made, runs, events, and within each by id, so that receivers never wait for
/// each other in a circle. `None` where another receiver made an instance in the same moment: then it is to be done again,
/// now with a known one.
async fn append_news(
    connection: &Connection,
    events: &[&NewEvent],
) -> Result<Option<Vec<bool>>, tokio_postgres::Error> {
    let lock_instances = connection.prepared(LOCK_INSTANCES).await?;
    let lock_runs = connection.prepared(LOCK_RUNS).await?;
    let insert_events = connection.prepared(INSERT_EVENTS).await?;
    let (insert_instances, update_instances, upsert_runs) = (
        connection.prepared(&INSERT_INSTANCES).await?,
        connection.prepared(&UPDATE_INSTANCES).await?,
        connection.prepared(&UPSERT_RUNS).await?,
    );
    let instance_ids = column(events, |event| event.instance_id);
    let run_ids = column(events, |event| event.run_id);

    let instances: [&(dyn ToSql + Sync); 1] = [&instance_ids];
    // Waited for together, so that it is the first one's failure that is told, not what follows from it.
    let (begun, known) =
        tokio::join!(connection.batch_execute("begin"), connection.query(&lock_instances, &instances));
    begun?;
    let known: HashSet<Uuid> = known?.iter().map(|row| row.get(0)).collect();
    let (_, mut made) = fold(events.iter().copied());
    made.retain(|instance| !known.contains(&instance.instance_id));
    if !made.is_empty() {
        let rows = write_instances(connection, &insert_instances, &made).await?;
        if rows.len() < made.len() {
            connection.batch_execute("rollback").await?;
            return Ok(None);
        }
    }

    let inserted: Vec<Row> = {
        let ids = column(events, |event| event.id);
        let days = column(events, |event| event.day);
        let times = column(events, |event| event.received_at);
        let reasons = column(events, |event| event.reason.as_str());
        let sequences = column(events, |event| event.sequence);
        let numbered = column(events, |event| event.is_numbered);
        let frequencies = column(events, |event| event.frequency);
        let data = column(events, |event| event.data.as_str());
        let parameters: [&(dyn ToSql + Sync); 10] = [
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
        ];
        let runs: [&(dyn ToSql + Sync); 2] = [&instance_ids, &run_ids];
        let (locked, inserted) = tokio::join!(
            connection.execute(&lock_runs, &runs),
            connection.query(&insert_events, &parameters)
        );
        locked?;
        inserted?
    };
    let new: HashSet<(Uuid, Uuid)> = inserted.iter().map(|row| (row.get(0), row.get(1))).collect();
    let answers: Vec<bool> =
        events.iter().map(|event| new.contains(&(event.instance_id, event.id))).collect();
    let stored = events.iter().zip(&answers).filter(|(_, is_new)| **is_new).map(|(event, _)| *event);
    let (runs, mut changed) = fold(stored);
    let find =
        |all: &[InstanceDelta<'_>], id: Uuid| all.binary_search_by_key(&id, |instance| instance.instance_id);
    // What is made without news was forgotten while events of it were still there.
    let made_ids = made.iter().map(|instance| instance.instance_id);
    let idle: Vec<Uuid> = made_ids.filter(|id| find(&changed, *id).is_err()).collect();
    if !idle.is_empty() {
        let delete = connection.prepared(DELETE_INSTANCES).await?;
        connection.execute(&delete, &[&idle]).await?;
    }
    // What was just made by the same events is as they have it.
    changed
        .retain(|instance| find(&made, instance.instance_id).map_or(true, |place| made[place] != *instance));
    if runs.is_empty() {
        connection.batch_execute("commit").await?;
        return Ok(Some(answers));
    }
    let change_instances = async {
        match changed.is_empty() {
            true => Ok(Vec::new()),
            false => write_instances(connection, &update_instances, &changed).await,
        }
    };
    let (instances_changed, runs_changed, committed) = tokio::join!(
        change_instances,
        write_runs(connection, &upsert_runs, &runs),
        connection.batch_execute("commit")
    );
    instances_changed?;
    runs_changed?;
    committed?;
    Ok(Some(answers))
}

async fn write_runs(
    connection: &Connection,
    statement: &Statement,
    runs: &[RunDelta<'_>],
) -> Result<u64, tokio_postgres::Error> {
    let instance_ids = column(runs, |run| run.instance_id);
    let run_ids = column(runs, |run| run.run_id);
    let first_seen = column(runs, |run| run.first_seen_at);
    let last_seen = column(runs, |run| run.last_seen_at);
    let begun = column(runs, |run| run.begun);
    let ended_at = column(runs, |run| run.end.map(|(_, at)| at));
    let end_sequence = column(runs, |run| run.end.map(|(sequence, _)| sequence));
    let last_sequence = column(runs, |run| run.last_sequence);
    let frequency = column(runs, |run| run.frequency.map(|(_, frequency)| frequency));
    let frequency_sequence = column(runs, |run| run.frequency.map(|(sequence, _)| sequence));
    let updates = column(runs, |run| run.updates);
    let first_update = column(runs, |run| run.first_update_at);
    let last_update = column(runs, |run| run.last_update_at);
    let facts_at = column(runs, |run| run.facts_at);
    let fingerprints = column(runs, |run| fingerprint(run.facts));
    let facts = FactColumns::of(runs.iter().map(|run| run.facts));
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![
        &instance_ids,
        &run_ids,
        &first_seen,
        &last_seen,
        &begun,
        &ended_at,
        &end_sequence,
        &last_sequence,
        &frequency,
        &frequency_sequence,
        &updates,
        &first_update,
        &last_update,
        &facts_at,
        &fingerprints,
    ];
    parameters.extend(facts.parameters());
    connection.execute(statement, &parameters).await
}

async fn write_instances(
    connection: &Connection,
    statement: &Statement,
    instances: &[InstanceDelta<'_>],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let ids = column(instances, |instance| instance.instance_id);
    let first_seen = column(instances, |instance| instance.first_seen_at);
    let last_seen = column(instances, |instance| instance.last_seen_at);
    let has_news = column(instances, |instance| instance.has_news);
    let run_ids = column(instances, |instance| instance.run_id);
    let frequencies = column(instances, |instance| instance.frequency);
    let facts = FactColumns::of(instances.iter().map(|instance| instance.facts));
    let mut parameters: Vec<&(dyn ToSql + Sync)> =
        vec![&ids, &first_seen, &last_seen, &has_news, &run_ids, &frequencies];
    parameters.extend(facts.parameters());
    connection.query(statement, &parameters).await
}
