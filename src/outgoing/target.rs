//! Where a webhook is and how it is reached: what a destination of events and one of alerts share.

use std::fs;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};

use super::endpoint::{Authorization, Endpoint};
use super::failure::Failure;
use super::proxy::Proxy;
use super::setting::{Problems, Setting};
use crate::tls;
use crate::wire::signature::SigningSecret;

/// Size of the largest CA file that is read. The bundle of a system has about 200 kB, that of a company may have
/// several megabytes.
const LARGEST_CA_FILE: u64 = 16 * 1024 * 1024;

/// Where requests go, and what they are authorized, signed and carried by.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    pub(crate) authorization: Option<Authorization>,
    pub(crate) signing_secret: Option<SigningSecret>,
    /// Proxy of the requests; `None` for direct connections. The error is that of each request, where the machine
    /// names a proxy that cannot be used.
    pub(crate) proxy: Result<Option<Proxy>, Failure>,
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

    /// An endpoint as [`url`](Self::url) reads it, or a file.
    pub(crate) fn url_or_file(
        &mut self,
        setting: Setting,
        name: &str,
        text: &SecretString,
    ) -> Option<(Endpoint, Option<Authorization>)> {
        if !text.expose_secret().trim().to_ascii_lowercase().starts_with("file:") {
            return self.url(setting, name, text);
        }
        let file = Endpoint::parse_file(text.expose_secret()).map(|endpoint| (endpoint, None));
        self.secret(setting, name, "an absolute http:// or https:// URL, or file:///path", file)
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

/// The certificates of a PEM file that can be trusted. One that cannot be used is left out and logged: the others
/// still serve.
fn read_certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() || metadata.len() > LARGEST_CA_FILE {
        return Err("no regular file of at most 16 MiB".to_owned());
    }
    let pem = fs::read(path).map_err(|error| error.to_string())?;
    let mut certificates = Vec::new();
    let mut faults = Vec::new();
    for (index, section) in CertificateDer::pem_slice_iter(&pem).enumerate() {
        let usable = section.map_err(|error| error.to_string()).and_then(|certificate| {
            RootCertStore::empty().add(certificate.clone()).map_err(|error| error.to_string())?;
            Ok(certificate)
        });
        match usable {
            Ok(certificate) => certificates.push(certificate),
            Err(why) => faults.push(format!("number {} ({why})", index + 1)),
        }
    }
    match (certificates.is_empty(), faults.first()) {
        (true, None) => Err("no certificate in it".to_owned()),
        (true, Some(fault)) => Err(format!("no certificate that can be used in it; {fault}")),
        (false, None) => Ok(certificates),
        (false, Some(fault)) => {
            tracing::warn!(
                "[telemetry] {} of the certificates in {path:?} cannot be used and are left out; the first is {fault}",
                faults.len()
            );
            Ok(certificates)
        }
    }
}

#[cfg(all(test, not(any(feature = "tls-ring", feature = "tls-aws-lc-rs"))))]
mod tests {
    use super::*;

    #[test]
    fn without_a_provider_an_https_url_is_refused_and_an_http_one_is_not() {
        let mut problems = Problems::default();
        assert!(problems.url(Setting::Url, "url", &"http://e.example/".into()).is_some());
        assert!(problems.url(Setting::Url, "url", &"https://e.example/".into()).is_none());
        let errors = problems.none_or("telemetry", ()).unwrap_err().to_string();
        assert!(
            errors.contains("built without TLS; turn on the feature tls-ring or tls-aws-lc-rs"),
            "{errors}"
        );
    }
}
