//! What came of a trial.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;

use uuid::Uuid;

use crate::scenarios::{Scenario, Second};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A flag or a loss is said that is not true.
    FalseFlag,
    /// A flag is not said that is true.
    MissedFlag,
    /// An instance was down, and it was not said.
    MissedDeath,
    /// It was told that an instance is down, and it was not.
    FalseDeath,
    /// A run was lost, and it was not told.
    MissedLoss,
    /// Something was told more than once.
    ToldTwice,
    /// Another state is said.
    WrongState,
    /// Another version, license or key is said.
    WrongFacts,
    /// A request was answered with another status.
    WrongAnswer,
}

impl Kind {
    /// All kinds, in the order of the columns of the table.
    const ALL: [(Kind, &str); 9] = [
        (Kind::FalseFlag, "false flag"),
        (Kind::MissedFlag, "missed flag"),
        (Kind::MissedDeath, "missed death"),
        (Kind::FalseDeath, "false death"),
        (Kind::MissedLoss, "missed loss"),
        (Kind::ToldTwice, "told twice"),
        (Kind::WrongState, "wrong state"),
        (Kind::WrongFacts, "wrong facts"),
        (Kind::WrongAnswer, "wrong answer"),
    ];
}

/// A difference between what a receiver says and the truth.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The seed of the story.
    pub seed: u64,
    /// The scenario of the story.
    pub scenario: Scenario,
    /// Id of the instance.
    pub instance_id: Uuid,
    /// When it was found.
    pub at: Second,
    /// What is wrong.
    pub kind: Kind,
    /// What is wrong, in words.
    pub text: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, scenario, instance_id, at, text, .. } = self;
        write!(f, "seed {seed}, {}, {instance_id}, at second {at}: {text}", scenario.as_str())
    }
}

/// What came of one or more trials.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Number of instances of each scenario.
    pub instances: BTreeMap<Scenario, usize>,
    /// Number of events that were posted.
    pub events: usize,
    /// Number of times that an instance was compared.
    pub comparisons: usize,
    /// The differences.
    pub differences: Vec<Difference>,
}

impl AddAssign for Outcome {
    fn add_assign(&mut self, other: Self) {
        for (scenario, count) in other.instances {
            *self.instances.entry(scenario).or_default() += count;
        }
        self.events += other.events;
        self.comparisons += other.comparisons;
        self.differences.extend(other.differences);
    }
}

impl Outcome {
    /// Number of differences of one kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.differences.iter().filter(|difference| difference.kind == kind).count()
    }
}

/// A table: a line for each scenario, the number of instances with each kind of difference.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<20}{:>10}", "scenario", "instances")?;
        for (_, name) in Kind::ALL {
            write!(f, "{name:>14}")?;
        }
        writeln!(f)?;
        let mut found = BTreeMap::<(Scenario, Kind), Vec<Uuid>>::new();
        for difference in &self.differences {
            found.entry((difference.scenario, difference.kind)).or_default().push(difference.instance_id);
        }
        for (scenario, instances) in &self.instances {
            write!(f, "{:<20}{instances:>10}", scenario.as_str())?;
            for (kind, _) in Kind::ALL {
                let mut ids = found.get(&(*scenario, kind)).cloned().unwrap_or_default();
                ids.sort_unstable();
                ids.dedup();
                write!(f, "{:>14}", if ids.is_empty() { "-".to_owned() } else { ids.len().to_string() })?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
