//! A fleet in PostgreSQL.

mod columns;
mod connection;
mod digests;
mod forgetting;
mod ingest;
mod judging;
mod outages;
mod partitions;
mod query;
mod rows;

use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::Config as PoolConfig;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::*;
use crate::postgres::{Database, DatabaseError};
use connection::{Connection, connect, failed};
use partitions::{DAY, day_of, drop_partitions, lock_schema, make_partitions};
use query::{Query, escaped};
use rows::{EVENT, INSTANCE, RUN, event_of, exposed, instance_of, key_of, run_of, state_of, transition_of};

/// Transactions that write events at a time; the judge has a connection beside them.
const WRITERS: usize = 3;

/// Connections for whoever looks, so that a long look keeps no event waiting.
const READERS: usize = 4;

/// What is written is always found by its key. To plan anew for each batch, as PostgreSQL does for small ones, costs more
/// than writing it; and a plan made while a table is empty would read all of it later. A transaction that its receiver has
/// left, because its machine is gone, keeps no other receiver from the rows for long. And a statement that nobody waits for
/// any more, because all that is asked of a store has its limit, ends soon: else each that is stuck behind a lock of
/// somebody's would keep a connection of PostgreSQL's, and a next one be made in its place.
const SETUP_OF_WRITERS: &str =
    "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set jit = off;
    set idle_in_transaction_session_timeout = '5s'; set statement_timeout = '6s'";

/// To compile a query that reads every instance takes longer than to read them.
const SETUP_OF_READERS: &str =
    "set jit = off; set idle_in_transaction_session_timeout = '5s'; set statement_timeout = '6s'";

/// For what is done to whole tables.
const SETUP_OF_THE_KEEPER: &str = "set statement_timeout = '10min'";

/// The schema, version by version. What is here never changes; a change is a further one.
const MIGRATIONS: [&str; 1] = [include_str!("../schema/postgres.sql")];

/// Keeps a fleet in PostgreSQL 13 or later, in tables named `telemetry_*` of the first schema in the `search_path`.
/// Any number of receivers may share one database.
pub struct PostgresFleetStore {
    writers: Database,
    readers: Database,
}

impl PostgresFleetStore {
    /// The database at `url`: a URL or a connection string as libpq takes it, `sslmode`, `sslrootcert`, several hosts
    /// and `target_session_attrs` included.
    ///
    /// # Errors
    /// What is wrong with `url`. Nothing is connected yet.
    pub fn from_url(url: impl Into<String>) -> Result<Self, DatabaseError> {
        let mut config = PoolConfig::new();
        config.url = Some(url.into());
        Self::from_config(config)
    }

    /// The database of a pool configuration. The sizes and time limits of its pool are not taken over.
    ///
    /// # Errors
    /// What is wrong with `config`. Nothing is connected yet.
    pub fn from_config(mut config: PoolConfig) -> Result<Self, DatabaseError> {
        config.application_name.get_or_insert_with(|| "deployment-telemetry-receiver".to_owned());
        let writers = Database::new(config.clone(), WRITERS + 1)?.with_setup(SETUP_OF_WRITERS);
        let readers = Database::new(config, READERS)?.with_setup(SETUP_OF_READERS);
        Ok(Self { writers, readers })
    }

    async fn connect(&self) -> Result<Connection, StoreError> {
        connect(&self.readers).await
    }

    /// For what may take minutes. It is not given back.
    async fn connect_for_long(&self) -> Result<Connection, StoreError> {
        let connection = self.connect().await?;
        connection.batch_execute(SETUP_OF_THE_KEEPER).await.map_err(failed)?;
        Ok(connection)
    }
}

