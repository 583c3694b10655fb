//! Adding the deltas of a batch to the rows of its runs and instances.

use std::sync::LazyLock;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::columns::{FACT_TYPES, FactColumns, column, unnest};
use super::connection::Connection;
use super::routed_sql::RoutedSql;
use crate::receiver::store::State;
use crate::receiver::store::facts::FACTS;
use crate::receiver::store::filter::searched;
use crate::receiver::store::merge::{
    InstanceDelta, RunDelta, began_beside, fingerprint, run_columns, take_up_run,
};
use crate::receiver::store::release::Release;

/// Columns of a run that come from its facts.
static FACTS_OF_RUN: LazyLock<Vec<&str>> =
    LazyLock::new(|| FACTS.into_iter().chain(["fingerprint"]).collect());

/// The hour of a time, as a number. The epoch of an interval is immutable, that of a time is not, and Citus takes only
/// functions that are.
pub(super) fn hour(time: &str) -> String {
    format!("floor(extract(epoch from {time} - timestamptz '1970-01-01 00:00Z') / 3600)")
}

/// Statement for [`write_runs`] that adds events to their runs.
pub(super) static UPSERT_RUNS: LazyLock<String> = LazyLock::new(|| {
    const TYPES: [&str; 18] = [
        "uuid",
        "uuid",
        "timestamptz",
        "timestamptz",
        "boolean",
        "timestamptz",
        "bigint",
        "bigint",
        "timestamptz",
        "integer",
        "timestamptz",
        "integer",
        "timestamptz",
        "timestamptz",
        "timestamptz",
        "bigint",
        "timestamptz",
        "timestamptz",
    ];
    format!(
        "insert into telemetry_run as run ({}) select * from {} {}",
        run_columns(&FACTS_OF_RUN),
        unnest(1, TYPES.into_iter().chain(FACT_TYPES).chain(["bigint"])),
        take_up_run("least", "greatest", hour, &FACTS_OF_RUN)
    )
});

pub(super) async fn write_runs(
    connection: &Connection,
    statement: &Statement,
    runs: &[RunDelta<'_>],
) -> Result<u64, tokio_postgres::Error> {
    let instance_ids = column(runs, |run| run.instance_id);
    let run_ids = column(runs, |run| run.run_id);
    let first_seen = column(runs, |run| run.first_seen_at);
    let last_seen = column(runs, |run| run.last_seen_at);
    let begun = column(runs, |run| run.begun);
    let ended_at = column(runs, |run| run.end.map(|(at, _)| at));
    let end_sequence = column(runs, |run| run.end.map(|(_, sequence)| sequence));
    let last_sequence = column(runs, |run| run.last_sequence);
    let last_sequence_at = column(runs, |run| run.last_sequence_at);
    let frequency = column(runs, |run| run.frequency.map(|(_, frequency)| frequency));
    let frequency_at = column(runs, |run| run.frequency.map(|(at, _)| at));
    let updates = column(runs, |run| run.updates);
    let first_update = column(runs, |run| run.first_update_at);
    let last_update = column(runs, |run| run.last_update_at);
    let facts_at = column(runs, |run| run.facts_at);
    let facts_sequence = column(runs, |run| run.facts_sequence);
    let forked_at = column(runs, |run| run.forked_at);
    let imported_until = column(runs, |run| run.imported_until);
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
        &last_sequence_at,
        &frequency,
        &frequency_at,
        &updates,
        &first_update,
        &last_update,
        &facts_at,
        &facts_sequence,
        &forked_at,
        &imported_until,
    ];
    parameters.extend(facts.parameters());
    parameters.push(&fingerprints);
    connection.execute(statement, &parameters).await
}

/// The rows of [`InstanceDelta`]s, as `delta`.
static INSTANCE_DELTAS: LazyLock<String> = LazyLock::new(|| {
    const TYPES: [&str; 9] =
        ["uuid", "timestamptz", "timestamptz", "boolean", "uuid", "integer", "text", "text", "text"];
    format!(
        "{} as delta (id, first_seen_at, last_seen_at, needs_judgement, run_id, frequency, searched, release,
             release_key, {})",
        unnest(1, TYPES.into_iter().chain(FACT_TYPES)),
        FACTS.join(", ")
    )
});

/// Statement for [`write_instances`] that inserts instances with the values of their events. It returns the
/// ids of those that were inserted; the others are being inserted by another receiver.
pub(super) static INSERT_INSTANCES: LazyLock<String> = LazyLock::new(|| {
    let facts = FACTS.join(", ");
    format!(
        "insert into telemetry_instance as instance (instance_id, first_seen_at, last_seen_at, run_id, frequency,
             state_rank, state_since, check_at, searched, release, release_key, owner_id,
             {facts})
         select id, first_seen_at, last_seen_at, run_id, coalesce(frequency, 0), {}, first_seen_at, first_seen_at,
             searched, release, release_key, key_id, {facts}
         from {}
         on conflict do nothing
         returning instance_id",
        State::Up.rank(),
        *INSTANCE_DELTAS
    )
});

/// Statement for [`write_instances`] that adds events to their instances. Updates that say the same as the
/// last judgement, and do not show for the first time that two runs live beside each other, change nothing
/// that an index holds; all other events make the instance due.
pub(super) static UPDATE_INSTANCES: LazyLock<RoutedSql> = LazyLock::new(|| {
    let facts_of = |row: &str| FACTS.map(|column| format!("{row}.{column}")).join(", ");
    RoutedSql::new(&format!(
        "update telemetry_instance instance set
             first_seen_at = least(instance.first_seen_at, delta.first_seen_at),
             last_seen_at = greatest(instance.last_seen_at, delta.last_seen_at),
             check_at = case
                 when delta.needs_judgement or instance.judged_at is null or instance.state_rank <> {}
                     or instance.run_id <> delta.run_id
                     or coalesce(delta.frequency, instance.frequency) <> instance.frequency
                     or ({}) is distinct from ({}) or {}
                 then least(instance.check_at, delta.first_seen_at)
                 else instance.check_at
             end
         from {}
         where instance.instance_id = delta.id« and instance.instance_id = any($1)»",
        State::Up.rank(),
        facts_of("instance"),
        facts_of("delta"),
        began_beside("instance_id = delta.id« and instance_id = any($1)»", "delta.run_id"),
        *INSTANCE_DELTAS
    ))
});

pub(super) async fn write_instances(
    connection: &Connection,
    statement: &Statement,
    instances: &[InstanceDelta<'_>],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let ids = column(instances, |instance| instance.instance_id);
    let first_seen = column(instances, |instance| instance.first_seen_at);
    let last_seen = column(instances, |instance| instance.last_seen_at);
    let needs_judgement = column(instances, |instance| instance.needs_judgement);
    let run_ids = column(instances, |instance| instance.run_id);
    let frequencies = column(instances, |instance| instance.frequency);
    let searched = column(instances, |instance| searched(instance.facts));
    let releases = column(instances, |instance| Release::of(&instance.facts.build_version));
    let (release_names, release_keys) =
        (column(&releases, |release| &release.name), column(&releases, |release| &release.key));
    let facts = FactColumns::of(instances.iter().map(|instance| instance.facts));
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![
        &ids,
        &first_seen,
        &last_seen,
        &needs_judgement,
        &run_ids,
        &frequencies,
        &searched,
        &release_names,
        &release_keys,
    ];
    parameters.extend(facts.parameters());
    connection.query(statement, &parameters).await
}
