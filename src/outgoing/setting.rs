//! A setting that cannot be used, described so that the operator can correct it.

use std::ffi::OsString;
use std::fmt;

use crate::running::text::trimmed;

/// Which setting a [`SettingProblem`] is about, for hosts that know it by a name of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Setting {
    /// The product's name.
    Product,
    /// Which destinations are active.
    Mode,
    /// The URL of the operator's destination, or of alerts.
    Url,
    /// The token for that destination.
    Auth,
    /// The time between two updates to the operator's destination.
    Frequency,
    /// The operator's name for the server.
    Identifier,
    /// The PEM file of certificates that are trusted besides the system's.
    CaFile,
    /// The secret that requests are signed with.
    SigningSecret,
    /// The URL of the vendor's destination.
    VendorUrl,
    /// The token for the vendor's destination.
    VendorAuth,
    /// The time between two updates to the vendor's destination.
    VendorFrequency,
}

/// One setting that cannot be used. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem {
    setting: Setting,
    name: String,
    fault: String,
}

impl SettingProblem {
    /// A value that may be shown; it is cut after 80 characters.
    pub(crate) fn shown(setting: Setting, name: &str, accepts: &str, given: &str) -> Self {
        let cut = given.char_indices().nth(80).map_or(given.len(), |(at, _)| at);
        let dots = if cut < given.len() { "…" } else { "" };
        Self::secret(setting, name, accepts, &format!("{:?}{dots}", &given[..cut]))
    }

    /// A value that may hold a secret: `about` describes it without repeating it.
    pub(crate) fn secret(setting: Setting, name: &str, accepts: &str, about: &str) -> Self {
        Self::new(setting, name, format!("accepts {accepts}; given: {about}"))
    }

    /// `fault` follows the setting's name in a sentence.
    pub(crate) fn new(setting: Setting, name: &str, fault: impl Into<String>) -> Self {
        Self { setting, name: name.to_owned(), fault: fault.into() }
    }

    /// The setting that is at fault.
    pub fn setting(&self) -> Setting {
        self.setting
    }

    /// The name of the setting where it was read from: its variable, or its field of
    /// [`Config`](crate::Config).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same problem under another name, for a host that reads the setting from a place of its own.
    ///
    /// ```
    /// use deployment_telemetry::{BuildInfo, Config, Product, Setting, Telemetry};
    /// # use deployment_telemetry::{MemoryStateStore, StartError};
    /// # let build = BuildInfo::new("1.0.0").with_time("2026-01-01T00:00:00Z");
    /// let config = Config::new().mode("sometimes");
    /// let builder = Telemetry::builder(Product::new("Sirveo"), build, MemoryStateStore::new()).config(config);
    /// # let Err(StartError::Config(errors)) = builder.check() else { unreachable!() };
    /// let problem = &errors.problems()[0];
    /// assert_eq!(problem.setting(), Setting::Mode);
    /// assert_eq!(
    ///     problem.renamed("telemetry.mode").to_string(),
    ///     r#"telemetry.mode accepts disabled, custom, default or both; given: "sometimes""#,
    /// );
    /// ```
    #[must_use]
    pub fn renamed(&self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self.clone() }
    }
}

impl fmt::Display for SettingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.fault)
    }
}

/// Every problem found in a group of settings, one per line. Never empty; holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    subject: &'static str,
    problems: Vec<SettingProblem>,
}

impl ConfigErrors {
    /// The problems, in the order of the documentation.
    pub fn problems(&self) -> &[SettingProblem] {
        &self.problems
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} settings cannot be used:", self.subject)?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// The process's environment, or a test's.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Collects the problems of a group of settings while they are read and checked.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<SettingProblem>);

impl Problems {
    pub(crate) fn push(&mut self, problem: SettingProblem) {
        self.0.push(problem);
    }

    /// The value of a variable without the blanks around it; `None` where it is unset, empty, blank, or not text.
    pub(crate) fn read(
        &mut self,
        setting: Setting,
        name: &str,
        environment: Environment<'_>,
    ) -> Option<String> {
        match environment(name)?.into_string() {
            Ok(value) => Some(trimmed(&value).to_owned()).filter(|value| !value.is_empty()),
            Err(_) => {
                self.push(SettingProblem::secret(setting, name, "text in UTF-8", "bytes that are not UTF-8"));
                None
            }
        }
    }

    /// `value`, or a problem that shows what was given.
    pub(crate) fn shown<T>(
        &mut self,
        setting: Setting,
        name: &str,
        accepts: &str,
        given: &str,
        value: Option<T>,
    ) -> Option<T> {
        if value.is_none() {
            self.push(SettingProblem::shown(setting, name, accepts, given));
        }
        value
    }

    /// The value, or a problem with the words that describe what was given.
    pub(crate) fn secret<T>(
        &mut self,
        setting: Setting,
        name: &str,
        accepts: &str,
        value: Result<T, impl Into<String>>,
    ) -> Option<T> {
        value.map_err(|about| self.push(SettingProblem::secret(setting, name, accepts, &about.into()))).ok()
    }

    /// `value`, unless there are problems. A problem that two destinations share is told once.
    pub(crate) fn none_or<T>(mut self, subject: &'static str, value: T) -> Result<T, ConfigErrors> {
        self.0.dedup();
        match self.0.is_empty() {
            true => Ok(value),
            false => Err(ConfigErrors { subject, problems: self.0 }),
        }
    }
}
