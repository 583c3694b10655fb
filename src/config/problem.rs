//! A setting that cannot be used, told so that the operator can mend it.

use std::fmt;

/// One setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    setting: String,
    accepts: &'static str,
    given: String,
}

impl Problem {
    /// With what was given, cut after 80 characters.
    pub(crate) fn shown(setting: impl Into<String>, accepts: &'static str, given: &str) -> Self {
        let cut = given.char_indices().nth(80).map_or(given.len(), |(at, _)| at);
        let dots = if cut < given.len() { "…" } else { "" };
        Self { setting: setting.into(), accepts, given: format!("{:?}{dots}", &given[..cut]) }
    }

    /// With words about what was given: the value may hold a secret.
    pub(crate) fn secret(
        setting: impl Into<String>,
        accepts: &'static str,
        about: impl Into<String>,
    ) -> Self {
        Self { setting: setting.into(), accepts, given: about.into() }
    }

    /// The variable, or the field of [`Config`](super::Config), that is at fault.
    pub fn setting(&self) -> &str {
        &self.setting
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} accepts {}; given: {}", self.setting, self.accepts, self.given)
    }
}

/// Every problem found in the settings, one a line. Never empty, never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(Vec<Problem>);

impl ConfigErrors {
    /// `problems` must not be empty. What two destinations share is told once.
    pub(crate) fn new(mut problems: Vec<Problem>) -> Self {
        debug_assert!(!problems.is_empty());
        problems.dedup();
        Self(problems)
    }

    /// The problems, in the order of the documentation.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the telemetry settings cannot be used:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
