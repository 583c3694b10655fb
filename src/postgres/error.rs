//! The error of a database that cannot be used.

use std::error::Error;

/// Error of a PostgreSQL database that cannot be used as configured. Its text never contains a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The URL or connection string is malformed, or one of its parameters has an unknown value.
    #[error("invalid database URL: {why}")]
    Url {
        /// Description of the fault.
        why: String,
        /// Error of the parser that found the fault, if one did.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS for the database connection")]
    Tls(#[source] rustls::Error),
    /// The file that `sslrootcert` names cannot be used.
    #[error("cannot use the certificates in sslrootcert {file:?}")]
    RootFile {
        /// Value of `sslrootcert`.
        file: String,
        /// Error of the file, or of a certificate in it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The pool of connections cannot be created.
    #[error("cannot create the pool of database connections")]
    Pool(#[source] Box<dyn Error + Send + Sync>),
}

impl DatabaseError {
    /// A URL with a fault that this crate found.
    pub(crate) fn url(why: impl Into<String>) -> Self {
        Self::Url { why: why.into(), source: None }
    }

    /// A URL that a parser refused.
    pub(crate) fn malformed(source: impl Error + Send + Sync + 'static) -> Self {
        Self::Url { why: "it cannot be used".to_owned(), source: Some(Box::new(source)) }
    }
}
