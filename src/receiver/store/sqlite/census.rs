//! The census: how many instances were active on each day, by what they run.

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Row, Transaction, params};

use super::builder::{QueryBuilder, select};
use super::rows::{self, Id, Time};
use crate::receiver::store::census::{
    CountedDays, KEPT_DAYS, Upgrades, VersionChange, active_since, census_rows, table_of, upgrades,
};
use crate::receiver::store::merge::IS_OPEN;
use crate::receiver::store::release::Release;
use crate::receiver::store::{
    Census, CensusDay, CensusFilter, CensusPoint, CensusRow, Division, FirstDays, Kind, SqliteFleetStore,
    State, StoreError, day_of, days_after, days_between, start_of,
};

const KIND: &str = "key_id, product, build_version, build_time, build_os, build_arch, license_valid";

#[async_trait]
impl Census for SqliteFleetStore {
    /// Counts without holding up writers, and lets other readers in after each day.
    async fn take_census(&self, now: Timestamp) -> Result<(), StoreError> {
        let today = day_of(now);
        let days = self.read(move |transaction| days_to_count(transaction, today)).await?;
        let mut rows = census_rows(today, self.read(move |transaction| active_now(transaction, now)).await?);
        for day in days.past.clone() {
            let kinds = self.read(move |transaction| active_then(transaction, day)).await?;
            rows.extend(census_rows(day, kinds));
        }
        self.write(move |transaction| write(transaction, today, &days, &rows)).await
    }

    async fn census_days(
        &self,
        from: Date,
        to: Date,
        filter: &CensusFilter,
    ) -> Result<Vec<CensusDay>, StoreError> {
        let mut query = QueryBuilder::new("select day, coalesce(sum(count) filter (where true".to_owned());
        narrow(&mut query, filter);
        query.add("), 0) from telemetry_census_upgrade where true");
        query.narrow("day >= ", Some(Day(from)));
        query.narrow("day <= ", Some(Day(to)));
        query.add(" group by day order by day");
        let day = |row: &Row<'_>| Ok(CensusDay { day: day(row, 0)?, upgrades: row.get(1)? });
        self.read(move |transaction| query.rows(transaction, day)).await
    }

    async fn census_points(
        &self,
        from: Date,
        to: Date,
        by: Division,
        filter: &CensusFilter,
    ) -> Result<Vec<CensusPoint>, StoreError> {
        let (version, groups) = match by {
            Division::Release => ("null", "1, 2"),
            Division::Version => ("build_version", "1, 2, 3"),
        };
        let mut query = QueryBuilder::new(format!(
            "select day, release, {version}, sum(count) from {} where true",
            table_of(filter)
        ));
        query.narrow("day >= ", Some(Day(from)));
        query.narrow("day <= ", Some(Day(to)));
        narrow(&mut query, filter);
        query.add(&format!(" group by {groups}"));
        let point = |row: &Row<'_>| {
            Ok(CensusPoint {
                day: day(row, 0)?,
                release: row.get(1)?,
                version: row.get(2)?,
                count: row.get(3)?,
            })
        };
        self.read(move |transaction| query.rows(transaction, point)).await
    }

    async fn census_rows(&self, days: &[Date], filter: &CensusFilter) -> Result<Vec<CensusRow>, StoreError> {
        let sql = format!(
            "select {KIND}, day, release, release_key, count from telemetry_census where day in (null"
        );
        let mut query = QueryBuilder::new(sql);
        for day in days {
            let day = query.parameter(Day(*day));
            query.add(&format!(", {day}"));
        }
        query.add(")");
        narrow(&mut query, filter);
        let census_row = |row: &Row<'_>| {
            Ok(CensusRow {
                day: day(row, 7)?,
                kind: kind(row)?,
                release: Release { name: row.get(8)?, key: row.get(9)? },
                count: row.get(10)?,
            })
        };
        self.read(move |transaction| query.rows(transaction, census_row)).await
    }

    async fn first_days(&self, releases: &[String]) -> Result<FirstDays, StoreError> {
        let releases = releases.to_vec();
        self.read(move |transaction| {
            let first = |sql, parameters: &[&dyn ToSql]| {
                let mut select = transaction.prepare_cached(sql)?;
                let day: Option<Day> = select.query_row(parameters, |row| row.get(0))?;
                Ok::<_, rusqlite::Error>(day.map(|day| day.0))
            };
            let mut days = FirstDays {
                census: first("select min(day) from telemetry_census_upgrade", &[])?,
                ..FirstDays::default()
            };
            for release in releases {
                let sql = "select min(day) from telemetry_census_version where release = ?1";
                if let Some(day) = first(sql, &[&release])? {
                    days.releases.insert(release, day);
                }
            }
            Ok(days)
        })
        .await
    }
}

/// A day, stored as its number since 1970.
struct Day(Date);

const EPOCH: Date = Date::constant(1970, 1, 1);

impl ToSql for Day {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Owned(Value::Integer(days_between(EPOCH, self.0))))
    }
}

impl FromSql for Day {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        let day = days_after(EPOCH, number);
        if days_between(EPOCH, day) == number { Ok(Day(day)) } else { Err(FromSqlError::OutOfRange(number)) }
    }
}

fn day(row: &Row<'_>, column: usize) -> rusqlite::Result<Date> {
    row.get::<_, Day>(column).map(|day| day.0)
}

fn narrow(query: &mut QueryBuilder, filter: &CensusFilter) {
    query.narrow("key_id = ", filter.key_id.map(Id));
    query.narrow("product = ", filter.product.clone());
}

