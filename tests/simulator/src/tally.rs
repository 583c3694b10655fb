//! The truth about a whole fleet, as numbers.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use crate::delivery::License;
use crate::plan::Fleet;
use crate::truth::{Rules, State};

/// Number of instances by what is true of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    states: HashMap<State, u32>,
    license_invalid: u32,
    license_none: u32,
    crashed: u32,
    several_runs: u32,
    new: u32,
}

impl Tally {
    /// Counts the instances of `fleet` at `now`, one at a time, so that a large fleet takes no more memory than a small one.
    pub fn of(fleet: &Fleet, rules: &Rules, now: Duration) -> Self {
        let mut tally = Self::default();
        for index in 0..fleet.instances {
            let arrived: Vec<_> = fleet.instance(index).take_while(|delivery| delivery.at <= now).collect();
            let Some(truth) = rules.truth(&arrived, now) else { continue };
            *tally.states.entry(truth.state).or_default() += 1;
            tally.license_invalid += u32::from(truth.license == License::Invalid);
            tally.license_none += u32::from(truth.license == License::None);
            tally.crashed += u32::from(truth.losses > 0);
            tally.several_runs += u32::from(truth.several_runs);
            tally.new += u32::from(truth.new);
        }
        tally
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for state in State::ALL {
            let count = self.states.get(&state).copied().unwrap_or_default();
            writeln!(f, "  {:<16}{count:>8}", state.as_str())?;
        }
        for (name, count) in [
            ("license invalid", self.license_invalid),
            ("no license", self.license_none),
            ("crashed", self.crashed),
            ("several runs", self.several_runs),
            ("new", self.new),
        ] {
            writeln!(f, "  {name:<16}{count:>8}")?;
        }
        Ok(())
    }
}
