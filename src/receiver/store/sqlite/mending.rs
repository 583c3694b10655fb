//! Mending times that lie in the future.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rusqlite::types::ToSql;
use rusqlite::{Transaction, params};

use super::outages::{last_mark, outages};
use super::rows::{self, Time};
use crate::receiver::store::mending::{INSTANCE_TIMES, KEY_TIMES, Mend, RUN_TIMES, plan};
use crate::receiver::store::outages::{mended, spanning, standing};
use crate::receiver::store::{Mending, Outage, Reading, SqliteFleetStore, StoreError};

#[async_trait]
impl Mending for SqliteFleetStore {
    async fn mend(
        &self,
        reading: Reading,
        outage_after: Duration,
        is_believed: bool,
    ) -> Result<u64, StoreError> {
        self.write(move |transaction| {
            let (last, known, now) = (last_mark(transaction)?, outages(transaction)?, reading.at);
            let standing = standing(now, reading.is_given, last, &known);
            let Some(mend) = plan(standing, is_believed, last, &known, now) else { return Ok(0) };
            let mut count = 0;
            if mend.brings_back {
                let heard = first_event(transaction, spanning(&known, now), outage_after, now)?;
                let kept = mended(&known, last.unwrap_or(now), now, outage_after, heard);
                count += bring_back(transaction, now, &kept)?;
            }
            Ok(count + mend_times(transaction, &mend)?)
        })
        .await
    }
}

/// When the first event was received after an outage began. Those right after its beginning came before the next mark.
fn first_event(
    transaction: &Transaction<'_>,
    outage: Option<Outage>,
    outage_after: Duration,
    now: Timestamp,
) -> rusqlite::Result<Option<Timestamp>> {
    let Some(outage) = outage else { return Ok(None) };
    let after =
        SignedDuration::try_from(outage_after).ok().and_then(|after| outage.began_at.checked_add(after).ok());
    let sql = "select min(ts) from telemetry_event where ts > ?1 and ts <= ?2";
    let limits = params![Time(after.unwrap_or(now)), Time(now)];
    transaction.query_row(sql, limits, |row| rows::optional_time(row, 0))
}

fn bring_back(transaction: &Transaction<'_>, now: Timestamp, kept: &[Outage]) -> rusqlite::Result<u64> {
    let mut count = transaction.execute("update telemetry_mark set at = ?1 where at > ?1", [Time(now)])?;
    count += transaction.execute("delete from telemetry_outage where ended_at > ?1", [Time(now)])?;
    let insert = "insert into telemetry_outage (began_at, ended_at) values (?1, ?2) on conflict do nothing";
    for outage in kept {
        transaction.execute(insert, params![Time(outage.began_at), Time(outage.ended_at)])?;
    }
    Ok(count as u64)
}

/// `?1` is the future, `?2` how far the clock was ahead, `?3` the earliest time, `?4` now.
fn put_back(column: &str) -> String {
    format!("{column} = case when {column} > ?1 then min(max({column} - ?2, ?3), ?4) else {column} end")
}

fn all_put_back(columns: &[&str]) -> String {
    columns.iter().map(|column| put_back(column)).collect::<Vec<_>>().join(", ")
}

fn any_is_future(columns: &[&str]) -> String {
    columns.iter().map(|column| format!("{column} > ?1")).collect::<Vec<_>>().join(" or ")
}

/// With the deadlines between which none can be: `?5` and `?6`.
static MEND_INSTANCES: LazyLock<String> = LazyLock::new(|| {
    format!(
        "update telemetry_instance set revision = revision + 1, check_at = ?4, {}
         where {} or check_at > ?5 and check_at < ?6
             or instance_id in (select instance_id from telemetry_run where {})",
        all_put_back(&INSTANCE_TIMES),
        any_is_future(&INSTANCE_TIMES),
        any_is_future(&RUN_TIMES)
    )
});

fn mend_times(transaction: &Transaction<'_>, mend: &Mend) -> rusqlite::Result<u64> {
    let (future, ahead, earliest, now) =
        (Time(mend.future), mend.ahead.as_micros() as i64, Time(mend.earliest), Time(mend.now));
    let (too_far, latest_try) = (mend.too_far().map(Time), Time(mend.latest_try()));
    let four: [&dyn ToSql; 4] = [&future, &ahead, &earliest, &now];
    let six: [&dyn ToSql; 6] = [&future, &ahead, &earliest, &now, &too_far[0], &too_far[1]];
    let five: [&dyn ToSql; 5] = [&future, &ahead, &earliest, &now, &latest_try];
    let update = |table: &str, columns: &[&str]| {
        let (all, any) = (all_put_back(columns), any_is_future(columns));
        transaction.execute(&format!("update or replace {table} set {all} where {any}"), four)
    };
    let mut count = transaction.execute(&MEND_INSTANCES, six)?;
    count += update("telemetry_run", &RUN_TIMES)?;
    count += update("telemetry_event", &["ts"])?;
    count += update("telemetry_transition", &["at"])?;
    count += update("telemetry_key", &KEY_TIMES)?;
    // A mute keeps its length.
    let mutes = "update telemetry_mute set until = until - ?2, created_at = min(max(created_at - ?2, ?3), ?4)
                 where created_at > ?1";
    count += transaction.execute(mutes, four)?;
    let alerts = format!(
        "update telemetry_alert set {}, next_try_at = case when next_try_at > ?5 then ?4 else next_try_at end
         where at > ?1 or delivered_at > ?1 or failed_at > ?1 or next_try_at > ?5",
        all_put_back(&["at", "delivered_at", "failed_at"])
    );
    count += transaction.execute(&alerts, five)?;
    Ok(count as u64)
}
