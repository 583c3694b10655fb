//! Rows as values, and the columns they are read from.

use std::sync::LazyLock;

use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Row;

use crate::receiver::store::facts::FACTS;
use crate::receiver::store::merge::IS_OPEN;
use crate::receiver::store::{
    Change, Facts, Flags, Instance, Losses, Run, State, StoreError, StoredEvent, StoredKey, Transition,
};

/// Columns of an instance, for [`instance_of`], in a query from `telemetry_instance` by this name.
pub(super) static INSTANCE: LazyLock<String> = LazyLock::new(|| instance_columns(""));

/// The same, with a condition on the run. An update of a steady run moves only the `last_seen_at` of the run.
pub(super) fn instance_columns(and_run: &str) -> String {
    format!(
        "instance_id, first_seen_at, greatest(last_seen_at, (select run.last_seen_at from telemetry_run run
             where run.instance_id = telemetry_instance.instance_id and run.run_id = telemetry_instance.run_id {and_run})),
         state_rank, state_since, crashed, several_runs, cloned, restarting, losses, last_loss_at, begins_since, frequency,
         judged_at, untold, {}",
        FACTS.join(", ")
    )
}

pub(super) fn instance_of(row: &Row) -> Result<Instance, StoreError> {
    Ok(Instance {
        instance_id: row.get(0),
        first_seen_at: row.get(1),
        last_seen_at: row.get(2),
        state: state_of(row.get(3))?,
        state_since: row.get(4),
        flags: Flags {
            crashed: row.get(5),
            several_runs: row.get(6),
            cloned: row.get(7),
            restarting: row.get(8),
        },
        losses: Losses { count: row.get(9), last_at: row.get(10) },
        begins_since: row.get(11),
        frequency: row.get(12),
        judged_at: row.get(13),
        untold: row.get(14),
        facts: facts_of(row, 15),
    })
}

/// Columns of a run, for [`run_of`].
pub(super) static RUN: LazyLock<String> = LazyLock::new(|| {
    format!(
        "run_id, first_seen_at, last_seen_at, begun,
         case when {IS_OPEN} then null else ended_at end as ended_at, last_sequence, frequency, updates,
         first_update_at, last_update_at, facts_at, lost_at, forked_at, imported_until, {}",
        FACTS.join(", ")
    )
});

pub(super) fn run_of(row: &Row) -> Run {
    Run {
        run_id: row.get(0),
        first_seen_at: row.get(1),
        last_seen_at: row.get(2),
        begun: row.get(3),
        ended_at: row.get(4),
        last_sequence: row.get(5),
        frequency: row.get(6),
        updates: row.get(7),
        first_update_at: row.get(8),
        last_update_at: row.get(9),
        facts_at: row.get(10),
        lost_at: row.get(11),
        forked_at: row.get(12),
        imported_until: row.get(13),
        facts: facts_of(row, 14),
    }
}

/// Facts from the columns that begin with `first`.
pub(super) fn facts_of(row: &Row, first: usize) -> Facts {
    Facts {
        build_version: row.get(first),
        build_commit: row.get(first + 1),
        build_time: row.get(first + 2),
        build_mode: row.get(first + 3),
        build_os: row.get(first + 4),
        build_arch: row.get(first + 5),
        license_key_hash: row.get(first + 6),
        license_valid: row.get(first + 7),
        custom_id: row.get(first + 8),
        key_id: row.get(first + 9),
        product: row.get(first + 10),
    }
}

pub(super) const EVENT: &str =
    "id, instance_id, run_id, sequence, ts, reason, frequency, data::text, key_id, product, imported";

pub(super) fn event_of(row: &Row) -> StoredEvent {
    StoredEvent {
        id: row.get(0),
        instance_id: row.get(1),
        run_id: row.get(2),
        sequence: row.get(3),
        received_at: row.get(4),
        reason: row.get(5),
        frequency: row.get(6),
        data: row.get(7),
        key_id: row.get(8),
        product: row.get(9),
        is_imported: row.get(10),
    }
}

pub(super) fn transition_of(row: &Row, first: usize) -> Result<Transition, StoreError> {
    Ok(Transition {
        at: row.get(first),
        change: Change::parse(row.get(first + 1)).ok_or_else(|| unknown("change"))?,
        from: row.get(first + 2),
        to: row.get(first + 3),
    })
}

pub(super) fn state_of(rank: i16) -> Result<State, StoreError> {
    State::of_rank(rank).ok_or_else(|| unknown("state"))
}

pub(super) fn key_of(row: &Row) -> Result<StoredKey, StoreError> {
    let hash = |bytes: Vec<u8>| <[u8; 32]>::try_from(bytes).map_err(|_| unknown("key"));
    Ok(StoredKey {
        id: row.get(0),
        name: row.get(1),
        hash: hash(row.get(2))?,
        token_hash: row.get::<_, Option<Vec<u8>>>(3).map(hash).transpose()?,
        secrets: row.get::<_, Vec<String>>(4).into_iter().map(SecretString::from).collect(),
        rate: row.get(5),
        created_at: row.get(6),
        last_used_at: row.get(7),
        revoked_at: row.get(8),
        old_hash: row.get::<_, Option<Vec<u8>>>(9).map(hash).transpose()?.zip(row.get(10)),
        takes_any_frequency: row.get(11),
        new_per_hour: row.get(12),
        forget_after: row.get(13),
    })
}

pub(super) fn exposed(secrets: &[SecretString]) -> Vec<&str> {
    secrets.iter().map(ExposeSecret::expose_secret).collect()
}

pub(super) fn unknown(what: &str) -> StoreError {
    StoreError::Refused(format!("PostgreSQL: a {what} that this version does not know").into())
}
