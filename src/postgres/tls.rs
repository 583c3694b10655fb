//! TLS for the database connection, with the meaning that libpq gives to `sslmode` (PostgreSQL manual, "SSL
//! Support").

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::error::DatabaseError;
use crate::tls;

/// Value of `sslmode`. `allow` is read as `Prefer`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SslMode {
    Disable,
    #[default]
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl From<deadpool_postgres::SslMode> for SslMode {
    fn from(mode: deadpool_postgres::SslMode) -> Self {
        match mode {
            deadpool_postgres::SslMode::Disable => SslMode::Disable,
            deadpool_postgres::SslMode::Prefer => SslMode::Prefer,
            _ => SslMode::Require,
        }
    }
}

impl From<SslMode> for deadpool_postgres::SslMode {
    fn from(mode: SslMode) -> Self {
        match mode {
            SslMode::Disable => deadpool_postgres::SslMode::Disable,
            SslMode::Prefer => deadpool_postgres::SslMode::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => deadpool_postgres::SslMode::Require,
        }
    }
}

/// Values of `sslmode` and `sslrootcert`, which tokio-postgres supports only in part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SslSettings {
    pub(crate) mode: SslMode,
    /// Value of `sslmode`.
    given_mode: Option<SslMode>,
    /// Whether `sslrootcert` is `system`.
    pub(super) has_system_roots: bool,
    /// Path in `sslrootcert`; `None` for the system's and the bundled roots.
    root_file: Option<String>,
}

impl SslSettings {
    /// Stores a parameter if it is one of the two. Returns whether it is.
    pub(super) fn takes(&mut self, key: &str, value: &str) -> Result<bool, DatabaseError> {
        match key {
            "sslmode" => self.given_mode = Some(mode(value)?),
            "sslrootcert" if value == "system" => (self.root_file, self.has_system_roots) = (None, true),
            "sslrootcert" => (self.root_file, self.has_system_roots) = (Some(value.to_owned()), false),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Decides the mode as libpq does. The roots of the system are trusted for any host, so only the check of the
    /// host's name makes them worth anything.
    pub(super) fn decide(&mut self) -> Result<(), DatabaseError> {
        self.mode = match (self.given_mode, self.has_system_roots) {
            (None, true) => SslMode::VerifyFull,
            (Some(mode), true) if mode != SslMode::VerifyFull => {
                return Err(DatabaseError::url(
                    "sslrootcert=system requires sslmode=verify-full, because any certificate of a public CA would \
                     pass a weaker mode",
                ));
            }
            (Some(SslMode::Require), _) if self.root_file.is_some() => SslMode::VerifyCa,
            (mode, _) => mode.unwrap_or_default(),
        };
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn root_file(&self) -> Option<&str> {
        self.root_file.as_deref()
    }

    /// Mode in this build. Without a TLS provider, `prefer` connects without encryption, as a libpq that was
    /// built without TLS does, and the modes that require TLS are refused.
    pub(crate) fn in_this_build(mode: SslMode) -> Result<SslMode, DatabaseError> {
        match (mode, tls::provider()) {
            (_, Ok(_)) | (SslMode::Disable, _) => Ok(mode),
            (SslMode::Prefer, Err(_)) => Ok(SslMode::Disable),
            (_, Err(error)) => Err(DatabaseError::Tls(error)),
        }
    }

    /// TLS configuration for these settings. Reads the root certificates from disk, which blocks.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, DatabaseError> {
        let provider = tls::provider().map_err(DatabaseError::Tls)?;
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(DatabaseError::Tls)?;
        if self.mode == SslMode::VerifyFull {
            return Ok(builder.with_root_certificates(self.roots()?).with_no_client_auth());
        }
        let roots = if self.mode == SslMode::VerifyCa { Some(self.roots()?) } else { None };
        let verifier = AnyName { roots, provider };
        Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
    }

    fn roots(&self) -> Result<RootCertStore, DatabaseError> {
        let Some(file) = &self.root_file else {
            return Ok(tls::public_roots());
        };
        let unusable = |source| DatabaseError::RootFile { file: file.clone(), source };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(error.into()))? {
            let certificate = certificate.map_err(|error| unusable(error.into()))?;
            roots.add(certificate).map_err(|error| unusable(error.into()))?;
        }
        if roots.is_empty() { Err(unusable("no certificate in it".into())) } else { Ok(roots) }
    }
}

fn mode(text: &str) -> Result<SslMode, DatabaseError> {
    Ok(match text {
        "disable" => SslMode::Disable,
        "allow" | "prefer" => SslMode::Prefer,
        "require" => SslMode::Require,
        "verify-ca" => SslMode::VerifyCa,
        "verify-full" => SslMode::VerifyFull,
        other => {
            return Err(DatabaseError::url(format!(
                "sslmode accepts disable, allow, prefer, require, verify-ca or verify-full; given: {other:?}"
            )));
        }
    })
}

/// Verifier that accepts a certificate for any host name. `verify-ca` requires a trusted issuer; `prefer` and
/// `require` require encryption only, as in libpq.
#[derive(Debug)]
struct AnyName {
    /// Issuers to trust; `None` to trust any.
    roots: Option<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl AnyName {
    /// Whether the certificate cannot be read, being X.509 v1, and need not be: where any issuer is accepted, the
    /// signature of the handshake proves nothing, because an attacker would sign with a certificate of its own.
    fn accepts_unreadable(&self, certificate: &CertificateDer<'_>) -> bool {
        self.roots.is_none() && ParsedCertificate::try_from(certificate).is_err()
    }
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(roots) = &self.roots {
            let algorithms = self.provider.signature_verification_algorithms.all;
            let certificate = ParsedCertificate::try_from(end_entity)?;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.accepts_unreadable(certificate) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.accepts_unreadable(certificate) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
