//! Connections to a PostgreSQL database whose URL is read as libpq reads it. The state store of the sender
//! and the fleet store of the receiver use them.

mod connect_error;
mod error;
mod parameters;
mod prefer;
mod tls;

use std::time::Duration;

use deadpool_postgres::{Config as PoolConfig, Manager, Pool, PoolError, QueueMode, Runtime, Timeouts};
use tokio::sync::OnceCell;
use tokio_postgres::NoTls;
use tokio_postgres_rustls::MakeRustlsConnect;

pub(crate) use connect_error::ConnectError;
pub use error::DatabaseError;
use prefer::PreferTls;
use tls::{SslMode, SslSettings};

/// Time limit of connecting. Callers set a limit of their own for the whole operation.
const TIME_LIMIT: Duration = Duration::from_secs(4);

/// Time after which a connection is given up whose other end has vanished without a word, as a machine does that loses its
/// power. A URL may name others.
const SILENCE_LIMIT: Duration = Duration::from_secs(6);

/// Silence after which the other end is asked whether it is still there, and how often.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(3), Duration::from_secs(1), 3);

/// What tokio-postgres takes where nothing is given.
const DEFAULT_KEEPALIVE: Duration = Duration::from_secs(2 * 60 * 60);

/// Database and its pool of connections, which the first use creates.
pub(crate) struct Database {
    config: PoolConfig,
    /// Its hosts and ports, for messages.
    place: String,
    ssl: SslSettings,
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
        config.application_name.get_or_insert_with(|| "deployment-telemetry".to_owned());
        let mut pool = deadpool_postgres::PoolConfig::new(connections);
        // The most recently used connection has the most statements and catalog entries cached.
        pool.queue_mode = QueueMode::Lifo;
        pool.timeouts =
            Timeouts { wait: Some(TIME_LIMIT), create: Some(TIME_LIMIT), recycle: Some(TIME_LIMIT) };
        config.pool = Some(pool);
        let place = connect_error::place(&config.get_pg_config().map_err(DatabaseError::malformed)?);
        Ok(Self { config, place, ssl, pool: OnceCell::new() })
    }

    /// What it means that the pool gives no connection.
    pub(crate) fn explain(&self, error: PoolError) -> ConnectError {
        ConnectError::new(error, &self.place)
    }

    /// Pool of connections. The first call reads the root certificates, on the blocking pool of tokio.
    pub(crate) async fn pool(&self) -> Result<&Pool, DatabaseError> {
        self.pool.get_or_try_init(|| self.make_pool()).await
    }

    async fn make_pool(&self) -> Result<Pool, DatabaseError> {
        let mut config = self.config.get_pg_config().map_err(|error| DatabaseError::Pool(error.into()))?;
        add_time_limits(&mut config);
        let how = self.config.get_manager_config();
        if self.ssl.mode == SslMode::Disable {
            return self.build(Manager::from_config(config, NoTls, how));
        }
        let ssl = self.ssl.clone();
        let tls = tokio::task::spawn_blocking(move || ssl.client_config())
            .await
            .map_err(|error| DatabaseError::Pool(error.into()))??;
        let tls = MakeRustlsConnect::new(tls);
        self.build(match self.ssl.mode {
            SslMode::Prefer => Manager::from_connect(config, PreferTls(tls), how),
            _ => Manager::from_config(config, tls, how),
        })
    }

    fn build(&self, manager: Manager) -> Result<Pool, DatabaseError> {
        let builder = Pool::builder(manager).config(self.config.get_pool_config()).runtime(Runtime::Tokio1);
        builder.build().map_err(|error| DatabaseError::Pool(error.into()))
    }
}

/// Adds the time limits that are not given. The pool would otherwise spend all its time on the first of several hosts, and
/// keep the place of a connection whose other end has vanished for hours.
fn add_time_limits(config: &mut tokio_postgres::Config) {
    if config.get_connect_timeout().is_none() {
        let hosts = config.get_hosts().len().max(config.get_hostaddrs().len());
        config.connect_timeout(TIME_LIMIT / u32::try_from(hosts).unwrap_or(u32::MAX).max(1));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE_LIMIT);
    }
    let (idle, interval, retries) = KEEPALIVE;
    if config.get_keepalives_idle() == DEFAULT_KEEPALIVE {
        config.keepalives_idle(idle);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(interval);
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(retries);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_limits_of_a_url_are_kept_and_missing_ones_are_added() {
        let limits = |url: &str| {
            let mut given = PoolConfig::new();
            given.url = Some(url.to_owned());
            let mut config = Database::new(given, 1).unwrap().config.get_pg_config().unwrap();
            add_time_limits(&mut config);
            let (connect, silence) =
                (config.get_connect_timeout().copied(), config.get_tcp_user_timeout().copied());
            let (interval, retries) = (config.get_keepalives_interval(), config.get_keepalives_retries());
            let keepalive = (config.get_keepalives_idle(), interval.unwrap(), retries.unwrap());
            (connect.unwrap(), silence.unwrap(), keepalive)
        };
        let seconds = Duration::from_secs;
        let of_url = "postgres://fleet@a,b/fleet?connect_timeout=3&tcp_user_timeout=9000&keepalives_idle=60\
                      &keepalives_interval=10&keepalives_count=9";
        assert_eq!(limits(of_url), (seconds(3), seconds(9), (seconds(60), seconds(10), 9)));
        let some = "postgres://fleet@a/fleet?keepalives_interval=10";
        assert_eq!(limits(some), (TIME_LIMIT, SILENCE_LIMIT, (KEEPALIVE.0, seconds(10), KEEPALIVE.2)));
        // All hosts are reached within the limit of the pool.
        assert_eq!(limits("postgres://fleet@a,b/fleet"), (TIME_LIMIT / 2, SILENCE_LIMIT, KEEPALIVE));
    }
}
