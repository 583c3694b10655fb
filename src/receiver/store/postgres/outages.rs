//! The mark of receivers that are at work.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::connection::{Connection, connect, failed};
use super::partitions::day_of;
use crate::receiver::store::outages::OUTAGES_REMEMBERED;
use crate::receiver::store::time::before;
use crate::receiver::store::{Outage, Outages, PostgresFleetStore, StoreError};

#[async_trait]
impl Outages for PostgresFleetStore {
    /// The mark itself could be written where events cannot. A batch of events that was stored since the last
    /// mark proves that they can; without one, the [`probe`] does.
    async fn mark(&self, now: Timestamp, outage_after: Duration) -> Result<Vec<Outage>, StoreError> {
        let connection = connect(&self.writers).await?;
        let is_proved = self.stored_since_mark.swap(false, Ordering::Relaxed);
        let outages = mark(&connection, now, outage_after, is_proved).await.map_err(failed)?;
        connection.give_back();
        Ok(outages)
    }
}

/// Writes what an event writes, and takes it back. A full disk, a missing partition, and a table that is
/// locked, renamed or has a constraint of its own, let the mark through, but no events.
fn probe(day: Date) -> String {
    let id = Uuid::new_v4();
    format!(
        "savepoint probe;
        insert into telemetry_event (instance_id, id, day, ts, reason, run_id, sequence, data)
            values ('{id}', '{id}', '{day}', now(), 'probe', '{id}', 0, '{{}}');
        select from telemetry_event where instance_id = '{id}';
        insert into telemetry_run (instance_id, run_id, first_seen_at, last_seen_at, begun, last_sequence, last_sequence_at, updates,
            facts_at, fingerprint, build_version, build_commit, build_time, build_mode, build_os, build_arch, license_valid)
            values ('{id}', '{id}', now(), now(), true, 0, now(), 0, now(), 0, '', '', '', '', '', '', true);
        update telemetry_run set updates = 1 where instance_id = '{id}';
        insert into telemetry_instance (instance_id, first_seen_at, last_seen_at, run_id, state_rank,
            state_since, check_at, build_version, build_commit, build_time, build_mode, build_os, build_arch, license_valid)
            values ('{id}', now(), now(), '{id}', 0, now(), now(), '', '', '', '', '', '', true);
        update telemetry_instance set frequency = 1 where instance_id = '{id}';
        rollback to savepoint probe"
    )
}

async fn mark(
    connection: &Connection,
    now: Timestamp,
    outage_after: Duration,
    is_proved: bool,
) -> Result<Vec<Outage>, tokio_postgres::Error> {
    connection.batch_execute("begin").await?;
    if !is_proved {
        connection.batch_execute(&probe(day_of(now))).await?;
    }
    connection.execute("insert into telemetry_mark (at) values ($1) on conflict do nothing", &[&now]).await?;
    let row = connection.query_one("select at from telemetry_mark for update", &[]).await?;
    let last: Timestamp = row.get(0);
    if now.duration_since(last) > SignedDuration::try_from(outage_after).unwrap_or(SignedDuration::MAX) {
        let insert = "insert into telemetry_outage values ($1, $2) on conflict do nothing";
        connection.execute(insert, &[&last, &now]).await?;
    }
    let forgotten = before(now, OUTAGES_REMEMBERED);
    connection.execute("delete from telemetry_outage where ended_at < $1", &[&forgotten]).await?;
    connection.execute("update telemetry_mark set at = greatest(at, $1)", &[&now]).await?;
    let outages =
        connection.query("select began_at, ended_at from telemetry_outage order by began_at", &[]).await?;
    connection.batch_execute("commit").await?;
    Ok(outages.iter().map(|row| Outage { began_at: row.get(0), ended_at: row.get(1) }).collect())
}

#[cfg(test)]
mod tests {
    use test_support::TestDatabase;

    use super::*;
    use crate::receiver::store::suite::{at, event, runtime};
    use crate::receiver::store::{Appended, Ingest, Queries, Schema};

    /// Ways in which the owner of the tables keeps events out, and how to undo them.
    const OBSTACLES: [(&str, &str); 4] = [
        ("alter table telemetry_run rename to gone", "alter table gone rename to telemetry_run"),
        (
            "alter table telemetry_instance add check (frequency > 0) not valid",
            "alter table telemetry_instance drop constraint telemetry_instance_frequency_check",
        ),
        (
            "create function refuse() returns trigger language plpgsql as 'begin raise exception ''no''; end';
            create trigger refuse before update on telemetry_run for each row execute function refuse()",
            "drop function refuse() cascade",
        ),
        ("alter table telemetry_event rename to gone", "alter table gone rename to telemetry_event"),
    ];

    #[test]
    fn a_store_that_takes_no_events_is_not_marked_as_one_at_work() {
        let database = TestDatabase::new();
        runtime().block_on(async {
            let store = PostgresFleetStore::from_url(database.url()).unwrap();
            store.migrate().await.unwrap();
            store.make_room(at(0)).await.unwrap();
            let limit = Duration::from_secs(30);
            store.mark(at(0), limit).await.unwrap();
            let mut outages = 0;
            for (number, (hinder, mend)) in (1..).zip(OBSTACLES) {
                let owner = store.connect().await.unwrap();
                owner.batch_execute(hinder).await.unwrap();
                for second in 0..3 {
                    assert!(store.mark(at(number * 100 + second * 20), limit).await.is_err(), "{hinder}");
                }
                owner.batch_execute(mend).await.unwrap();
                outages += 1;
                let marked = store.mark(at(number * 100 + 60), limit).await.unwrap();
                assert_eq!(marked.len(), outages, "{hinder}: {marked:?}");
            }
            assert_eq!(store.summary(at(1_000)).await.unwrap().len(), 0, "nothing is left of it");
            assert!(store.mark(at(30 * 86_400), limit).await.is_err(), "there is no partition");
        });
    }

    #[test]
    fn a_batch_that_was_stored_since_the_last_mark_takes_the_place_of_the_probe() {
        let database = TestDatabase::new();
        runtime().block_on(async {
            let store = PostgresFleetStore::from_url(database.url()).unwrap();
            store.migrate().await.unwrap();
            store.make_room(at(0)).await.unwrap();
            let limit = Duration::from_secs(30);
            let begin = [event(1, 1, 1, 0, "begin")];
            assert_eq!(store.append(&begin).await.unwrap(), [Appended::New]);
            let owner = store.connect().await.unwrap();
            owner.batch_execute("alter table telemetry_instance rename to gone").await.unwrap();
            store.mark(at(0), limit).await.expect("no probe is needed");
            assert!(store.mark(at(1), limit).await.is_err(), "no event was stored since the last mark");
            owner.batch_execute("alter table gone rename to telemetry_instance").await.unwrap();
            assert_eq!(store.append(&begin).await.unwrap(), [Appended::Before]);
            owner.batch_execute("alter table telemetry_instance rename to gone").await.unwrap();
            assert!(store.mark(at(2), limit).await.is_err(), "a repeated event was not stored");
        });
    }
}
