//! What the operator configures (spec §2): read once, checked as a whole, never half used.
//!
//! The way of a setting: a variable or a field of [`Config`] → [`Settings`], or a [`SettingProblem`] that
//! names it. Reading and checking are pure; the [`ConfigActor`] does both once.

mod actor;
mod duration;
mod frequency;
mod mode;
mod settings;
mod vendor;

use secrecy::SecretString;
use serde::Deserialize;

pub(crate) use actor::{ConfigActor, ConfigSource, Load};
pub use mode::{DestinationName, Mode};
pub(crate) use settings::{DestinationSettings, Settings};
pub use vendor::Vendor;

use super::product::Product;
use crate::outgoing::proxy::ProxyVariables;
use crate::outgoing::setting::{Environment, Problems, Setting, SettingProblem};

pub(crate) use duration::format as format_duration;
#[cfg(all(unix, any(test, fuzzing)))]
pub(crate) use duration::parse as parse_duration;

/// The operator's settings as text, for a host that keeps them in a file of its own.
///
/// Every field takes what its environment variable takes; a missing, empty or blank one is unset.
/// Checked by [`start`](crate::TelemetryBuilder::start), all faults together. `DO_NOT_TRACK` and the
/// proxy variables are the machine's, not the product's: they are read from the environment as well
/// where the host hands in a `Config`.
///
/// # Examples
/// As a part of the host's own settings file:
/// ```
/// #[derive(serde::Deserialize)]
/// struct Settings {
///     #[serde(default)]
///     telemetry: deployment_telemetry::Config,
/// }
///
/// let file = r#"{"telemetry": {"mode": "custom", "url": "https://telemetry.example/"}}"#;
/// let settings: Settings = serde_json::from_str(file)?;
/// # Ok::<(), serde_json::Error>(())
/// ```
/// In code:
/// ```
/// use deployment_telemetry::Config;
///
/// let config = Config::custom("https://telemetry.example/").auth("a token").frequency("90m");
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// `disabled`, `custom`, `default` or `both`; any case.
    pub mode: Option<String>,
    /// The operator's destination: absolute, `http` or `https`. Required in `custom` and `both`.
    #[serde(deserialize_with = "secret")]
    pub url: Option<SecretString>,
    /// A token, sent as `Bearer`, or `Scheme credentials`, sent as it stands.
    #[serde(deserialize_with = "secret")]
    pub auth: Option<SecretString>,
    /// `1h` to `24h` in Go's syntax.
    pub frequency: Option<String>,
    /// The operator's name for this server, at most 256 characters.
    pub identifier: Option<String>,
    /// A PEM file of certificates trusted besides the system's.
    pub ca_file: Option<String>,
    /// A Standard Webhooks secret, `whsec_…`; requests to the operator's destination are signed.
    #[serde(deserialize_with = "secret")]
    pub signing_secret: Option<SecretString>,
    /// What is reached without a proxy besides what `NO_PROXY` names, in its syntax.
    pub no_proxy: Option<String>,
}

/// Reads a secret without repeating it where it is no text.
fn secret<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
    let text = Option::<String>::deserialize(from).map_err(|_| serde::de::Error::custom("expected text"))?;
    Ok(text.map(SecretString::from))
}

impl Config {
    /// Settings of which none is set: telemetry is disabled.
    pub fn new() -> Self {
        Self::default()
    }

    /// The mode `custom`, with the operator's destination at `url`.
    pub fn custom(url: impl Into<String>) -> Self {
        Self::new().mode("custom").url(url)
    }

    /// Sets [`mode`](Self#structfield.mode).
    pub fn mode(mut self, mode: impl Into<String>) -> Self {
        self.mode = Some(mode.into());
        self
    }

