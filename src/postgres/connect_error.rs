//! The error of a connection that was not made.

use std::error::Error;
use std::io;

use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// Port of a host for which none is given.
const DEFAULT_PORT: u16 = 5432;

/// Error of a connection that was not made. Its text names hosts and ports, and nothing else of the URL.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct ConnectError {
    text: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl ConnectError {
    /// The error of a pool whose database is at `place`.
    pub(super) fn new(error: PoolError, place: &str) -> Self {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => {
                Self { text: format!("all connections to {place} are in use"), source: None }
            }
            PoolError::Timeout(_) => Self { text: format!("{place} did not answer in time"), source: None },
            PoolError::Backend(error) => {
                let text = error.to_string();
                // The text of the error itself is that of its kind, such as "error connecting to server".
                let source = error.into_source().unwrap_or_else(|| text.into());
                let advice = advice(&*source);
                Self { text: format!("cannot connect to {place}{advice}"), source: Some(source) }
            }
            error => Self { text: format!("cannot connect to {place}"), source: Some(error.into()) },
        }
    }
}

fn advice(source: &(dyn Error + Send + Sync + 'static)) -> &'static str {
    match source.downcast_ref::<io::Error>().map(io::Error::kind) {
        // There is no socket of a server that does not run.
        Some(io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => "; check that it runs",
        _ => "",
    }
}

/// Hosts and ports of `config`, for people.
pub(super) fn place(config: &Config) -> String {
    let ports = config.get_ports();
    let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(DEFAULT_PORT);
    let place_of = |(index, host): (usize, &Host)| match host {
        Host::Tcp(name) if name.contains(':') => format!("[{name}]:{}", port(index)),
        Host::Tcp(name) => format!("{name}:{}", port(index)),
        #[cfg(unix)]
        Host::Unix(folder) => format!("{}/.s.PGSQL.{}", folder.display(), port(index)),
    };
    // What is dialled where addresses are given; the names are then those of the certificates.
    let addresses: Vec<Host> = config.get_hostaddrs().iter().map(|to| Host::Tcp(to.to_string())).collect();
    let hosts = if addresses.is_empty() { config.get_hosts() } else { &addresses };
    hosts.iter().enumerate().map(place_of).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_hosts_and_ports_and_no_secret() {
        for (url, shown) in [
            (
                "postgres://fleet:s3cret@db1.example:6432,db2.example/fleet",
                "db1.example:6432, db2.example:5432",
            ),
            ("host=a,::1 port=6432 user=fleet password=s3cret", "a:6432, [::1]:6432"),
            ("host=db hostaddr=10.0.0.9 user=fleet", "10.0.0.9:5432"),
            ("user=fleet host=/run/postgresql", "/run/postgresql/.s.PGSQL.5432"),
        ] {
            assert_eq!(place(&url.parse().unwrap()), shown);
        }
    }

    #[test]
    fn a_pool_that_waits_says_for_what() {
        let says = |timeout| ConnectError::new(PoolError::Timeout(timeout), "db:5432").to_string();
        assert_eq!(says(TimeoutType::Wait), "all connections to db:5432 are in use");
        assert_eq!(says(TimeoutType::Create), "db:5432 did not answer in time");
    }
}
