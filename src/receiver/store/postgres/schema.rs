//! The tables, version by version.

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;

use super::connection::{Connection, failed};
use super::connections::connect;
use super::distribution::{distribute, go_shard_by_shard, is_distributed};
use super::partitions::{day_of, days_to_come, lock_schema, make_partitions, stay_in_schema};
use super::pooler;
use crate::receiver::store::{PostgresFleetStore, Schema, StoreError};

/// The schema, one script for each version. A script never changes; a change of the schema is a further
/// script.
const MIGRATIONS: [&str; 5] = [
    include_str!("../schema/postgres_1.sql"),
    include_str!("../schema/postgres_2.sql"),
    include_str!("../schema/postgres_3.sql"),
    include_str!("../schema/postgres_4.sql"),
    include_str!("../schema/postgres_5.sql"),
];

#[async_trait]
impl Schema for PostgresFleetStore {
    async fn migrate(&self) -> Result<(), StoreError> {
        let connection = self.begin_migration().await?;
        if is_distributed(&connection).await? {
            go_shard_by_shard(&connection).await?;
            run_migrations(&connection).await?;
            distribute(&connection, None).await?;
        } else {
            run_migrations(&connection).await?;
        }
        self.end_migration(connection).await
    }

    async fn distribute(&self, shards: Option<u32>) -> Result<(), StoreError> {
        self.migrate().await?;
        let connection = self.begin_migration().await?;
        stay_in_schema(&connection).await?;
        go_shard_by_shard(&connection).await?;
        distribute(&connection, shards).await?;
        self.end_migration(connection).await
    }

    async fn make_room(&self, now: Timestamp) -> Result<(), StoreError> {
        let days: Vec<Date> = days_to_come(day_of(now)).collect();
        self.make_room_for(&days).await
    }

    async fn make_room_for(&self, days: &[Date]) -> Result<(), StoreError> {
        let connection = self.connect_to_make_tables().await?;
        make_partitions(&connection, days).await?;
        connection.give_back();
        // Shards may have been split meanwhile.
        self.learn_shards().await.map(drop)
    }
}

impl PostgresFleetStore {
    /// Begins a transaction in which no other receiver changes the schema.
    async fn begin_migration(&self) -> Result<Connection, StoreError> {
        let connection = self.connect_to_make_tables().await?;
        pooler::refuse_unfit(&connection, connect(&self.readers).await?).await?;
        connection.begin().await.map_err(failed)?;
        check_encoding(&connection).await?;
        lock_schema(&connection).await?;
        Ok(connection)
    }

    async fn end_migration(&self, connection: Connection) -> Result<(), StoreError> {
        connection.commit().await.map_err(failed)?;
        connection.give_back();
        self.learn_shards().await.map(drop)
    }
}

async fn check_encoding(connection: &Connection) -> Result<(), StoreError> {
    let encoding = connection.query_one("show server_encoding", &[]).await.map_err(failed)?;
    let encoding: &str = encoding.get(0);
    if encoding == "UTF8" {
        return Ok(());
    }
    Err(StoreError::Refused(format!(
        "the encoding of the database is {encoding}, which cannot hold every name; create one with \"create database … encoding 'UTF8' template template0\""
    )
    .into()))
}

async fn run_migrations(connection: &Connection) -> Result<(), StoreError> {
    // A role that may not create anything may use the tables that there are.
    if !stay_in_schema(connection).await? {
        let create = "create table telemetry_schema (version integer not null)";
        connection.batch_execute(create).await.map_err(failed)?;
    }
    let row = connection.query_one("select max(version) from telemetry_schema", &[]).await.map_err(failed)?;
    let version = usize::try_from(row.get::<_, Option<i32>>(0).unwrap_or(0)).unwrap_or_default();
    if version > MIGRATIONS.len() {
        return Err(StoreError::Refused(format!(
            "the database has the tables of a later version of this program ({version}, known is {}); update the program",
            MIGRATIONS.len()
        )
        .into()));
    }
    for (number, migration) in (1_i32..).zip(MIGRATIONS).skip(version) {
        for statement in statements_of(migration) {
            connection.batch_execute(statement).await.map_err(failed)?;
        }
        let insert = "insert into telemetry_schema values ($1)";
        connection.execute(insert, &[&number]).await.map_err(failed)?;
    }
    Ok(())
}

