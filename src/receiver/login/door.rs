//! What all workers share of a login with a password, and one attempt to log in.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::sleep_until;
use tokio::{task, time};

use super::attempts::{Attempts, Network, PENALTY, Place, TURNS};
use super::failures::{Failure, FailureLog, INTERVAL};
use super::password::{Credentials, Password};
use super::sessions::Sessions;
use crate::running::clock::Clock;

pub(super) struct Door {
    pub(super) sessions: Sessions,
    pub(super) clock: Clock,
    pub(super) attempts: Arc<Attempts>,
    password: Arc<Password>,
    failures: FailureLog,
    /// Of networks that are not known.
    turns: Semaphore,
    /// Argon2 takes a processor and 19 MiB, and anybody can ask for it: one at a time.
    hashing: Semaphore,
}

/// What becomes of an attempt to log in.
pub(super) enum Verdict {
    Welcome,
    Wrong,
    /// The password was not looked at. The time after which another attempt may be.
    TooMany(std::time::Duration),
}

impl Door {
    pub(super) fn new(password: Password) -> Self {
        Self {
            sessions: Sessions::default(),
            clock: Clock::system(),
            attempts: Arc::default(),
            password: Arc::new(password),
            failures: FailureLog::default(),
            turns: Semaphore::new(TURNS),
            hashing: Semaphore::new(1),
        }
    }

    /// One attempt. A wrong one is answered after the penalty.
    pub(super) async fn attempt(self: &Arc<Self>, from: Network, given: Credentials) -> Verdict {
        // Taken before the password is looked at: an attempt that is not slowed must not learn whether it was right.
        let place = match self.attempts.enter(from, self.clock.monotonic()) {
            Ok(place) => place,
            Err(wait) => {
                self.report(from, Failure::NotLookedAt);
                return Verdict::TooMany(wait);
            }
        };
        // In a task of its own, which goes on when the client closes the connection: otherwise the place would be free
        // at once for whoever does not wait for the answer.
        actix_rt::spawn(self.clone().look(place, from, given)).await.unwrap_or(Verdict::Wrong)
    }

    async fn look(self: Arc<Self>, mut place: Place, from: Network, given: Credentials) -> Verdict {
        let turn = if place.is_known() { None } else { self.turns.acquire().await.ok() };
        let began = self.clock.monotonic();
        if self.is_right(given).await {
            self.attempts.welcome(from, self.clock.monotonic());
            return Verdict::Welcome;
        }
        place.fail(self.clock.monotonic());
        self.report(from, Failure::Wrong);
        sleep_until(began + PENALTY).await;
        drop((turn, place));
        Verdict::Wrong
    }

    async fn is_right(&self, given: Credentials) -> bool {
        if let Some(is_right) = self.password.is_remembered(&given) {
            return is_right;
        }
        let _turn = self.hashing.acquire().await;
        let password = self.password.clone();
        let verify = move || password.is_remembered(&given).unwrap_or_else(|| password.verify(&given));
        task::spawn_blocking(verify).await.unwrap_or(false)
    }

    /// Tells the log, once a minute at most.
    fn report(self: &Arc<Self>, from: Network, failure: Failure) {
        let Some(first) = self.failures.count(from, failure) else { return };
        tracing::warn!("[login] {first}");
        let door = self.clone();
        actix_rt::spawn(async move {
            loop {
                time::sleep(INTERVAL).await;
                let Some(summary) = door.failures.summary() else { return };
                tracing::warn!("[login] {summary}");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::password::hash;
    use super::*;

    fn door() -> Arc<Door> {
        Arc::new(Door::new(Password::new("fleet", hash(&"a long password".into()).unwrap())))
    }

    fn given(password: &str) -> Credentials {
        Credentials { user: b"fleet".to_vec(), password: password.as_bytes().to_vec().into() }
    }

    fn from(number: u32) -> Network {
        Some(std::net::IpAddr::from(number.to_be_bytes()))
    }

    #[actix_rt::test]
    async fn a_wrong_attempt_takes_its_second_and_a_right_one_none() {
        let door = door();
        tokio::time::pause();
        let began = door.clock.monotonic();
        assert!(matches!(door.attempt(from(1), given("a long password")).await, Verdict::Welcome));
        assert!(door.clock.monotonic() - began < PENALTY);
        let began = door.clock.monotonic();
        assert!(matches!(door.attempt(from(2), given("wrong")).await, Verdict::Wrong));
        assert!(door.clock.monotonic() - began >= PENALTY);
    }

    #[actix_rt::test]
    async fn an_attempt_holds_its_place_when_its_client_has_gone() {
        let door = door();
        assert!(matches!(door.attempt(from(9), given("a long password")).await, Verdict::Welcome));
        tokio::time::pause();
        for _ in 0..8 {
            let hung_up =
                tokio::time::timeout(Duration::from_millis(1), door.attempt(from(1), given("wrong")));
            assert!(hung_up.await.is_err());
        }
        assert!(matches!(door.attempt(from(1), given("a long password")).await, Verdict::TooMany(_)));
        assert!(matches!(door.attempt(from(9), given("a long password")).await, Verdict::Welcome));
    }

    #[actix_rt::test]
    async fn the_right_password_has_its_turn_within_the_stated_bound() {
        let door = door();
        assert!(matches!(door.attempt(from(0), given("a long password")).await, Verdict::Welcome));
        tokio::time::pause();
        // From as many addresses as there are places: 71 others wait.
        for number in 1..72 {
            let door = door.clone();
            actix_rt::spawn(async move { door.attempt(from(number), given("wrong")).await });
        }
        // A runtime runs some tasks in a row only.
        for _ in 0..10 {
            task::yield_now().await;
        }
        let began = door.clock.monotonic();
        let verdict = door.attempt(from(1000), given("a long password")).await;
        assert!(matches!(verdict, Verdict::Welcome));
        let took = door.clock.monotonic() - began;
        assert!(PENALTY * 8 <= took && took <= PENALTY * 9, "{took:?}");
    }
}
