//! Distributing the tables over the nodes of Citus, and learning how they are distributed.

use std::sync::{Arc, PoisonError};

use super::connection::{Connection, failed};
use super::connections::connect;
use super::shards::Shards;
use crate::receiver::store::{PostgresFleetStore, StoreError};

/// The table by whose shards all others are placed.
const FIRST: &str = "telemetry_event";

/// Tables that grow with the fleet.
pub(super) const GROWING: [&str; 5] =
    [FIRST, "telemetry_run", "telemetry_instance", "telemetry_transition", "telemetry_alert"];

/// Small tables, of which each node has a copy. The mark is one of them, so that it cannot be left while a node is away.
const SMALL: [&str; 8] = [
    "telemetry_key",
    "telemetry_mark",
    "telemetry_outage",
    "telemetry_mute",
    "telemetry_census",
    "telemetry_census_version",
    "telemetry_census_upgrade",
    "telemetry_schema",
];

/// What to do where the tables cannot be distributed.
const NO_CITUS: &str = "the database cannot be distributed, because it has no extension citus: install Citus on every node, name it in \
     shared_preload_libraries, and as a superuser run \"create extension citus\" in this database on every node and \
     \"select citus_add_node('host', port)\" for each worker on the coordinator; or leave the tables as they are, \
     which serve one PostgreSQL";

impl PostgresFleetStore {
    /// How the tables are divided. Asked once, and again whenever room is made.
    pub(super) async fn shards(&self) -> Result<Arc<Shards>, StoreError> {
        let known = self.shards.read().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(shards) => Ok(shards),
            None => self.learn_shards().await,
        }
    }

    /// Asks how the tables are divided.
    pub(super) async fn learn_shards(&self) -> Result<Arc<Shards>, StoreError> {
        let connection = connect(&self.readers).await?;
        let shards = Arc::new(shards(&connection).await.map_err(failed)?);
        connection.give_back();
        *self.shards.write().unwrap_or_else(PoisonError::into_inner) = Some(shards.clone());
        Ok(shards)
    }
}

async fn shards(connection: &Connection) -> Result<Shards, tokio_postgres::Error> {
    let is_citus = "select to_regclass('pg_dist_shard') is not null";
    if !connection.rows_alone(is_citus, &[]).await?[0].get::<_, bool>(0) {
        return Ok(Shards::default());
    }
    let lowest = "select shardminvalue::integer from pg_dist_shard
                  where logicalrelid = to_regclass('telemetry_instance') and shardminvalue is not null";
    let rows = connection.rows_alone(lowest, &[]).await?;
    Ok(Shards::beginning_with(rows.iter().map(|row| row.get(0)).collect()))
}

/// Whether the tables are distributed, in the transaction that is open.
pub(super) async fn is_distributed(connection: &Connection) -> Result<bool, StoreError> {
    Ok(has_citus(connection).await? && is_placed(connection, FIRST).await?)
}

/// Lets one statement after the other go to the shards, as a transaction needs it that changes tables and rows.
pub(super) async fn go_shard_by_shard(connection: &Connection) -> Result<(), StoreError> {
    let settings = "set local citus.multi_shard_modify_mode = 'sequential'; set local statement_timeout = 0";
    connection.batch_execute(settings).await.map_err(failed)
}

/// Distributes those of the tables that are not yet, in the transaction that is open; into as many shards as Citus is set
/// to make where `count` does not say it.
pub(super) async fn distribute(connection: &Connection, count: Option<u32>) -> Result<(), StoreError> {
    if !has_citus(connection).await? {
        return Err(StoreError::Refused(NO_CITUS.into()));
    }
    for table in GROWING {
        let place = match (table, count) {
            (FIRST, Some(count)) => format!("shard_count => {count}, colocate_with => 'none'"),
            (FIRST, None) => "colocate_with => 'none'".to_owned(),
            _ => format!("colocate_with => '{FIRST}'"),
        };
        let sql = format!("select create_distributed_table('{table}', 'instance_id', {place})");
        place_table(connection, table, &sql).await?;
    }
    for table in SMALL {
        place_table(connection, table, &format!("select create_reference_table('{table}')")).await?;
    }
    Ok(())
}

/// Places a table, and deletes the rows that Citus leaves behind where they were before.
async fn place_table(connection: &Connection, table: &str, sql: &str) -> Result<(), StoreError> {
    if !is_placed(connection, table).await? {
        let rest = format!("select truncate_local_data_after_distributing_table('{table}')");
        connection.batch_execute(&format!("{sql}; {rest}")).await.map_err(failed)?;
    }
    Ok(())
}

async fn has_citus(connection: &Connection) -> Result<bool, StoreError> {
    let sql = "select to_regclass('pg_dist_partition') is not null";
    Ok(connection.query_one(sql, &[]).await.map_err(failed)?.get(0))
}

async fn is_placed(connection: &Connection, table: &str) -> Result<bool, StoreError> {
    let sql = "select exists (select from pg_dist_partition where logicalrelid = to_regclass($1))";
    Ok(connection.query_one(sql, &[&table]).await.map_err(failed)?.get(0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use test_support::TestDatabase;

    use super::*;
    use crate::receiver::store::Schema;
    use crate::receiver::store::suite::runtime;

    #[test]
    fn every_table_is_one_that_grows_or_a_small_one() {
        let database = TestDatabase::new();
        let store = PostgresFleetStore::from_url(database.url()).unwrap();
        runtime().block_on(store.migrate()).unwrap();
        let all = "select string_agg(relname, ' ') from pg_class
                   where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition";
        let all = database.query_one_text(all).unwrap();
        let placed: BTreeSet<&str> = GROWING.into_iter().chain(SMALL).collect();
        assert_eq!(all.split(' ').collect::<BTreeSet<_>>(), placed);
    }

    #[test]
    fn a_database_without_citus_is_not_distributed() {
        let database = TestDatabase::new();
        let store = PostgresFleetStore::from_url(database.url()).unwrap();
        let refused = runtime().block_on(store.distribute(None)).unwrap_err();
        assert!(
            matches!(&refused, StoreError::Refused(_)) && refused.to_string().ends_with(NO_CITUS),
            "{refused}"
        );
        assert!(!runtime().block_on(store.shards()).unwrap().are_distributed());
    }
}
