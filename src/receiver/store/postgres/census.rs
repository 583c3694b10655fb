//! The census: how many instances were active on each day, by what they run.

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::builder::QueryBuilder;
use super::columns::column;
use super::connection::{Connection, failed};
use crate::receiver::store::census::{
    CountedDays, KEPT_DAYS, Upgrades, VersionChange, active_since, census_rows, table_of, upgrades,
};
use crate::receiver::store::merge::IS_OPEN;
use crate::receiver::store::release::Release;
use crate::receiver::store::{
    Census, CensusDay, CensusFilter, CensusPoint, CensusRow, Division, FirstDays, Kind, PostgresFleetStore,
    State, StoreError, day_of, days_after, start_of,
};

/// `DTCE` in ASCII: the advisory lock of the census.
const CENSUS_LOCK: i64 = 0x4454_4345;

const KIND: &str = "key_id, product, build_version, build_time, build_os, build_arch, license_valid";

#[async_trait]
impl Census for PostgresFleetStore {
    async fn take_census(&self, now: Timestamp) -> Result<(), StoreError> {
        let connection = self.connect_for_maintenance().await?;
        take(&connection, now).await.map_err(failed)?;
        connection.give_back();
        Ok(())
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
        query.narrow("day >= ", Some(&from));
        query.narrow("day <= ", Some(&to));
        query.add(" group by day order by day");
        let rows = query.rows(self.connect().await?).await?;
        Ok(rows.iter().map(|row| CensusDay { day: row.get(0), upgrades: row.get(1) }).collect())
    }

    async fn census_points(
        &self,
        from: Date,
        to: Date,
        by: Division,
        filter: &CensusFilter,
    ) -> Result<Vec<CensusPoint>, StoreError> {
        let (version, groups) = match by {
            Division::Release => ("null::text", "1, 2"),
            Division::Version => ("build_version", "1, 2, 3"),
        };
        let mut query = QueryBuilder::new(format!(
            "select day, release, {version}, sum(count) from {} where true",
            table_of(filter)
        ));
        query.narrow("day >= ", Some(&from));
        query.narrow("day <= ", Some(&to));
        narrow(&mut query, filter);
        query.add(&format!(" group by {groups}"));
        let rows = query.rows(self.connect().await?).await?;
        let point = |row: &Row| CensusPoint {
            day: row.get(0),
            release: row.get(1),
            version: row.get(2),
            count: row.get(3),
        };
        Ok(rows.iter().map(point).collect())
    }

    async fn census_rows(&self, days: &[Date], filter: &CensusFilter) -> Result<Vec<CensusRow>, StoreError> {
        let sql =
            format!("select {KIND}, day, release, release_key, count from telemetry_census where day = any(");
        let mut query = QueryBuilder::new(sql);
        let days = query.parameter(&days);
        query.add(&format!("{days})"));
        narrow(&mut query, filter);
        let rows = query.rows(self.connect().await?).await?;
        let census_row = |row: &Row| CensusRow {
            day: row.get(7),
            kind: kind_of(row),
            release: Release { name: row.get(8), key: row.get(9) },
            count: i64::from(row.get::<_, i32>(10)),
        };
        Ok(rows.iter().map(census_row).collect())
    }

    async fn first_days(&self, releases: &[String]) -> Result<FirstDays, StoreError> {
        let sql = "select null::text, min(day) from telemetry_census_upgrade
                   union all
                   select wanted.release, (select min(day) from telemetry_census_version census
                       where census.release = wanted.release)
                   from unnest($1::text[]) as wanted (release)";
        let rows = self.connect().await?.rows(sql, &[&releases]).await?;
        let mut first = FirstDays::default();
        for row in &rows {
            match (row.get(0), row.get::<_, Option<Date>>(1)) {
                (None, day) => first.census = day,
                (Some(release), Some(day)) => drop(first.releases.insert(release, day)),
                (Some(_), None) => {}
            }
        }
        Ok(first)
    }
}

