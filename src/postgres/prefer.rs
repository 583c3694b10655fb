//! Connections with `sslmode=prefer`: without TLS where TLS fails, as libpq has it.

use deadpool_postgres::{ConfigConnectImpl, Connect};
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Connects with TLS, and without after a failure that TLS may have caused.
pub(super) struct PreferTls(pub(super) MakeRustlsConnect);

impl Connect for PreferTls {
    fn connect(&self, config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        let with = ConfigConnectImpl { tls: self.0.clone() };
        let mut config = config.clone();
        Box::pin(async move {
            match with.connect(&config).await {
                Err(error) if may_be_of_tls(&error) => {
                    config.ssl_mode(SslMode::Disable);
                    ConfigConnectImpl { tls: NoTls }.connect(&config).await
                }
                connected => connected,
            }
        })
    }
}

/// Whether the handshake failed, or `pg_hba.conf` has no entry for a connection with TLS.
fn may_be_of_tls(error: &Error) -> bool {
    // The kind of an error is known by its words alone.
    error.to_string().starts_with("error performing TLS handshake")
        || error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
}
