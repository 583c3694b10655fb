//! How one request leaves (spec §4). A [`Request`] is composed by a pure function, the same for
//! delivery and preview; a [`Transport`] carries it and says what became of it.

mod dial;
mod endpoint;
mod exchange;
mod explain;
mod http;
mod proxy;
mod request;
mod tls;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

pub(crate) use endpoint::{Authorization, Endpoint};
pub(crate) use http::HttpTransport;
pub(crate) use proxy::{Proxy, is_exempt};
pub use request::PreviewedRequest;
pub(crate) use request::{Event, Request, Run};
#[cfg(all(unix, any(test, fuzzing)))]
pub(crate) use {dial::tunnel, exchange::exchange};

use crate::outcome::Failure;

/// Everything together: DNS, connect, proxy, TLS, write, response head.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(5);

/// The future of a sent request: the status code, or why there is none.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<u16, Failure>>>>;

/// Carries requests to one destination.
pub(crate) trait Transport {
    /// Sends `request`, within `limit` for everything together. Dropping the future abandons it.
    fn send(&self, request: Request, limit: Duration) -> Answer;
}
