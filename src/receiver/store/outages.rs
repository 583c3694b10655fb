//! The mark of receivers that are at work, and the outages that its absence proves.
//!
//! What a mark means is decided here, for both stores. A clock may be wrong, ahead or behind, for any time. The marks are
//! the memory by which that shows: a clock that was ahead left an outage that ends in the future, and the time of its
//! marks is no one's. A clock that is behind the mark without such an outage is wrong itself, as far as one knows.

use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::error::StoreError;
use super::time::before;

/// Time for which an outage is remembered. A frequency may be as long as a month.
const OUTAGES_REMEMBERED: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// Difference between two clocks that means nothing.
pub(crate) const TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// 2025-01-01, in Unix seconds. A clock before that is not set yet.
pub(crate) const SET_SINCE: i64 = 1_735_689_600;

/// How far ahead the last mark before the jump of a clock may have been already.
const SLACK: SignedDuration = SignedDuration::from_secs(60);

/// An outage longer than this may be the jump of a clock.
const DOUBTFUL: SignedDuration = SignedDuration::from_hours(24);

/// Time for which nothing is forgotten after one.
const DOUBTED: SignedDuration = SignedDuration::from_hours(1);

/// A period in which no receiver could store events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Outage {
    pub(crate) began_at: Timestamp,
    pub(crate) ended_at: Timestamp,
}

impl Outage {
    fn length(&self) -> SignedDuration {
        self.ended_at.duration_since(self.began_at)
    }
}

/// What a receiver reads from its clock to leave a mark by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// The time that its clock shows. A database with a clock of its own goes by that one instead.
    pub(crate) at: Timestamp,
    /// The clock is that of a simulation, which counts for every store and is never doubted.
    pub(crate) is_given: bool,
    /// The time as the receiver counts it, where the clock was found behind the mark.
    pub(crate) counted: Option<Timestamp>,
}

/// How the clock stands to what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing lies in the future. The mark was left.
    Right,
    /// The clock is not set yet. Nothing was written.
    NotSet,
    /// The clock is behind the mark. The mark was left by the time that was counted, if any.
    Behind {
        /// How much of the time that was marked would be undone if the clock were believed.
        lived: Duration,
    },
    /// A clock was ahead and left its times: they are to be mended. Nothing was written.
    Ahead,
}

/// The answer to a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marked {
    /// The time by the clock that counts.
    pub(crate) at: Timestamp,
    /// The mark that is stored.
    pub(crate) mark: Timestamp,
    pub(crate) standing: Standing,
    /// The outages that ended within the last 60 days, oldest first.
    pub(crate) outages: Vec<Outage>,
}

/// Keeps the mark and the outages.
#[async_trait]
pub(crate) trait Outages: Send + Sync {
    /// Whether the database has a clock of its own, by which all receivers go.
    fn has_clock(&self) -> bool;

    /// The time by that clock.
    async fn time(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Marks that a receiver is at work. Fails where an event could not be stored.
    ///
    /// Where the last mark of any receiver is older than `outage_after`, the time since then was an outage.
    async fn mark(&self, reading: Reading, outage_after: Duration) -> Result<Marked, StoreError>;
}

/// How a clock that shows `now` stands to the last mark and the outages. What is behind has lived since the mark's time.
pub(super) fn standing(
    now: Timestamp,
    is_given: bool,
    last: Option<Timestamp>,
    outages: &[Outage],
) -> Standing {
    let is_future = |time: Timestamp| time.duration_since(now) > TOLERANCE;
    let is_mark_ahead = last.is_some_and(is_future);
    let is_left_by_a_clock_ahead = match is_mark_ahead {
        true => spanning(outages, now).is_some(),
        false => outages.iter().any(|outage| is_future(outage.ended_at)),
    };
    if !is_given && now.as_second() < SET_SINCE {
        Standing::NotSet
    } else if is_left_by_a_clock_ahead {
        Standing::Ahead
    } else if let Some(last) = last.filter(|_| is_mark_ahead) {
        Standing::Behind { lived: last.duration_since(now).unsigned_abs() }
    } else {
        Standing::Right
    }
}

/// The same where the oldest instance in the store was first seen at `oldest`: what was never lived is not undone.
pub(super) fn with_history(
    standing: Standing,
    last: Option<Timestamp>,
    oldest: Option<Timestamp>,
) -> Standing {
    match (standing, last, oldest) {
        (Standing::Behind { .. }, _, None) => Standing::Ahead,
        (Standing::Behind { lived }, Some(last), Some(oldest)) => Standing::Behind {
            lived: lived.min(last.duration_since(oldest).max(SignedDuration::ZERO).unsigned_abs()),
        },
        _ => standing,
    }
}

/// What a mark writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Writes {
    pub(super) mark: Option<Timestamp>,
    pub(super) outage: Option<Outage>,
    /// Outages that ended before this are forgotten.
    pub(super) forgotten: Option<Timestamp>,
}

