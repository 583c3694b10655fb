//! Storing the updates that say nothing new, which are most of the events.

use std::sync::LazyLock;

use tokio_postgres::types::ToSql;

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
    let is_later =
        has_later_facts(hour, ["event.ts", "event.sequence"], ["run.facts_at", "run.facts_sequence"]);
    format!(
        "\
with moved as (
    update telemetry_run run set
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
    where run.instance_id = event.instance_id and run.run_id = event.run_id and run.is_steady
        and run.key_id = event.key_id and run.fingerprint = event.fingerprint and run.last_sequence < event.sequence
        and run.first_seen_at <= event.ts
        and run.frequency is not distinct from event.frequency
    returning event.*, run.product
), stored as (
    insert into telemetry_event (instance_id, id, day, ts, reason, run_id, sequence, frequency, data, key_id, product)
    select instance_id, id, day, ts, 'update', run_id, sequence, frequency, data::json, key_id, product from moved
)
select coalesce(array_agg(place), '{{}}') from moved"
    )
});

/// Answers for each event whether it was such an update and is stored now. One statement, one round trip.
pub(super) async fn append_steady_updates(
    connection: &Connection,
    events: &[NewEvent],
) -> Result<Vec<bool>, tokio_postgres::Error> {
    let of_run = |(_, event): &(usize, &NewEvent)| (event.instance_id, event.run_id);
    // Sorted in the order in which rows are locked. A run with several events stays: the statement would take
    // any of them.
    let mut by_run: Vec<(usize, &NewEvent)> = events.iter().enumerate().collect();
    by_run.sort_unstable_by_key(of_run);
    let (places, updates): (Vec<usize>, Vec<&NewEvent>) = by_run
        .chunk_by(|one, next| of_run(one) == of_run(next))
        .filter_map(|of_run| match of_run {
            [(place, event)] if event.is_numbered && !event.is_imported && event.reason == "update" => {
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
    let stored = connection.rows_alone(&INSERT_STEADY_UPDATES, &parameters).await?;
    for ordinality in stored[0].get::<_, Vec<i64>>(0) {
        answers[places[ordinality as usize - 1]] = true;
    }
    Ok(answers)
}
