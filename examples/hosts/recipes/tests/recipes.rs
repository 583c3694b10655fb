//! Each recipe keeps the contract of a store, carries a run of telemetry, and leaves the host's pool
//! unharmed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use deployment_telemetry::{BuildInfo, Config, Product, SqlStateStore, Telemetry, state};
use test_support::{Behaviour, FakeDestination, TestDatabase, wait_until};
use tokio::runtime::Runtime;

const SOON: Duration = Duration::from_secs(20);

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn start(store: SqlStateStore, destination: &FakeDestination) -> Telemetry {
    let build = BuildInfo::new("0.1.0").with_time("2024-02-16T23:06:23+02:00");
    let config = Config::custom(destination.url());
    Telemetry::builder(Product::new("Sirveo"), build, store).config(config).start().unwrap()
}

/// A run that begins and ends; returns the instance id.
async fn run(store: SqlStateStore) -> String {
    let destination = FakeDestination::start(Behaviour::Ok);
    let telemetry = start(store, &destination);
    let begin = destination.wait_for_requests(1, SOON).remove(0);
    let report = telemetry.stop().await;
    assert_eq!(report.ends.len(), 1, "{report}");
    let body: serde_json::Value = serde_json::from_slice(&begin.body).unwrap();
    body["instance_id"].as_str().unwrap().to_owned()
}

/// The table is made by a run, keeps its id, and the store keeps the contract.
async fn holds(store: impl Fn() -> SqlStateStore) {
    let id = run(store()).await;
    assert_eq!(run(store()).await, id);
    state::check(&store()).await.unwrap();
}

#[test]
fn sqlx_holds() {
    let database = TestDatabase::new();
    runtime().block_on(async {
        let pool = sqlx::PgPool::connect(database.url()).await.unwrap();
        holds(|| recipes::sqlx(pool.clone())).await;
        pool.close().await;
    });
}

#[test]
fn sea_orm_holds() {
    let database = TestDatabase::new();
    runtime().block_on(async {
        let connection = sea_orm::Database::connect(database.url()).await.unwrap();
        holds(|| recipes::sea_orm(connection.clone())).await;
        connection.close().await.unwrap();
    });
}

#[test]
fn deadpool_holds() {
    let database = TestDatabase::new();
    let mut config = deadpool_postgres::Config::new();
    config.url = Some(database.url().to_owned());
    let pool = config.create_pool(Some(deadpool_postgres::Runtime::Tokio1), tokio_postgres::NoTls).unwrap();
    runtime().block_on(holds(|| recipes::deadpool(pool.clone())));
}

#[test]
fn diesel_holds() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.sqlite");
    let manager = diesel::r2d2::ConnectionManager::new(file.to_str().unwrap());
    let pool = diesel::r2d2::Pool::builder().max_size(1).build(manager).unwrap();
    runtime().block_on(holds(|| recipes::diesel(pool.clone())));
}

#[test]
fn rusqlite_holds() {
    let connection = Arc::new(Mutex::new(rusqlite::Connection::open_in_memory().unwrap()));
    runtime().block_on(holds(|| recipes::rusqlite(connection.clone())));
}

/// The one connection of the pool is opened by telemetry, carries a request of the host while telemetry
/// stops, and serves the host afterwards.
#[test]
fn a_request_under_way_on_the_hosts_pool_outlives_telemetry() {
    let database = TestDatabase::new();
    let runtime = runtime();
    let options = sqlx::postgres::PgPoolOptions::new().max_connections(1).acquire_timeout(SOON);
    let destination = FakeDestination::start(Behaviour::Ok);
    runtime.block_on(async {
        let pool = options.connect_lazy(database.url()).unwrap();
        let telemetry = start(recipes::sqlx(pool.clone()), &destination);
        destination.wait_for_requests(1, SOON);
        assert_eq!(pool.size(), 1, "telemetry has opened the connection");
        let session = || sqlx::query_scalar::<_, i32>("select pg_backend_pid()").fetch_one(&pool);
        let before = session().await.unwrap();
        let request = tokio::spawn({
            let pool = pool.clone();
            async move { sqlx::query_scalar::<_, String>("select pg_sleep(1)::text").fetch_one(&pool).await }
        });
        let is_under_way = "select exists (select from pg_stat_activity \
                            where query like 'select pg_sleep%' and state = 'active')::text";
        wait_until("the request is under way", SOON, || {
            database.query_one_text(is_under_way).as_deref() == Some("true")
        });
        telemetry.stop().await;
        drop(telemetry);
        test_support::assert_no_thread_named("telemetry", SOON);
        request.await.unwrap().unwrap();
        assert_eq!(session().await.unwrap(), before, "the session is the same");
        pool.close().await;
    });
}
