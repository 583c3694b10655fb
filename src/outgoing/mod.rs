//! One signed POST to somebody's webhook (spec §4): how events leave for a destination, and alerts.
//!
//! A [`Request`] is composed by a pure function, the same for delivery and preview; a [`Transport`]
//! carries it and says what became of it.

pub(crate) mod client;
pub(crate) mod connect;
pub(crate) mod endpoint;
pub(crate) mod exchange;
mod explain;
pub(crate) mod failure;
mod head;
pub(crate) mod proxy;
pub(crate) mod request;
pub(crate) mod setting;
pub(crate) mod target;
mod tls;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use failure::Failure;
use request::Request;

/// Time limit of a request for everything together: DNS, connect, proxy, TLS, write, response head.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(5);

/// The future of a sent request: the status code, or why there is none.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<u16, Failure>>>>;

/// Carries requests to one destination.
pub(crate) trait Transport {
    /// Sends `request`, within `limit` for everything together. Dropping the future abandons it.
    fn send(&self, request: Request, limit: Duration) -> Answer;
}
