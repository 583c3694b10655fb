//! The destination of alerts, as a host or an operator configures it.

use secrecy::SecretString;

use crate::outgoing::proxy::ProxyVariables;
use crate::outgoing::setting::{ConfigErrors, Problems, Setting};
use crate::outgoing::target::Target;

/// A webhook that gets an alert when an instance goes down, is up again or has ended after that, or loses
/// a valid license (Standard Webhooks).
///
/// Alerts leave as events do: by the proxies of the environment, trusting the system's and the bundled
/// roots.
///
/// ```
/// use deployment_telemetry::receiver::AlertDestination;
///
/// let alerts = AlertDestination::new("https://alerts.example/fleet")
///     .auth("a token")
///     .signing_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
/// alerts.check()?;
///
/// let errors = AlertDestination::new("alerts.example").ca_file("/missing.pem").check().unwrap_err();
/// assert_eq!(errors.problems().len(), 2, "all problems are reported together");
/// # Ok::<(), deployment_telemetry::ConfigErrors>(())
/// ```
#[derive(Clone, Debug)]
pub struct AlertDestination {
    url: SecretString,
    auth: Option<SecretString>,
    signing_secret: Option<SecretString>,
    ca_file: Option<String>,
}

impl AlertDestination {
    /// The webhook at `url`, `http://` or `https://`. Checked when the receiver starts.
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self { url: url.into(), auth: None, signing_secret: None, ca_file: None }
    }

    /// A token, sent as `Authorization: Bearer <token>`; `Scheme credentials` are sent as they stand.
    pub fn auth(mut self, token: impl Into<SecretString>) -> Self {
        self.auth = Some(token.into());
        self
    }

    /// Signs each alert with this `whsec_…` secret.
    pub fn signing_secret(mut self, secret: impl Into<SecretString>) -> Self {
        self.signing_secret = Some(secret.into());
        self
    }

    /// A PEM file that is trusted besides the system's and the bundled roots.
    pub fn ca_file(mut self, path: impl Into<String>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Checks everything that the start of a receiver checks, so that a host can report it together
    /// with the problems of its own settings.
    ///
    /// # Errors
    /// Every problem, by the names of the methods here.
    pub fn check(&self) -> Result<(), ConfigErrors> {
        self.target().map(drop)
    }

    /// The target, with the proxy that the machine's environment names for it.
    pub(crate) fn target(&self) -> Result<Target, ConfigErrors> {
        let mut problems = Problems::default();
        let proxies = ProxyVariables::read(&|name| std::env::var_os(name));
        let url = problems.url(Setting::Url, "url", &self.url);
        let auth = self.auth.as_ref().and_then(|text| problems.auth(Setting::Auth, "auth", text));
        let signing_secret =
            self.signing_secret.as_ref().and_then(|text| problems.signing_secret("signing_secret", text));
        let extra_roots =
            self.ca_file.as_ref().map(|path| problems.ca_file("ca_file", path)).unwrap_or_default();
        let target = url.map(|(endpoint, basic)| Target {
            proxy: proxies.proxy(None, &endpoint),
            endpoint,
            authorization: auth.or(basic),
            signing_secret,
            extra_roots,
        });
        let target = problems.none_or("alert destination", target)?;
        Ok(target.expect("a URL that gives no endpoint is a problem"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_reported_by_the_name_of_its_method_and_without_a_secret() {
        let alerts = AlertDestination::new("ftp://s3cret").auth("a s3cret b").signing_secret("s3cret");
        let errors = alerts.ca_file("/nonexistent/ca.pem").check().unwrap_err();
        let names: Vec<&str> = errors.problems().iter().map(|problem| problem.name()).collect();
        assert_eq!(names, ["url", "auth", "signing_secret", "ca_file"]);
        assert!(
            errors.to_string().starts_with("the alert destination settings cannot be used:\n  url accepts")
        );
        assert!(!errors.to_string().contains("s3cret"), "{errors}");
    }
}
