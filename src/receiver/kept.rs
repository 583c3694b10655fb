//! An answer of the store that is kept for a moment, so that all who ask meanwhile share it.
//!
//! Where it takes so long that a page would be slow for it, an answer that is a little too old is given, and a new one is
//! made behind it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as Turn;
use tokio::time::Instant;

use super::store::StoreError;
use crate::running::clock::Clock;

/// How much older than it took to make an answer may get. However many ask, the store works on it for a twentieth of the
/// time.
const TIMES_OLDER: u32 = 20;

/// Time that an answer may take for whoever asks to wait for it.
const QUICK: Duration = Duration::from_millis(10);

/// How long an answer is given while a new one is made, after it got too old.
const RENEWED_FOR: Duration = Duration::from_secs(5);

/// The last answer. Clones share it.
pub(crate) struct Kept<T> {
    clock: Clock,
    last: Arc<Mutex<Last<T>>>,
    /// Taken by whoever makes an answer; others wait for it.
    turn: Arc<Turn<()>>,
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self { clock: self.clock.clone(), last: self.last.clone(), turn: self.turn.clone() }
    }
}

struct Last<T> {
    answer: Option<Answer<T>>,
    /// Rises when something is known to have changed: an answer that was begun before is not kept.
    revision: u64,
}

struct Answer<T> {
    result: Result<Arc<T>, StoreError>,
    began: Instant,
    ended: Instant,
}

/// What an answer is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worth {
    Holds,
    /// It is given, and a new one is made.
    HoldsWhileRenewed,
    TooOld,
}

impl<T: Send + Sync + 'static> Kept<T> {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, last: Arc::new(Mutex::new(Last { answer: None, revision: 0 })), turn: Arc::default() }
    }

    /// The last answer, or the one that `make` makes.
    pub(crate) async fn ask<F>(&self, make: impl FnOnce() -> F) -> Result<Arc<T>, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let asked = self.clock.monotonic();
        match self.last(asked) {
            Some((result, Worth::Holds)) => return result,
            Some((result, Worth::HoldsWhileRenewed)) => {
                self.renew(make);
                return result;
            }
            _ => {}
        }
        let _turn = self.turn.lock().await;
        match self.last(asked) {
            Some((result, Worth::Holds)) => result,
            _ => self.keep(make()).await,
        }
    }

    /// Has a new answer made, for which nobody waits, unless one is being made.
    fn renew<F>(&self, make: impl FnOnce() -> F)
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        if let Ok(turn) = self.turn.clone().try_lock_owned() {
            let (kept, made) = (self.clone(), make());
            tokio::spawn(async move {
                let _ = kept.keep(made).await;
                drop(turn);
            });
        }
    }

    async fn keep(&self, made: impl Future<Output = Result<T, StoreError>>) -> Result<Arc<T>, StoreError> {
        let (revision, began) = (self.lock().revision, self.clock.monotonic());
        let result = made.await.map(Arc::new);
        let mut last = self.lock();
        if last.revision == revision {
            last.answer = Some(Answer { result: result.clone(), began, ended: self.clock.monotonic() });
        }
        result
    }

    /// Forgets the last answer: something is known to have changed.
    pub(crate) fn forget(&self) {
        let mut last = self.lock();
        last.answer = None;
        last.revision += 1;
    }

    fn last(&self, asked: Instant) -> Option<(Result<Arc<T>, StoreError>, Worth)> {
        self.lock().answer.as_ref().map(|answer| (answer.result.clone(), answer.worth(asked)))
    }

    fn lock(&self) -> MutexGuard<'_, Last<T>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Answer<T> {
    fn worth(&self, asked: Instant) -> Worth {
        let (took, age) = (self.ended - self.began, asked.saturating_duration_since(self.ended));
        match self.result {
            Ok(_) if age < TIMES_OLDER * took => Worth::Holds,
            Ok(_) if took > QUICK && age < TIMES_OLDER * took + RENEWED_FOR => Worth::HoldsWhileRenewed,
            Ok(_) => Worth::TooOld,
            // A failure is for those alone who were waiting for it.
            Err(_) if asked < self.ended => Worth::Holds,
            Err(_) => Worth::TooOld,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn answer(result: Result<u32, StoreError>, took: u64) -> Answer<u32> {
        let began = Clock::system().monotonic();
        Answer { result: result.map(Arc::new), began, ended: began + Duration::from_millis(took) }
    }

    #[test]
    fn an_answer_holds_for_twenty_times_what_it_took() {
        let answer = answer(Ok(1), 5);
        assert_eq!(answer.worth(answer.began), Worth::Holds);
        assert_eq!(answer.worth(answer.ended + Duration::from_millis(99)), Worth::Holds);
        assert_eq!(answer.worth(answer.ended + Duration::from_millis(100)), Worth::TooOld);
    }

    #[test]
    fn a_slow_answer_is_given_for_a_while_longer() {
        let answer = answer(Ok(1), 100);
        let worth = |age| answer.worth(answer.ended + Duration::from_millis(age));
        assert_eq!((worth(1_999), worth(2_000)), (Worth::Holds, Worth::HoldsWhileRenewed));
        assert_eq!((worth(6_999), worth(7_000)), (Worth::HoldsWhileRenewed, Worth::TooOld));
    }

    #[test]
    fn a_failure_holds_for_those_who_waited_for_it() {
        let answer = answer(Err(StoreError::Unavailable("down".into())), 100);
        assert_eq!(answer.worth(answer.began), Worth::Holds);
        assert_eq!(answer.worth(answer.ended), Worth::TooOld);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_is_renewed_behind_those_who_ask_and_one_is_made_at_a_time() {
        let (kept, made) = (Kept::new(Clock::system()), Arc::new(AtomicU32::new(0)));
        let ask = async || {
            let made = made.clone();
            let make = || async move {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok(made.fetch_add(1, Ordering::Relaxed))
            };
            kept.ask(make).await.map(|number| *number).unwrap()
        };
        assert_eq!(tokio::join!(ask(), ask()), (0, 0), "the second waits for the first");
        tokio::time::advance(Duration::from_millis(2_500)).await;
        let began = kept.clock.monotonic();
        assert_eq!((ask().await, ask().await), (0, 0));
        assert_eq!(kept.clock.monotonic(), began, "nobody waited");
        tokio::time::sleep(Duration::from_millis(101)).await;
        assert_eq!(ask().await, 1);
        kept.forget();
        assert_eq!(ask().await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_was_begun_before_a_change_is_not_kept() {
        let kept = Kept::new(Clock::system());
        let slow = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(1)
        };
        let (answer, ()) = tokio::join!(kept.keep(slow), async { kept.forget() });
        assert!(answer.is_ok() && kept.lock().answer.is_none());
    }
}
