//! How a store is called: for a limited time, and on the thread of a receiver.

use std::time::Duration;

use tokio::runtime::Handle;

use super::error::StoreError;

/// Waits for the answer to a call, but no longer than `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let late = |_| Err(StoreError::Unavailable(format!("no answer within {limit:.1?}").into()));
    tokio::time::timeout(limit, call).await.unwrap_or_else(late)
}

/// Runs a call on the thread of a receiver.
pub(crate) async fn on<T: Send + 'static>(
    receiver: &Handle,
    call: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let stopped = |_| Err(StoreError::Unavailable("the receiver has stopped".into()));
    receiver.spawn(call).await.unwrap_or_else(stopped)
}
