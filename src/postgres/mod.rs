//! A PostgreSQL database by its URL, as libpq reads it: for the instance id and for the receiver's fleet.

mod error;
mod tls;

use std::time::Duration;

use deadpool_postgres::{
    Config as PoolConfig, Hook, HookError, Pool, PoolBuilder, QueueMode, Runtime, Timeouts,
};
use tokio::sync::OnceCell;
use tokio_postgres::NoTls;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::running::causes;
pub use error::DatabaseError;
use tls::{SslMode, SslSettings};

/// For connecting; whoever calls limits the whole call besides.
const TIME_LIMIT: Duration = Duration::from_secs(4);

/// A database that was not connected to yet, and its pool once it was.
pub(crate) struct Database {
    config: PoolConfig,
    ssl: SslSettings,
    /// Run once on each new connection.
    setup: Option<&'static str>,
    /// Made at the first call.
    pool: OnceCell<Pool>,
}

impl Database {
    /// The database of `config`, with up to `connections` at a time, whatever `config` says of its pool.
    pub(crate) fn new(mut config: PoolConfig, connections: usize) -> Result<Self, DatabaseError> {
        let mut ssl = SslSettings::default();
        if let Some(url) = &config.url {
            let (rest, found) = SslSettings::split_off(url)?;
            config.url = Some(rest);
            ssl = found;
        }
        config.ssl_mode = Some(match config.ssl_mode {
            Some(given) => {
                ssl.mode = SslMode::from(given);
                given
            }
            None => ssl.mode.into(),
        });
        ssl.mode = SslSettings::in_this_build(ssl.mode)?;
        config.connect_timeout.get_or_insert(TIME_LIMIT);
        config.application_name.get_or_insert_with(|| "deployment-telemetry".to_owned());
        let mut pool = deadpool_postgres::PoolConfig::new(connections);
        // The connection that was used last has the most at hand.
        pool.queue_mode = QueueMode::Lifo;
        pool.timeouts =
            Timeouts { wait: Some(TIME_LIMIT), create: Some(TIME_LIMIT), recycle: Some(TIME_LIMIT) };
        config.pool = Some(pool);
        config.get_pg_config().map_err(|error| DatabaseError::Url(causes::in_one_line(&error)))?;
        Ok(Self { config, ssl, setup: None, pool: OnceCell::new() })
    }

    /// Runs `sql` once on each new connection.
    #[cfg(feature = "receiver")]
    pub(crate) fn with_setup(mut self, sql: &'static str) -> Self {
        self.setup = Some(sql);
        self
    }

    pub(crate) async fn pool(&self) -> Result<&Pool, DatabaseError> {
        self.pool.get_or_try_init(|| self.make_pool()).await
    }

    async fn make_pool(&self) -> Result<Pool, DatabaseError> {
        if self.ssl.mode == SslMode::Disable {
            return self.build(self.config.builder(NoTls));
        }
        let ssl = self.ssl.clone();
        let tls = tokio::task::spawn_blocking(move || ssl.client_config())
            .await
            .map_err(|error| DatabaseError::Pool(error.into()))??;
        self.build(self.config.builder(MakeRustlsConnect::new(tls)))
    }

    fn build(
        &self,
        builder: Result<PoolBuilder, deadpool_postgres::ConfigError>,
    ) -> Result<Pool, DatabaseError> {
        let mut builder =
            builder.map_err(|error| DatabaseError::Pool(error.into()))?.runtime(Runtime::Tokio1);
        if let Some(sql) = self.setup {
            builder = builder.post_create(Hook::async_fn(move |client, _| {
                Box::pin(async move { client.batch_execute(sql).await.map_err(HookError::Backend) })
            }));
        }
        builder.build().map_err(|error| DatabaseError::Pool(error.into()))
    }
}
