//! The build of the host, which every event reports.

use std::borrow::Cow;

use serde::Serialize;

/// Build of the host: the fields `build_*` of every payload.
///
/// A host usually takes the values from environment variables that its `build.rs` sets. The operating system
/// and the processor are those that the crate is compiled for.
///
/// ```
/// use deployment_telemetry::BuildInfo;
///
/// let build = BuildInfo::new(
///     env!("CARGO_PKG_VERSION"),
///     option_env!("GIT_COMMIT").unwrap_or_default(),
///     option_env!("BUILD_TIME").unwrap_or("2024-02-16T23:06:23+02:00"),
///     "licenced",
/// );
/// assert_eq!(build.commit(), option_env!("GIT_COMMIT").unwrap_or("unknown"));
/// ```
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
    /// Creates the description of a build.
    ///
    /// - `version`: version of the host, such as `0.1.0`.
    /// - `commit`: commit that the build was made from, short or long; an empty text becomes `unknown`.
    /// - `time`: time of the build in RFC 3339 with an offset, such as `2024-02-16T23:06:23+02:00`.
    ///   [`start`](crate::TelemetryBuilder::start) fails with
    ///   [`StartError::BuildTime`](crate::StartError::BuildTime) for any other text.
    /// - `mode`: the vendor's name for the edition, such as `licenced`.
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

    /// The same build for another system.
    #[cfg(test)]
    pub(crate) fn on(mut self, os: &'static str, arch: &'static str) -> Self {
        (self.os, self.arch) = (os.into(), arch.into());
        self
    }

    /// Version of the host.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Commit that the build was made from; `unknown` where none was given.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// Time of the build, as it was given.
    pub fn time(&self) -> &str {
        &self.time
    }

    /// Vendor's name for the edition.
    pub fn mode(&self) -> &str {
        &self.mode
    }

    /// Operating system, in the vocabulary of the payload (`linux`, `darwin`, `windows`).
    pub fn os(&self) -> &str {
        &self.os
    }

    /// Processor architecture, in the vocabulary of the payload (`amd64`, `arm64`, `386`).
    pub fn arch(&self) -> &str {
        &self.arch
    }

    pub(crate) fn time_is_rfc3339(&self) -> bool {
        // jiff requires an offset or `Z`, but otherwise accepts more than RFC 3339, such as 20240216T230623Z.
        self.time.len() >= 20
            && self.time.as_bytes()[10].eq_ignore_ascii_case(&b'T')
            && self.time.parse::<jiff::Timestamp>().is_ok()
    }
}

/// Name of an operating system on the wire.
fn os(rust_name: &'static str) -> &'static str {
    match rust_name {
        "macos" => "darwin",
        other => other,
    }
}

/// Name of a processor architecture on the wire.
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
    fn systems_and_processors_have_the_names_of_the_documentation() {
        assert_eq!(["windows", "linux", "macos"].map(os), ["windows", "linux", "darwin"]);
        assert_eq!(["x86_64", "aarch64", "x86"].map(arch), ["amd64", "arm64", "386"]);
    }

    #[test]
    fn a_build_time_needs_a_date_a_time_and_an_offset() {
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