/// The statements of a script, each of which ends at the end of a line: Citus does not take them in one message.
fn statements_of(script: &str) -> impl Iterator<Item = &str> {
    script.split(";\n").filter(|statement| !statement.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use test_support::TestDatabase;
    use uuid::Uuid;

    use super::*;
    use crate::receiver::judging::judgement::decide;
    use crate::receiver::store::suite::migration::{OLD_FILTER, is_taken_over, licenses_are_told_apart};
    use crate::receiver::store::suite::{at, event, runtime};
    use crate::receiver::store::{Appended, Ingest, Instance, InstanceFilter, Judging, Queries, Run, Sort};

    #[test]
    fn a_database_of_version_1_keeps_its_fleet() {
        let database = TestDatabase::new();
        runtime().block_on(async {
            let store = PostgresFleetStore::from_url(database.url()).unwrap();
            let owner = store.connect().await.unwrap();
            owner.batch_execute(MIGRATIONS[0]).await.unwrap();
            owner
                .batch_execute(
                    "create table telemetry_schema (version integer not null);
                     insert into telemetry_schema values (1);
                     insert into telemetry_instance (instance_id, first_seen_at, last_seen_at, has_news, run_id,
                         state_rank, state_since, check_at, build_version, build_commit, build_time, build_mode,
                         build_os, build_arch, license_valid, custom_id)
                     values ('00000000-0000-0000-0000-000000000001', to_timestamp(1795608000),
                         to_timestamp(1795608000), false, '00000000-0000-0000-0000-000000000001', 2,
                         to_timestamp(1795608000), to_timestamp(1795608000), '1.0', '', '', '', '', '', true,
                         'Site-1')",
                )
                .await
                .unwrap();
            for _ in 0..2 {
                store.migrate().await.unwrap();
            }
            store.make_room(at(0)).await.unwrap();
            let found = async || {
                let filter = InstanceFilter { search: Some("sITE".to_owned()), ..InstanceFilter::default() };
                store.instances(&filter, Sort::Worst, None, 10).await.unwrap().len()
            };
            assert_eq!(found().await, 1);
            assert_eq!(store.append(&[event(1, 1, 1, 10, "begin")]).await.unwrap(), [Appended::New]);
            let judgement = |instance: &Instance, runs: &[Run]| decide(instance, runs, &[], at(20));
            assert_eq!(store.judge(at(20), 10, &judgement).await.unwrap(), 1);
            let instance = store.instance(Uuid::from_u128(1)).await.unwrap().unwrap();
            assert_eq!((instance.first_seen_at, instance.last_seen_at), (at(0), at(10)));
            assert_eq!(found().await, 0, "the event came without a custom id");
        });
    }

    #[test]
    fn a_script_is_divided_into_its_statements() {
        let script =
            "-- A table; of one column.\ncreate table a (\n    b text -- A column.\n);\n\nselect 1;\n";
        let statements =
            ["-- A table; of one column.\ncreate table a (\n    b text -- A column.\n)", "\nselect 1"];
        assert_eq!(statements_of(script).collect::<Vec<_>>(), statements);
    }

    #[test]
    fn servers_without_a_license_key_are_told_from_others() {
        let database = TestDatabase::new();
        runtime().block_on(async {
            let store = PostgresFleetStore::from_url(database.url()).unwrap();
            let owner = store.connect().await.unwrap();
            for migration in &MIGRATIONS[..3] {
                owner.batch_execute(migration).await.unwrap();
            }
            let rows = format!(
                "create table telemetry_schema (version integer not null);
                 insert into telemetry_schema values (3);
                 insert into telemetry_mute (id, filter, reason, until, created_at)
                     values (gen_random_uuid(), '{OLD_FILTER}', '', now(), now());
                 insert into telemetry_instance (instance_id, first_seen_at, last_seen_at, run_id, state_rank,
                     state_since, check_at, build_version, build_commit, build_time, build_mode, build_os,
                     build_arch, license_key_hash, license_valid)
                 select id, now(), now(), id, 2, now(), now(), '', '', '', '', '', '', hash, is_valid
                 from (values ('00000000-0000-0000-0000-000000000001'::uuid, null, true),
                     ('00000000-0000-0000-0000-000000000002', '0a', false),
                     ('00000000-0000-0000-0000-000000000003', null, false)) as the (id, hash, is_valid)"
            );
            owner.batch_execute(&rows).await.unwrap();
            store.migrate().await.unwrap();
            licenses_are_told_apart(&store).await;
        });
    }

    #[test]
    fn a_schema_that_comes_to_stand_first_changes_nothing() {
        let database = TestDatabase::new();
        runtime().block_on(async {
            let connect = || PostgresFleetStore::from_url(database.url()).unwrap();
            let before = connect();
            before.migrate().await.unwrap();
            before.make_room(at(0)).await.unwrap();
            before.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
            let owner = before.connect().await.unwrap();
            owner
                .batch_execute("do $$ begin execute 'create schema ' || quote_ident(current_user); end $$")
                .await
                .unwrap();
            let store = connect();
            store.migrate().await.unwrap();
            store.make_room(at(10 * 86_400)).await.unwrap();
            store.append(&[event(1, 1, 2, 10 * 86_400, "update")]).await.unwrap();
            assert_eq!(store.runs(Uuid::from_u128(1), 10).await.unwrap()[0].last_sequence, 2);
            let sql = "select count(*) from pg_class where relnamespace = current_user::regnamespace";
            let tables: i64 = store.connect().await.unwrap().rows(sql, &[]).await.unwrap()[0].get(0);
            assert_eq!(tables, 0, "the partitions are beside the others");
        });
    }

    #[test]
    fn a_role_that_may_not_create_uses_what_there_is() {
        let database = TestDatabase::new();
        runtime().block_on(async {
            let owner = PostgresFleetStore::from_url(database.url()).unwrap();
            owner.migrate().await.unwrap();
            owner.make_room(at(0)).await.unwrap();
            // Those of a role are granted to another one, which a connection takes on.
            let role = format!("reader_{}", Uuid::new_v4().simple());
            let grant = format!(
                "create role {role}; grant usage on schema public to {role}; revoke create on schema public from public;
                 grant select, insert, update, delete on all tables in schema public to {role}; grant {role} to current_user"
            );
            owner.connect().await.unwrap().batch_execute(&grant).await.unwrap();
            let url = format!("{}{}options=-c%20role%3D{role}", database.url(), if database.url().contains('?') { "&" } else { "?" });
            let store = PostgresFleetStore::from_url(url).unwrap();
            let refused = store.connect().await.unwrap().batch_execute("create table t ()").await.unwrap_err();
            assert_eq!(refused.code(), Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE));
            store.migrate().await.unwrap();
            store.make_room(at(0)).await.unwrap();
            assert_eq!(store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap(), [Appended::New]);
            let decide = |instance: &Instance, runs: &[Run]| decide(instance, runs, &[], at(1));
            assert_eq!(store.judge(at(1), 10, &decide).await.unwrap(), 1);
            // Nothing is left that would outlive the database.
            owner.connect().await.unwrap().batch_execute(&format!("drop owned by {role}; drop role {role}")).await.unwrap();
        });
    }

    /// Receivers that start at the same time migrate it, while one of the version before still stores events.
    #[test]
    fn a_dump_of_version_2_is_migrated_under_load() {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicBool, Ordering};

        use crate::receiver::store::FleetStore;

        let database = TestDatabase::new();
        runtime().block_on(async {
            let connect = || PostgresFleetStore::from_url(database.url()).unwrap();
            let store: Arc<dyn FleetStore> = Arc::new(connect());
            let before = connect();
            let owner = before.connect().await.unwrap();
            owner.batch_execute(include_str!("../schema/dumps/postgres_2.sql")).await.unwrap();
            let many = "insert into telemetry_instance (instance_id, first_seen_at, last_seen_at, run_id, state_rank,
                    state_since, check_at, judged_at, build_version, build_commit, build_time, build_mode, build_os,
                    build_arch, license_valid)
                select gen_random_uuid(), now, now, '00000000-0000-4000-8000-000000000001', 3, now, 'infinity', now,
                    '0.9', '', '', '', '', '', true
                from generate_series(1, 20000), (select to_timestamp(1795608000) as now) as the";
            owner.batch_execute(many).await.unwrap();
            let is_over = AtomicBool::new(false);
            let writer = async {
                let mut stored = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let insert = "insert into telemetry_event (instance_id, id, day, ts, reason, run_id, sequence, data)
                        values (gen_random_uuid(), gen_random_uuid(), '2026-11-26', '2026-11-26 19:00Z', 'update',
                            gen_random_uuid(), 1, '{}')";
                    owner.batch_execute(insert).await.unwrap();
                    stored += 1;
                }
                stored
            };
            let receivers = async {
                let stores = [connect(), connect(), connect()];
                let all = futures_util::future::join_all(stores.iter().map(|store| store.migrate())).await;
                is_over.store(true, Ordering::Relaxed);
                all
            };
            let (stored, migrated) = futures_util::future::join(writer, receivers).await;
            assert!(migrated.iter().all(Result::is_ok), "{migrated:?}");
            assert!(stored > 0, "it is under load");
            is_taken_over(&store, 10 + stored).await;
        });
    }
}