fn days_to_count(transaction: &Transaction<'_>, today: Date) -> rusqlite::Result<CountedDays> {
    let sql = "select exists (select 1 from telemetry_census_upgrade where day = ?1),
                   case when not exists (select 1 from telemetry_census_upgrade)
                       then (select min(first_seen_at) from telemetry_run) end";
    transaction.query_row(sql, [Day(days_after(today, -1))], |row| {
        Ok(CountedDays::of(today, row.get(0)?, rows::optional_time(row, 1)?))
    })
}

fn active_now(transaction: &Transaction<'_>, now: Timestamp) -> rusqlite::Result<Vec<(Kind, i64)>> {
    let sql = format!(
        "select {KIND}, count(*) from telemetry_instance where state_rank <> {} and last_seen_at > ?1 group by {KIND}",
        State::Ended.rank()
    );
    select(transaction, &sql, [Time(active_since(now))], counted_kind)
}

/// Counts the instances that were active at the end of a day, by the runs that are stored. Of the runs of an instance
/// that had not ended, and that no other had taken the place of, the one that began last speaks for it.
fn active_then(transaction: &Transaction<'_>, day: Date) -> rusqlite::Result<Vec<(Kind, i64)>> {
    let sql = format!(
        "select {KIND}, count(*) from (
             select {KIND}, row_number() over (partition by instance_id order by first_seen_at desc, run_id) as place
             from telemetry_run run
             where first_seen_at < ?1 and last_seen_at > ?2 and ({IS_OPEN} or ended_at >= ?1)
                 and not exists (
                     select 1 from telemetry_run later
                     where later.instance_id = run.instance_id and later.first_seen_at > run.last_seen_at
                         and later.first_seen_at < ?1))
         where place = 1 group by {KIND}"
    );
    let end = start_of(days_after(day, 1));
    select(transaction, &sql, [Time(end), Time(active_since(end))], counted_kind)
}

fn counted_kind(row: &Row<'_>) -> rusqlite::Result<(Kind, i64)> {
    Ok((kind(row)?, row.get(7)?))
}

/// A kind from the columns [`KIND`], which are the first.
fn kind(row: &Row<'_>) -> rusqlite::Result<Kind> {
    Ok(Kind {
        key_id: rows::id(row, 0)?,
        product: row.get(1)?,
        build_version: row.get(2)?,
        build_time: row.get(3)?,
        build_os: row.get(4)?,
        build_arch: row.get(5)?,
        license_valid: row.get(6)?,
    })
}

fn version_changes(
    transaction: &Transaction<'_>,
    days: &CountedDays,
) -> rusqlite::Result<Vec<VersionChange>> {
    // Times are not negative: no store keeps one before 1970.
    let sql = "select at / 86400000000, key_id, product, \"from\", \"to\", count(*)
               from telemetry_transition join telemetry_instance using (instance_id)
               where change = 'version' and \"from\" is not null and at >= ?1
               group by 1, 2, 3, 4, 5";
    let since = days.upgraded.first().map_or(Timestamp::UNIX_EPOCH, |day| start_of(*day));
    select(transaction, sql, [Time(since)], |row| {
        Ok(VersionChange {
            day: day(row, 0)?,
            key_id: rows::id(row, 1)?,
            product: row.get(2)?,
            from: row.get(3)?,
            to: row.get(4)?,
            count: row.get(5)?,
        })
    })
}

/// Replaces what is counted anew. Deletes what is too old, and what a clock that was ahead left in the future; another
/// clock may have reached tomorrow.
fn write(
    transaction: &Transaction<'_>,
    today: Date,
    days: &CountedDays,
    rows: &[CensusRow],
) -> rusqlite::Result<()> {
    let changes = version_changes(transaction, days)?;
    let (oldest, tomorrow) = (days_after(today, -KEPT_DAYS), days_after(today, 1));
    // The past that another process counted at the same time is the same.
    for (table, days) in [
        ("telemetry_census", days.active()),
        ("telemetry_census_version", days.active()),
        ("telemetry_census_upgrade", days.upgraded.clone()),
    ] {
        let sql = format!("delete from {table} where day < ?1 or day > ?2");
        transaction.execute(&sql, [Day(oldest), Day(tomorrow)])?;
        for day in days {
            transaction.execute(&format!("delete from {table} where day = ?1"), [Day(day)])?;
        }
    }
    let mut insert = transaction.prepare_cached(
        "insert into telemetry_census (day, key_id, product, build_version, build_time, build_os, build_arch,
             license_valid, release, release_key, count)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    for CensusRow { day, kind, release, count } in rows {
        insert.execute(params![
            Day(*day),
            Id(kind.key_id),
            kind.product,
            kind.build_version,
            kind.build_time,
            kind.build_os,
            kind.build_arch,
            kind.license_valid,
            release.name,
            release.key,
            count
        ])?;
    }
    for day in days.active() {
        let sql = "insert into telemetry_census_version (day, product, build_version, release, count)
                   select day, product, build_version, min(release), sum(count) from telemetry_census
                   where day = ?1 group by day, product, build_version";
        transaction.execute(sql, [Day(day)])?;
    }
    let mut insert = transaction.prepare_cached(
        "insert into telemetry_census_upgrade (day, key_id, product, count) values (?1, ?2, ?3, ?4)",
    )?;
    for Upgrades { day, key_id, product, count } in upgrades(&days.upgraded, changes) {
        insert.execute(params![Day(day), Id(key_id), product, count])?;
    }
    Ok(())
}
