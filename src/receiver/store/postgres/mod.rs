//! A fleet in PostgreSQL.

mod admission;
mod builder;
mod census;
mod changed_ids;
mod changes;
mod columns;
mod connection;
mod connections;
mod deltas;
mod distribution;
mod events;
#[cfg(test)]
mod failover;
mod filter;
mod forgetting;
mod ingest;
mod judging;
mod keys;
mod licenses;
#[cfg(test)]
mod load;
mod lost_statements;
mod mending;
mod mutes;
mod outages;
mod outbox;
mod ownership;
mod partitions;
mod pooler;
mod queries;
mod routed_sql;
#[cfg(test)]
mod routing;
mod rows;
mod schema;
mod shards;
mod steady;
mod strips;
mod transitions;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, RwLock};

use deadpool_postgres::Config as PoolConfig;

use super::{FleetStore, Storage, StoreError};
use crate::postgres::{Database, DatabaseError};
use connection::Connection;
use connections::{Connections, connect, connect_by_transaction};
use shards::Shards;

/// Number of transactions that write events at the same time. The judge has a connection of its own besides.
const WRITERS: usize = 3;

/// Number of connections for queries, so that a slow query does not hold up events.
const READERS: usize = 3;

/// Number of connections for maintenance and for all changes but events, so that queries are answered where a commit has
/// to wait.
const CHANGERS: usize = 3;

/// Settings of a transaction that writes events or judgements. One prepared statement makes them: five unprepared ones
/// cost as much as writing several events.
///
/// Writers find every row by its key. To plan each batch anew, as PostgreSQL does for small ones, costs more
/// than writing it, and a plan that was made while a table was empty would later read all of it. The limit of
/// idle transactions frees the rows that a receiver had locked when its machine failed. The limit of
/// statements ends those whose caller has given up: otherwise each one that waits for somebody's lock would
/// hold a connection.
const TO_WRITE: &str = "select set_config('plan_cache_mode', 'force_generic_plan', true),
    set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true),
    set_config('idle_in_transaction_session_timeout', '5s', true), set_config('statement_timeout', '6s', true)";

/// The same on a distributed PostgreSQL, which finds the shard of a statement by the values in it.
const TO_WRITE_TO_A_SHARD: &str = "select set_config('plan_cache_mode', 'force_custom_plan', true),
    set_config('jit', 'off', true),
    set_config('idle_in_transaction_session_timeout', '5s', true), set_config('statement_timeout', '6s', true)";

/// Settings of any other transaction. To compile a query that reads every instance takes longer than to run it.
const USUAL: &str = "select set_config('jit', 'off', true),
    set_config('idle_in_transaction_session_timeout', '5s', true), set_config('statement_timeout', '6s', true)";

/// Settings of a transaction that works on whole tables.
const TO_MAINTAIN: &str = "select set_config('jit', 'off', true),
    set_config('idle_in_transaction_session_timeout', '5s', true), set_config('statement_timeout', '10min', true)";

/// Keeps a fleet in PostgreSQL 13 or later, in tables named `telemetry_*` of the first schema in the
/// `search_path`. Any number of receivers may share one database.
///
/// ```
/// use deployment_telemetry::PostgresConfig;
/// use deployment_telemetry::receiver::PostgresFleetStore;
///
/// let by_url = PostgresFleetStore::from_url("postgres://fleet@localhost/fleet?sslmode=verify-full")?;
///
/// // From parts: a password may contain any character.
/// let mut parts = PostgresConfig::new();
/// parts.host = Some("localhost".to_owned());
/// parts.user = Some("fleet".to_owned());
/// parts.dbname = Some("fleet".to_owned());
/// parts.password = Some("p@ss/w%rd".to_owned());
/// let by_parts = PostgresFleetStore::from_config(parts)?;
/// # Ok::<(), deployment_telemetry::DatabaseError>(())
/// ```
pub struct PostgresFleetStore {
    writers: Connections,
    readers: Connections,
    changers: Connections,
    /// SQL that makes the settings of a transaction for maintenance.
    to_maintain: &'static str,
    /// The same for writing to one of several shards.
    to_write_to_a_shard: &'static str,
    /// How the tables are divided; `None` until it was asked.
    shards: RwLock<Option<Arc<Shards>>>,
    /// Whether an event was stored since the last mark, which proves that events can be stored.
    stored_since_mark: AtomicBool,
}

