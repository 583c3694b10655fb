//! Stores over a host's own pool, to be copied. `tests/` runs each of them.

use std::sync::{Arc, Mutex, PoisonError};

use deployment_telemetry::{SqlStateStore, StateError};

/// sqlx on PostgreSQL.
pub fn sqlx(pool: sqlx::PgPool) -> SqlStateStore {
    SqlStateStore::postgres(move |sql, arguments| {
        let pool = pool.clone();
        async move {
            let query = sqlx::query_scalar::<_, String>(sql);
            arguments.into_iter().fold(query, |query, text| query.bind(text)).fetch_optional(&pool).await
        }
    })
}

/// sea-orm on PostgreSQL.
pub fn sea_orm(database: sea_orm::DatabaseConnection) -> SqlStateStore {
    use sea_orm::{ConnectionTrait, DbBackend, Statement};

    SqlStateStore::postgres(move |sql, arguments| {
        let database = database.clone();
        async move {
            let values = arguments.into_iter().map(sea_orm::Value::from);
            let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
            let row = database.query_one_raw(statement).await?;
            row.map(|row| row.try_get_by_index(0)).transpose()
        }
    })
}

/// A deadpool of the host. Where it is only for telemetry, `PostgresStateStore::from_config` does.
pub fn deadpool(pool: deadpool_postgres::Pool) -> SqlStateStore {
    use tokio_postgres::types::ToSql;

    SqlStateStore::postgres(move |sql, arguments| {
        let pool = pool.clone();
        async move {
            let parameters: Vec<&(dyn ToSql + Sync)> = arguments.iter().map(|text| text as _).collect();
            let row = pool.get().await?.query_opt(sql, &parameters).await?;
            Ok::<_, StateError>(row.map(|row| row.get(0)))
        }
    })
}

/// diesel on SQLite, with its pool.
pub fn diesel(
    pool: diesel::r2d2::Pool<diesel::r2d2::ConnectionManager<diesel::SqliteConnection>>,
) -> SqlStateStore {
    use diesel::prelude::*;
    use diesel::sql_types::Text;
    use diesel::sqlite::Sqlite;

    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        value: String,
    }

    SqlStateStore::sqlite(move |sql, arguments| {
        let pool = pool.clone();
        let run = move || {
            let query = diesel::sql_query(sql).into_boxed::<Sqlite>();
            let query = arguments.into_iter().fold(query, |query, text| query.bind::<Text, _>(text));
            let row = query.get_result::<Row>(&mut pool.get()?).optional()?;
            Ok::<_, StateError>(row.map(|row| row.value))
        };
        async move { tokio::task::spawn_blocking(run).await? }
    })
}

/// A rusqlite connection of the host.
pub fn rusqlite(connection: Arc<Mutex<rusqlite::Connection>>) -> SqlStateStore {
    use rusqlite::{OptionalExtension, params_from_iter};

    SqlStateStore::sqlite(move |sql, arguments| {
        let connection = connection.clone();
        let run = move || {
            let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            connection.query_row(sql, params_from_iter(arguments), |row| row.get(0)).optional()
        };
        async move { Ok::<_, StateError>(tokio::task::spawn_blocking(run).await??) }
    })
}

// The programs of the README are tested here, because `build_info!` needs a build script.
#[cfg(doctest)]
#[doc = include_str!("../../../../README.md")]
struct Readme;