#[async_trait]
impl FleetStore for PostgresFleetStore {
    fn kind(&self) -> &'static str {
        "PostgreSQL"
    }

    fn writers(&self) -> usize {
        WRITERS
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let connection = self.connect_for_long().await?;
        let encoding = connection.query_one("show server_encoding", &[]).await.map_err(failed)?;
        let encoding: &str = encoding.get(0);
        if encoding != "UTF8" {
            return Err(StoreError::Refused(format!(
                "the database is in {encoding}, which cannot hold every name; give it one made with \"create database … encoding 'UTF8' template template0\""
            )));
        }
        connection.batch_execute("begin").await.map_err(failed)?;
        lock_schema(&connection).await?;
        connection
            .batch_execute("create table if not exists telemetry_schema (version integer not null)")
            .await
            .map_err(failed)?;
        let rows =
            connection.query("select max(version) from telemetry_schema", &[]).await.map_err(failed)?;
        let version = rows[0].get::<_, Option<i32>>(0).unwrap_or(0);
        let version = usize::try_from(version).unwrap_or_default();
        if version > MIGRATIONS.len() {
            return Err(StoreError::Refused(format!(
                "the database has the tables of a later version of this program ({version}, known is {}); update it",
                MIGRATIONS.len()
            )));
        }
        for (number, migration) in MIGRATIONS.iter().enumerate().skip(version) {
            connection.batch_execute(migration).await.map_err(failed)?;
            let version = i32::try_from(number + 1).unwrap_or(i32::MAX);
            connection
                .execute("insert into telemetry_schema values ($1)", &[&version])
                .await
                .map_err(failed)?;
        }
        connection.batch_execute("commit").await.map_err(failed)
    }

    async fn make_room(&self, now: Timestamp) -> Result<(), StoreError> {
        make_partitions(&self.connect_for_long().await?, day_of(now)).await
    }

    async fn tidy(&self, now: Timestamp, retention: Duration) -> Result<(), StoreError> {
        let (connection, oldest) = (self.connect_for_long().await?, before(now, retention));
        forgetting::forget(&connection, now, oldest).await.map_err(failed)?;
        drop_partitions(&connection, day_of(now), day_of(oldest)).await
    }

    async fn append(&self, events: &[NewEvent]) -> Result<Vec<bool>, StoreError> {
        let connection = connect(&self.writers).await?;
        let new = ingest::append(&connection, events).await.map_err(failed)?;
        connection.give_back();
        Ok(new)
    }

    async fn judge(&self, now: Timestamp, limit: i64, decide: Decide<'_>) -> Result<usize, StoreError> {
        let connection = connect(&self.writers).await?;
        let judged = judging::judge(&connection, now, limit, decide).await.map_err(failed)?;
        connection.give_back();
        Ok(judged)
    }

    async fn mark(&self, now: Timestamp, outage_after: Duration) -> Result<Vec<Outage>, StoreError> {
        let connection = connect(&self.writers).await?;
        let outages = outages::mark(&connection, now, outage_after).await.map_err(failed)?;
        connection.give_back();
        Ok(outages)
    }

    async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        let sql = "select id, name, hash, token_hash, secrets, rate, created_at, last_used_at, revoked_at
                   from telemetry_key order by created_at, id";
        let rows = self.connect().await?.rows(sql, &[]).await?;
        rows.iter().map(key_of).collect()
    }

    async fn add_key(&self, key: &StoredKey) -> Result<bool, StoreError> {
        let sql = "insert into telemetry_key (id, name, hash, token_hash, secrets, rate, created_at)
                   values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing";
        let secrets = exposed(&key.secrets);
        let (hash, token_hash) = (&key.hash[..], key.token_hash.as_ref().map(|hash| &hash[..]));
        let parameters: [&(dyn ToSql + Sync); 7] =
            [&key.id, &key.name, &hash, &token_hash, &secrets, &key.rate, &key.created_at];
        Ok(self.connect().await?.run(sql, &parameters).await? == 1)
    }

    async fn revoke_key(&self, id: Uuid, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "update telemetry_key set revoked_at = $2 where id = $1 and revoked_at is null";
        Ok(self.connect().await?.run(sql, &[&id, &now]).await? == 1)
    }

    async fn set_key_secrets(
        &self,
        id: Uuid,
        before: &[SecretString],
        secrets: &[SecretString],
    ) -> Result<bool, StoreError> {
        let sql =
            "update telemetry_key set secrets = $2 where id = $1 and secrets = $3 and revoked_at is null";
        Ok(self.connect().await?.run(sql, &[&id, &exposed(secrets), &exposed(before)]).await? == 1)
    }

    async fn touch_keys(&self, used: &[(Uuid, Timestamp)]) -> Result<(), StoreError> {
        let sql = "update telemetry_key key set last_used_at = greatest(key.last_used_at, used.at)
                   from unnest($1::uuid[], $2::timestamptz[]) as used (id, at) where key.id = used.id";
        let (ids, times): (Vec<Uuid>, Vec<Timestamp>) = used.iter().copied().unzip();
        self.connect().await?.run(sql, &[&ids, &times]).await?;
        Ok(())
    }

    async fn take_digest(
        &self,
        now: Timestamp,
        next_try: &(dyn Fn(i32) -> Timestamp + Send + Sync),
        limit: i64,
    ) -> Result<Option<Digest>, StoreError> {
        let connection = self.connect().await?;
        let digest = digests::take(&connection, now, next_try, limit).await.map_err(failed)?;
        connection.give_back();
        Ok(digest)
    }

    async fn digest_delivered(&self, id: Uuid, now: Timestamp) -> Result<(), StoreError> {
        let sql =
            "update telemetry_alert set delivered_at = $2 where digest_id = $1 and delivered_at is null";
        self.connect().await?.run(sql, &[&id, &now]).await?;
        Ok(())
    }

    async fn waiting_alerts(&self) -> Result<i64, StoreError> {
        let sql = "select count(*) from telemetry_alert where delivered_at is null";
        Ok(self.connect().await?.rows(sql, &[]).await?[0].get(0))
    }

    async fn summary(&self, now: Timestamp) -> Result<Vec<Group>, StoreError> {
        let sql = "select state_rank, license_valid, crashed, several_runs, restarting,
                       first_seen_at > $1 as is_new, build_version, count(*)
                   from telemetry_instance group by 1, 2, 3, 4, 5, 6, 7";
        let yesterday = before(now, Duration::from_secs(86_400));
        let rows = self.connect().await?.rows(sql, &[&yesterday]).await?;
        rows.iter()
            .map(|row| {
                Ok(Group {
                    state: state_of(row.get(0))?,
                    license_valid: row.get(1),
                    flags: Flags { crashed: row.get(2), several_runs: row.get(3), restarting: row.get(4) },
                    is_new: row.get(5),
                    build_version: row.get(6),
                    count: row.get(7),
                })
            })
            .collect()
    }

    async fn instances(
        &self,
        filter: &InstanceFilter,
        after: Option<InstanceCursor>,
        limit: i64,
    ) -> Result<Vec<Instance>, StoreError> {
        let mut query = Query::new(format!("select {INSTANCE} from telemetry_instance where true"));
        let (rank, search) = (filter.state.map(State::rank), filter.search.as_deref().map(escaped));
        let contained = search.as_ref().map(|text| format!("%{text}%"));
        let begun = search.as_ref().map(|text| format!("{text}%"));
        query.narrow("state_rank = ", rank.as_ref());
        query.narrow("license_valid = ", filter.license_valid.as_ref());
        query.narrow("build_version = ", filter.build_version.as_ref());
        query.narrow("crashed = ", filter.crashed.as_ref());
        query.narrow("several_runs = ", filter.several_runs.as_ref());
        query.narrow("restarting = ", filter.restarting.as_ref());
        query.narrow("first_seen_at > ", filter.first_seen_after.as_ref());
        if let (Some(contained), Some(begun)) = (&contained, &begun) {
            let (contained, begun) = (query.parameter(contained), query.parameter(begun));
            query.add(&format!(" and (custom_id ilike {contained} or instance_id::text ilike {begun})"));
        }
        let rank_after = after.map(|after| after.state.rank());
        if let (Some(after), Some(rank_after)) = (&after, &rank_after) {
            let (rank, since, id) = (
                query.parameter(rank_after),
                query.parameter(&after.state_since),
                query.parameter(&after.instance_id),
            );
            query.add(&format!(
                " and state_rank >= {rank} and (state_rank > {rank} or state_since < {since}
                  or (state_since = {since} and instance_id > {id}))"
            ));
        }
        let limit = query.parameter(&limit);
        query.add(&format!(" order by state_rank, state_since desc, instance_id limit {limit}"));
        query.rows(self.connect().await?).await?.iter().map(instance_of).collect()
    }

    async fn instance(&self, id: Uuid) -> Result<Option<Instance>, StoreError> {
        let sql = format!("select {INSTANCE} from telemetry_instance where instance_id = $1");
        let rows = self.connect().await?.rows(&sql, &[&id]).await?;
        rows.first().map(instance_of).transpose()
    }

    async fn runs(&self, instance_id: Uuid, limit: i64) -> Result<Vec<Run>, StoreError> {
        let sql = format!(
            "select {RUN} from telemetry_run where instance_id = $1 order by last_seen_at desc, run_id limit $2"
        );
        let rows = self.connect().await?.rows(&sql, &[&instance_id, &limit]).await?;
        Ok(rows.iter().map(run_of).collect())
    }

    async fn transitions(&self, instance_id: Uuid, limit: i64) -> Result<Vec<Transition>, StoreError> {
        let sql = "select at, change, \"from\", \"to\" from telemetry_transition
                   where instance_id = $1 order by at desc, change, \"to\" limit $2";
        let rows = self.connect().await?.rows(sql, &[&instance_id, &limit]).await?;
        rows.iter().map(|row| transition_of(row, 0)).collect()
    }

    async fn events(
        &self,
        filter: &EventFilter,
        after: Option<EventCursor>,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut query = Query::new(format!("select {EVENT} from telemetry_event where true"));
        // An event's day is off by one at the most, and names the partitions to look at.
        let first_day = filter.from.map(|from| day_of(from).saturating_sub(DAY));
        let until = filter.to.into_iter().chain(after.map(|after| after.received_at)).min();
        let last_day = until.map(|until| day_of(until).saturating_add(DAY));
        query.narrow("day >= ", first_day.as_ref());
        query.narrow("day <= ", last_day.as_ref());
        query.narrow("instance_id = ", filter.instance_id.as_ref());
        query.narrow("reason = ", filter.reason.as_ref());
        query.narrow("ts >= ", filter.from.as_ref());
        query.narrow("ts < ", filter.to.as_ref());
        if let Some(after) = &after {
            let (at, instance, id) = (
                query.parameter(&after.received_at),
                query.parameter(&after.instance_id),
                query.parameter(&after.id),
            );
            query.add(&format!(" and ts <= {at} and (ts, instance_id, id) < ({at}, {instance}, {id})"));
        }
        let limit = query.parameter(&limit);
        query.add(&format!(" order by ts desc, instance_id desc, id desc limit {limit}"));
        Ok(query.rows(self.connect().await?).await?.iter().map(event_of).collect())
    }

    async fn event(&self, instance_id: Uuid, id: Uuid) -> Result<Option<StoredEvent>, StoreError> {
        let sql = format!("select {EVENT} from telemetry_event where instance_id = $1 and id = $2");
        let rows = self.connect().await?.rows(&sql, &[&instance_id, &id]).await?;
        Ok(rows.first().map(event_of))
    }

    async fn delete_event(&self, instance_id: Uuid, id: Uuid) -> Result<bool, StoreError> {
        let sql = "delete from telemetry_event where instance_id = $1 and id = $2";
        Ok(self.connect().await?.run(sql, &[&instance_id, &id]).await? > 0)
    }
}