impl PostgresFleetStore {
    /// The database at `url`: a URL or a connection string as libpq takes it, including `sslmode`,
    /// `sslrootcert`, several hosts and `target_session_attrs`.
    ///
    /// # Errors
    /// If `url` is invalid. Nothing is connected yet.
    pub fn from_url(url: impl Into<String>) -> Result<Self, DatabaseError> {
        let mut config = PoolConfig::new();
        config.url = Some(url.into());
        Self::from_config(config)
    }

    /// The database of a pool configuration. The size and the time limits of its pool are ignored.
    ///
    /// # Errors
    /// If `config` is invalid. Nothing is connected yet.
    pub fn from_config(mut config: PoolConfig) -> Result<Self, DatabaseError> {
        config.application_name.get_or_insert_with(|| "deployment-telemetry-receiver".to_owned());
        let connections = |number, settings| {
            Ok::<_, DatabaseError>(Connections::new(Database::new(config.clone(), number)?, number, settings))
        };
        Ok(Self {
            writers: connections(WRITERS + 1, TO_WRITE)?.in_sessions(),
            readers: connections(READERS, USUAL)?,
            changers: connections(CHANGERS, USUAL)?,
            to_maintain: TO_MAINTAIN,
            to_write_to_a_shard: TO_WRITE_TO_A_SHARD,
            shards: RwLock::default(),
            stored_since_mark: AtomicBool::new(false),
        })
    }

    /// The store as the suite tests it: in a database whose `search_path` finds no table, a transaction does that began
    /// as it should, and no other statement.
    #[cfg(test)]
    pub(super) fn in_transactions_alone(mut self) -> Self {
        let finding =
            |settings: &str| &*format!("{settings}, set_config('search_path', 'public', true)").leak();
        for connections in [&mut self.writers, &mut self.readers, &mut self.changers] {
            connections.settings = finding(connections.settings);
            connections.keep_sessions = None;
        }
        self.to_maintain = finding(self.to_maintain);
        self.to_write_to_a_shard = finding(self.to_write_to_a_shard);
        self
    }

    /// A connection for queries.
    async fn connect(&self) -> Result<Connection, StoreError> {
        let is_distributed = self.shards().await?.are_distributed();
        Ok(connect(&self.readers).await?.with_tables_distributed(is_distributed))
    }

    /// A connection for events and judgements.
    async fn connect_to_write(&self) -> Result<Connection, StoreError> {
        if !self.shards().await?.are_distributed() {
            return connect(&self.writers).await;
        }
        let connection = connect_by_transaction(&self.writers).await?.with_tables_distributed(true);
        Ok(connection.with_settings(self.to_write_to_a_shard))
    }

    /// A connection for changes that are no events.
    async fn connect_to_change(&self) -> Result<Connection, StoreError> {
        let is_distributed = self.shards().await?.are_distributed();
        Ok(connect(&self.changers).await?.with_tables_distributed(is_distributed))
    }

    /// A connection for work that may take minutes.
    async fn connect_for_maintenance(&self) -> Result<Connection, StoreError> {
        Ok(self.connect_to_change().await?.with_settings(self.to_maintain))
    }

    /// The same for tables that may not be there yet.
    async fn connect_to_make_tables(&self) -> Result<Connection, StoreError> {
        Ok(connect(&self.changers).await?.with_settings(self.to_maintain))
    }
}

impl FleetStore for PostgresFleetStore {
    fn kind(&self) -> &'static str {
        "PostgreSQL"
    }
}

impl From<PostgresFleetStore> for Storage {
    fn from(store: PostgresFleetStore) -> Self {
        Self(Arc::new(store))
    }
}

#[cfg(test)]
mod tests {
    use test_support::TestDatabase;

    use std::time::Duration;

    use super::*;
    use crate::receiver::store::suite::{RETENTION, at, event, runtime};
    use crate::receiver::store::{
        Appended, EventFilter, Forgetting, Ingest, InstanceFilter, Queries, Schema, State, within,
    };

