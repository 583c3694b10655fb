//! The build of the host, which every event reports.

use std::borrow::Cow;

use serde::Serialize;

/// Text for a value that the build did not know.
const UNKNOWN: &str = "unknown";

/// Build of the host: the fields `build_*` of every payload.
///
/// [`build_info!`](crate::build_info) creates it in a host whose `build.rs` calls
/// `deployment_telemetry_build::emit()`. The operating system and the processor are those that the crate is
/// compiled for.
///
/// ```
/// use deployment_telemetry::BuildInfo;
///
/// let build = BuildInfo::new(env!("CARGO_PKG_VERSION"))
///     .with_commit(option_env!("GIT_COMMIT").unwrap_or_default())
///     .with_time("2024-02-16T23:06:23+02:00")
///     .with_mode("licenced");
/// assert_eq!(build.commit(), option_env!("GIT_COMMIT").unwrap_or("unknown"));
/// println!("{} on {}/{}", build.version(), build.os(), build.arch());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BuildInfo {
    pub(super) version: Cow<'static, str>,
    pub(super) commit: Cow<'static, str>,
    pub(super) time: Cow<'static, str>,
    pub(super) mode: Cow<'static, str>,
    pub(super) os: Cow<'static, str>,
    pub(super) arch: Cow<'static, str>,
}

impl BuildInfo {
    /// Creates the description of the build of a version, such as `0.1.0`.
    ///
    /// Commit and edition are `unknown` until they are set. The time must be set.
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

    /// Sets the commit that the build was made from, short or long. An empty text becomes `unknown`.
    pub fn with_commit(mut self, commit: impl Into<Cow<'static, str>>) -> Self {
        let commit = commit.into();
        self.commit = if commit.is_empty() { UNKNOWN.into() } else { commit };
        self
    }

    /// Sets the time of the build in RFC 3339 with an offset, such as `2024-02-16T23:06:23+02:00`.
    /// [`start`](crate::TelemetryBuilder::start) fails with
    /// [`StartError::BuildTime`](crate::StartError::BuildTime) for any other text.
    pub fn with_time(mut self, time: impl Into<Cow<'static, str>>) -> Self {
        self.time = time.into();
        self
    }

    /// Sets the vendor's name for the edition, such as `licenced`.
    pub fn with_mode(mut self, mode: impl Into<Cow<'static, str>>) -> Self {
        self.mode = mode.into();
        self
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

/// Creates the [`BuildInfo`] of the package in which the macro is used, with the edition that it is given.
///
/// The `build.rs` of the package provides the commit and the time: it calls
/// `deployment_telemetry_build::emit()`, of the crate `deployment-telemetry-build`. A build that knows them
/// from elsewhere sets the variables `DEPLOYMENT_TELEMETRY_COMMIT` and `DEPLOYMENT_TELEMETRY_TIME` instead.
///
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
        let usable = |time: &'static str| BuildInfo::new("1").with_time(time).time_is_rfc3339();
        assert!(usable("2024-02-16T23:06:23+02:00"));
        assert!(usable("2024-02-16T23:06:23Z"));
        for time in ["", "unknown", "2024-02-16", "2024-02-16T23:06:23", "20240216T230623+02:00"] {
            assert!(!usable(time), "{time:?}");
        }
    }

    #[test]
    fn a_missing_commit_or_edition_is_unknown_and_a_time_is_required() {
        let build = BuildInfo::new("1").with_commit("");
        assert_eq!([build.commit(), build.mode()], ["unknown"; 2]);
        assert!(!build.time_is_rfc3339());
    }
}
