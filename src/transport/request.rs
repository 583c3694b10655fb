//! An event as a request: method, headers and body (spec §4), and its preview.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use uuid::Uuid;

use super::{Endpoint, Proxy};
use crate::config::{DestinationName, DestinationSettings};
use crate::product::Product;
use crate::wire::build::BuildInfo;
use crate::wire::license::LicenseState;
use crate::wire::payload::{Payload, Reason};
use crate::wire::webhook::{self, EventId};

/// The end of the year 9999, which is as far as HTTP counts, after the beginning of 1970.
const LAST_HTTP_DATE: Duration = Duration::from_secs(253_402_300_799);

/// What is the same for all requests of a run.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) id: Uuid,
    pub(crate) product: Product,
    pub(crate) build: Arc<BuildInfo>,
}

/// What happened, for one destination.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) reason: Reason,
    pub(crate) instance_id: Uuid,
    pub(crate) license: LicenseState,
    /// Counts the requests of a run, over all destinations.
    pub(crate) sequence: u64,
}

/// A request, ready to leave.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) endpoint: Endpoint,
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Vec<u8>,
}

/// A header's value, and how it is shown where that must differ.
#[derive(Clone)]
pub(crate) struct Header {
    pub(crate) name: &'static str,
    value: String,
    shown: Option<String>,
}

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name, self.shown())
    }
}

impl Header {
    fn plain(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into(), shown: None }
    }

    fn secret(name: &'static str, value: impl Into<String>, shown: impl Into<String>) -> Self {
        Self { name, value: value.into(), shown: Some(shown.into()) }
    }

    /// The value on the wire. Not for anything that people see.
    pub(crate) fn expose(&self) -> &str {
        &self.value
    }

    fn shown(&self) -> &str {
        self.shown.as_ref().unwrap_or(&self.value)
    }
}

impl Request {
    /// The request that tells `event` to a destination at `now`.
    pub(crate) fn compose(run: &Run, to: &DestinationSettings, event: &Event, now: SystemTime) -> Self {
        let body = payload(run, to, event).to_json();
        let id = EventId { run: run.id, number: event.sequence }.to_string();
        Self::post(to, run.product.name(), Some(to.frequency), &id, body, now)
    }

    /// A webhook, authorized and signed as the destination's settings say.
    pub(crate) fn post(
        to: &DestinationSettings,
        user_agent: &str,
        frequency: Option<Duration>,
        id: &str,
        body: Vec<u8>,
        now: SystemTime,
    ) -> Self {
        let timestamp = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut headers = vec![
            Header::plain("host", to.endpoint.authority()),
            Header::plain("user-agent", user_agent),
            Header::plain("content-type", "application/json"),
            Header::plain("content-length", body.len().to_string()),
            Header::plain("connection", "close"),
            Header::plain(
                "date",
                httpdate::fmt_http_date(now.clamp(UNIX_EPOCH, UNIX_EPOCH + LAST_HTTP_DATE)),
            ),
        ];
        headers.extend(to.authorization.as_ref().map(|authorization| {
            Header::secret("authorization", authorization.expose(), authorization.redacted())
        }));
        headers.extend(
            frequency.map(|frequency| Header::plain(webhook::FREQUENCY, frequency.as_secs().to_string())),
        );
        headers.push(Header::plain(webhook::ID, id));
        headers.push(Header::plain(webhook::TIMESTAMP, timestamp.to_string()));
        headers.extend(to.signing_secret.as_ref().map(|secret| {
            Header::secret(webhook::SIGNATURE, secret.sign(id, timestamp, &body), "v1,[redacted]")
        }));
        Self { endpoint: to.endpoint.clone(), headers, body }
    }

    /// What [`compose`](Self::compose) would send.
    pub(crate) fn preview(
        run: &Run,
        to: &DestinationSettings,
        event: &Event,
        now: SystemTime,
    ) -> PreviewedRequest {
        let request = Self::compose(run, to, event, now);
        PreviewedRequest {
            destination: to.name,
            method: "POST",
            url: request.endpoint.to_string(),
            proxy: to.proxy.as_ref().map(Proxy::authority),
            headers: request.headers.iter().map(|header| (header.name, header.shown().to_owned())).collect(),
            body: payload(run, to, event),
        }
    }
}

fn payload(run: &Run, to: &DestinationSettings, event: &Event) -> Payload {
    let custom_id = to.identifier.as_deref();
    Payload::new(&run.build, event.instance_id, &event.license, event.reason, custom_id)
}

/// A request as it would leave, secrets redacted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PreviewedRequest {
    /// Whose destination it would go to.
    pub destination: DestinationName,
    /// `POST`.
    pub method: &'static str,
    /// Where to, without user part, query and keys in the path.
    pub url: String,
    /// The proxy it would leave by, as `host:port`.
    pub proxy: Option<String>,
    /// Every header, in the order of the wire.
    pub headers: Vec<(&'static str, String)>,
    /// The body, exactly.
    pub body: Payload,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes;

    #[test]
    fn no_clock_is_too_wrong_for_a_request() {
        let to = fakes::destination(DestinationName::Custom);
        let day = Duration::from_secs(86_400);
        for now in [UNIX_EPOCH - 400 * day, UNIX_EPOCH, UNIX_EPOCH + 4_000_000 * day] {
            Request::compose(&fakes::run(), &to, &fakes::event(Reason::Update, 1), now);
        }
    }
}
