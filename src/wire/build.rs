//! What the host's binary knows of itself, embedded when it was built.

use std::borrow::Cow;

use serde::Serialize;

/// The build of the host, as every payload reports it (`build_*`).
///
/// The host takes the values from its own build, usually by its `build.rs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BuildInfo {
    version: Cow<'static, str>,
    commit: Cow<'static, str>,
    time: Cow<'static, str>,
    mode: Cow<'static, str>,
    os: Cow<'static, str>,
    arch: Cow<'static, str>,
}

impl BuildInfo {
    /// `version` (such as `0.1.0`), `commit` (short or long; empty becomes `unknown`), `time`
    /// (RFC 3339 with offset, such as `2024-02-16T23:06:23+02:00`) and `mode` (the vendor's word for
    /// the edition, such as `licenced`). System and processor are those the crate is compiled for.
    ///
    /// [`start`](crate::TelemetryBuilder::start) refuses a `time` that is not RFC 3339.
    pub fn new(
        version: impl Into<Cow<'static, str>>,
        commit: impl Into<Cow<'static, str>>,
        time: impl Into<Cow<'static, str>>,
        mode: impl Into<Cow<'static, str>>,
    ) -> Self {
        let commit = commit.into();
        Self {
            version: version.into(),
            commit: if commit.is_empty() { "unknown".into() } else { commit },
            time: time.into(),
            mode: mode.into(),
            os: os(std::env::consts::OS).into(),
            arch: arch(std::env::consts::ARCH).into(),
        }
    }

    /// As another system would report it.
    #[cfg(test)]
    pub(crate) fn on(mut self, os: &'static str, arch: &'static str) -> Self {
        (self.os, self.arch) = (os.into(), arch.into());
        self
    }

    /// The version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The commit, `unknown` where the build did not know it.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// When it was built, RFC 3339 with offset.
    pub fn time(&self) -> &str {
        &self.time
    }

    /// The edition.
    pub fn mode(&self) -> &str {
        &self.mode
    }

    /// The operating system, in the vocabulary of the payload (`linux`, `darwin`, `windows`).
    pub fn os(&self) -> &str {
        &self.os
    }

    /// The processor, in the vocabulary of the payload (`amd64`, `arm64`, `386`).
    pub fn arch(&self) -> &str {
        &self.arch
    }

    pub(crate) fn time_is_rfc3339(&self) -> bool {
        // A jiff timestamp needs an offset or a `Z`; its grammar is wider than RFC 3339 in the rest.
        self.time.len() >= 20
            && self.time.as_bytes()[10].eq_ignore_ascii_case(&b'T')
            && self.time.parse::<jiff::Timestamp>().is_ok()
    }
}

fn os(rust_name: &'static str) -> &'static str {
    match rust_name {
        "macos" => "darwin",
        other => other,
    }
}

fn arch(rust_name: &'static str) -> &'static str {
    match rust_name {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_systems_and_processors_are_those_of_the_reference_page() {
        assert_eq!(["windows", "linux", "macos"].map(os), ["windows", "linux", "darwin"]);
        assert_eq!(["x86_64", "aarch64", "x86"].map(arch), ["amd64", "arm64", "386"]);
    }

    #[test]
    fn a_build_time_needs_date_time_and_offset() {
        let usable = |time: &'static str| BuildInfo::new("1", "", time, "licenced").time_is_rfc3339();
        assert!(usable("2024-02-16T23:06:23+02:00"));
        assert!(usable("2024-02-16T23:06:23Z"));
        for time in ["", "unknown", "2024-02-16", "2024-02-16T23:06:23", "20240216T230623+02:00"] {
            assert!(!usable(time), "{time:?}");
        }
    }

    #[test]
    fn a_missing_commit_is_unknown() {
        assert_eq!(BuildInfo::new("1", "", "2024-02-16T23:06:23Z", "licenced").commit(), "unknown");
    }
}
