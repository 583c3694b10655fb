//! The configuration by the operator (spec §2): it is read once and checked as a whole, and is used only if
//! all of it is valid.
//!
//! A setting comes from a variable or from a field of [`Config`]. It ends up in [`Settings`], or in a
//! [`SettingProblem`] that names the variable or field. Reading and checking are pure functions; the
//! [`ConfigActor`] calls both once.

mod actor;
mod duration;
mod frequency;
mod mode;
mod secret;
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
use crate::outgoing::setting::{Environment, Problems, Setting};
use crate::running::text::trimmed;
use secret::{Secret, Secrets};

pub(crate) use duration::format as format_duration;
#[cfg(all(unix, any(test, fuzzing)))]
pub(crate) use duration::parse as parse_duration;

/// Settings of the operator as text, for a host that keeps them in its own configuration file.
///
/// Each field accepts the values that its environment variable accepts. A missing, empty or blank field is
/// unset. [`start`](crate::TelemetryBuilder::start) checks all fields and reports all problems together.
///
/// `DO_NOT_TRACK` and the proxy variables belong to the machine, not to the product. They are read from the
/// environment even where a host provides a `Config`.
///
/// ```
/// use deployment_telemetry::Config;
///
/// let in_code = Config::custom("https://collector.example/telemetry")
///     .auth("a token")
///     .frequency("2h")
///     .identifier("rack 7")
///     .no_proxy("localhost,.internal.example");
/// assert_eq!(in_code.identifier.as_deref(), Some("rack 7"));
///
/// let config: Config = serde_json::from_str(
///     r#"{"mode": "custom", "url": "https://collector.example/telemetry", "frequency": "2h"}"#,
/// )?;
/// assert_eq!(config.frequency.as_deref(), Some("2h"));
/// assert!(serde_json::from_str::<Config>(r#"{"mod": "custom"}"#).is_err()); // unknown fields are errors
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// [`Mode`]: `disabled`, `custom`, `default` or `both`, in upper or lower case. Default: `disabled`.
    pub mode: Option<String>,
    /// URL of the operator's destination: an absolute `http` or `https` URL, or `file:///path` to append each event to
    /// a file. Required in the modes `custom` and `both`.
    #[serde(deserialize_with = "secret")]
    pub url: Option<SecretString>,
    /// Token for that destination, which is sent as `Bearer <token>`, or `Scheme credentials`, which is sent
    /// unchanged.
    #[serde(deserialize_with = "secret")]
    pub auth: Option<SecretString>,
    /// Time between two updates to that destination: `1h` to `24h` as a Go duration, such as `90m` or `1h30m`.
    /// Default: `8h`.
    pub frequency: Option<String>,
    /// Operator's name for this server: at most 256 characters, none of them a control character. It is sent to
    /// the operator's destination only.
    pub identifier: Option<String>,
    /// Path of a PEM file with certificates that are trusted in addition to the system's and the bundled roots.
    /// At most 16 MiB.
    pub ca_file: Option<String>,
    /// Standard Webhooks secret, `whsec_` and the base64 of 24 to 64 bytes, with which requests to the
    /// operator's destination are signed.
    #[serde(deserialize_with = "secret")]
    pub signing_secret: Option<SecretString>,
    /// Hosts that are reached without a proxy in addition to those in `NO_PROXY`, in the same syntax.
    pub no_proxy: Option<String>,
}

/// Deserializes a secret. The error does not repeat the value, unlike that of serde.
fn secret<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
    let text = Option::<String>::deserialize(from).map_err(|_| serde::de::Error::custom("expected text"))?;
    Ok(text.map(SecretString::from))
}

impl Config {
    /// Creates settings of which none is set: telemetry is disabled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates settings with the mode `custom` and the operator's destination at `url`.
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
    pub fn no_proxy(mut self, hosts: impl Into<String>) -> Self {
        self.no_proxy = Some(hosts.into());
        self
    }

    /// These settings, with those of `other` where they are unset.
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

