//! What the host's binary knows of itself, embedded when it was built.

use std::borrow::Cow;

use serde::Serialize;

/// What stands for a value that the build did not know.
const UNKNOWN: &str = "unknown";

/// The build of the host, as every payload reports it (`build_*`).
///
/// [`build_info!`](crate::build_info) makes one in a host whose `build.rs` calls
/// `deployment_telemetry_build::emit()`. A host that knows its commit and time from elsewhere names
/// them.
///
/// # Examples
/// ```
/// use deployment_telemetry::BuildInfo;
///
/// let build = BuildInfo::new(env!("CARGO_PKG_VERSION"))
///     .with_commit("4379644")
///     .with_time("2024-02-16T23:06:23+02:00")
///     .with_mode("licenced");
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
    /// A build of `version`, such as `0.1.0`, with the commit and the edition `unknown` and without a
    /// time, which must follow. System and processor are those that the crate is compiled for.
    pub fn new(version: impl Into<Cow<'static, str>>) -> Self {
        Self {
            version: version.into(),
            commit: UNKNOWN.into(),
            time: "".into(),
            mode: UNKNOWN.into(),
            os: os(std::env::consts::OS).into(),
            arch: arch(std::env::consts::ARCH).into(),
        }
    }

    /// Sets the commit, short or long. An empty one is `unknown`.
    pub fn with_commit(mut self, commit: impl Into<Cow<'static, str>>) -> Self {
        let commit = commit.into();
        self.commit = if commit.is_empty() { UNKNOWN.into() } else { commit };
        self
    }

    /// Sets the time of the build: RFC 3339 with offset, such as `2024-02-16T23:06:23+02:00`.
    /// [`start`](crate::TelemetryBuilder::start) refuses anything else.
    pub fn with_time(mut self, time: impl Into<Cow<'static, str>>) -> Self {
        self.time = time.into();
        self
    }

    /// Sets the edition, in the vendor's words, such as `licenced`.
    pub fn with_mode(mut self, mode: impl Into<Cow<'static, str>>) -> Self {
        self.mode = mode.into();
        self
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

    /// The commit; `unknown` where the build did not know it.
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

/// The [`BuildInfo`] of the package in whose code the macro stands, with the edition that is given.
///
/// The commit and the time come from the package's `build.rs`, which calls
/// `deployment_telemetry_build::emit()`, from the crate `deployment-telemetry-build`. Where a build
/// knows them from elsewhere, it sets the variables `DEPLOYMENT_TELEMETRY_COMMIT` and
/// `DEPLOYMENT_TELEMETRY_TIME` instead.
///
/// # Examples
/// ```ignore
/// let build = deployment_telemetry::build_info!("licenced");
/// ```
#[macro_export]
macro_rules! build_info {
    ($mode:expr) => {
        $crate::BuildInfo::new(env!("CARGO_PKG_VERSION"))
            .with_commit(env!(
                "DEPLOYMENT_TELEMETRY_COMMIT",
                "build.rs must call deployment_telemetry_build::emit()"
            ))
            .with_time(env!(
                "DEPLOYMENT_TELEMETRY_TIME",
                "build.rs must call deployment_telemetry_build::emit()"
            ))
            .with_mode($mode)
    };
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
        let usable = |time: &'static str| BuildInfo::new("1").with_time(time).time_is_rfc3339();
        assert!(usable("2024-02-16T23:06:23+02:00"));
        assert!(usable("2024-02-16T23:06:23Z"));
        for time in ["", "unknown", "2024-02-16", "2024-02-16T23:06:23", "20240216T230623+02:00"] {
            assert!(!usable(time), "{time:?}");
        }
    }

    #[test]
    fn what_is_missing_is_unknown_and_a_time_is_asked_for() {
        let build = BuildInfo::new("1").with_commit("");
        assert_eq!([build.commit(), build.mode()], ["unknown"; 2]);
        assert!(!build.time_is_rfc3339());
    }
}