    #[test]
    fn a_transaction_that_was_left_open_does_not_hold_up_others_for_long() {
        let database = TestDatabase::new();
        runtime().block_on(async {
            let [left, other] = [(); 2].map(|()| PostgresFleetStore::from_url(database.url()).unwrap());
            other.migrate().await.unwrap();
            other.make_room(at(0)).await.unwrap();
            other.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
            let connection = connect(&left.writers).await.unwrap();
            connection.begin().await.unwrap();
            connection.batch_execute("select from telemetry_run for update").await.unwrap();
            let limit = Duration::from_secs(30);
            let appended = within(limit, other.append(&[event(1, 1, 2, 1, "end")])).await;
            assert_eq!(appended.unwrap(), [Appended::New]);
            assert!(connection.batch_execute("commit").await.is_err(), "it was ended");
        });
    }

    #[test]
    fn an_event_without_a_partition_does_not_hold_up_others() {
        let database = TestDatabase::new();
        runtime().block_on(async {
            let store = PostgresFleetStore::from_url(database.url()).unwrap();
            store.migrate().await.unwrap();
            store.make_room(at(0)).await.unwrap();
            let later = event(1, 1, 1, 30 * 86_400, "begin");
            let both = store.append(&[event(2, 2, 1, 0, "begin"), later]).await;
            assert!(matches!(both, Err(StoreError::NotYet(_))), "{both:?}");
            assert_eq!(store.append(&[event(2, 2, 1, 0, "begin")]).await.unwrap(), [Appended::New]);
        });
    }

    #[test]
    fn every_statement_has_a_time_limit() {
        let database = TestDatabase::new();
        runtime().block_on(async {
            let store = PostgresFleetStore::from_url(database.url()).unwrap();
            for pool in [&store.writers, &store.readers, &store.changers] {
                let limit = connect(pool).await.unwrap().rows("show statement_timeout", &[]).await.unwrap();
                assert_eq!(limit[0].get::<_, &str>(0), "6s");
            }
            let connection = store.connect_for_maintenance().await.unwrap();
            let limit = connection.rows("show statement_timeout", &[]).await.unwrap();
            assert_eq!(limit[0].get::<_, &str>(0), "10min");
            // A transaction leaves no setting behind.
            let connection = store.connect_to_change().await.unwrap();
            let limit = connection.query_one("show statement_timeout", &[]).await.unwrap();
            assert_eq!(limit.get::<_, &str>(0), "0");
        });
    }

    /// There are as many as there are filters.
    #[test]
    fn statements_of_filters_are_not_kept() {
        let database = TestDatabase::new();
        runtime().block_on(async {
            let store = PostgresFleetStore::from_url(database.url()).unwrap();
            store.migrate().await.unwrap();
            let kept = async || {
                let sql = "select count(*) from pg_prepared_statements";
                store.connect().await.unwrap().rows(sql, &[]).await.unwrap()[0].get::<_, i64>(0)
            };
            let before = kept().await;
            for states in 0..16 {
                let is_in = |state: &State| states & 1 << state.rank() != 0;
                let states = State::ALL.into_iter().filter(is_in).collect();
                let filter = InstanceFilter { states, ..InstanceFilter::default() };
                store.count_by_state(&filter).await.unwrap();
            }
            assert_eq!(kept().await, before);
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
    fn readers_and_writers_do_not_keep_a_receiver_from_starting() {
        let database = TestDatabase::new();
        runtime().block_on(async {
            let [store, other] = [(); 2].map(|()| PostgresFleetStore::from_url(database.url()).unwrap());
            store.migrate().await.unwrap();
            store.make_room(at(0)).await.unwrap();
            store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
            let reader = store.connect().await.unwrap();
            reader
                .batch_execute("begin; select from telemetry_event; select from telemetry_run for update")
                .await
                .unwrap();
            // A partition that is being read cannot be dropped, but new ones can be created.
            let later = at(100 * 86_400);
            other.make_room(later).await.unwrap();
            assert!(other.tidy(later, RETENTION).await.is_err());
            assert_eq!(
                other.append(&[event(2, 2, 1, 100 * 86_400, "begin")]).await.unwrap(),
                [Appended::New]
            );
            reader.batch_execute("commit").await.unwrap();
            other.tidy(later, RETENTION).await.unwrap();
            assert_eq!(store.events(&EventFilter::default(), None, 10).await.unwrap().len(), 1);
        });
    }
}