fn before(now: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| now.checked_sub(by).ok()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use test_support::TestDatabase;

    use super::*;
    use crate::receiver::store::suite::{RETENTION, at, event, runtime};

    #[test]
    fn a_transaction_that_was_left_open_keeps_no_other_receiver_waiting_for_long() {
        let database = TestDatabase::new();
        runtime().block_on(async {
            let [left, other] = [(); 2].map(|()| PostgresFleetStore::from_url(database.url()).unwrap());
            other.migrate().await.unwrap();
            other.make_room(at(0)).await.unwrap();
            other.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
            let connection = connect(&left.writers).await.unwrap();
            connection.batch_execute("begin; select from telemetry_run for update").await.unwrap();
            let limit = Duration::from_secs(30);
            let appended = within(limit, other.append(&[event(1, 1, 2, 1, "end")])).await;
            assert_eq!(appended.unwrap(), [true]);
            assert!(connection.batch_execute("commit").await.is_err(), "it was ended");
        });
    }

    #[test]
    fn an_event_for_which_there_is_no_partition_is_one_that_others_do_not_wait_for() {
        let database = TestDatabase::new();
        runtime().block_on(async {
            let store = PostgresFleetStore::from_url(database.url()).unwrap();
            store.migrate().await.unwrap();
            store.make_room(at(0)).await.unwrap();
            let later = event(1, 1, 1, 30 * 86_400, "begin");
            let both = store.append(&[event(2, 2, 1, 0, "begin"), later]).await;
            assert!(matches!(both, Err(StoreError::NotYet(_))), "{both:?}");
            assert_eq!(store.append(&[event(2, 2, 1, 0, "begin")]).await.unwrap(), [true]);
        });
    }

    #[test]
    fn no_statement_goes_on_for_long_when_nobody_waits_for_it() {
        let database = TestDatabase::new();
        runtime().block_on(async {
            let store = PostgresFleetStore::from_url(database.url()).unwrap();
            for pool in [&store.writers, &store.readers] {
                let limit = connect(pool).await.unwrap().rows("show statement_timeout", &[]).await.unwrap();
                assert_eq!(limit[0].get::<_, &str>(0), "6s");
            }
            // What was set for a long one goes with its connection.
            store.migrate().await.unwrap();
            let limit = store.connect().await.unwrap().rows("show statement_timeout", &[]).await.unwrap();
            assert_eq!(limit[0].get::<_, &str>(0), "6s");
        });
    }

    #[test]
    fn a_database_that_cannot_hold_every_name_is_refused() {
        let database = TestDatabase::in_encoding("LATIN1");
        runtime().block_on(async {
            let error = PostgresFleetStore::from_url(database.url()).unwrap().migrate().await.unwrap_err();
            assert!(error.to_string().contains("LATIN1"), "{error}");
        });
    }

    #[test]
    fn whoever_reads_or_writes_keeps_no_receiver_from_its_start() {
        let database = TestDatabase::new();
        runtime().block_on(async {
            let [store, other] = [(); 2].map(|()| PostgresFleetStore::from_url(database.url()).unwrap());
            store.migrate().await.unwrap();
            store.make_room(at(0)).await.unwrap();
            store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
            let reader = store.connect().await.unwrap();
            reader
                .batch_execute("set idle_in_transaction_session_timeout = 0; begin; select from telemetry_event; select from telemetry_run for update")
                .await
                .unwrap();
            // What is read cannot be dropped, and new partitions are made all the same.
            let later = at(100 * 86_400);
            other.make_room(later).await.unwrap();
            assert!(other.tidy(later, RETENTION).await.is_err());
            assert_eq!(other.append(&[event(2, 2, 1, 100 * 86_400, "begin")]).await.unwrap(), [true]);
            reader.batch_execute("commit").await.unwrap();
            other.tidy(later, RETENTION).await.unwrap();
            assert_eq!(store.events(&EventFilter::default(), None, 10).await.unwrap().len(), 1);
        });
    }
}
