//! Connections to a PostgreSQL database whose URL is read as libpq reads it. The state store of the sender
//! and the fleet store of the receiver use them.

mod error;
mod parameters;
mod prefer;
mod tls;

use std::time::Duration;

use deadpool_postgres::{
    Config as PoolConfig, Hook, HookError, Manager, Pool, PoolBuilder, QueueMode, Runtime, Timeouts,
};
use tokio::sync::OnceCell;
use tokio_postgres::NoTls;
use tokio_postgres_rustls::MakeRustlsConnect;

pub use error::DatabaseError;
use prefer::PreferTls;
use tls::{SslMode, SslSettings};

/// Time limit of connecting. Callers set a limit of their own for the whole operation.
const TIME_LIMIT: Duration = Duration::from_secs(4);

/// Database and its pool of connections, which the first use creates.
pub(crate) struct Database {
    config: PoolConfig,
    ssl: SslSettings,
    /// SQL that runs once on each new connection.
    setup: Option<&'static str>,
    /// Pool of connections; created by the first call of [`pool`](Self::pool).
    pool: OnceCell<Pool>,
}

impl Database {
    /// Describes the database of `config` without connecting to it. The pool holds up to `connections`
    /// connections; the pool settings in `config` are ignored.
    pub(crate) fn new(mut config: PoolConfig, connections: usize) -> Result<Self, DatabaseError> {
        let mut ssl = SslSettings::default();
        if let Some(url) = &config.url {
            let (rest, found) = parameters::read(url)?;
            add_default_database(&mut config, &rest)?;
            config.url = Some(rest);
            ssl = found;
        }
        if ssl.has_system_roots && config.ssl_mode.is_some() {
            let why = "sslrootcert=system requires sslmode=verify-full, which the URL has to name";
            return Err(DatabaseError::url(why));
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
        // The most recently used connection has the most statements and catalog entries cached.
        pool.queue_mode = QueueMode::Lifo;
        pool.timeouts =
            Timeouts { wait: Some(TIME_LIMIT), create: Some(TIME_LIMIT), recycle: Some(TIME_LIMIT) };
        config.pool = Some(pool);
        config.get_pg_config().map_err(DatabaseError::malformed)?;
        Ok(Self { config, ssl, setup: None, pool: OnceCell::new() })
    }

    /// Makes every new connection run `sql` once.
    #[cfg(feature = "receiver")]
    pub(crate) fn with_setup(mut self, sql: &'static str) -> Self {
        self.setup = Some(sql);
        self
    }

    /// Pool of connections. The first call reads the root certificates, on the blocking pool of tokio.
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
        let tls = MakeRustlsConnect::new(tls);
        if self.ssl.mode != SslMode::Prefer {
            return self.build(self.config.builder(tls));
        }
        let preferring = self
            .config
            .get_pg_config()
            .map(|config| Manager::from_connect(config, PreferTls(tls), self.config.get_manager_config()));
        self.build(preferring.map(|manager| Pool::builder(manager).config(self.config.get_pool_config())))
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

/// Names the database that libpq takes where a URL names none: that of the user's name.
fn add_default_database(config: &mut PoolConfig, url: &str) -> Result<(), DatabaseError> {
    let parsed = url.parse::<tokio_postgres::Config>().map_err(DatabaseError::malformed)?;
    if config.dbname.is_none() && parsed.get_dbname().is_none() {
        let user = config.user.clone().or_else(|| parsed.get_user().map(str::to_owned));
        config.dbname = user.or_else(|| std::env::var("USER").ok());
    }
    Ok(())
}
