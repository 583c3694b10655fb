//! Deleting events and instances by hand, and everything by age.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::builder::QueryBuilder;
use super::connection::{Connection, failed};
use super::filter::BoundFilter;
use super::partitions::{day_of, drop_partitions};
use super::routed_sql::RoutedSql;
use super::shards::Shards;
use crate::receiver::store::forgetting::KEPT_FREQUENCIES;
use crate::receiver::store::mutes::KEPT_DAYS;
use crate::receiver::store::time::before;
use crate::receiver::store::{
    DEFAULT_FREQUENCY, Doomed, Forgetting, Piece, PostgresFleetStore, State, StoreError,
};

#[async_trait]
impl Forgetting for PostgresFleetStore {
    async fn tidy(&self, now: Timestamp, retention: Duration) -> Result<(), StoreError> {
        let (shards, connection) = (self.shards().await?, self.connect_for_maintenance().await?);
        let oldest = before(now, retention);
        forget(&connection, &shards, now, oldest).await.map_err(failed)?;
        drop_partitions(&connection, day_of(now), day_of(oldest)).await?;
        connection.give_back();
        Ok(())
    }

    async fn count_doomed(&self, doomed: &Doomed, now: Timestamp) -> Result<u64, StoreError> {
        let condition = Condition::of(doomed, now);
        let mut query = QueryBuilder::new("select count(*) from telemetry_instance where true".to_owned());
        condition.narrow(&mut query);
        let rows = query.rows(self.connect().await?).await?;
        Ok(rows[0].get::<_, i64>(0).unsigned_abs())
    }

    async fn forget(
        &self,
        doomed: &Doomed,
        now: Timestamp,
        after: Option<Uuid>,
        with_events: bool,
    ) -> Result<Piece, StoreError> {
        let (shards, connection) = (self.shards().await?, self.connect_to_change().await?);
        let condition = Condition::of(doomed, now);
        let most = if with_events { FORGOTTEN_WITH_EVENTS } else { FORGOTTEN_AT_ONCE };
        let found = find(&connection, &condition, after, most).await.map_err(failed)?;
        let next = found.last().copied().filter(|_| found.len() as i64 == most);
        let mut forgotten = 0;
        for ids in shards.divide(found, |id| *id) {
            forgotten += forget_those(&connection, &ids, &condition, with_events).await.map_err(failed)?;
        }
        connection.give_back();
        Ok(Piece { forgotten, next })
    }

    async fn delete_event(&self, instance_id: Uuid, id: Uuid) -> Result<bool, StoreError> {
        let sql = "delete from telemetry_event where instance_id = $1 and id = $2";
        Ok(self.connect_to_change().await?.run(sql, &[&instance_id, &id]).await? > 0)
    }
}

/// Maximum number of instances that are forgotten in one transaction, for whose end their events wait.
const FORGOTTEN_AT_ONCE: i64 = 50;

/// The same where their events, of which each may have hundreds, are deleted as well.
const FORGOTTEN_WITH_EVENTS: i64 = 20;

/// Which instances are to be forgotten, with the values that they are compared with.
struct Condition<'a> {
    doomed: &'a Doomed,
    filter: Option<BoundFilter<'a>>,
    judged_beyond: Option<Timestamp>,
}

impl<'a> Condition<'a> {
    fn of(doomed: &'a Doomed, now: Timestamp) -> Self {
        let filter = match doomed {
            Doomed::Matching(filter) => Some(BoundFilter::of(filter)),
            _ => None,
        };
        Self { doomed, filter, judged_beyond: doomed.judged_beyond(now) }
    }

    fn narrow<'b>(&'b self, query: &mut QueryBuilder<'b>) {
        if let Some(filter) = &self.filter {
            filter.narrow(query);
        }
        match self.doomed {
            Doomed::Matching(_) => {}
            Doomed::One(id) => query.narrow("instance_id = ", Some(id)),
            Doomed::OfKey(id) => query.narrow("owner_id = ", Some(id)),
            Doomed::SilentOfKey(id, before) => {
                query.narrow("owner_id = ", Some(id));
                query.add(&format!(" and state_rank in ({}, {})", State::Down.rank(), State::Ended.rank()));
                query.narrow("state_since < ", Some(before));
            }
        }
        query.narrow("check_at > ", self.judged_beyond.as_ref());
    }
}

/// Finds the instances of a piece, of which none is locked.
async fn find(
    connection: &Connection,
    condition: &Condition<'_>,
    after: Option<Uuid>,
    most: i64,
) -> Result<Vec<Uuid>, tokio_postgres::Error> {
    let mut find = QueryBuilder::new("select instance_id from telemetry_instance where true".to_owned());
    condition.narrow(&mut find);
    find.narrow("instance_id > ", after.as_ref());
    find.add(&format!(" order by instance_id limit {most}"));
    Ok(find.rows_alone(connection).await?.iter().map(|row| row.get(0)).collect())
}

