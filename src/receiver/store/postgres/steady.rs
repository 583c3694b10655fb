//! Storing the updates that say nothing new, which are most of the events.

use std::collections::HashSet;
use std::sync::LazyLock;

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::columns::column;
use super::connection::Connection;
use super::deltas::hour;
use crate::receiver::store::NewEvent;
use crate::receiver::store::merge::{fingerprint, has_later_facts};

/// Stores updates of steady runs that have the facts and the frequency of the run. They move the times of the
/// run and its number, and nothing else; this is the special case of
/// [`take_up_run`](crate::receiver::store::merge::take_up_run) for a single update with the highest number.
///
/// The number above the run's highest proves that the event is new, and the lock of the run's row keeps that
/// true, so that the primary key needs no second look. The same lock makes the statement wait for a judgement
/// of the instance, and check again whether the run is still steady. Events that do not match stay for the
/// transaction of all other events.
static INSERT_STEADY_UPDATES: LazyLock<String> = LazyLock::new(|| {
    format!(
        "\
with moved as (
    {}
    returning event.*, run.product
), stored as (
    insert into telemetry_event (instance_id, id, day, ts, reason, run_id, sequence, frequency, data, key_id, product)
    select instance_id, id, day, ts, 'update', run_id, sequence, frequency, data::json, key_id, product from moved
)
select coalesce(array_agg(place), '{{}}') from moved",
        move_runs("")
    )
});

/// The first half of it: moves the runs, and answers which events did.
static MOVE_STEADY_RUNS: LazyLock<String> = LazyLock::new(|| {
    format!("{} returning event.place, run.product", move_runs("and run.instance_id = any($1)"))
});

/// The second half: stores these events.
const INSERT_MOVED: &str = "\
insert into telemetry_event (instance_id, id, day, ts, reason, run_id, sequence, frequency, data, key_id, product)
select instance_id, id, day, ts, 'update', run_id, sequence, frequency, data::json, key_id, product
from unnest($1::uuid[], $2::uuid[], $3::date[], $4::timestamptz[], $5::uuid[], $6::bigint[], $7::integer[], $8::text[],
        $9::uuid[], $10::text[])
    as event (instance_id, id, day, ts, run_id, sequence, frequency, data, key_id, product)";

/// Moves the steady runs of events that say nothing new.
fn move_runs(and_run: &str) -> String {
    let is_later =
        has_later_facts(hour, ["event.ts", "event.sequence"], ["run.facts_at", "run.facts_sequence"]);
    format!(
        "update telemetry_run run set
        last_seen_at = greatest(run.last_seen_at, event.ts),
        last_sequence = event.sequence,
        last_sequence_at = event.ts,
        frequency_at = case when event.frequency is null then run.frequency_at else greatest(run.frequency_at, event.ts) end,
        updates = run.updates + 1,
        last_update_at = greatest(run.last_update_at, event.ts),
        first_update_at = least(run.first_update_at, event.ts),
        facts_at = case when {is_later} then event.ts else run.facts_at end,
        facts_sequence = case when {is_later} then event.sequence else run.facts_sequence end
    from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::date[], $5::timestamptz[], $6::uuid[], $7::bigint[],
            $8::integer[], $9::text[], $10::uuid[]) with ordinality
        as event (instance_id, id, fingerprint, day, ts, run_id, sequence, frequency, data, key_id, place)
    where run.instance_id = event.instance_id {and_run} and run.run_id = event.run_id and run.is_steady
        and run.key_id = event.key_id and run.fingerprint = event.fingerprint and run.last_sequence < event.sequence
        and run.first_seen_at <= event.ts
        and run.frequency is not distinct from event.frequency"
    )
}

/// Answers for each event whether it was such an update and is stored now. One statement, one round trip; or two on a
/// distributed PostgreSQL, which takes twice as long for both in one. Those of `contested` instances stay.
pub(super) async fn append_steady_updates(
    connection: &Connection,
    events: &[&NewEvent],
    contested: &HashSet<Uuid>,
) -> Result<Vec<bool>, tokio_postgres::Error> {
    let of_run = |(_, event): &(usize, &NewEvent)| (event.instance_id, event.run_id);
    // Sorted in the order in which rows are locked. A run with several events stays: the statement would take
    // any of them.
    let mut by_run: Vec<(usize, &NewEvent)> = events.iter().copied().enumerate().collect();
    by_run.sort_unstable_by_key(of_run);
    let (places, updates): (Vec<usize>, Vec<&NewEvent>) = by_run
        .chunk_by(|one, next| of_run(one) == of_run(next))
        .filter_map(|of_run| match of_run {
            [(place, event)]
                if event.is_numbered
                    && !event.is_imported
                    && event.reason == "update"
                    && !contested.contains(&event.instance_id) =>
            {
                Some((*place, *event))
            }
            _ => None,
        })
        .unzip();
    let mut answers = vec![false; events.len()];
    if updates.is_empty() {
        return Ok(answers);
    }
    let instance_ids = column(&updates, |event| event.instance_id);
    let ids = column(&updates, |event| event.id);
    let fingerprints = column(&updates, |event| fingerprint(&event.facts));
    let days = column(&updates, |event| event.day);
    let times = column(&updates, |event| event.received_at);
    let run_ids = column(&updates, |event| event.run_id);
    let sequences = column(&updates, |event| event.sequence);
    let frequencies = column(&updates, |event| event.frequency);
    let data = column(&updates, |event| event.data.as_str());
    let key_ids = column(&updates, |event| event.facts.key_id);
    let parameters: [&(dyn ToSql + Sync); 10] = [
        &instance_ids,
        &ids,
        &fingerprints,
        &days,
        &times,
        &run_ids,
        &sequences,
        &frequencies,
        &data,
        &key_ids,
    ];
    let stored = match connection.is_distributed() {
        true => append_in_two_steps(connection, &updates, &parameters).await?,
        false => connection.rows_alone(&INSERT_STEADY_UPDATES, &parameters).await?[0].get(0),
    };
    for ordinality in stored {
        answers[places[ordinality as usize - 1]] = true;
    }
    Ok(answers)
}

/// Returns the places of the updates that are stored, counted from 1.
async fn append_in_two_steps(
    connection: &Connection,
    updates: &[&NewEvent],
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<i64>, tokio_postgres::Error> {
    let moved = async {
        let update = connection.prepared(&MOVE_STEADY_RUNS).await?;
        connection.query(&update, parameters).await
    };
    let moved = connection.begin_with(moved).await?;
    let stored: Vec<i64> = moved.iter().map(|row| row.get(0)).collect();
    if stored.is_empty() {
        connection.commit().await?;
        return Ok(stored);
    }
    let insert = connection.prepared(INSERT_MOVED).await?;
    let events: Vec<&NewEvent> = stored.iter().map(|place| updates[*place as usize - 1]).collect();
    let parameters: [&(dyn ToSql + Sync); 10] = [
        &column(&events, |event| event.instance_id),
        &column(&events, |event| event.id),
        &column(&events, |event| event.day),
        &column(&events, |event| event.received_at),
        &column(&events, |event| event.run_id),
        &column(&events, |event| event.sequence),
        &column(&events, |event| event.frequency),
        &column(&events, |event| event.data.as_str()),
        &column(&events, |event| event.facts.key_id),
        &column(&moved, |row| row.get::<_, &str>(1)),
    ];
    connection.commit_with(connection.execute(&insert, &parameters)).await?;
    Ok(stored)
}
