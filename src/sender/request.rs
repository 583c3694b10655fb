//! The request that carries an event: method, headers and body (spec §4), and its preview.

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

/// Run of the host, from start to stop: the values that all its requests share.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) id: Uuid,
    pub(crate) product: Product,
    pub(crate) build: Arc<BuildInfo>,
}

/// Event for one destination.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) reason: Reason,
    pub(crate) instance_id: Uuid,
    pub(crate) license: LicenseState,
    /// Number of the event within the run, counted from 1 over all destinations.
    pub(crate) sequence: u64,
}

impl Run {
    /// Composes the request that carries `event` to the destination `to` at the time `now`.
    pub(crate) fn compose(&self, to: &DestinationSettings, event: &Event, now: SystemTime) -> Request {
        let id = EventId { run: self.id, number: event.sequence }.to_string();
        let body = self.payload(to, event).to_json();
        Request::post(&to.target, self.product.name(), Some(to.frequency), &id, body, now)
    }

    /// Preview of the request that [`compose`](Self::compose) makes.
    fn preview(&self, to: &DestinationSettings, event: &Event, now: SystemTime) -> PreviewedRequest {
        let request = self.compose(to, event, now);
        PreviewedRequest {
            destination: to.name,
            method: if to.target.endpoint.is_file() { "APPEND" } else { "POST" },
            url: request.endpoint.to_string(),
            proxy: match &to.target.proxy {
                Ok(proxy) => proxy.as_ref().map(Proxy::authority),
                Err(failure) => Some(failure.to_string()),
            },
            headers: request.headers.iter().map(|header| (header.name, header.shown().to_owned())).collect(),
            body: self.payload(to, event),
        }
    }

    /// Previews of the requests to all `destinations`, one for each destination and reason. Without an instance
    /// id, the requests contain a random one.
    pub(crate) fn preview_all(
        &self,
        destinations: &[DestinationSettings],
        instance_id: Option<Uuid>,
        license: &LicenseState,
        now: SystemTime,
    ) -> Vec<PreviewedRequest> {
        let instance_id = instance_id.unwrap_or_else(Uuid::new_v4);
        let mut sequence = 0;
        let mut requests = Vec::new();
        for &reason in Reason::ALL {
            for to in destinations {
                sequence += 1;
                let event = Event { reason, instance_id, license: license.clone(), sequence };
                requests.push(self.preview(to, &event, now));
            }
        }
        requests
    }

    fn payload(&self, to: &DestinationSettings, event: &Event) -> Payload {
        let custom_id = to.identifier.as_deref();
        Payload::new(&self.build, event.instance_id, &event.license, event.reason, custom_id)
    }
}

/// Request as the subsystem would send it, with secrets redacted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PreviewedRequest {
    /// Destination of the request.
    pub destination: DestinationName,
    /// Method: `POST`, or `APPEND` for a line of a file.
    pub method: &'static str,
    /// URL without user part, query and keys in the path.
    pub url: String,
    /// Proxy of the request as `host:port`, or the reason why it cannot be used; `None` for a direct connection.
    pub proxy: Option<String>,
    /// Names and values of all headers. They leave in any order.
    pub headers: Vec<(&'static str, String)>,
    /// Body of the request, unredacted: it holds no secret.
    pub body: Payload,
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::sender::simulation::fakes;

    #[test]
    fn a_request_can_be_composed_at_any_time_of_the_clock() {
        let to = fakes::destination(DestinationName::Custom);
        let day = Duration::from_secs(86_400);
        for now in [UNIX_EPOCH - 400 * day, UNIX_EPOCH, UNIX_EPOCH + 4_000_000 * day] {
            fakes::run().compose(&to, &fakes::event(Reason::Update, 1), now);
        }
    }
}