/// Locks instances of one shard, as [`append`](super::ingest) does: instances, then runs, each in the order of ids; and
/// forgets those that still are to be forgotten. Returns their number.
async fn forget_those(
    connection: &Connection,
    ids: &[Uuid],
    condition: &Condition<'_>,
    with_events: bool,
) -> Result<u64, tokio_postgres::Error> {
    let lock = async {
        let lock =
            "select from telemetry_instance where instance_id = any($1) order by instance_id for update";
        let lock = connection.prepared(lock).await?;
        connection.execute(&lock, &[&ids]).await
    };
    connection.begin_with(lock).await?;
    let mut still = QueryBuilder::new("select instance_id from telemetry_instance where true".to_owned());
    let of_shard = still.parameter(&ids);
    still.add(&format!(" and instance_id = any({of_shard})"));
    condition.narrow(&mut still);
    let doomed: Vec<Uuid> = still.rows_on(connection).await?.iter().map(|row| row.get(0)).collect();
    if !doomed.is_empty() {
        delete_instances(connection, &doomed, with_events).await?;
    }
    connection.commit().await?;
    Ok(doomed.len() as u64)
}

/// Deletes instances that are locked, with what belongs to them.
async fn delete_instances(
    connection: &Connection,
    ids: &[Uuid],
    with_events: bool,
) -> Result<(), tokio_postgres::Error> {
    let of_events = "delete from telemetry_event where instance_id = any($1)";
    let statements = [
        "select from telemetry_run where instance_id = any($1) order by instance_id, run_id for update",
        if with_events { of_events } else { "" },
        "delete from telemetry_transition where instance_id = any($1)",
        // One that is on its way is told.
        "delete from telemetry_alert where instance_id = any($1) and (instance_id, id) in (
            select instance_id, id from telemetry_alert where instance_id = any($1) and delivered_at is null
            for update skip locked)",
        "delete from telemetry_run where instance_id = any($1)",
        "delete from telemetry_instance where instance_id = any($1)",
    ];
    for sql in statements.into_iter().filter(|sql| !sql.is_empty()) {
        let statement = connection.prepared(sql).await?;
        connection.execute(&statement, &[&ids]).await?;
    }
    Ok(())
}

/// Maximum number of rows that one statement deletes, so that none holds locks for long.
const PIECE: i64 = 5_000;

async fn forget(
    connection: &Connection,
    shards: &Shards,
    now: Timestamp,
    oldest: Timestamp,
) -> Result<(), tokio_postgres::Error> {
    let ended_before =
        now.saturating_sub(SignedDuration::from_hours(24 * KEPT_DAYS)).unwrap_or(Timestamp::MIN);
    connection.run_alone("delete from telemetry_mute where until < $1", &[&ended_before]).await?;
    for which in [&*SILENT, &*IMPORTED] {
        while forget_instances(connection, shards, which, oldest).await? == PIECE.unsigned_abs() {}
    }
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
        while connection.run_alone(sql, &[&oldest, &PIECE]).await? == PIECE.unsigned_abs() {}
    }
    Ok(())
}

/// Instances that have been down or ended since before `$1`.
static SILENT: LazyLock<RoutedSql> = LazyLock::new(|| {
    let ranks = [State::Down, State::Ended].map(State::rank);
    RoutedSql::new(&format!("state_rank in ({}, {}) and state_since < $1", ranks[0], ranks[1]))
});

/// Instances whose last event was imported, which are up for as long as nothing else is known, and is older than `$1`.
static IMPORTED: LazyLock<RoutedSql> = LazyLock::new(|| {
    RoutedSql::new(
        "last_seen_at < $1 and (instance_id, last_seen_at) in (
             select instance_id, last_seen_at from telemetry_run
             where imported_until < $1 and imported_until >= last_seen_at« and instance_id = any($2)»)",
    )
});