fn narrow<'a>(query: &mut QueryBuilder<'a>, filter: &'a CensusFilter) {
    query.narrow("key_id = ", filter.key_id.as_ref());
    query.narrow("product = ", filter.product.as_ref());
}

/// Takes a census, unless another receiver is about it.
async fn take(connection: &Connection, now: Timestamp) -> Result<(), tokio_postgres::Error> {
    connection.begin().await?;
    let lock = format!("select pg_try_advisory_xact_lock({CENSUS_LOCK})");
    if connection.query_one(&lock, &[]).await?.get(0) {
        let today = day_of(now);
        let days = days_to_count(connection, today).await?;
        let mut rows = census_rows(today, active_now(connection, now).await?);
        for day in &days.past {
            rows.extend(census_rows(*day, active_then(connection, *day).await?));
        }
        let changes = version_changes(connection, &days).await?;
        delete(connection, today, &days).await?;
        insert(connection, &rows).await?;
        sum_up(connection, &days.active()).await?;
        insert_upgrades(connection, &upgrades(&days.upgraded, changes)).await?;
    }
    connection.commit().await
}

async fn days_to_count(connection: &Connection, today: Date) -> Result<CountedDays, tokio_postgres::Error> {
    let sql = "select exists (select 1 from telemetry_census_upgrade where day = $1),
                   case when not exists (select 1 from telemetry_census_upgrade)
                       then (select min(first_seen_at) from telemetry_run) end";
    let row = connection.query_one(sql, &[&days_after(today, -1)]).await?;
    Ok(CountedDays::of(today, row.get(0), row.get(1)))
}

/// Counts the active instances. An update of a steady run moves only the `last_seen_at` of the run.
async fn active_now(
    connection: &Connection,
    now: Timestamp,
) -> Result<Vec<(Kind, i64)>, tokio_postgres::Error> {
    let sql = format!(
        "select {KIND}, count(*) from telemetry_instance instance
         where state_rank <> {} and (last_seen_at > $1 or exists (
             select from telemetry_run run
             where run.instance_id = instance.instance_id and run.run_id = instance.run_id and run.last_seen_at > $1))
         group by {KIND}",
        State::Ended.rank()
    );
    let rows = connection.query(&sql, &[&active_since(now)]).await?;
    Ok(rows.iter().map(counted_kind).collect())
}

/// Counts the instances that were active at the end of a day, by the runs that are stored. Of the runs of an instance
/// that had not ended, and that no other had taken the place of, the one that began last speaks for it.
async fn active_then(connection: &Connection, day: Date) -> Result<Vec<(Kind, i64)>, tokio_postgres::Error> {
    let sql = format!(
        "select {KIND}, count(*) from (
             select distinct on (instance_id) {KIND} from telemetry_run run
             where first_seen_at < $1 and last_seen_at > $2 and ({IS_OPEN} or ended_at >= $1)
                 and not exists (
                     select from telemetry_run later
                     where later.instance_id = run.instance_id and later.first_seen_at > run.last_seen_at
                         and later.first_seen_at < $1)
             order by instance_id, first_seen_at desc, run_id) as speaker
         group by {KIND}"
    );
    let end = start_of(days_after(day, 1));
    let rows = connection.query(&sql, &[&end, &active_since(end)]).await?;
    Ok(rows.iter().map(counted_kind).collect())
}

fn counted_kind(row: &Row) -> (Kind, i64) {
    (kind_of(row), row.get(7))
}

/// A kind from the columns [`KIND`], which are the first.
fn kind_of(row: &Row) -> Kind {
    Kind {
        key_id: row.get(0),
        product: row.get(1),
        build_version: row.get(2),
        build_time: row.get(3),
        build_os: row.get(4),
        build_arch: row.get(5),
        license_valid: row.get(6),
    }
}

