//! How a store is asked: for a limited time, and by a receiver on its own thread.

use std::time::Duration;

use tokio::runtime::Handle;

use super::StoreError;

/// Gives the question up after `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    question: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let late = |_| Err(StoreError::Unavailable(format!("no answer within {limit:.1?}")));
    tokio::time::timeout(limit, question).await.unwrap_or_else(late)
}

/// Asks on the thread of a receiver.
pub(crate) async fn on<T: Send + 'static>(
    receiver: &Handle,
    question: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let stopped = |_| Err(StoreError::Unavailable("the receiver has stopped".to_owned()));
    receiver.spawn(question).await.unwrap_or_else(stopped)
}
