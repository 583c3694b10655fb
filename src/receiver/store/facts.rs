//! The facts that an instance reports about itself and what its events came with, and the columns that hold them.

use serde::Serialize;
use uuid::Uuid;

/// What an instance reports about itself with every event, and what the event came with (receiver §1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub(crate) struct Facts {
    pub(crate) build_version: String,
    pub(crate) build_commit: String,
    pub(crate) build_time: String,
    pub(crate) build_mode: String,
    pub(crate) build_os: String,
    pub(crate) build_arch: String,
    pub(crate) license_key_hash: Option<String>,
    pub(crate) license_valid: bool,
    pub(crate) custom_id: Option<String>,
    /// The key of the event; nil where it was stored by a version that kept no keys.
    pub(crate) key_id: Uuid,
    /// First token of `User-Agent`; empty where there was none.
    pub(crate) product: String,
}

impl Facts {
    pub(crate) fn license(&self) -> License {
        License::of(self.license_valid, self.license_key_hash.is_some())
    }

    /// Operating system and processor: `linux/amd64`.
    pub(crate) fn system(&self) -> String {
        format!("{}/{}", self.build_os, self.build_arch)
    }
}

/// What an instance says of its license.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum License {
    /// It is valid.
    Valid,
    /// There is a license key, and the license is not valid.
    Invalid,
    /// There is no license key, and nothing that is valid without one.
    None,
}

impl License {
    pub(crate) const ALL: [License; 3] = [License::Valid, License::Invalid, License::None];

    pub(super) fn of(is_valid: bool, has_key: bool) -> Self {
        match (is_valid, has_key) {
            (true, _) => License::Valid,
            (false, true) => License::Invalid,
            (false, false) => License::None,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            License::Valid => "valid",
            License::Invalid => "invalid",
            License::None => "none",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|license| license.as_str() == text)
    }

    /// Its position in [`ALL`](Self::ALL).
    pub(crate) fn rank(self) -> i16 {
        Self::ALL.iter().position(|license| *license == self).unwrap_or_default() as i16
    }

    #[cfg(feature = "sqlite")]
    pub(super) fn of_rank(rank: i16) -> Option<Self> {
        usize::try_from(rank).ok().and_then(|rank| Self::ALL.get(rank).copied())
    }
}

/// Columns of [`Facts`] in the tables of runs and of instances, in the order of its fields.
pub(super) const FACTS: [&str; 11] = [
    "build_version",
    "build_commit",
    "build_time",
    "build_mode",
    "build_os",
    "build_arch",
    "license_key_hash",
    "license_valid",
    "custom_id",
    "key_id",
    "product",
];
