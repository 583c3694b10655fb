//! Values as SQLite stores them, and rows as values.

use std::sync::LazyLock;

use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Row, RowIndex};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::receiver::store::facts::FACTS;
use crate::receiver::store::merge::{IS_NOT_LOST, IS_OPEN};
use crate::receiver::store::{
    Change, Facts, Flags, Instance, License, Losses, Run, State, StoredEvent, StoredKey, Transition,
};

/// An id, stored as its 16 bytes.
pub(super) struct Id(pub(super) Uuid);

impl ToSql for Id {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.0.as_bytes())))
    }
}

impl FromSql for Id {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 16]>::column_result(value).map(|bytes| Id(Uuid::from_bytes(bytes)))
    }
}

/// A time, stored as microseconds since 1970.
pub(super) struct Time(pub(super) Timestamp);

impl ToSql for Time {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Owned(Value::Integer(self.0.as_microsecond())))
    }
}

impl FromSql for Time {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let microseconds = value.as_i64()?;
        // The end of time is a moment after the last microsecond that jiff takes.
        if microseconds == Timestamp::MAX.as_microsecond() {
            return Ok(Time(Timestamp::MAX));
        }
        let time = Timestamp::from_microsecond(microseconds);
        time.map(Time).map_err(|_| FromSqlError::OutOfRange(microseconds))
    }
}

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let rank = value.as_i64()?;
        let state = i16::try_from(rank).ok().and_then(State::of_rank);
        state.ok_or(FromSqlError::OutOfRange(rank))
    }
}

impl FromSql for License {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let rank = value.as_i64()?;
        let license = i16::try_from(rank).ok().and_then(License::of_rank);
        license.ok_or(FromSqlError::OutOfRange(rank))
    }
}

impl FromSql for Change {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Change::parse(value.as_str()?).ok_or(FromSqlError::InvalidType)
    }
}

/// Secrets, stored as a JSON list.
pub(super) struct Secrets(pub(super) Vec<SecretString>);

impl ToSql for Secrets {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let secrets: Vec<&str> = self.0.iter().map(ExposeSecret::expose_secret).collect();
        Ok(ToSqlOutput::Owned(Value::Text(serde_json::json!(secrets).to_string())))
    }
}

impl FromSql for Secrets {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let secrets: Vec<String> =
            serde_json::from_str(value.as_str()?).map_err(|error| FromSqlError::Other(error.into()))?;
        Ok(Secrets(secrets.into_iter().map(SecretString::from).collect()))
    }
}

pub(super) fn id(row: &Row<'_>, column: impl RowIndex) -> rusqlite::Result<Uuid> {
    row.get::<_, Id>(column).map(|id| id.0)
}

pub(super) fn time(row: &Row<'_>, column: impl RowIndex) -> rusqlite::Result<Timestamp> {
    row.get::<_, Time>(column).map(|time| time.0)
}

pub(super) fn optional_time(row: &Row<'_>, column: impl RowIndex) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<Time>>(column)?.map(|time| time.0))
}

/// Facts from the columns that begin with `first`.
pub(super) fn facts(row: &Row<'_>, first: usize) -> rusqlite::Result<Facts> {
    Ok(Facts {
        build_version: row.get(first)?,
        build_commit: row.get(first + 1)?,
        build_time: row.get(first + 2)?,
        build_mode: row.get(first + 3)?,
        build_os: row.get(first + 4)?,
        build_arch: row.get(first + 5)?,
        license_key_hash: row.get(first + 6)?,
        license_valid: row.get(first + 7)?,
        custom_id: row.get(first + 8)?,
        key_id: id(row, first + 9)?,
        product: row.get(first + 10)?,
    })
}

/// Values of the columns [`FACTS`].
pub(super) fn fact_values(facts: &Facts) -> [&dyn ToSql; FACTS.len()] {
    [
        &facts.build_version,
        &facts.build_commit,
        &facts.build_time,
        &facts.build_mode,
        &facts.build_os,
        &facts.build_arch,
        &facts.license_key_hash,
        &facts.license_valid,
        &facts.custom_id,
        facts.key_id.as_bytes(),
        &facts.product,
    ]
}

/// Columns of an instance, for [`instance`].
pub(super) static INSTANCE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "instance_id, first_seen_at, last_seen_at, state_rank, state_since, crashed, several_runs, cloned, restarting,
         losses, last_loss_at, begins_since, frequency, judged_at, untold, {}",
        FACTS.join(", ")
    )
});

