//! Mending times that lie in the future.

use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::connection::{Connection, failed};
use super::outages::{Found, find};
use super::shards::Shards;
use crate::receiver::store::mending::{INSTANCE_TIMES, KEY_TIMES, Mend, RUN_TIMES, plan};
use crate::receiver::store::outages::{mended, spanning, standing};
use crate::receiver::store::{Mending, Outage, PostgresFleetStore, Reading, Standing, StoreError};

#[async_trait]
impl Mending for PostgresFleetStore {
    async fn mend(
        &self,
        reading: Reading,
        outage_after: Duration,
        is_believed: bool,
    ) -> Result<u64, StoreError> {
        let (shards, connection) = (self.shards().await?, self.connect_for_maintenance().await?);
        let mut count = 0;
        // The mark comes last: while it lies in the future, the shards are looked through again.
        if shards.are_distributed() {
            count += mend_shards(&connection, &shards, &reading, is_believed).await.map_err(failed)?;
        }
        count += mend(&connection, reading, outage_after, is_believed).await.map_err(failed)?;
        connection.give_back();
        Ok(count)
    }
}

/// Mends the instances and their runs, those of each shard in a transaction of their own.
async fn mend_shards(
    connection: &Connection,
    shards: &Shards,
    reading: &Reading,
    is_believed: bool,
) -> Result<u64, tokio_postgres::Error> {
    connection.begin().await?;
    let found = find(connection, reading, false).await?;
    let mend = plan(stands(&found, reading), is_believed, found.last, &found.outages, found.now);
    let ids = match &mend {
        Some(mend) => to_be_mended(connection, mend).await?,
        None => Vec::new(),
    };
    connection.commit().await?;
    let Some(mend) = mend else { return Ok(0) };
    let mut count = 0;
    for ids in shards.divide(ids, |id| *id) {
        connection.begin().await?;
        count += mend_instances(connection, &mend, &ids).await?;
        connection.commit().await?;
    }
    Ok(count)
}

fn stands(found: &Found, reading: &Reading) -> Standing {
    standing(found.now, reading.is_given, found.last, &found.outages)
}

async fn mend(
    connection: &Connection,
    reading: Reading,
    outage_after: Duration,
    is_believed: bool,
) -> Result<u64, tokio_postgres::Error> {
    connection.begin().await?;
    let mut found = find(connection, &reading, false).await?;
    // Where the mark is right, other receivers leave it while tables are looked through.
    if stands(&found, &reading) != Standing::Right {
        found = find(connection, &reading, true).await?;
    }
    let Found { last, now, outages } = &found;
    let mut count = 0;
    if let Some(mend) = plan(stands(&found, &reading), is_believed, *last, outages, *now) {
        if mend.brings_back {
            let heard = first_event(connection, spanning(outages, *now), outage_after, *now).await?;
            let kept = mended(outages, last.unwrap_or(*now), *now, outage_after, heard);
            count += bring_back(connection, *now, &kept).await?;
        }
        if !connection.is_distributed() {
            let ids = to_be_mended(connection, &mend).await?;
            count += mend_instances(connection, &mend, &ids).await?;
        }
        count += mend_others(connection, &mend).await?;
    }
    connection.commit().await?;
    Ok(count)
}

/// When the first event was received after an outage began. Those right after its beginning came before the next mark.
async fn first_event(
    connection: &Connection,
    outage: Option<Outage>,
    outage_after: Duration,
    now: Timestamp,
) -> Result<Option<Timestamp>, tokio_postgres::Error> {
    let Some(outage) = outage else { return Ok(None) };
    let after =
        SignedDuration::try_from(outage_after).ok().and_then(|after| outage.began_at.checked_add(after).ok());
    let select = "select min(ts) from telemetry_event where ts > $1 and ts <= $2";
    Ok(connection.query_one(select, &[&after.unwrap_or(now), &now]).await?.get(0))
}

async fn bring_back(
    connection: &Connection,
    now: Timestamp,
    kept: &[Outage],
) -> Result<u64, tokio_postgres::Error> {
    let mut count = connection.execute("update telemetry_mark set at = $1 where at > $1", &[&now]).await?;
    count += connection.execute("delete from telemetry_outage where ended_at > $1", &[&now]).await?;
    for Outage { began_at, ended_at } in kept {
        let insert = "insert into telemetry_outage values ($1, $2) on conflict do nothing";
        connection.execute(insert, &[began_at, ended_at]).await?;
    }
    Ok(count)
}

