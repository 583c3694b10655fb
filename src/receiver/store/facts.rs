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
