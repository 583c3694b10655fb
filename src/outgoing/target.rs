//! Where a webhook is and how it is reached: what a destination of events and one of alerts share.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};

use super::endpoint::{Authorization, Endpoint};
use super::proxy::Proxy;
use super::setting::{Problems, Setting};
use crate::tls;
use crate::wire::signature::SigningSecret;

/// Size up to which a CA file is read.
const LARGEST_CA_FILE: u64 = 1024 * 1024;

/// Where requests go, and what they are authorized, signed and carried by.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    pub(crate) authorization: Option<Authorization>,
    pub(crate) signing_secret: Option<SigningSecret>,
    pub(crate) proxy: Option<Proxy>,
    /// Trusted besides the system's and the bundled roots.
    pub(crate) extra_roots: Vec<CertificateDer<'static>>,
}

/// The settings of a target: each gives a value, or a problem under the setting's name.
impl Problems {
    /// An endpoint, and the credentials of its user part.
    pub(crate) fn url(
        &mut self,
        setting: Setting,
        name: &str,
        text: &SecretString,
    ) -> Option<(Endpoint, Option<Authorization>)> {
        let accepts = "an absolute http:// or https:// URL";
        let parsed = Endpoint::parse(text.expose_secret()).and_then(|parsed| match tls::provider() {
            Err(_) if parsed.0.is_https() => Err(format!("an https URL, but {}", tls::WITHOUT_PROVIDER)),
            _ => Ok(parsed),
        });
        self.secret(setting, name, accepts, parsed)
    }

    pub(crate) fn auth(
        &mut self,
        setting: Setting,
        name: &str,
        text: &SecretString,
    ) -> Option<Authorization> {
        let accepts = "a token, or `Scheme credentials` with one space inside";
        self.secret(setting, name, accepts, Authorization::parse(text.expose_secret()))
    }

    pub(crate) fn signing_secret(&mut self, name: &str, text: &SecretString) -> Option<SigningSecret> {
        let accepts = "a Standard Webhooks secret: whsec_ and base64 of 24 to 64 bytes";
        self.secret(Setting::SigningSecret, name, accepts, SigningSecret::parse(text.expose_secret()))
    }

    /// Reads the file, which blocks.
    pub(crate) fn ca_file(&mut self, name: &str, path: &str) -> Vec<CertificateDer<'static>> {
        let accepts = "the path of a readable PEM file with at least one certificate";
        let read = read_certificates(path).map_err(|why| format!("{path:?} ({why})"));
        self.secret(Setting::CaFile, name, accepts, read).unwrap_or_default()
    }
}

/// The certificates of a PEM file, each of which can be trusted.
fn read_certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() || metadata.len() > LARGEST_CA_FILE {
        return Err("no regular file of at most 1 MiB".to_owned());
    }
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots
            .add(certificate.clone())
            .map_err(|error| format!("a certificate that cannot be used: {error}"))?;
    }
    if roots.is_empty() { Err("no certificate in it".to_owned()) } else { Ok(certificates) }
}
