//! Deleting events by hand, and everything by age.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::connection::{Connection, failed};
use super::partitions::{day_of, drop_partitions};
use crate::receiver::store::forgetting::KEPT_FREQUENCIES;
use crate::receiver::store::time::before;
use crate::receiver::store::{DEFAULT_FREQUENCY, Forgetting, PostgresFleetStore, State, StoreError};

#[async_trait]
impl Forgetting for PostgresFleetStore {
    async fn tidy(&self, now: Timestamp, retention: Duration) -> Result<(), StoreError> {
        let (connection, oldest) = (self.connect_for_maintenance().await?, before(now, retention));
        forget(&connection, now, oldest).await.map_err(failed)?;
        drop_partitions(&connection, day_of(now), day_of(oldest)).await
    }

    async fn delete_event(&self, instance_id: Uuid, id: Uuid) -> Result<bool, StoreError> {
        let sql = "delete from telemetry_event where instance_id = $1 and id = $2";
        Ok(self.connect().await?.run(sql, &[&instance_id, &id]).await? > 0)
    }
}

/// Maximum number of rows that one statement deletes, so that none holds locks for long.
const PIECE: i64 = 5_000;

async fn forget(
    connection: &Connection,
    now: Timestamp,
    oldest: Timestamp,
) -> Result<(), tokio_postgres::Error> {
    while forget_instances(connection, oldest).await? == PIECE.unsigned_abs() {}
    let forget_runs = format!(
        "delete from telemetry_run where last_seen_at < $1 and (instance_id, run_id) in (
            select instance_id, run_id from telemetry_run run where last_seen_at < least($1,
                '{now}'::timestamptz - interval '1 s' * {KEPT_FREQUENCIES} * coalesce(frequency, {DEFAULT_FREQUENCY}))
            and not exists (
                select from telemetry_instance instance
                where instance.instance_id = run.instance_id and instance.run_id = run.run_id) limit $2)"
    );
    for sql in [
        forget_runs.as_str(),
        "delete from telemetry_transition where (instance_id, at, change, \"to\") in (
            select instance_id, at, change, \"to\" from telemetry_transition where at < $1 limit $2)",
        "delete from telemetry_alert where (instance_id, id) in (
            select instance_id, id from telemetry_alert where delivered_at < $1 limit $2)",
    ] {
        let delete = connection.prepare(sql).await?;
        while connection.execute(&delete, &[&oldest, &PIECE]).await? == PIECE.unsigned_abs() {}
    }
    Ok(())
}

/// Returns the number of instances that were deleted. An event of one of them waits for the end of the
/// transaction, and makes the instance anew.
async fn forget_instances(connection: &Connection, oldest: Timestamp) -> Result<u64, tokio_postgres::Error> {
    let find = format!(
        "select instance_id from telemetry_instance where state_rank in ({}, {}) and state_since < $1
         order by instance_id limit $2 for update skip locked",
        State::Down.rank(),
        State::Ended.rank()
    );
    let delete = "delete from telemetry_instance instance where instance_id = any($2) and not exists (
                      select from telemetry_run run
                      where run.instance_id = instance.instance_id and run.last_seen_at >= $1)";
    connection.batch_execute("begin").await?;
    let found = connection.query(&find, &[&oldest, &PIECE]).await?;
    let ids: Vec<Uuid> = found.iter().map(|row| row.get(0)).collect();
    let deleted = connection.execute(delete, &[&oldest, &ids]).await?;
    connection.batch_execute("commit").await?;
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use test_support::TestDatabase;

    use super::*;
    use crate::receiver::judging::judgement::decide;
    use crate::receiver::store::suite::{RETENTION, at, event, runtime};
    use crate::receiver::store::{Ingest, Instance, Judging, Queries, Run, Schema};

    #[test]
    fn an_instance_that_comes_back_at_the_moment_is_not_forgotten() {
        let database = TestDatabase::new();
        runtime().block_on(async {
            let store = PostgresFleetStore::from_url(database.url()).unwrap();
            store.migrate().await.unwrap();
            store.make_room(at(0)).await.unwrap();
            store.append(&[event(1, 1, 1, 0, "begin"), event(1, 1, 2, 1, "end")]).await.unwrap();
            let decide = |instance: &Instance, runs: &[Run]| decide(instance, runs, &[], at(1));
            store.judge(at(1), 10, &decide).await.unwrap();
            let sender = store.connect().await.unwrap();
            sender.batch_execute("set idle_in_transaction_session_timeout = 0; begin; select from telemetry_instance for update").await.unwrap();
            let later = at(100 * 86_400);
            store.tidy(later, RETENTION).await.unwrap();
            sender.batch_execute("commit").await.unwrap();
            assert!(store.instance(Uuid::from_u128(1)).await.unwrap().is_some());
            store.tidy(later, RETENTION).await.unwrap();
            assert!(store.instance(Uuid::from_u128(1)).await.unwrap().is_none());
        });
    }
}