/// Returns the number of instances that were deleted of those that `which` selects. An event of one of them waits for the end of the
/// transaction, and makes the instance anew.
async fn forget_instances(
    connection: &Connection,
    shards: &Shards,
    which: &RoutedSql,
    oldest: Timestamp,
) -> Result<u64, tokio_postgres::Error> {
    let find = format!(
        "select instance_id from telemetry_instance where {} order by instance_id limit $2",
        which.form(false)
    );
    let found = connection.rows_alone(&find, &[&oldest, &PIECE]).await?;
    let lock = "select instance_id from telemetry_instance where instance_id = any($1)
                order by instance_id for update skip locked";
    let delete = format!(
        "delete from telemetry_instance instance where instance_id = any($2) and {} and not exists (
             select from telemetry_run run
             where run.instance_id = instance.instance_id and run.instance_id = any($2) and run.last_seen_at >= $1)",
        which.form(true)
    );
    let mut deleted = 0;
    for ids in shards.divide(found.iter().map(|row| row.get::<_, Uuid>(0)), |id| *id) {
        connection.begin().await?;
        let locked = connection.query(lock, &[&ids]).await?;
        let ids: Vec<Uuid> = locked.iter().map(|row| row.get(0)).collect();
        deleted += connection.execute(&delete, &[&oldest, &ids]).await?;
        connection.commit().await?;
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use test_support::TestDatabase;

    use super::*;
    use crate::receiver::judging::judgement::decide;
    use crate::receiver::store::suite::{RETENTION, at, event, runtime};
    use crate::receiver::store::{Appended, Ingest, Instance, InstanceFilter, Judging, Queries, Run, Schema};

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
            sender.batch_execute("begin; select from telemetry_instance for update").await.unwrap();
            let later = at(100 * 86_400);
            store.tidy(later, RETENTION).await.unwrap();
            sender.batch_execute("commit").await.unwrap();
            assert!(store.instance(Uuid::from_u128(1)).await.unwrap().is_some());
            store.tidy(later, RETENTION).await.unwrap();
            assert!(store.instance(Uuid::from_u128(1)).await.unwrap().is_none());
        });
    }

    /// Ends an instance, begins a transaction that a sender's event would have, forgets the instance meanwhile, and returns how
    /// many were forgotten.
    async fn forgotten_while(
        database: &TestDatabase,
        store: &PostgresFleetStore,
        doomed: &Doomed,
        event: &str,
    ) -> u64 {
        store.append(&[event_of(1, "begin", 0), event_of(2, "end", 1)]).await.unwrap();
        let decide = |instance: &Instance, runs: &[Run]| decide(instance, runs, &[], at(1));
        store.judge(at(1), 10, &decide).await.unwrap();
        let sender = store.connect().await.unwrap();
        sender.batch_execute("begin").await.unwrap();
        sender.batch_execute(event).await.unwrap();
        let is_waiting = || {
            let sql = "select exists (select from pg_stat_activity
                           where datname = current_database() and wait_event_type = 'Lock')";
            database.query_one_text(sql).as_deref() == Some("t")
        };
        let forget = store.forget(doomed, at(100), None, false);
        let commit = async {
            while !is_waiting() {
                tokio::task::yield_now().await;
            }
            sender.batch_execute("commit").await.unwrap();
        };
        let (piece, ()) = tokio::join!(forget, commit);
        piece.unwrap().forgotten
    }

    fn event_of(sequence: i64, reason: &str, seconds: i64) -> crate::receiver::store::NewEvent {
        event(1, 1, sequence, seconds, reason)
    }

    /// What an event does first: it locks its instance, and makes it due.
    const AN_EVENT: &str = "update telemetry_instance set check_at = to_timestamp(0)";

    #[test]
    fn an_event_that_is_being_stored_is_waited_for_and_keeps_its_instance_from_being_forgotten() {
        let database = TestDatabase::new();
        runtime().block_on(async {
            let store = PostgresFleetStore::from_url(database.url()).unwrap();
            store.migrate().await.unwrap();
            store.make_room(at(0)).await.unwrap();
            let ended = InstanceFilter { states: vec![State::Ended], ..InstanceFilter::default() };
            let by_filter = Doomed::Matching(Box::new(ended));
            assert_eq!(forgotten_while(&database, &store, &by_filter, AN_EVENT).await, 0);
            assert!(store.instance(Uuid::from_u128(1)).await.unwrap().is_some());
        });
    }

    #[test]
    fn an_event_that_comes_while_its_instance_is_forgotten_makes_it_anew() {
        let database = TestDatabase::new();
        runtime().block_on(async {
            let store = PostgresFleetStore::from_url(database.url()).unwrap();
            store.migrate().await.unwrap();
            store.make_room(at(0)).await.unwrap();
            store.append(&[event_of(1, "begin", 0)]).await.unwrap();
            // As forgetting does it: the instance is locked, and gone when the lock is.
            let forgets = store.connect().await.unwrap();
            forgets.batch_execute("begin").await.unwrap();
            let id = Uuid::from_u128(1);
            forgets
                .query("select from telemetry_instance where instance_id = $1 for update", &[&id])
                .await
                .unwrap();
            let later = [event_of(2, "update", 60)];
            let append = store.append(&later);
            let commit = async {
                let is_waiting = "select exists (select from pg_stat_activity
                                      where datname = current_database() and wait_event_type = 'Lock')";
                while database.query_one_text(is_waiting).as_deref() != Some("t") {
                    tokio::task::yield_now().await;
                }
                delete_instances(&forgets, &[id], false).await.unwrap();
                forgets.batch_execute("commit").await.unwrap();
            };
            let (answers, ()) = tokio::join!(append, commit);
            assert_eq!(answers.unwrap(), [Appended::New]);
            let anew = store.instance(id).await.unwrap().unwrap();
            assert_eq!((anew.first_seen_at, anew.judged_at), (at(60), None));
            assert_eq!(store.runs(id, 10).await.unwrap().len(), 1);
        });
    }
}
