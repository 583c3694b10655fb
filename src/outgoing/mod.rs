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
pub(crate) mod file;
mod head;
pub(crate) mod proxy;
pub(crate) mod request;
pub(crate) mod setting;
pub(crate) mod socks;
pub(crate) mod target;
mod tls;
pub(crate) mod transport;

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use failure::Failure;
use request::Request;

/// Time limit of a request for everything together: DNS, connect, proxy, TLS, write, response head.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Time of the answer by the clock of the destination, where it tells.
    pub(crate) date: Option<SystemTime>,
}

impl Answer {
    /// Whether the webhook accepted the request, which any status from 200 to 299 means.
    #[cfg(feature = "receiver")]
    pub(crate) fn is_success(self) -> bool {
        (200..=299).contains(&self.status)
    }
}

/// Future of a sent request: the answer, or why there is none.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Answer, Failure>>>>;

/// Carries requests to one destination.
pub(crate) trait Transport {
    /// Sends `request`, within `limit` for everything together. Dropping the future abandons it.
    fn send(&self, request: Request, limit: Duration) -> Answering;
}
