//! What is told to the pages that are open.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use super::latest::LOOKED_AT;
use crate::receiver::counts::{States, Tally};
use crate::receiver::store::FleetChange;

/// Number of the latest tidings that are kept, for pages that connect again, which they do within seconds, and for those
/// that are slow.
const KEPT: usize = 60;

/// What is told.
#[derive(Default)]
pub(crate) struct News {
    kept: VecDeque<Arc<Tidings>>,
    /// Nothing will be told any more.
    pub(crate) is_over: bool,
}

/// What one look came to.
#[derive(Default)]
pub(crate) struct Tidings {
    /// Rises from one to the next, also from one receiver to another: microseconds since 1970.
    pub(crate) number: i64,
    pub(crate) states: States,
    /// The latest first.
    pub(crate) changes: Vec<FleetChange>,
    /// Whether there may be more changes than these.
    pub(crate) has_more: bool,
    /// Number of requests that this receiver refused.
    refused: u64,
    /// The text that is sent, made once for all.
    text: OnceLock<String>,
}

impl Tidings {
    pub(super) fn new(tally: &Tally, changes: Vec<FleetChange>, refused: u64) -> Self {
        let has_more = changes.len() as i64 >= LOOKED_AT;
        let (number, states) = (tally.at.as_microsecond(), tally.states());
        Self { number, states, changes, has_more, refused, text: OnceLock::new() }
    }

    /// What it says, in the form that `write` gives it.
    pub(crate) fn text(&self, write: impl FnOnce(&Self) -> String) -> &str {
        self.text.get_or_init(|| write(self))
    }

    fn says_more_than(&self, last: &Self) -> bool {
        !self.changes.is_empty() || (self.states, self.refused) != (last.states, last.refused)
    }
}

impl News {
    /// Keeps what says more than the last. Returns whether it does.
    pub(super) fn add(&mut self, mut tidings: Tidings) -> bool {
        if let Some(last) = self.kept.back() {
            if !tidings.says_more_than(last) {
                return false;
            }
            tidings.number = tidings.number.max(last.number + 1);
        }
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(Arc::new(tidings));
        true
    }

    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }

    /// What was told after the tidings of this number, of what is kept; the earliest first.
    pub(crate) fn after(&self, number: i64) -> impl Iterator<Item = &Arc<Tidings>> {
        self.kept.iter().filter(move |tidings| tidings.number > number)
    }

    /// Whether all that was told after the tidings of this number is kept.
    pub(crate) fn reaches_back_to(&self, number: i64) -> bool {
        self.kept.front().is_some_and(|oldest| oldest.number <= number)
    }

    /// The last of it.
    pub(crate) fn last(&self) -> Option<&Arc<Tidings>> {
        self.kept.back()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tidings(number: i64, down: i64) -> Tidings {
        Tidings { number, states: States { down, ..States::default() }, ..Tidings::default() }
    }

    fn numbers(news: &News, after: i64) -> Vec<i64> {
        news.after(after).map(|tidings| tidings.number).collect()
    }

    #[test]
    fn only_what_says_more_is_told() {
        let mut news = News::default();
        assert!(news.add(tidings(10, 1)), "the first, whatever it says");
        assert!(!news.add(tidings(20, 1)));
        assert!(news.add(Tidings { refused: 1, ..tidings(30, 1) }));
        assert_eq!((numbers(&news, 0), numbers(&news, 10)), (vec![10, 30], vec![30]));
    }

    #[test]
    fn numbers_rise_though_the_clock_goes_back_and_the_latest_are_kept() {
        let mut news = News::default();
        assert!(news.add(tidings(1_000, 0)) && news.add(tidings(500, 1)));
        assert_eq!(numbers(&news, 999), [1_000, 1_001]);
        for down in 2..100 {
            assert!(news.add(tidings(0, down)));
        }
        let kept = numbers(&news, 0);
        assert_eq!((kept.len(), kept[0], kept[KEPT - 1]), (KEPT, 1_040, 1_099));
        assert_eq!(news.last().unwrap().states.down, 99);
        let reaches_back = [0, 1_039, 1_040, 2_000].map(|number| news.reaches_back_to(number));
        assert_eq!(reaches_back, [false, false, true, true]);
        news.clear();
        assert!(!news.reaches_back_to(2_000));
    }
}
