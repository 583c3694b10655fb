//! Scenarios: what happens to instances, drawn from a seed, with the truth beside it.
//!
//! A story is written from its processes: when each began, what it sent, how it ended. [`Truth`] says what follows from that
//! by the contract. Nothing of it comes from a receiver.

mod failing;
mod ordinary;
mod story;
mod strange;
mod truth;

pub use story::{Action, EPOCH, Role, Second, Step, Story};
pub use truth::{Expected, Truth};

use story::Author;

/// What a story is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is documented where its story is written")]
pub enum Scenario {
    Restarted,
    Replicas,
    FirstDeployment,
    RollingSurge,
    Rolling,
    BlueGreen,
    Autoscaled,
    Canary,
    LicenseChanges,
    SingleCrash,
    SingleDeath,
    ReplicaDies,
    DeathBehindAnEnd,
    AllDie,
    AllDieAndReturn,
    CrashLoop,
    FastCrashLoop,
    LongCrashLoop,
    Suspended,
    Lossy,
    Jobs,
    Snapshot,
    MemoryClone,
    DiskClone,
    ChangedId,
    WrongClock,
    Repeated,
    HostileKey,
    KeyReplaced,
    NumberFarAhead,
}

impl Scenario {
    /// All scenarios.
    pub const ALL: [Scenario; 30] = {
        use Scenario::*;
        [
            Restarted,
            Replicas,
            FirstDeployment,
            RollingSurge,
            Rolling,
            BlueGreen,
            Autoscaled,
            Canary,
            LicenseChanges,
            SingleCrash,
            SingleDeath,
            ReplicaDies,
            DeathBehindAnEnd,
            AllDie,
            AllDieAndReturn,
            CrashLoop,
            FastCrashLoop,
            LongCrashLoop,
            Suspended,
            Lossy,
            Jobs,
            Snapshot,
            MemoryClone,
            DiskClone,
            ChangedId,
            WrongClock,
            Repeated,
            HostileKey,
            KeyReplaced,
            NumberFarAhead,
        ]
    };

    /// Name of the scenario, which is also the beginning of the names of its instances.
    pub fn as_str(self) -> &'static str {
        match self {
            Scenario::Restarted => "restarted",
            Scenario::Replicas => "replicas",
            Scenario::FirstDeployment => "first-deployment",
            Scenario::RollingSurge => "rolling-surge",
            Scenario::Rolling => "rolling",
            Scenario::BlueGreen => "blue-green",
            Scenario::Autoscaled => "autoscaled",
            Scenario::Canary => "canary",
            Scenario::LicenseChanges => "license-changes",
            Scenario::SingleCrash => "single-crash",
            Scenario::SingleDeath => "single-death",
            Scenario::ReplicaDies => "replica-dies",
            Scenario::DeathBehindAnEnd => "death-behind-an-end",
            Scenario::AllDie => "all-die",
            Scenario::AllDieAndReturn => "all-die-and-return",
            Scenario::CrashLoop => "crash-loop",
            Scenario::FastCrashLoop => "fast-crash-loop",
            Scenario::LongCrashLoop => "long-crash-loop",
            Scenario::Suspended => "suspended",
            Scenario::Lossy => "lossy",
            Scenario::Jobs => "jobs",
            Scenario::Snapshot => "snapshot",
            Scenario::MemoryClone => "memory-clone",
            Scenario::DiskClone => "disk-clone",
            Scenario::ChangedId => "changed-id",
            Scenario::WrongClock => "wrong-clock",
            Scenario::Repeated => "repeated",
            Scenario::HostileKey => "hostile-key",
            Scenario::KeyReplaced => "key-replaced",
            Scenario::NumberFarAhead => "number-far-ahead",
        }
    }

    /// Whether it is an ordinary deployment, of which nothing bad may be said at any time.
    pub fn is_ordinary(self) -> bool {
        self <= Scenario::LicenseChanges
    }

    /// Its stories for this seed: one, or one for each of the instances that belong together. The stories of a seed are
    /// numbered from `number` on.
    fn stories(self, seed: u64, number: u32) -> Vec<Story> {
        let write: fn(&mut Author) = match self {
            Scenario::Restarted => ordinary::restarted,
            Scenario::Replicas => ordinary::replicas,
            Scenario::FirstDeployment => ordinary::first_deployment,
            Scenario::RollingSurge => ordinary::rolling_surge,
            Scenario::Rolling => ordinary::rolling,
            Scenario::BlueGreen => ordinary::blue_green,
            Scenario::Autoscaled => ordinary::autoscaled,
            Scenario::Canary => ordinary::canary,
            Scenario::LicenseChanges => ordinary::license_changes,
            Scenario::SingleCrash => failing::single_crash,
            Scenario::SingleDeath => failing::single_death,
            Scenario::ReplicaDies => failing::replica_dies,
            Scenario::DeathBehindAnEnd => failing::death_behind_an_end,
            Scenario::AllDie => failing::all_die,
            Scenario::AllDieAndReturn => failing::all_die_and_return,
            Scenario::CrashLoop => failing::crash_loop,
            Scenario::FastCrashLoop => failing::fast_crash_loop,
            Scenario::LongCrashLoop => failing::long_crash_loop,
            Scenario::Suspended => failing::suspended,
            Scenario::Lossy => failing::lossy,
            Scenario::Jobs => return failing::jobs(seed, number),
            Scenario::Snapshot => strange::snapshot,
            Scenario::MemoryClone => strange::memory_clone,
            Scenario::DiskClone => strange::disk_clone,
            Scenario::ChangedId => return strange::changed_id(seed, number),
            Scenario::WrongClock => strange::wrong_clock,
            Scenario::Repeated => strange::repeated,
            Scenario::HostileKey => strange::hostile_key,
            Scenario::KeyReplaced => strange::key_replaced,
            Scenario::NumberFarAhead => strange::number_far_ahead,
        };
        let mut author = Author::new(self, seed, number);
        write(&mut author);
        vec![author.finish()]
    }
}

/// The stories of this seed, at least one of each scenario.
pub fn stories(seed: u64) -> Vec<Story> {
    let mut all = Vec::new();
    for scenario in Scenario::ALL {
        let number = u32::try_from(all.len()).unwrap_or_default();
        all.extend(scenario.stories(seed, number));
    }
    all
}