pub(super) fn instance(row: &Row<'_>) -> rusqlite::Result<Instance> {
    Ok(Instance {
        instance_id: id(row, 0)?,
        first_seen_at: time(row, 1)?,
        last_seen_at: time(row, 2)?,
        state: row.get(3)?,
        state_since: time(row, 4)?,
        flags: Flags {
            crashed: row.get(5)?,
            several_runs: row.get(6)?,
            cloned: row.get(7)?,
            restarting: row.get(8)?,
        },
        losses: Losses { count: row.get(9)?, last_at: optional_time(row, 10)? },
        begins_since: optional_time(row, 11)?,
        frequency: row.get(12)?,
        judged_at: optional_time(row, 13)?,
        untold: row.get(14)?,
        facts: facts(row, 15)?,
    })
}

/// Columns of a run, for [`run`].
static RUN: LazyLock<String> = LazyLock::new(|| {
    format!(
        "run_id, first_seen_at, last_seen_at, begun, case when {IS_OPEN} then null else ended_at end, last_sequence, frequency,
         updates, first_update_at, last_update_at, facts_at, lost_at, forked_at, imported_until, {}",
        FACTS.join(", ")
    )
});

/// The latest runs of the instance `?1`, up to `?2`.
pub(super) static LATEST_RUNS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select {} from telemetry_run where instance_id = ?1 order by last_seen_at desc, run_id limit ?2",
        *RUN
    )
});

/// These, as many of those that are open, and as many of those that are open and not lost, the ones silent for longest.
pub(super) static RUNS_TO_JUDGE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select * from ({})
         union
         select * from (
             select {} from telemetry_run where instance_id = ?1 and {IS_OPEN}
             order by last_seen_at desc, run_id limit ?2)
         union
         select * from (
             select {} from telemetry_run where instance_id = ?1 and {IS_OPEN} and {IS_NOT_LOST}
             order by last_seen_at, run_id limit ?2)
         order by last_seen_at desc, run_id",
        *LATEST_RUNS, *RUN, *RUN
    )
});

pub(super) fn run(row: &Row<'_>) -> rusqlite::Result<Run> {
    Ok(Run {
        run_id: id(row, 0)?,
        first_seen_at: time(row, 1)?,
        last_seen_at: time(row, 2)?,
        begun: row.get(3)?,
        ended_at: optional_time(row, 4)?,
        last_sequence: row.get(5)?,
        frequency: row.get(6)?,
        updates: row.get(7)?,
        first_update_at: optional_time(row, 8)?,
        last_update_at: optional_time(row, 9)?,
        facts_at: time(row, 10)?,
        lost_at: optional_time(row, 11)?,
        forked_at: optional_time(row, 12)?,
        imported_until: optional_time(row, 13)?,
        facts: facts(row, 14)?,
    })
}

pub(super) const EVENT: &str =
    "id, instance_id, run_id, sequence, ts, reason, frequency, data, key_id, product, imported";

pub(super) fn event(row: &Row<'_>) -> rusqlite::Result<StoredEvent> {
    Ok(StoredEvent {
        id: id(row, 0)?,
        instance_id: id(row, 1)?,
        run_id: id(row, 2)?,
        sequence: row.get(3)?,
        received_at: time(row, 4)?,
        reason: row.get(5)?,
        frequency: row.get(6)?,
        data: row.get(7)?,
        key_id: id(row, 8)?,
        product: row.get(9)?,
        is_imported: row.get(10)?,
    })
}

pub(super) const TRANSITION: &str = "at, change, \"from\", \"to\"";

/// A transition from the columns that begin with `first`.
pub(super) fn transition(row: &Row<'_>, first: usize) -> rusqlite::Result<Transition> {
    Ok(Transition {
        at: time(row, first)?,
        change: row.get(first + 1)?,
        from: row.get(first + 2)?,
        to: row.get(first + 3)?,
    })
}

pub(super) const KEY: &str =
    "id, name, hash, token_hash, secrets, rate, created_at, last_used_at, revoked_at, old_hash, old_hash_until,
     any_frequency, new_per_hour, forget_after";

pub(super) fn key(row: &Row<'_>) -> rusqlite::Result<StoredKey> {
    Ok(StoredKey {
        id: id(row, 0)?,
        name: row.get(1)?,
        hash: row.get(2)?,
        token_hash: row.get(3)?,
        secrets: row.get::<_, Secrets>(4)?.0,
        rate: row.get(5)?,
        created_at: time(row, 6)?,
        last_used_at: optional_time(row, 7)?,
        revoked_at: optional_time(row, 8)?,
        old_hash: row.get::<_, Option<[u8; 32]>>(9)?.zip(optional_time(row, 10)?),
        takes_any_frequency: row.get(11)?,
        new_per_hour: row.get(12)?,
        forget_after: row.get(13)?,
    })
}