/// What a mark by `reading` writes, where the clock that counts shows `now`.
pub(super) fn writes(
    reading: &Reading,
    now: Timestamp,
    standing: Standing,
    last: Option<Timestamp>,
    outages: &[Outage],
    outage_after: Duration,
) -> Writes {
    let mark = match standing {
        Standing::Right => Some(now),
        Standing::Behind { .. } => reading.counted.filter(|counted| Some(*counted) >= last),
        Standing::NotSet | Standing::Ahead => None,
    };
    let Some(mark) = mark else { return Writes::default() };
    let gap = last.map(|last| Outage { began_at: last, ended_at: mark });
    let outage = gap.filter(|gap| is_outage(gap, outage_after));
    let may_forget = may_forget(outages.iter().chain(&outage), mark);
    Writes { mark: Some(mark), outage, forgotten: may_forget.then(|| before(mark, OUTAGES_REMEMBERED)) }
}

fn is_outage(gap: &Outage, outage_after: Duration) -> bool {
    gap.length() > SignedDuration::try_from(outage_after).unwrap_or(SignedDuration::MAX)
}

/// Whether what is too old at `now` may be forgotten: not soon after an outage of days, which may have been the jump of a
/// clock that is wrong now.
pub(crate) fn may_forget<'a>(outages: impl IntoIterator<Item = &'a Outage>, now: Timestamp) -> bool {
    let is_doubtful =
        |outage: &&Outage| outage.length() > DOUBTFUL && now.duration_since(outage.ended_at) < DOUBTED;
    !outages.into_iter().any(|outage| is_doubtful(&outage))
}

/// The outage that a clock ahead left: it began before `now`, or hardly after, and ends after it.
pub(super) fn spanning(outages: &[Outage], now: Timestamp) -> Option<Outage> {
    let is_begun = |outage: &&Outage| outage.began_at.duration_since(now) <= SLACK;
    outages.iter().filter(is_begun).find(|outage| outage.ended_at > now).copied()
}

