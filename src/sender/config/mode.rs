//! The destinations that exist, and the mode that activates them.

use std::fmt;

use serde::Serialize;

/// Mode of the subsystem: the set of active destinations (spec §2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Mode {
    /// No destination; nothing is sent.
    #[default]
    Disabled,
    /// The operator's destination.
    Custom,
    /// The vendor's destination.
    Default,
    /// Both destinations.
    Both,
}

impl Mode {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text.trim().to_ascii_lowercase().as_str() {
            "disabled" => Mode::Disabled,
            "custom" => Mode::Custom,
            "default" => Mode::Default,
            "both" => Mode::Both,
            _ => return None,
        })
    }

    pub(super) fn has_custom(self) -> bool {
        matches!(self, Mode::Custom | Mode::Both)
    }

    pub(super) fn has_default(self) -> bool {
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

/// Name of a destination, which says whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DestinationName {
    /// The operator's destination.
    Custom,
    /// The vendor's destination.
    Default,
}

impl DestinationName {
    /// Text of the name: `custom` or `default`.
    pub fn as_str(self) -> &'static str {
        match self {
            DestinationName::Custom => "custom",
            DestinationName::Default => "default",
        }
    }

    /// Name of the destination's actor in the log and in the status.
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
