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
    /// Path in `sslrootcert`; `None` for the system's and the bundled roots.
    root_file: Option<String>,
}

impl SslSettings {
    /// Separates the two parameters from the rest of a URL or connection string, which tokio-postgres reads.
    pub(crate) fn split_off(text: &str) -> Result<(String, Self), DatabaseError> {
        let mut settings = Self::default();
        let rest = if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let (base, query) = text.split_once('?').unwrap_or((text, ""));
            let mut kept = Vec::new();
            for pair in query.split('&').filter(|pair| !pair.is_empty()) {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
                if !settings.takes(key, &value)? {
                    kept.push(pair);
                }
            }
            if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) }
        } else {
            let mut kept = Vec::new();
            for (key, value) in keywords(text)? {
                if !settings.takes(&key, &value)? {
                    kept.push(format!("{key}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'")));
                }
            }
            kept.join(" ")
        };
        if settings.mode == SslMode::Require && settings.root_file.is_some() {
            settings.mode = SslMode::VerifyCa;
        }
        Ok((rest, settings))
    }

    /// Stores a parameter if it is one of the two. Returns whether it is.
    fn takes(&mut self, key: &str, value: &str) -> Result<bool, DatabaseError> {
        match key {
            "sslmode" => self.mode = mode(value)?,
            "sslrootcert" => self.root_file = Some(value.to_owned()).filter(|value| value != "system"),
            _ => return Ok(false),
        }
        Ok(true)
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
        let unusable = |why: &dyn std::fmt::Display| DatabaseError::RootFile {
            file: file.clone(),
            why: why.to_string(),
        };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))? {
            roots.add(certificate.map_err(|error| unusable(&error))?).map_err(|error| unusable(&error))?;
        }
        if roots.is_empty() { Err(unusable(&"no certificate in it")) } else { Ok(roots) }
    }
}

/// Keywords and values of a connection string (PostgreSQL manual, "Keyword/Value Connection Strings").
fn keywords(text: &str) -> Result<Vec<(String, String)>, DatabaseError> {
    let malformed = |why| DatabaseError::Url(format!("neither postgres:// nor key=value ({why})"));
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or_else(|| malformed("no = after a keyword"))?;
        let key = key.trim_end();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(malformed("no = after a keyword"));
        }
        let after = after.trim_start();
        let (is_quoted, after) = after.strip_prefix('\'').map_or((false, after), |after| (true, after));
        let mut value = String::new();
        let mut characters = after.char_indices();
        let mut end = if is_quoted { None } else { Some(after.len()) };
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
                '\'' if is_quoted => {
                    end = Some(at + 1);
                    break;
                }
                blank if !is_quoted && blank.is_whitespace() => {
                    end = Some(at);
                    break;
                }
                other => value.push(other),
            }
        }
        let end = end.ok_or_else(|| malformed("a quote is not closed"))?;
        pairs.push((key.to_owned(), value));
        rest = after[end..].trim_start();
    }
    Ok(pairs)
}

fn mode(text: &str) -> Result<SslMode, DatabaseError> {
    Ok(match text {
        "disable" => SslMode::Disable,
        "allow" | "prefer" => SslMode::Prefer,
        "require" => SslMode::Require,
        "verify-ca" => SslMode::VerifyCa,
        "verify-full" => SslMode::VerifyFull,
        other => {
            return Err(DatabaseError::Url(format!(
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
            ("host='h' password='a  b'".into(), SslMode::Require, None)
        );
        for text in ["host=h\tsslmode=require", "host=h\nsslmode = 'require'", "sslmode=require host=h"] {
            assert_eq!(split(text), ("host='h'".into(), SslMode::Require, None), "{text:?}");
        }
        assert_eq!(
            split(r"password='a sslmode=disable \'b\\' host=h"),
            (r"password='a sslmode=disable \'b\\' host='h'".into(), SslMode::Prefer, None)
        );
        for text in ["s3cret", "password='s3cret", "pass word=s3cret"] {
            let error = SslSettings::split_off(text).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
        assert_eq!(split("postgres://h/d?sslmode=require&sslrootcert=/c").1, SslMode::VerifyCa);
        assert!(
            SslSettings::split_off("postgres://u:s3cret@h/d?sslmode=maybe")
                .is_err_and(|e| !e.to_string().contains("s3cret"))
        );
    }
}
