//! The mark by which receivers know when none was at work, or none could store anything.

use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::connection::Connection;
use super::partitions::day_of;
use crate::receiver::store::Outage;

/// How long an outage is remembered; a frequency may be a month.
const OUTAGES_REMEMBERED: SignedDuration = SignedDuration::from_hours(60 * 24);

/// What an event would write, for a moment: a disk that is full, a table that somebody locked or took away and a missing
/// partition keep events out, but not the mark.
fn probe(day: Date) -> String {
    let id = Uuid::new_v4();
    format!(
        "savepoint probe;
        insert into telemetry_event (instance_id, id, day, ts, reason, run_id, sequence, data)
            values ('{id}', '{id}', '{day}', now(), 'probe', '{id}', 0, '{{}}');
        select from telemetry_event where instance_id = '{id}';
        insert into telemetry_run (instance_id, run_id, first_seen_at, last_seen_at, begun, last_sequence, updates,
            facts_at, fingerprint, build_version, build_commit, build_time, build_mode, build_os, build_arch, license_valid)
            values ('{id}', '{id}', now(), now(), true, 0, 0, now(), 0, '', '', '', '', '', '', true);
        update telemetry_run set updates = 1 where instance_id = '{id}';
        insert into telemetry_instance (instance_id, first_seen_at, last_seen_at, has_news, run_id, state_rank,
            state_since, check_at, build_version, build_commit, build_time, build_mode, build_os, build_arch, license_valid)
            values ('{id}', now(), now(), true, '{id}', 0, now(), now(), '', '', '', '', '', '', true);
        update telemetry_instance set has_news = false where instance_id = '{id}';
        rollback to savepoint probe"
    )
}

pub(super) async fn mark(
    connection: &Connection,
    now: Timestamp,
    outage_after: Duration,
) -> Result<Vec<Outage>, tokio_postgres::Error> {
    connection.batch_execute("begin").await?;
    connection.batch_execute(&probe(day_of(now))).await?;
    connection.execute("insert into telemetry_mark (at) values ($1) on conflict do nothing", &[&now]).await?;
    let row = connection.query_one("select at from telemetry_mark for update", &[]).await?;
    let last: Timestamp = row.get(0);
    if now.duration_since(last) > SignedDuration::try_from(outage_after).unwrap_or(SignedDuration::MAX) {
        let insert = "insert into telemetry_outage values ($1, $2) on conflict do nothing";
        connection.execute(insert, &[&last, &now]).await?;
    }
    let forgotten = now.saturating_sub(OUTAGES_REMEMBERED).unwrap_or(now);
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
    use crate::receiver::store::suite::{at, runtime};
    use crate::receiver::store::{FleetStore, PostgresFleetStore};

    /// What keeps events out, as one that owns the tables can do it.
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
}
