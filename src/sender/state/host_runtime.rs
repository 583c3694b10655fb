//! Runs the calls of a host's store on the host's runtime, without any risk for its threads.
//!
//! A connection belongs to the runtime in which it was opened. If a call opened one in the host's pool
//! while it ran on telemetry's runtime, the connection would fail under the host's requests as soon as
//! telemetry stops. So the timers, sockets and tasks of a call belong to the host's runtime. The call
//! itself is polled by a short-lived thread, so a store that blocks its thread blocks none of the
//! host's.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{AnyStateStore, StateError, StateStore};

/// A call was made while an earlier one still ran.
#[derive(Debug, thiserror::Error)]
#[error(
    "an earlier call of the state store has not ended: either the store blocks its thread, or the runtime \
     in which telemetry was started does not run"
)]
struct Busy;

/// A store whose calls run on the runtime in which telemetry was started.
pub(crate) struct HostRuntime {
    store: AnyStateStore,
    /// `None` where telemetry was started outside of a runtime.
    host: Option<Handle>,
    /// Held by the call that runs, so that a store that blocks takes one thread and not one for each
    /// retry.
    permit: Arc<Semaphore>,
}

impl HostRuntime {
    /// Wraps `store` where its calls need the runtime of the caller.
    pub(crate) fn around(store: AnyStateStore) -> AnyStateStore {
        match store.needs_host_runtime() {
            true => AnyStateStore::new(Self {
                store,
                host: Handle::try_current().ok(),
                permit: Arc::new(Semaphore::new(1)),
            }),
            false => store,
        }
    }

    async fn call<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T, StateError>> + Send + 'static,
    ) -> Result<T, StateError> {
        let (runtime, permit) = self.runtime().await?;
        let (mut answer, answered) = oneshot::channel::<Result<Result<T, StateError>, Panic>>();
        let work = move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                runtime.block_on(async {
                    tokio::select! {
                        outcome = call => Some(outcome),
                        // The caller's time limit is over.
                        () = answer.closed() => None,
                    }
                })
            }));
            drop(permit);
            // `None` where the caller waits no longer.
            if let Some(outcome) = outcome.transpose() {
                let _ = answer.send(outcome);
            }
        };
        std::thread::Builder::new().name("telemetry-store".to_owned()).spawn(work)?;
        match answered.await? {
            Ok(outcome) => outcome,
            // Contained and counted as a panic of the actor that called.
            Err(panic) => resume_unwind(panic),
        }
    }

    /// The runtime that a call is to use: the host's, or telemetry's own once the host's has ended.
    async fn runtime(&self) -> Result<(Handle, OwnedSemaphorePermit), StateError> {
        let permit = self.permit.clone().try_acquire_owned().map_err(|_| Busy)?;
        let Some(host) = &self.host else {
            return Ok((Handle::current(), permit));
        };
        // A runtime that has ended cancels the task. One that nobody drives keeps the task, and with it
        // the permit.
        match host.spawn(async { permit }).await {
            Ok(permit) => Ok((host.clone(), permit)),
            Err(_) => Ok((Handle::current(), self.permit.clone().try_acquire_owned().map_err(|_| Busy)?)),
        }
    }
}

type Panic = Box<dyn Any + Send>;

impl StateStore for HostRuntime {
    async fn read(&self, key: &str) -> Result<Option<String>, StateError> {
        let (store, key) = (self.store.clone(), key.to_owned());
        self.call(async move { store.read(&key).await }).await
    }

    async fn replace(&self, key: &str, expected: Option<&str>, value: &str) -> Result<bool, StateError> {
        let store = self.store.clone();
        let (key, expected, value) = (key.to_owned(), expected.map(str::to_owned), value.to_owned());
        self.call(async move { store.replace(&key, expected.as_deref(), &value).await }).await
    }

    fn needs_host_runtime(&self) -> bool {
        false
    }
}
