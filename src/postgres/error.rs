//! Why a database cannot be used.

use std::error::Error;

/// A PostgreSQL database that cannot be used as configured. Its text never holds a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The URL or connection string cannot be read, or a parameter of it has a value that is not taken.
    #[error("the database's URL: {0}")]
    Url(String),
    /// The roots for TLS cannot be read.
    #[error("TLS to the database: {0}")]
    Tls(#[source] rustls::Error),
    /// A file named by the URL cannot be used.
    #[error("sslrootcert {file:?}: {why}")]
    RootFile {
        /// The value of `sslrootcert`.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// No pool of connections can be made.
    #[error("no pool of connections to the database")]
    Pool(#[source] Box<dyn Error + Send + Sync>),
}
