//! The error of a database that cannot be used.

use std::error::Error;

/// Error of a PostgreSQL database that cannot be used as configured. Its text never contains a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The URL or connection string is malformed, or one of its parameters has an unknown value.
    #[error("invalid database URL: {0}")]
    Url(String),
    /// TLS cannot be set up.
    #[error("cannot set up TLS for the database connection: {0}")]
    Tls(#[source] rustls::Error),
    /// The file that `sslrootcert` names cannot be used.
    #[error("cannot use the certificates in sslrootcert {file:?}: {why}")]
    RootFile {
        /// Value of `sslrootcert`.
        file: String,
        /// Description of the fault.
        why: String,
    },
    /// The pool of connections cannot be created.
    #[error("cannot create the pool of database connections")]
    Pool(#[source] Box<dyn Error + Send + Sync>),
}