/// The outages once a mark and times that lie in the future of `now` are mended. Where the mark went on after the jump of
/// a clock, receivers were at work for so long: an outage is what is left of the time since it began, and it was over
/// when the first event was `heard` after it began.
pub(super) fn mended(
    outages: &[Outage],
    mark: Timestamp,
    now: Timestamp,
    outage_after: Duration,
    heard: Option<Timestamp>,
) -> Vec<Outage> {
    let mut kept: Vec<Outage> = outages.iter().filter(|outage| outage.ended_at <= now).copied().collect();
    if let Some(spanning) = spanning(outages, now) {
        let jumps = outages.iter().filter(|outage| outage.began_at >= spanning.ended_at);
        let jumped: SignedDuration =
            jumps.map(Outage::length).fold(SignedDuration::ZERO, SignedDuration::saturating_add);
        let worked = mark.duration_since(spanning.ended_at).saturating_sub(jumped).max(SignedDuration::ZERO);
        let ended_at = now.saturating_sub(worked).unwrap_or(Timestamp::MIN);
        let ended_at = heard.map_or(ended_at, |heard| heard.min(ended_at));
        let cut = Outage { ended_at: ended_at.max(spanning.began_at), ..spanning };
        kept.extend(is_outage(&cut, outage_after).then_some(cut));
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);
    const DAY: i64 = 86_400;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(
            1_795_608_000_i64.saturating_add(seconds).clamp(-9_000_000_000, 253_402_000_000),
        )
        .unwrap()
    }

    fn outage(began: i64, ended: i64) -> Outage {
        Outage { began_at: at(began), ended_at: at(ended) }
    }

    #[test]
    fn what_is_stored_tells_which_clock_is_wrong() {
        let ahead = [outage(0, 400 * DAY)];
        for (now, last, outages, expected) in [
            (0, None, &[][..], Standing::Right),
            (10, Some(9), &[], Standing::Right),
            (10, Some(15), &[], Standing::Right),
            (10, Some(16), &[], Standing::Behind { lived: Duration::from_secs(6) }),
            (10, Some(400 * DAY), &ahead, Standing::Ahead),
            // The mark of a past version may have been passed by the right time, or an outage not.
            (10, Some(9), &ahead, Standing::Ahead),
            (-10, Some(400 * DAY), &ahead, Standing::Ahead),
            (
                -100,
                Some(400 * DAY),
                &ahead,
                Standing::Behind { lived: Duration::from_secs(400 * DAY as u64 + 100) },
            ),
            (-100_000_000, Some(0), &[], Standing::NotSet),
            (401 * DAY, Some(400 * DAY), &ahead, Standing::Right),
        ] {
            assert_eq!(standing(at(now), false, last.map(at), outages), expected, "{now} {last:?}");
        }
        assert_eq!(standing(at(-100_000_000), true, None, &[]), Standing::Right, "a simulation");
    }

    #[test]
    fn nothing_is_forgotten_soon_after_an_outage_of_days() {
        let long = [outage(0, 2 * DAY)];
        assert!(!may_forget(&long, at(2 * DAY)) && !may_forget(&long, at(2 * DAY + 3_599)));
        assert!(may_forget(&long, at(2 * DAY + 3_600)));
        assert!(may_forget(&[outage(0, DAY)], at(DAY)));
        assert!(may_forget(&[], at(0)));
        let reading = Reading { at: at(400 * DAY), is_given: false, counted: None };
        let known = [outage(-DAY, 0)];
        let writes = writes(&reading, reading.at, Standing::Right, Some(at(1)), &known, LIMIT);
        assert_eq!(writes.outage, Some(outage(1, 400 * DAY)));
        assert_eq!(
            writes.forgotten, None,
            "the outage of yesterday is still needed when the clock is right again"
        );
    }

    /// A store of marks, and a receiver that leaves them: as `Marks` does.
    #[derive(Default)]
    struct Model {
        last: Option<Timestamp>,
        outages: Vec<Outage>,
        /// The time that was counted from, and the moment.
        behind: Option<(Timestamp, i64)>,
        /// Seconds after which a clock that is behind is believed.
        doubt: i64,
    }

    impl Model {
        fn mark(&mut self, moment: i64, clock: Timestamp) {
            let counted = self.behind.map(|(from, since)| from + SignedDuration::from_secs(moment - since));
            let reading = Reading { at: clock, is_given: false, counted };
            let standing = standing(clock, false, self.last, &self.outages);
            let is_believed = match (standing, self.behind) {
                (Standing::Behind { lived }, _) if lived <= LIMIT => true,
                (Standing::Behind { .. }, Some((_, since))) => moment - since >= self.doubt,
                _ => false,
            };
            if standing == Standing::Ahead || is_believed {
                self.outages = mended(&self.outages, self.last.unwrap(), clock, LIMIT, None);
                self.last = self.last.min(Some(clock));
                self.behind = None;
                return self.mark(moment, clock);
            }
            let writes = writes(&reading, clock, standing, self.last, &self.outages, LIMIT);
            self.outages.extend(writes.outage);
            self.last = self.last.max(writes.mark);
            match standing {
                Standing::Behind { .. } => {
                    let _ = self.behind.get_or_insert((self.last.unwrap(), moment));
                }
                Standing::Right => self.behind = None,
                _ => {}
            }
        }
    }

    /// In seconds. What lies between a few seconds and an outage is told from neither by one mark, but by a minute of them.
    fn errors() -> impl Strategy<Value = i64> {
        prop_oneof![
            3 => Just(0),
            2 => -10..10_i64,
            2 => 600..7_200_i64,
            2 => -7_200..-600_i64,
            2 => (-300..300_i64).prop_map(|days| days * DAY),
            1 => Just(400 * DAY),
            1 => Just(2_147_483_647 - 1_795_608_000),
            1 => Just(253_370_000_000),
            1 => Just(-1_795_608_000),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn whatever_the_clocks_showed_one_mark_of_a_right_one_leaves_real_gaps_alone(
            marks in prop::collection::vec((prop_oneof![5 => 1..3_i64, 1 => 20..4_000_i64], errors(), 1..20_i64), 0..12)
        ) {
            let mut model = Model { doubt: DAY, ..Model::default() };
            model.mark(0, at(0));
            // Time in which nobody marked, or in which the clock was set, so that nobody knows how long it was.
            let (mut moment, mut unmarked, mut last_error) = (0, 0, 0);
            for (pause, error, count) in marks.into_iter().chain([(1, 0, 1)]) {
                moment += pause;
                if pause > 30 || error != last_error {
                    // What is less than an outage cannot be told from one.
                    unmarked += pause + (error - last_error).abs().min(60);
                }
                for second in 0..count {
                    model.mark(moment + second, at(moment + second + error));
                    // A clock that is not set leaves no marks.
                    unmarked += i64::from(error < -100_000_000);
                }
                moment += count - 1;
                last_error = error;
            }
            // Where the right time has just passed the end of such an outage, it takes as long as marks had gone on.
            if model.last > Some(at(moment) + TOLERANCE) {
                prop_assert!(model.last <= Some(at(moment + 300)), "the mark {:?} after {}", model.last, at(moment));
                model.doubt = 300;
                (1..=302).for_each(|second| model.mark(moment + second, at(moment + second)));
                moment += 302;
            }
            let now = at(moment);
            let latest = now + TOLERANCE;
            prop_assert!(model.last <= Some(latest), "the mark {:?} after {now}", model.last);
            prop_assert!(model.outages.iter().all(|outage| outage.ended_at <= latest), "{:?}", model.outages);
            let total: i64 = model.outages.iter().map(|outage| outage.length().as_secs()).sum();
            prop_assert!(total <= unmarked, "{total} s of {unmarked} s: {:?}", model.outages);
        }
    }
}
