//! TLS to the database as libpq's `sslmode` has it (PostgreSQL manual, "SSL Support").

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::StateError;

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

/// `sslmode` and `sslrootcert`, which tokio-postgres does not know in full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SslSettings {
    pub(crate) mode: SslMode,
    root_file: Option<String>,
}

impl SslSettings {
    /// Splits the two parameters off a URL or a connection string.
    pub(crate) fn split_off(text: &str) -> Result<(String, Self), StateError> {
        let mut settings = Self::default();
        let rest = if text.contains("://") {
            let Some((base, query)) = text.split_once('?') else {
                return Ok((text.to_owned(), settings));
            };
            let kept = settings.take(query.split('&'), |value| {
                percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned()
            })?;
            if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) }
        } else {
            let unquoted = |value: &str| value.trim_matches('\'').to_owned();
            settings.take(text.split(' '), unquoted)?.join(" ")
        };
        if settings.mode == SslMode::Require && settings.root_file.is_some() {
            settings.mode = SslMode::VerifyCa;
        }
        Ok((rest, settings))
    }

    fn take<'a>(
        &mut self,
        parts: impl Iterator<Item = &'a str>,
        decode: impl Fn(&str) -> String,
    ) -> Result<Vec<&'a str>, StateError> {
        let mut kept = Vec::new();
        for part in parts {
            match part.split_once('=') {
                Some(("sslmode", value)) => self.mode = mode(&decode(value))?,
                Some(("sslrootcert", value)) => {
                    self.root_file = Some(decode(value)).filter(|value| value != "system");
                }
                _ => kept.push(part),
            }
        }
        Ok(kept)
    }

    /// Reads the roots, which blocks.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, StateError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(StateError::new)?;
        if self.mode == SslMode::VerifyFull {
            return Ok(builder.with_root_certificates(self.roots()?).with_no_client_auth());
        }
        let roots = if self.mode == SslMode::VerifyCa { Some(self.roots()?) } else { None };
        let verifier = AnyName { roots, provider };
        Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
    }

    fn roots(&self) -> Result<RootCertStore, StateError> {
        let Some(file) = &self.root_file else {
            let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return Ok(roots);
        };
        let unusable = |why: &dyn std::fmt::Display| StateError::new(format!("sslrootcert {file:?}: {why}"));
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))? {
            roots.add(certificate.map_err(|error| unusable(&error))?).map_err(|error| unusable(&error))?;
        }
        if roots.is_empty() { Err(unusable(&"no certificate in it")) } else { Ok(roots) }
    }
}

fn mode(text: &str) -> Result<SslMode, StateError> {
    Ok(match text {
        "disable" => SslMode::Disable,
        "allow" | "prefer" => SslMode::Prefer,
        "require" => SslMode::Require,
        "verify-ca" => SslMode::VerifyCa,
        "verify-full" => SslMode::VerifyFull,
        other => {
            return Err(StateError::new(format!(
                "the database's URL: sslmode accepts disable, allow, prefer, require, verify-ca or verify-full; given: {other:?}"
            )));
        }
    })
}

/// Accepts a certificate for any name: `verify-ca` asks for a known issuer, `prefer` and `require`
/// for encryption alone, as libpq has it.
#[derive(Debug)]
struct AnyName {
    roots: Option<RootCertStore>,
    provider: Arc<CryptoProvider>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sslmode_is_read_from_urls_and_connection_strings() {
        let split = |text| SslSettings::split_off(text).map(|(rest, s)| (rest, s.mode, s.root_file)).unwrap();
        assert_eq!(split("postgres://h/d"), ("postgres://h/d".into(), SslMode::Prefer, None));
        assert_eq!(
            split("postgres://u:p@h/d?sslmode=verify-full&application_name=x&sslrootcert=%2Fca.pem"),
            ("postgres://u:p@h/d?application_name=x".into(), SslMode::VerifyFull, Some("/ca.pem".into()))
        );
        assert_eq!(
            split("postgres://h/d?sslmode=disable"),
            ("postgres://h/d".into(), SslMode::Disable, None)
        );
        assert_eq!(
            split("host=h password='a  b' sslmode=require"),
            ("host=h password='a  b'".into(), SslMode::Require, None)
        );
        assert_eq!(split("postgres://h/d?sslmode=require&sslrootcert=/c").1, SslMode::VerifyCa);
        assert!(
            SslSettings::split_off("postgres://u:s3cret@h/d?sslmode=maybe")
                .is_err_and(|e| !e.to_string().contains("s3cret"))
        );
    }
}
