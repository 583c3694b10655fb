//! A PostgreSQL database by its URL, as libpq reads it: for the instance id and for the receiver's fleet.

mod tls;

use std::time::Duration;

use deadpool_postgres::{Config as PoolConfig, Pool, Runtime, Timeouts};
use tokio::sync::OnceCell;
use tokio_postgres::NoTls;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::state::StateError;
use tls::{SslMode, SslSettings};

/// For connecting; whoever calls limits the whole call besides.
const TIME_LIMIT: Duration = Duration::from_secs(4);

/// A database that was not connected to yet, and its pool once it was.
pub(crate) struct Database {
    config: PoolConfig,
    ssl: SslSettings,
    /// Made at the first call.
    pool: OnceCell<Pool>,
}

impl Database {
    /// The database of `config`, with up to `connections` at a time, whatever `config` says of its pool.
    pub(crate) fn new(mut config: PoolConfig, connections: usize) -> Result<Self, StateError> {
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
        config.connect_timeout.get_or_insert(TIME_LIMIT);
        config.application_name.get_or_insert_with(|| "deployment-telemetry".to_owned());
        let mut pool = deadpool_postgres::PoolConfig::new(connections);
        pool.timeouts =
            Timeouts { wait: Some(TIME_LIMIT), create: Some(TIME_LIMIT), recycle: Some(TIME_LIMIT) };
        config.pool = Some(pool);
        config
            .get_pg_config()
            .map_err(|error| StateError::new(format!("the database's URL: {}", StateError::new(error))))?;
        Ok(Self { config, ssl, pool: OnceCell::new() })
    }

    pub(crate) async fn pool(&self) -> Result<&Pool, StateError> {
        self.pool.get_or_try_init(|| self.make_pool()).await
    }

    async fn make_pool(&self) -> Result<Pool, StateError> {
        let runtime = Some(Runtime::Tokio1);
        if self.ssl.mode == SslMode::Disable {
            return self.config.create_pool(runtime, NoTls).map_err(StateError::new);
        }
        let ssl = self.ssl.clone();
        let tls =
            tokio::task::spawn_blocking(move || ssl.client_config()).await.map_err(StateError::new)??;
        self.config.create_pool(runtime, MakeRustlsConnect::new(tls)).map_err(StateError::new)
    }
}
