//! The settings after they were checked, one value of the right type each.

use std::fmt;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::{ConfigErrors, Problem, Reading, Surroundings, duration};
use crate::product::Product;
use crate::transport::{Authorization, Endpoint, Proxy, SigningSecret, is_exempt};

const SHORTEST: Duration = Duration::from_secs(60 * 60);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
const DEFAULT_FREQUENCY: Duration = Duration::from_secs(8 * 60 * 60);
const LONGEST_IDENTIFIER: usize = 256;

const ACCEPTS_MODE: &str = "disabled, custom, default or both";
const ACCEPTS_URL: &str = "an absolute URL, http:// or https://";
const ACCEPTS_AUTH: &str = "a token, or `Scheme credentials` with one space inside";
const ACCEPTS_FREQUENCY: &str = "a duration from 1h to 24h, such as 90m or 1h30m";
const ACCEPTS_PROXY: &str = "[http://][user:password@]host[:port]";

/// Which destinations are active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// None. Nothing is sent.
    #[default]
    Disabled,
    /// The operator's.
    Custom,
    /// The vendor's.
    Default,
    /// The operator's and the vendor's.
    Both,
}

impl Mode {
    fn parse(text: &str) -> Option<Self> {
        Some(match text.trim().to_ascii_lowercase().as_str() {
            "disabled" => Mode::Disabled,
            "custom" => Mode::Custom,
            "default" => Mode::Default,
            "both" => Mode::Both,
            _ => return None,
        })
    }

    fn has_custom(self) -> bool {
        matches!(self, Mode::Custom | Mode::Both)
    }

    fn has_default(self) -> bool {
        matches!(self, Mode::Default | Mode::Both)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Disabled => "disabled",
            Mode::Custom => "custom",
            Mode::Default => "default",
            Mode::Both => "both",
        })
    }
}

/// Whose destination it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DestinationName {
    /// The operator's.
    Custom,
    /// The vendor's.
    Default,
}

impl DestinationName {
    /// `custom` or `default`.
    pub fn as_str(self) -> &'static str {
        match self {
            DestinationName::Custom => "custom",
            DestinationName::Default => "default",
        }
    }

    /// What its actor is called in the log and in the status.
    pub(crate) fn actor(self) -> &'static str {
        match self {
            DestinationName::Custom => "custom destination",
            DestinationName::Default => "default destination",
        }
    }
}

impl fmt::Display for DestinationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The vendor's own destination, compiled into the host: the operator's variables do not change it.
#[derive(Clone, Debug)]
pub struct Vendor {
    url: SecretString,
    auth: Option<SecretString>,
    frequency: Duration,
}

impl Vendor {
    /// `url` is absolute, `http` or `https`; checked by [`start`](crate::TelemetryBuilder::start).
    /// The frequency is 8 hours.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: SecretString::from(url.into()), auth: None, frequency: DEFAULT_FREQUENCY }
    }

    /// Sends `Authorization: Bearer <token>`, or `Scheme credentials` as it stands.
    pub fn auth(mut self, token: impl Into<String>) -> Self {
        self.auth = Some(SecretString::from(token.into()));
        self
    }

    /// How often an update is sent: 1 to 24 hours.
    pub fn frequency(mut self, frequency: Duration) -> Self {
        self.frequency = frequency;
        self
    }
}

/// What a telemetry runs on.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    /// The active destinations: none, one or both.
    pub(crate) destinations: Vec<DestinationSettings>,
    /// `DO_NOT_TRACK` took the vendor's destination away.
    pub(crate) not_tracked: bool,
}

/// What one destination is sent by.
#[derive(Clone, Debug)]
pub(crate) struct DestinationSettings {
    pub(crate) name: DestinationName,
    pub(crate) endpoint: Endpoint,
    pub(crate) authorization: Option<Authorization>,
    pub(crate) frequency: Duration,
    /// The operator's name for this server, for `custom_id`.
    pub(crate) identifier: Option<String>,
    pub(crate) signing_secret: Option<SigningSecret>,
    pub(crate) proxy: Option<Proxy>,
    /// Trusted besides the system's and the bundled roots.
    pub(crate) extra_roots: Vec<CertificateDer<'static>>,
}

