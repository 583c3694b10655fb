//! What the sender trusts: the public roots and the operator's CA.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;

use crate::tls;

/// Reads the system's roots, which blocks.
pub(crate) fn client_config(
    extra_roots: &[CertificateDer<'static>],
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut roots = tls::public_roots();
    roots.add_parsable_certificates(extra_roots.iter().cloned());
    let mut config = ClientConfig::builder_with_provider(tls::provider()?)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // It is HTTP/1.1 that is written.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
