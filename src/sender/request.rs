//! An event as a request: method, headers and body (spec §4), and its preview.

use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;
use uuid::Uuid;

use super::config::{DestinationName, DestinationSettings};
use super::product::Product;
use crate::outgoing::proxy::Proxy;
use crate::outgoing::request::Request;
use crate::wire::build::BuildInfo;
use crate::wire::license::LicenseState;
use crate::wire::payload::{Payload, Reason};
use crate::wire::webhook::EventId;

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

impl Run {
    /// The request that tells `event` to a destination at `now`.
    pub(crate) fn compose(&self, to: &DestinationSettings, event: &Event, now: SystemTime) -> Request {
        let id = EventId { run: self.id, number: event.sequence }.to_string();
        let body = self.payload(to, event).to_json();
        Request::post(&to.target, self.product.name(), Some(to.frequency), &id, body, now)
    }

    /// What [`compose`](Self::compose) would send.
    pub(crate) fn preview(
        &self,
        to: &DestinationSettings,
        event: &Event,
        now: SystemTime,
    ) -> PreviewedRequest {
        let request = self.compose(to, event, now);
        PreviewedRequest {
            destination: to.name,
            method: "POST",
            url: request.endpoint.to_string(),
            proxy: to.target.proxy.as_ref().map(Proxy::authority),
            headers: request.headers.iter().map(|header| (header.name, header.shown().to_owned())).collect(),
            body: self.payload(to, event),
        }
    }

    fn payload(&self, to: &DestinationSettings, event: &Event) -> Payload {
        let custom_id = to.identifier.as_deref();
        Payload::new(&self.build, event.instance_id, &event.license, event.reason, custom_id)
    }
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
    /// Every header. They leave in any order.
    pub headers: Vec<(&'static str, String)>,
    /// The body, exactly.
    pub body: Payload,
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::sender::simulation::fakes;

    #[test]
    fn no_clock_is_too_wrong_for_a_request() {
        let to = fakes::destination(DestinationName::Custom);
        let day = Duration::from_secs(86_400);
        for now in [UNIX_EPOCH - 400 * day, UNIX_EPOCH, UNIX_EPOCH + 4_000_000 * day] {
            fakes::run().compose(&to, &fakes::event(Reason::Update, 1), now);
        }
    }
}
