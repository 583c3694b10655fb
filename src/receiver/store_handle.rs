//! How everything but the actors asks the store: on the receiver's thread, for a limited time, counted and logged in one
//! place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;

use super::health::HealthBoard;
use super::http::problem::{Cause, Problem};
use super::metrics::Metrics;
use super::store::{FleetStore, StoreError, on, within};
use crate::running::causes;

/// Time limit of a question that a request waits for.
pub(crate) const QUERY_LIMIT: Duration = Duration::from_secs(5);

/// A store, and the receiver on whose thread it is asked. Clones share both.
#[derive(Clone)]
pub(crate) struct StoreHandle {
    store: Arc<dyn FleetStore>,
    /// `None` where no receiver runs: then the store is asked where the question is awaited.
    receiver: Option<Arc<Asked>>,
}

/// The receiver on whose thread the store is asked.
struct Asked {
    runtime: Handle,
    health: HealthBoard,
    metrics: Metrics,
    /// The last question was not answered.
    failing: AtomicBool,
}

impl StoreHandle {
    /// A store without a receiver.
    pub(crate) fn alone(store: Arc<dyn FleetStore>) -> Self {
        Self { store, receiver: None }
    }

    /// The store of the receiver whose thread is `runtime`.
    pub(crate) fn of_receiver(
        store: Arc<dyn FleetStore>,
        runtime: Handle,
        health: HealthBoard,
        metrics: Metrics,
    ) -> Self {
        let asked = Asked { runtime, health, metrics, failing: AtomicBool::new(false) };
        Self { store, receiver: Some(Arc::new(asked)) }
    }

    /// The kind of the store, for people.
    pub(crate) fn kind(&self) -> &'static str {
        self.store.kind()
    }

    /// Asks the store, for no longer than `limit`.
    pub(crate) async fn ask<T, F>(
        &self,
        limit: Duration,
        question: impl FnOnce(Arc<dyn FleetStore>) -> F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let question = within(limit, question(self.store.clone()));
        match &self.receiver {
            Some(receiver) => receiver.ask(question).await,
            None => question.await,
        }
    }
}

impl Asked {
    async fn ask<T: Send + 'static>(
        &self,
        question: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let answer = tokio::select! {
            answer = on(&self.runtime, question) => answer,
            // A frozen thread would never answer.
            () = self.health.not_running() => {
                let state = self.health.read().state;
                Err(StoreError::Unavailable(format!("the receiver is {}", state.as_str()).into()))
            }
        };
        match &answer {
            Ok(_) => {
                if self.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!("[receiver] the store answers requests again");
                }
            }
            Err(error) => self.failed(error),
        }
        answer
    }

    /// A store that is down would fill the log with a line for each request.
    fn failed(&self, error: &StoreError) {
        self.metrics.store_failed();
        let error = causes::in_one_line(error);
        if self.failing.swap(true, Ordering::Relaxed) {
            tracing::debug!("[receiver] {error}");
        } else {
            tracing::warn!("[receiver] requests are answered with 503 until the store answers: {error}");
        }
    }
}

/// The problem of a request whose question the store did not answer.
pub(crate) fn unavailable() -> Problem {
    Problem::new(
        Cause::Store,
        "the store did not answer in time or refused; the receiver's log has the reason",
    )
}

/// The answer does not repeat what the store said; the log has it.
impl From<StoreError> for Problem {
    fn from(_: StoreError) -> Self {
        unavailable()
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;
    use crate::receiver::store::{Schema, SqliteFleetStore};
    use crate::running::log::Log;

    #[actix_web::test]
    async fn a_store_that_does_not_answer_is_logged_once_and_so_is_its_return() {
        let log = Log::collect();
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteFleetStore::new(directory.path().join("fleet.db")));
        store.migrate().await.unwrap();
        let metrics = Metrics::default();
        let handle =
            StoreHandle::of_receiver(store, Handle::current(), HealthBoard::default(), metrics.clone());
        let down = || async { Err::<(), _>(StoreError::Unavailable("down".into())) };
        for _ in 0..5 {
            assert!(handle.ask(QUERY_LIMIT, |_| down()).await.is_err());
        }
        assert!(handle.ask(QUERY_LIMIT, |store| async move { store.keys().await }).await.is_ok());
        assert!(handle.ask(QUERY_LIMIT, |_| down()).await.is_err());
        assert_eq!((log.count("WARN"), log.count("answers requests again")), (2, 1), "{:?}", log.lines());
        let text = metrics.to_text(&prometheus_client::registry::Registry::default());
        assert!(text.contains("telemetry_receiver_store_errors_total 6\n"), "{text}");
    }

    #[actix_web::test]
    async fn a_question_to_a_receiver_that_does_not_run_waits_for_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteFleetStore::new(directory.path().join("fleet.db")));
        let health = HealthBoard::default();
        let handle = StoreHandle::of_receiver(store, Handle::current(), health.clone(), Metrics::default());
        health.change(crate::receiver::HealthState::Frozen);
        let never = handle.ask(QUERY_LIMIT, |_| std::future::pending::<Result<(), _>>()).await;
        assert_eq!(never.unwrap_err().to_string(), "the store is not available: the receiver is frozen");
    }
}