/// A time that is earlier by the `$2` microseconds that the clock was ahead. By seconds since 1970, because the difference
/// of a time and an interval depends on the time zone of the session, and Citus takes only what depends on nothing.
fn earlier(column: &str) -> String {
    format!(
        "to_timestamp((extract(epoch from {column} - timestamptz '1970-01-01 00:00Z') - $2::bigint / 1e6)::double precision)"
    )
}

/// `$1` is the future, `$3` the earliest time, `$4` now.
fn moved(column: &str) -> String {
    format!("least(greatest({}, $3::timestamptz), $4::timestamptz)", earlier(column))
}

fn all_put_back(columns: &[&str]) -> String {
    let put_back = |column: &&str| {
        format!("{column} = case when {column} > $1::timestamptz then {} else {column} end", moved(column))
    };
    columns.iter().map(put_back).collect::<Vec<_>>().join(", ")
}

fn any_is_future(columns: &[&str]) -> String {
    columns.iter().map(|column| format!("{column} > $1")).collect::<Vec<_>>().join(" or ")
}

/// The instances of which a time lies in the future, or one of their runs.
async fn to_be_mended(connection: &Connection, mend: &Mend) -> Result<Vec<Uuid>, tokio_postgres::Error> {
    let (runs, instances) = (any_is_future(&RUN_TIMES), any_is_future(&INSTANCE_TIMES));
    let [far, never] = mend.too_far();
    let found = format!(
        "select instance_id from telemetry_instance where {instances} or check_at > $2 and check_at < $3
         union
         select instance_id from telemetry_run where {runs}"
    );
    let found = connection.query(&found, &[&mend.future, &far, &never]).await?;
    Ok(found.iter().map(|row| row.get(0)).collect())
}

/// The instances, which become due, and their runs, locked in the order in which all others lock them.
async fn mend_instances(
    connection: &Connection,
    mend: &Mend,
    ids: &[Uuid],
) -> Result<u64, tokio_postgres::Error> {
    if ids.is_empty() {
        return Ok(0);
    }
    for lock in [
        "select from telemetry_instance where instance_id = any($1) order by instance_id for update",
        "select from telemetry_run where instance_id = any($1) order by instance_id, run_id for update",
    ] {
        connection.execute(lock, &[&ids]).await?;
    }
    let ahead = mend.ahead.as_micros() as i64;
    let parameters: [&(dyn ToSql + Sync); 5] = [&mend.future, &ahead, &mend.earliest, &mend.now, &ids];
    let update_instances = format!(
        "update telemetry_instance set check_at = $4, {} where instance_id = any($5)",
        all_put_back(&INSTANCE_TIMES)
    );
    // What an instance says that is up may be no news any more: it is judged first.
    let update_runs = format!(
        "update telemetry_run set {} where instance_id = any($5) and ({})",
        all_put_back(&RUN_TIMES),
        any_is_future(&RUN_TIMES)
    );
    Ok(connection.execute(&update_instances, &parameters).await?
        + connection.execute(&update_runs, &parameters).await?)
}

async fn mend_others(connection: &Connection, mend: &Mend) -> Result<u64, tokio_postgres::Error> {
    let ahead = mend.ahead.as_micros() as i64;
    let parameters: [&(dyn ToSql + Sync); 4] = [&mend.future, &ahead, &mend.earliest, &mend.now];
    let update = |table: &str, columns: &[&str]| {
        format!("update {table} set {} where {}", all_put_back(columns), any_is_future(columns))
    };
    // The time is part of the key.
    let transitions = format!(
        "with moved as (delete from telemetry_transition where at > $1 returning *)
         insert into telemetry_transition (instance_id, at, change, \"from\", \"to\")
         select instance_id, {}, change, \"from\", \"to\" from moved on conflict do nothing",
        moved("at")
    );
    // A mute keeps its length.
    let mutes = format!(
        "update telemetry_mute set until = {}, created_at = {}
         where created_at > $1",
        earlier("until"),
        moved("created_at")
    );
    let mut count = 0;
    for sql in [update("telemetry_event", &["ts"]), transitions, mutes, update("telemetry_key", &KEY_TIMES)] {
        count += connection.execute(&sql, &parameters).await?;
    }
    let alerts = format!(
        "update telemetry_alert set {}, next_try_at = case when next_try_at > $5 then $4 else next_try_at end
         where at > $1 or delivered_at > $1 or failed_at > $1 or next_try_at > $5",
        all_put_back(&["at", "delivered_at", "failed_at"])
    );
    let latest_try = mend.latest_try();
    let parameters: [&(dyn ToSql + Sync); 5] = [&mend.future, &ahead, &mend.earliest, &mend.now, &latest_try];
    Ok(count + connection.execute(&alerts, &parameters).await?)
}
