//! What every TLS connection of this crate has in common: whose cryptography it uses, and the roots
//! that are trusted where nobody names others.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{Error, RootCertStore};

/// Why there is no TLS, and what to do.
pub(crate) const WITHOUT_PROVIDER: &str = "this program was built without TLS; turn on the feature tls-ring or tls-aws-lc-rs of deployment-telemetry";

/// The provider by the features of this crate: `tls-aws-lc-rs` before `tls-ring`, which is on by
/// default and so may be there without having been chosen. The provider of the process is neither
/// used nor set: it belongs to the host.
pub(crate) fn provider() -> Result<Arc<CryptoProvider>, Error> {
    #[cfg(feature = "tls-aws-lc-rs")]
    return Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(all(feature = "tls-ring", not(feature = "tls-aws-lc-rs")))]
    return Ok(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(not(any(feature = "tls-ring", feature = "tls-aws-lc-rs")))]
    Err(Error::General(WITHOUT_PROVIDER.to_owned()))
}

/// The bundled roots and those of the system, whose reading takes some milliseconds and blocks. A
/// certificate of the system that cannot be read is passed over: the others still serve.
pub(crate) fn public_roots() -> RootCertStore {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}