impl Settings {
    /// Checks everything that was read. Every setting is checked in every mode, so that a fault
    /// shows when it is made and not on the day the mode changes.
    pub(crate) fn check(
        reading: Reading,
        product: &Product,
        vendor: Option<&Vendor>,
    ) -> Result<Self, ConfigErrors> {
        let Reading { config, surroundings, names, mut problems } = reading;
        if !product.is_usable() {
            problems.push(Problem::shown(
                "the product's name",
                "visible ASCII with a letter or a digit in it",
                product.name(),
            ));
        }
        let mut check = Check { problems };

        let mode = config.mode.as_deref().map_or(Some(Mode::Disabled), |text| {
            check.shown(names.of("mode"), ACCEPTS_MODE, text, Mode::parse(text))
        });
        let url = config.url.as_ref().and_then(|text| check.url(names.of("url"), text));
        let auth = config.auth.as_ref().and_then(|text| check.auth(names.of("auth"), text));
        let frequency = config.frequency.as_deref().map_or(Some(DEFAULT_FREQUENCY), |text| {
            let duration = duration::parse(text.trim()).filter(|d| (SHORTEST..=LONGEST).contains(d));
            check.shown(names.of("frequency"), ACCEPTS_FREQUENCY, text, duration)
        });
        if let Some(text) = &config.identifier {
            let usable = text.chars().count() <= LONGEST_IDENTIFIER && !text.chars().any(char::is_control);
            let accepts = "at most 256 characters, none of them a control character";
            check.shown(names.of("identifier"), accepts, text, usable.then_some(()));
        }
        let signing_secret = config.signing_secret.as_ref().and_then(|text| {
            let accepts = "a Standard Webhooks secret: whsec_ and base64 of 24 to 64 bytes";
            check.secret(names.of("signing_secret"), accepts, SigningSecret::parse(text.expose_secret()))
        });
        if let (Some((_, Some(_))), Some(_)) = (&url, &config.auth) {
            check.problems.push(Problem::secret(
                names.of("auth"),
                "nothing where the URL carries user:password@",
                "a token besides the credentials of the URL",
            ));
        }
        let mode = mode.unwrap_or_default();
        if mode.has_custom() && config.url.is_none() {
            let needs = "an absolute URL, http:// or https://, and needs one in the modes custom and both";
            check.problems.push(Problem::secret(names.of("url"), needs, "nothing"));
        }
        let extra_roots = match &config.ca_file {
            Some(path) if mode != Mode::Disabled => check.ca_file(names.of("ca_file"), path),
            _ => Vec::new(),
        };

        let mut destinations = Vec::new();
        if let Some((endpoint, basic)) = url.filter(|_| mode.has_custom()) {
            let proxy = check.proxy(&surroundings, &endpoint);
            destinations.push(DestinationSettings {
                name: DestinationName::Custom,
                endpoint,
                authorization: auth.or(basic),
                frequency: frequency.unwrap_or(DEFAULT_FREQUENCY),
                identifier: config.identifier,
                signing_secret,
                proxy,
                extra_roots: extra_roots.clone(),
            });
        }
        if mode.has_default() {
            let vendor = check.vendor(vendor, &names.of("mode"));
            let vendor = vendor.filter(|_| !surroundings.do_not_track);
            destinations.extend(vendor.map(|(endpoint, authorization, frequency)| DestinationSettings {
                name: DestinationName::Default,
                proxy: check.proxy(&surroundings, &endpoint),
                endpoint,
                authorization,
                frequency,
                identifier: None,
                signing_secret: None,
                extra_roots,
            }));
        }
        if !check.problems.is_empty() {
            return Err(ConfigErrors::new(check.problems));
        }
        Ok(Self { mode, destinations, not_tracked: mode.has_default() && surroundings.do_not_track })
    }
}

/// Collects the problems of values that could not be used.
struct Check {
    problems: Vec<Problem>,
}

impl Check {
    fn shown<T>(&mut self, name: String, accepts: &'static str, given: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.problems.push(Problem::shown(name, accepts, given));
        }
        value
    }

    fn secret<T>(
        &mut self,
        name: String,
        accepts: &'static str,
        value: Result<T, impl Into<String>>,
    ) -> Option<T> {
        value.map_err(|about| self.problems.push(Problem::secret(name, accepts, about))).ok()
    }

    fn url(&mut self, name: String, text: &SecretString) -> Option<(Endpoint, Option<Authorization>)> {
        self.secret(name, ACCEPTS_URL, Endpoint::parse(text.expose_secret()))
    }

    fn auth(&mut self, name: String, text: &SecretString) -> Option<Authorization> {
        self.secret(name, ACCEPTS_AUTH, Authorization::parse(text.expose_secret()))
    }

    fn ca_file(&mut self, name: String, path: &str) -> Vec<CertificateDer<'static>> {
        let accepts = "the path of a readable PEM file with at least one certificate";
        let read = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| format!("{path:?} ({error})"))
            .and_then(|found| {
                if found.is_empty() { Err(format!("{path:?} (no certificate in it)")) } else { Ok(found) }
            });
        self.secret(name, accepts, read).unwrap_or_default()
    }

    fn vendor(
        &mut self,
        vendor: Option<&Vendor>,
        mode_name: &str,
    ) -> Option<(Endpoint, Option<Authorization>, Duration)> {
        let Some(vendor) = vendor else {
            self.problems.push(Problem::secret(
                mode_name,
                "disabled or custom in this build, which has no destination of its vendor",
                "a mode that needs one",
            ));
            return None;
        };
        let url = self.url("the vendor's URL".to_owned(), &vendor.url);
        let auth = vendor.auth.as_ref().map(|text| self.auth("the vendor's token".to_owned(), text));
        let in_range = (SHORTEST..=LONGEST).contains(&vendor.frequency);
        let given = format!("{:?}", vendor.frequency);
        self.shown("the vendor's frequency".to_owned(), ACCEPTS_FREQUENCY, &given, in_range.then_some(()));
        let (endpoint, basic) = url?;
        Some((endpoint, auth.flatten().or(basic), vendor.frequency))
    }

    /// The proxy for `endpoint`; a variable that this endpoint does not go by is not looked at.
    fn proxy(&mut self, surroundings: &Surroundings, endpoint: &Endpoint) -> Option<Proxy> {
        if surroundings.no_proxy.as_deref().is_some_and(|no_proxy| is_exempt(no_proxy, endpoint)) {
            return None;
        }
        let (name, own) = match endpoint.is_https() {
            true => ("HTTPS_PROXY", &surroundings.https_proxy),
            false => ("HTTP_PROXY", &surroundings.http_proxy),
        };
        let (name, text) = match (own, &surroundings.all_proxy) {
            (Some(text), _) => (name, text),
            (None, Some(text)) => ("ALL_PROXY", text),
            (None, None) => return None,
        };
        self.secret(name.to_owned(), ACCEPTS_PROXY, Proxy::parse(text.expose_secret()))
    }
}