    /// Sets [`url`](Self#structfield.url).
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(SecretString::from(url.into()));
        self
    }

    /// Sets [`auth`](Self#structfield.auth).
    pub fn auth(mut self, token: impl Into<String>) -> Self {
        self.auth = Some(SecretString::from(token.into()));
        self
    }

    /// Sets [`frequency`](Self#structfield.frequency).
    pub fn frequency(mut self, frequency: impl Into<String>) -> Self {
        self.frequency = Some(frequency.into());
        self
    }

    /// Sets [`identifier`](Self#structfield.identifier).
    pub fn identifier(mut self, identifier: impl Into<String>) -> Self {
        self.identifier = Some(identifier.into());
        self
    }

    /// Sets [`ca_file`](Self#structfield.ca_file).
    pub fn ca_file(mut self, file: impl Into<String>) -> Self {
        self.ca_file = Some(file.into());
        self
    }

    /// Sets [`signing_secret`](Self#structfield.signing_secret).
    pub fn signing_secret(mut self, secret: impl Into<String>) -> Self {
        self.signing_secret = Some(SecretString::from(secret.into()));
        self
    }

    /// Sets [`no_proxy`](Self#structfield.no_proxy).
    pub fn no_proxy(mut self, names: impl Into<String>) -> Self {
        self.no_proxy = Some(names.into());
        self
    }

    /// These settings, and those of `other` where they are unset.
    fn or(self, other: Self) -> Self {
        Self {
            mode: self.mode.or(other.mode),
            url: self.url.or(other.url),
            auth: self.auth.or(other.auth),
            frequency: self.frequency.or(other.frequency),
            identifier: self.identifier.or(other.identifier),
            ca_file: self.ca_file.or(other.ca_file),
            signing_secret: self.signing_secret.or(other.signing_secret),
            no_proxy: self.no_proxy.or(other.no_proxy),
        }
    }

    /// With blank settings unset, as blank variables are.
    fn without_blanks(self) -> Self {
        use secrecy::ExposeSecret;
        let filled = |text: &String| !text.trim().is_empty();
        let filled_secret = |text: &SecretString| !text.expose_secret().trim().is_empty();
        Self {
            mode: self.mode.filter(filled),
            url: self.url.filter(filled_secret),
            auth: self.auth.filter(filled_secret),
            frequency: self.frequency.filter(filled),
            identifier: self.identifier.filter(filled),
            ca_file: self.ca_file.filter(filled),
            signing_secret: self.signing_secret.filter(filled_secret),
            no_proxy: self.no_proxy.filter(filled),
        }
    }
}

/// Text settings, what they are called where they came from, and what went wrong while reading.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) config: Config,
    pub(crate) proxies: ProxyVariables,
    pub(crate) do_not_track: bool,
    pub(crate) names: Names,
    pub(crate) problems: Problems,
}

/// How a setting is called in a problem: by its variable, or by its field.
#[derive(Debug, Default)]
pub(crate) struct Names(Option<Product>);

impl Names {
    pub(crate) fn of(&self, field: &str) -> String {
        match &self.0 {
            Some(product) => product.variable(&format!("TELEMETRY_{}", field.to_ascii_uppercase())),
            None => format!("telemetry setting `{field}`"),
        }
    }
}

impl Reading {
    /// Reads `<PRODUCT>_TELEMETRY_*` and the machine's variables.
    pub(crate) fn from_environment(product: &Product, environment: Environment<'_>) -> Self {
        let mut reading = Self::of_the_machine(environment);
        reading.names = Names(Some(product.clone()));
        let problems = &mut reading.problems;
        let mut text = |setting, suffix| problems.read(setting, &product.variable(suffix), environment);
        reading.config = Config {
            mode: text(Setting::Mode, "TELEMETRY_MODE"),
            url: text(Setting::Url, "TELEMETRY_URL").map(SecretString::from),
            frequency: text(Setting::Frequency, "TELEMETRY_FREQUENCY"),
            identifier: text(Setting::Identifier, "TELEMETRY_IDENTIFIER"),
            ca_file: text(Setting::CaFile, "TELEMETRY_CA_FILE"),
            signing_secret: text(Setting::SigningSecret, "TELEMETRY_SIGNING_SECRET").map(SecretString::from),
            auth: auth(product, environment, problems),
            no_proxy: None,
        };
        reading
    }

    /// Takes what the host hands in, and the machine's variables.
    pub(crate) fn given(config: Config, environment: Environment<'_>) -> Self {
        Self { config: config.without_blanks(), ..Self::of_the_machine(environment) }
    }

    /// Fills in what is unset.
    pub(crate) fn or(mut self, defaults: Config) -> Self {
        self.config = self.config.or(defaults.without_blanks());
        self
    }

    fn of_the_machine(environment: Environment<'_>) -> Self {
        let mut problems = Problems::default();
        let proxies = ProxyVariables::read(environment, &mut problems);
        // A wish for privacy is not turned away for its spelling: only a clear no is a no.
        let do_not_track = problems
            .read(Setting::DoNotTrack, "DO_NOT_TRACK", environment)
            .is_some_and(|value| !matches!(value.trim().to_ascii_lowercase().as_str(), "0" | "false"));
        Self { proxies, do_not_track, problems, ..Self::default() }
    }
}

/// The token, by the documented name (sic) and by the one everybody expects.
fn auth(product: &Product, environment: Environment<'_>, problems: &mut Problems) -> Option<SecretString> {
    let [documented, expected] = ["TELEMTRY_AUTH", "TELEMETRY_AUTH"].map(|suffix| product.variable(suffix));
    let first = problems.read(Setting::Auth, &documented, environment);
    let second = problems.read(Setting::Auth, &expected, environment);
    if first.is_some() && second.is_some() && first != second {
        problems.push(SettingProblem::secret(
            Setting::Auth,
            &format!("{documented} and {expected}"),
            "the same token in both, or a token in one of them",
            "two different values",
        ));
    }
    first.or(second).map(SecretString::from)
}
