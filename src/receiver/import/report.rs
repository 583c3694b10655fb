//! What an import has done so far.

use std::time::SystemTime;

use super::line::Skip;
use crate::receiver::store::{Appended, NewEvent};

/// Number of skipped lines that are told one by one.
const MOST_TOLD: usize = 100;

/// What an import has done so far, or did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// Number of lines that were read.
    pub lines: u64,
    /// Number of bytes that were read.
    pub bytes: u64,
    /// Number of events that were stored.
    pub stored: u64,
    /// Number of events that had been stored before.
    pub known: u64,
    /// Number of lines that are no JSON, as the last one is where its machine lost power while it was written.
    pub torn: u64,
    /// Number of lines that were refused.
    pub refused: u64,
    /// The first hundred lines that were skipped, torn or refused.
    pub skipped: Vec<SkippedLine>,
    /// Time of the earliest event that was stored or known.
    pub first_at: Option<SystemTime>,
    /// Time of the latest event that was stored or known.
    pub last_at: Option<SystemTime>,
}

/// A line that was skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedLine {
    /// Number of the line; the first one is 1.
    pub number: u64,
    /// Reason for people; it repeats nothing of the line.
    pub why: String,
}

impl Imported {
    pub(super) fn add(&mut self, event: &NewEvent, appended: Appended) -> Result<(), Skip> {
        match appended {
            Appended::New => self.stored += 1,
            Appended::Before => self.known += 1,
            Appended::OtherKey => {
                let why = "its instance belongs to another key, which an operator can change";
                return Err(Skip::refused(why));
            }
            Appended::TooManyNew => return Err(Skip::refused("its instance is one too many")),
        }
        let at = SystemTime::from(event.received_at);
        self.first_at = self.first_at.into_iter().chain([at]).min();
        self.last_at = self.last_at.max(Some(at));
        Ok(())
    }

    pub(super) fn skip(&mut self, number: u64, skip: Skip) {
        match skip.is_torn {
            true => self.torn += 1,
            false => self.refused += 1,
        }
        if self.skipped.len() < MOST_TOLD {
            self.skipped.push(SkippedLine { number, why: skip.why });
        }
    }
}
