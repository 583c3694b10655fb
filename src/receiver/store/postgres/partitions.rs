//! The partitions of the events, one for each day.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::connection::{Connection, failed};
use crate::receiver::store::StoreError;

/// `DTEL` in ASCII: the advisory lock of every change of the schema, including partitions.
const SCHEMA_LOCK: i64 = 0x4454_454c;

/// Number of days ahead for which there are partitions.
const DAYS_AHEAD: i64 = 7;

/// Creates the missing partitions of these days. Most of the time none is missing, and then no lock is
/// taken. A table is created first and attached afterwards, so that neither readers nor writers have to wait.
pub(super) async fn make_partitions(connection: &Connection, days: &[Date]) -> Result<(), StoreError> {
    let present = present(connection).await?;
    for day in days.iter().filter(|day| !present.contains(&partition(**day))) {
        let (name, next) = (partition(*day), day.saturating_add(DAY));
        // Another receiver may have created it in the meantime.
        let make = format!(
            "do $$ begin
                if to_regclass('{name}') is null then
                    create table {name} (like telemetry_event including all);
                    alter table telemetry_event attach partition {name} for values from ('{day}') to ('{next}');
                end if;
            end $$"
        );
        alone(connection, &make).await?;
    }
    Ok(())
}

/// Drops the partitions before `oldest`. A partition that somebody is reading stays until the next time.
pub(super) async fn drop_partitions(
    connection: &Connection,
    today: Date,
    oldest: Date,
) -> Result<(), StoreError> {
    let wanted: Vec<Date> = days_to_come(today).collect();
    let is_outdated = |day: Date| day < oldest && !wanted.contains(&day);
    let present = present(connection).await?;
    for name in present.iter().filter(|name| day_of_partition(name).is_some_and(is_outdated)) {
        alone(connection, &format!("drop table if exists {name}")).await?;
    }
    Ok(())
}

async fn present(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let sql = "select child.relname from pg_inherits join pg_class child on child.oid = inhrelid
               where inhparent = 'telemetry_event'::regclass";
    let rows = connection.rows_alone(sql, &[]).await.map_err(failed)?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The days whose partitions are made ahead of time, from yesterday on.
pub(super) fn days_to_come(today: Date) -> impl Iterator<Item = Date> {
    (-1..=DAYS_AHEAD).filter_map(move |days| today.checked_add(SignedDuration::from_hours(24 * days)).ok())
}

/// Changes the schema while no other receiver does. If the change has to wait for a reader, all writers wait
/// behind it; hence the short limit.
async fn alone(connection: &Connection, statement: &str) -> Result<(), StoreError> {
    connection.begin().await.map_err(failed)?;
    connection.batch_execute("set local lock_timeout = '1s'").await.map_err(failed)?;
    lock_schema(connection).await?;
    stay_in_schema(connection).await?;
    connection.batch_execute(statement).await.map_err(failed)?;
    connection.commit().await.map_err(failed)
}

pub(super) async fn lock_schema(connection: &Connection) -> Result<(), StoreError> {
    let sql = format!("select pg_advisory_xact_lock({SCHEMA_LOCK})");
    connection.batch_execute(&sql).await.map_err(failed)
}

/// Puts the schema that has the tables first in the `search_path`, until the end of the transaction, so that what is
/// created is created there. A schema that came to stand before it later, as one of the user's name does, stays empty.
/// Returns whether there are tables.
pub(super) async fn stay_in_schema(connection: &Connection) -> Result<bool, StoreError> {
    let sql = "select set_config('search_path', quote_ident(nspname) || ', ' || current_setting('search_path'), true)
               from pg_class join pg_namespace on pg_namespace.oid = relnamespace
               where pg_class.oid = to_regclass('telemetry_schema')";
    Ok(!connection.query(sql, &[]).await.map_err(failed)?.is_empty())
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
