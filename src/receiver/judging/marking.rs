//! Leaving the mark, and what it tells of the clock: the part of a pass that comes before judging.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::receiver::clock::{NoTime, ReceiverClock};
use crate::receiver::store::{FleetStore, Marked, Outage, Reading, Standing, StoreError, within};

/// Time between two marks.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// Time limit of one step of a pass.
pub(super) const STEP_LIMIT: Duration = Duration::from_secs(6);

/// Time limit of mending, which may look through all runs.
const MEND_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Shortest and longest time for which a clock that is behind the mark is not believed.
const DOUBT: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(24 * 60 * 60)];

/// Time after a mending at which the store is looked through again: a request may have waited with a time of before.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What this receiver knows from its marks.
#[derive(Clone, Default)]
pub(super) struct Marks {
    /// When the mark was last left, and the time that was judged by then.
    last: Option<(Instant, Timestamp)>,
    pub(super) outages: Vec<Outage>,
    /// When the store is to be looked through for times in the future; at once where it never was.
    mends: Option<Option<Instant>>,
    /// Since when the clock has been behind the mark, and how long it is not believed.
    behind: Option<(Instant, Duration)>,
}

impl Marks {
    /// Leaves the mark, unless that was just done and the clock did not jump since. Returns the time to judge by: no
    /// other than the mark knows of. Fails where nobody is to be judged.
    pub(super) async fn leave(
        &mut self,
        store: &dyn FleetStore,
        clock: &ReceiverClock,
        outage_after: Duration,
    ) -> Result<Timestamp, StoreError> {
        // News may come ten times a second; the mark is worth one a second.
        let (moment, now) = (clock.monotonic(), clock.timestamp());
        let is_same = |at: Timestamp| now >= at && now.duration_since(at).unsigned_abs() < TICK;
        if self.last.is_some_and(|(last, at)| moment.duration_since(last) < TICK && is_same(at)) {
            return Ok(now);
        }
        let (mut reading, mut marked) = mark(store, clock, outage_after).await?;
        if let Some(is_believed) = self.look(clock, outage_after, reading, &marked)? {
            self.mend(store, clock, outage_after, reading, is_believed).await?;
            (reading, marked) = mark(store, clock, outage_after).await?;
            self.look(clock, outage_after, reading, &marked)?;
        }
        let now = clock.time_of(&marked);
        self.outages = marked.outages;
        self.last = Some((clock.monotonic(), now));
        Ok(now)
    }

    /// Whether the store is to be mended, and then whether the clock is believed.
    fn look(
        &mut self,
        clock: &ReceiverClock,
        outage_after: Duration,
        reading: Reading,
        marked: &Marked,
    ) -> Result<Option<bool>, StoreError> {
        let now = clock.monotonic();
        match marked.standing {
            Standing::NotSet => Err(StoreError::Unavailable(NoTime::NotSet.to_string().into())),
            Standing::Ahead => Ok(Some(true)),
            Standing::Behind { .. } if reading.is_given => Ok(None),
            // Less than an outage: it harms nothing to be mended at once.
            Standing::Behind { .. }
                if marked.mark.duration_since(marked.at).unsigned_abs() <= outage_after =>
            {
                Ok(Some(true))
            }
            Standing::Behind { lived } => {
                let (since, doubt) = *self.behind.get_or_insert_with(|| {
                    let doubt = lived.clamp(DOUBT[0], DOUBT[1]);
                    tracing::warn!(
                        "[receiver] the clock shows {}, which is before the last mark, {}: until it is put right, time is counted on from the mark; after {doubt:.0?} the clock is believed",
                        marked.at,
                        marked.mark
                    );
                    (now, doubt)
                });
                Ok((now.duration_since(since) >= doubt).then_some(true))
            }
            Standing::Right => {
                if self.behind.take().is_some() {
                    tracing::warn!("[receiver] the clock is no longer behind the last mark; it counts again");
                }
                let looks = match self.mends {
                    None => true,
                    Some(at) => at.is_some_and(|at| now >= at),
                };
                Ok(looks.then_some(false))
            }
        }
    }

    /// Mends the store, and leaves marks meanwhile: it may take long, and is no outage.
    async fn mend(
        &mut self,
        store: &dyn FleetStore,
        clock: &ReceiverClock,
        outage_after: Duration,
        reading: Reading,
        is_believed: bool,
    ) -> Result<(), StoreError> {
        // By the clock, not by what was counted in place of it.
        let reading = Reading { counted: None, ..reading };
        let mending = within(MEND_LIMIT, store.mend(reading, outage_after, is_believed));
        tokio::pin!(mending);
        let count = loop {
            tokio::select! {
                mended = &mut mending => break mended?,
                () = tokio::time::sleep(TICK) => {
                    let _ = within(STEP_LIMIT, store.mark(clock.reading(), outage_after)).await;
                }
            }
        };
        self.behind = None;
        self.mends = Some(None);
        if count > 0 {
            self.mends = Some(Some(clock.monotonic() + LOOK_AGAIN));
            tracing::warn!(
                "[receiver] a clock was ahead: {count} rows with times in the future were put back, and what they are about is judged again"
            );
        }
        Ok(())
    }
}

async fn mark(
    store: &dyn FleetStore,
    clock: &ReceiverClock,
    outage_after: Duration,
) -> Result<(Reading, Marked), StoreError> {
    let reading = clock.reading();
    let marked = within(STEP_LIMIT, store.mark(reading, outage_after)).await?;
    clock.marked(reading, &marked);
    Ok((reading, marked))
}
