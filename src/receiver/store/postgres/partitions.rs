//! The partitions of the events, one a day.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::connection::{Connection, failed};
use crate::receiver::store::StoreError;

/// `DTEL` in ASCII: under this advisory lock the schema is made and partitions are kept.
const SCHEMA_LOCK: i64 = 0x4454_454c;

/// Partitions are there for so many days ahead.
const DAYS_AHEAD: i64 = 7;

/// Makes the partitions from yesterday on that are missing and drops those before `oldest`. Most of the time there is
/// nothing to do, and then no lock is taken.
pub(super) async fn keep_partitions(
    connection: &Connection,
    today: Date,
    oldest: Date,
) -> Result<(), StoreError> {
    let sql = "select child.relname from pg_inherits
                   join pg_class child on child.oid = inhrelid
                   where inhparent = 'telemetry_event'::regclass";
    let rows = connection.query(sql, &[]).await.map_err(failed)?;
    let present: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let wanted: Vec<Date> = (-1..=DAYS_AHEAD)
        .filter_map(|days| today.checked_add(SignedDuration::from_hours(24 * days)).ok())
        .collect();
    let missing = wanted.iter().filter(|day| !present.contains(&partition(**day)));
    let outdated = present
        .iter()
        .filter(|name| day_of_partition(name).is_some_and(|day| day < oldest && !wanted.contains(&day)));
    let statements: Vec<String> = missing
            .map(|day| {
                format!(
                    "create table if not exists {} partition of telemetry_event for values from ('{day}') to ('{}')",
                    partition(*day),
                    day.saturating_add(DAY)
                )
            })
            .chain(outdated.map(|name| format!("drop table if exists {name}")))
            .collect();
    for statement in statements {
        connection.batch_execute("begin; set local lock_timeout = '3s'").await.map_err(failed)?;
        lock_schema(connection).await?;
        connection.batch_execute(&statement).await.map_err(failed)?;
        connection.batch_execute("commit").await.map_err(failed)?;
    }
    Ok(())
}

pub(super) async fn lock_schema(connection: &Connection) -> Result<(), StoreError> {
    let sql = format!("select pg_advisory_xact_lock({SCHEMA_LOCK})");
    connection.batch_execute(&sql).await.map_err(failed)
}

pub(super) const DAY: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn day_of(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

pub(super) fn partition(day: Date) -> String {
    format!("telemetry_event_{:04}_{:02}_{:02}", day.year(), day.month(), day.day())
}

pub(super) fn day_of_partition(name: &str) -> Option<Date> {
    name.strip_prefix("telemetry_event_")?.replace('_', "-").parse().ok()
}
