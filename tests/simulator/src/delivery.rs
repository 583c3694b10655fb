//! One event on its way to the receiver, small enough that many can wait.

use std::time::Duration;

use deployment_telemetry::{BuildInfo, LicenseState, Payload, Reason};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// Time between two releases of the simulated product.
pub(crate) const BETWEEN_RELEASES: Duration = Duration::from_secs(60 * 3600);

/// Build time of release 0: 2026-01-01.
const FIRST_BUILD: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// License of an instance when it sends an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum License {
    /// No key is configured.
    None,
    /// A valid key.
    Valid,
    /// An invalid key.
    Invalid,
}

impl License {
    /// As a receiver says it.
    pub fn as_str(self) -> &'static str {
        match self {
            License::None => "none",
            License::Valid => "valid",
            License::Invalid => "invalid",
        }
    }
}

/// An event that arrives at the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Simulated time of its arrival, since the start of the simulation.
    pub at: Duration,
    /// Simulated time at which its request was made. A repetition is the same request, and only arrives later.
    pub sent_at: Duration,
    /// Number of the instance within the fleet, from 0.
    pub instance: u32,
    /// Id of the instance.
    pub instance_id: Uuid,
    /// Id of the run.
    pub run_id: Uuid,
    /// Number of the event within the run, from 1.
    pub sequence: u64,
    /// Why it is sent.
    pub reason: Reason,
    /// Time between two updates of the instance.
    pub frequency: Duration,
    /// Error of the instance's clock.
    pub skew: SignedDuration,
    /// Release that the instance runs: the minor part of its version.
    pub release: u32,
    /// License of the instance.
    pub license: License,
    /// Whether its operator gave it a name.
    pub is_named: bool,
    /// The scenario that it belongs to, with which its name begins.
    pub scenario: Option<&'static str>,
}

impl Delivery {
    /// The field `build_version`.
    pub fn version(&self) -> String {
        format!("1.{}.0", self.release)
    }

    /// The field `license_valid`.
    pub fn license_valid(&self) -> bool {
        self.license == License::Valid
    }

    /// The body, as the real sender makes it.
    pub fn payload(&self) -> Payload {
        let built = SignedDuration::try_from(BETWEEN_RELEASES * self.release).unwrap_or_default();
        let built = FIRST_BUILD.saturating_add(built).unwrap_or(FIRST_BUILD);
        // Seven digits that look like a commit and differ between releases.
        let commit = format!("{:07x}", (self.release + 1).wrapping_mul(0x9e37_79b1) >> 4);
        let build = BuildInfo::new(self.version())
            .with_commit(commit)
            .with_time(built.to_string())
            .with_mode("licenced");
        let key_hash =
            (self.license != License::None).then(|| self.instance_id.simple().to_string().repeat(2));
        let license = LicenseState::new(key_hash, self.license_valid());
        let name =
            self.is_named.then(|| format!("{}-{:06}", self.scenario.unwrap_or("server"), self.instance));
        Payload::new(&build, self.instance_id, &license, self.reason, name.as_deref())
    }
}