    /// These settings without the blanks around them. Blank ones are unset, as blank variables are.
    fn trimmed(self) -> Self {
        use secrecy::ExposeSecret;
        let text =
            |text: Option<String>| text.map(|text| trimmed(&text).to_owned()).filter(|text| !text.is_empty());
        let secret = |secret: Option<SecretString>| {
            text(secret.map(|secret| secret.expose_secret().to_owned())).map(SecretString::from)
        };
        Self {
            mode: text(self.mode),
            url: secret(self.url),
            auth: secret(self.auth),
            frequency: text(self.frequency),
            identifier: text(self.identifier),
            ca_file: text(self.ca_file),
            signing_secret: secret(self.signing_secret),
            no_proxy: text(self.no_proxy),
        }
    }
}

/// Result of reading: the settings as text, their names, and the problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) config: Config,
    /// Secrets from the environment, which override those of `config`. Their files are not read yet.
    pub(crate) secrets: Secrets,
    pub(crate) proxies: ProxyVariables,
    pub(crate) do_not_track: bool,
    pub(crate) names: Names,
    pub(crate) problems: Problems,
}

/// Names of the settings in problems: the variables of a product, or the fields of a [`Config`].
#[derive(Debug, Default)]
pub(crate) struct Names(Option<Product>);

impl Names {
    /// Name of the setting in the field `field` of [`Config`].
    pub(crate) fn of(&self, field: &str) -> String {
        match &self.0 {
            Some(product) => product.variable(&format!("TELEMETRY_{}", field.to_ascii_uppercase())),
            None => format!("telemetry setting `{field}`"),
        }
    }
}

impl Reading {
    /// Reads the variables `<PRODUCT>_TELEMETRY_*` and those of the machine.
    pub(crate) fn from_environment(product: &Product, environment: Environment<'_>) -> Self {
        let mut reading = Self::of_the_machine(environment);
        reading.names = Names(Some(product.clone()));
        let problems = &mut reading.problems;
        let variable = |suffix: &str| product.variable(suffix);
        let mut secret =
            |setting, suffix| Secret::read(setting, &variable(suffix), environment, &mut *problems);
        // The misspelled variable is the documented one; the correct spelling is accepted as well.
        let auth = ["TELEMTRY_AUTH", "TELEMETRY_AUTH"].map(|suffix| secret(Setting::Auth, suffix));
        reading.secrets = Secrets {
            url: secret(Setting::Url, "TELEMETRY_URL"),
            signing_secret: secret(Setting::SigningSecret, "TELEMETRY_SIGNING_SECRET"),
            auth,
        };
        let mut text = |setting, suffix| problems.read(setting, &variable(suffix), environment);
        reading.config = Config {
            mode: text(Setting::Mode, "TELEMETRY_MODE"),
            frequency: text(Setting::Frequency, "TELEMETRY_FREQUENCY"),
            identifier: text(Setting::Identifier, "TELEMETRY_IDENTIFIER"),
            ca_file: text(Setting::CaFile, "TELEMETRY_CA_FILE"),
            ..Config::default()
        };
        reading
    }

    /// Takes the settings from the host, and reads the variables of the machine.
    pub(crate) fn given(config: Config, environment: Environment<'_>) -> Self {
        Self { config: config.trimmed(), ..Self::of_the_machine(environment) }
    }

    /// Sets the unset settings to `defaults`.
    pub(crate) fn or(mut self, defaults: Config) -> Self {
        self.config = self.config.or(defaults.trimmed());
        self
    }

    /// Reads the proxy variables and `DO_NOT_TRACK`.
    fn of_the_machine(environment: Environment<'_>) -> Self {
        // Privacy wins over an unknown spelling: every value means yes, except a clear no.
        let do_not_track = environment("DO_NOT_TRACK").is_some_and(|value| {
            let value = trimmed(&value.to_string_lossy()).to_ascii_lowercase();
            !matches!(value.as_str(), "" | "0" | "false")
        });
        Self { proxies: ProxyVariables::read(environment), do_not_track, ..Self::default() }
    }
}
