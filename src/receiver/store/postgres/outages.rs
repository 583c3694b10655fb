//! The mark of receivers that are at work.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join3;
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::connection::{Connection, failed};
use super::partitions::day_of;
use crate::receiver::store::outages::{Writes, standing, with_history, writes};
use crate::receiver::store::{Marked, Outage, Outages, PostgresFleetStore, Reading, Standing, StoreError};

#[async_trait]
impl Outages for PostgresFleetStore {
    fn has_clock(&self) -> bool {
        true
    }

    async fn time(&self) -> Result<Option<Timestamp>, StoreError> {
        let rows = self.connect().await?.rows(NOW, &[]).await?;
        Ok(rows.first().map(|row| row.get(0)))
    }

    /// The mark itself could be written where events cannot. A batch of events that was stored since the last
    /// mark proves that they can; without one, the [`probe`] does.
    async fn mark(&self, reading: Reading, outage_after: Duration) -> Result<Marked, StoreError> {
        let connection = self.connect_to_write().await?;
        let is_proved = self.stored_since_mark.swap(false, Ordering::Relaxed);
        let marked = mark(&connection, reading, outage_after, is_proved).await.map_err(failed)?;
        connection.give_back();
        Ok(marked)
    }
}

const NOW: &str = "select clock_timestamp()";

/// Writes what an event writes, and takes it back. A full disk, a missing partition, and a table that is
/// locked, renamed or has a constraint of its own, let the mark through, but no events.
fn probe(reading: &Reading) -> String {
    let id = Uuid::new_v4();
    let day = match reading.is_given {
        true => format!("'{}'", day_of(reading.at)),
        false => "(clock_timestamp() at time zone 'utc')::date".to_owned(),
    };
    format!(
        "savepoint probe;
        insert into telemetry_event (instance_id, id, day, ts, reason, run_id, sequence, data)
            values ('{id}', '{id}', {day}, now(), 'probe', '{id}', 0, '{{}}');
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
    reading: Reading,
    outage_after: Duration,
    is_proved: bool,
) -> Result<Marked, tokio_postgres::Error> {
    connection.begin().await?;
    if !is_proved {
        connection.batch_execute(&probe(&reading)).await?;
    }
    let Found { last, now, outages } = find(connection, &reading, true).await?;
    let mut standing = standing(now, reading.is_given, last, &outages);
    if matches!(standing, Standing::Behind { .. }) && reading.counted.is_none() {
        let oldest = connection.query_one("select min(first_seen_at) from telemetry_instance", &[]).await?;
        standing = with_history(standing, last, oldest.get(0));
    }
    write(connection, writes(&reading, now, standing, last, &outages, outage_after)).await?;
    let Found { last, outages, .. } = find(connection, &reading, false).await?;
    connection.commit().await?;
    Ok(Marked { at: now, mark: last.unwrap_or(now), standing, outages })
}

/// What a mark finds.
pub(super) struct Found {
    pub(super) last: Option<Timestamp>,
    /// The time by the clock that counts, no earlier than the mark was locked.
    pub(super) now: Timestamp,
    pub(super) outages: Vec<Outage>,
}

/// Reads the mark, and locks it so that others wait until it is written.
pub(super) async fn find(
    connection: &Connection,
    reading: &Reading,
    locks: bool,
) -> Result<Found, tokio_postgres::Error> {
    let select = match locks {
        true => "select at from telemetry_mark for update",
        false => "select at from telemetry_mark",
    };
    let outages = "select began_at, ended_at from telemetry_outage order by began_at";
    let none: [&(dyn ToSql + Sync); 0] = [];
    // Pipelined: carried out in this order.
    let (last, now, outages) = join3(
        connection.query_opt(select, &none),
        connection.query_one(NOW, &none),
        connection.query(outages, &none),
    )
    .await;
    let (last, now) = (last?, now?);
    let outage = |row: &Row| Outage { began_at: row.get(0), ended_at: row.get(1) };
    Ok(Found {
        last: last.map(|row| row.get(0)),
        now: if reading.is_given { reading.at } else { now.get(0) },
        outages: outages?.iter().map(outage).collect(),
    })
}

async fn write(connection: &Connection, writes: Writes) -> Result<(), tokio_postgres::Error> {
    if let Some(Outage { began_at, ended_at }) = writes.outage {
        let insert = "insert into telemetry_outage values ($1, $2) on conflict do nothing";
        connection.execute(insert, &[&began_at, &ended_at]).await?;
    }
    if let Some(mark) = writes.mark {
        let upsert = "insert into telemetry_mark (at) values ($1)
                      on conflict (single) do update set at = greatest(telemetry_mark.at, excluded.at)";
        connection.execute(upsert, &[&mark]).await?;
    }
    if let Some(forgotten) = writes.forgotten {
        connection.execute("delete from telemetry_outage where ended_at < $1", &[&forgotten]).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use test_support::TestDatabase;

    use super::*;
    use crate::receiver::store::suite::{at, by, event, runtime};
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
            store.mark(by(at(0)), limit).await.unwrap();
            let mut outages = 0;
            for (number, (hinder, mend)) in (1..).zip(OBSTACLES) {
                let owner = store.connect().await.unwrap();
                owner.batch_execute(hinder).await.unwrap();
                for second in 0..3 {
                    assert!(store.mark(by(at(number * 100 + second * 20)), limit).await.is_err(), "{hinder}");
                }
                owner.batch_execute(mend).await.unwrap();
                outages += 1;
                let marked = store.mark(by(at(number * 100 + 60)), limit).await.unwrap();
                assert_eq!(marked.outages.len(), outages, "{hinder}: {marked:?}");
            }
            assert_eq!(store.summary(at(1_000)).await.unwrap().len(), 0, "nothing is left of it");
            assert!(store.mark(by(at(30 * 86_400)), limit).await.is_err(), "there is no partition");
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
            store.mark(by(at(0)), limit).await.expect("no probe is needed");
            assert!(store.mark(by(at(1)), limit).await.is_err(), "no event was stored since the last mark");
            owner.batch_execute("alter table gone rename to telemetry_instance").await.unwrap();
            assert_eq!(store.append(&begin).await.unwrap(), [Appended::Before]);
            owner.batch_execute("alter table telemetry_instance rename to gone").await.unwrap();
            assert!(store.mark(by(at(2)), limit).await.is_err(), "a repeated event was not stored");
        });
    }
}