async fn version_changes(
    connection: &Connection,
    days: &CountedDays,
) -> Result<Vec<VersionChange>, tokio_postgres::Error> {
    let sql = "select (at at time zone 'UTC')::date, key_id, product, \"from\", \"to\", count(*)
               from telemetry_transition join telemetry_instance using (instance_id)
               where change = 'version' and \"from\" is not null and at >= $1
               group by 1, 2, 3, 4, 5";
    let since = days.upgraded.first().map_or(Timestamp::UNIX_EPOCH, |day| start_of(*day));
    let rows = connection.query(sql, &[&since]).await?;
    let change = |row: &Row| VersionChange {
        day: row.get(0),
        key_id: row.get(1),
        product: row.get(2),
        from: row.get(3),
        to: row.get(4),
        count: row.get(5),
    };
    Ok(rows.iter().map(change).collect())
}

/// Deletes what is counted anew, what is too old, and what a clock that was ahead left in the future. Another clock may
/// have reached tomorrow.
async fn delete(
    connection: &Connection,
    today: Date,
    days: &CountedDays,
) -> Result<(), tokio_postgres::Error> {
    let (oldest, tomorrow) = (days_after(today, -KEPT_DAYS), days_after(today, 1));
    for (table, days) in [
        ("telemetry_census", days.active()),
        ("telemetry_census_version", days.active()),
        ("telemetry_census_upgrade", days.upgraded.clone()),
    ] {
        let sql = format!("delete from {table} where day = any($1) or day < $2 or day > $3");
        connection.execute(&sql, &[&days, &oldest, &tomorrow]).await?;
    }
    Ok(())
}

async fn insert(connection: &Connection, rows: &[CensusRow]) -> Result<(), tokio_postgres::Error> {
    let sql = format!(
        "insert into telemetry_census ({KIND}, day, release, release_key, count)
         select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[],
             $8::date[], $9::text[], $10::text[], $11::integer[])"
    );
    let keys = column(rows, |row| row.kind.key_id);
    let products = column(rows, |row| row.kind.product.as_str());
    let versions = column(rows, |row| row.kind.build_version.as_str());
    let build_times = column(rows, |row| row.kind.build_time.as_str());
    let systems = column(rows, |row| row.kind.build_os.as_str());
    let architectures = column(rows, |row| row.kind.build_arch.as_str());
    let licenses = column(rows, |row| row.kind.license_valid);
    let days = column(rows, |row| row.day);
    let releases = column(rows, |row| row.release.name.as_str());
    let release_keys = column(rows, |row| row.release.key.as_str());
    let counts = column(rows, |row| integer(row.count));
    let parameters: [&(dyn ToSql + Sync); 11] = [
        &keys,
        &products,
        &versions,
        &build_times,
        &systems,
        &architectures,
        &licenses,
        &days,
        &releases,
        &release_keys,
        &counts,
    ];
    connection.execute(&sql, &parameters).await?;
    Ok(())
}

async fn sum_up(connection: &Connection, days: &[Date]) -> Result<(), tokio_postgres::Error> {
    let sql = "insert into telemetry_census_version (day, product, build_version, release, count)
               select day, product, build_version, min(release), sum(count) from telemetry_census
               where day = any($1) group by day, product, build_version";
    connection.execute(sql, &[&days]).await?;
    Ok(())
}

async fn insert_upgrades(connection: &Connection, rows: &[Upgrades]) -> Result<(), tokio_postgres::Error> {
    let sql = "insert into telemetry_census_upgrade (day, key_id, product, count)
               select * from unnest($1::date[], $2::uuid[], $3::text[], $4::integer[])";
    let days = column(rows, |row| row.day);
    let keys = column(rows, |row| row.key_id);
    let products = column(rows, |row| row.product.as_str());
    let counts = column(rows, |row| integer(row.count));
    connection.execute(sql, &[&days, &keys, &products, &counts]).await?;
    Ok(())
}

fn integer(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
