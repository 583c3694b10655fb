//! The webhook that receives telemetry events, this server's own or another's, and remembers the last ones.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use actix_web::web::{Data, Json, ServiceConfig, post};
use actix_web::{HttpResponse, Responder};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

/// Where events are posted to.
pub(crate) const PATH: &str = "/webhooks/inbound-telemetry";

/// So many are remembered.
const MOST_EVENTS: usize = 100;

pub(crate) fn routes(config: &mut ServiceConfig) {
    config.route(PATH, post().to(receive));
}

/// An event as it was received.
#[derive(Clone)]
pub(crate) struct InboundEvent {
    pub(crate) id: String,
    pub(crate) received_at: Timestamp,
    /// The body, as it came.
    pub(crate) body: Box<RawValue>,
}

impl InboundEvent {
    /// The `reason` of the body, if there is one.
    pub(crate) fn reason(&self) -> String {
        #[derive(Deserialize)]
        struct Body {
            reason: String,
        }
        serde_json::from_str::<Body>(self.body.get()).map(|body| body.reason).unwrap_or_default()
    }
}

/// The last events, newest first.
#[derive(Default)]
pub(crate) struct InboundEvents(Mutex<VecDeque<InboundEvent>>);

impl InboundEvents {
    fn remember(&self, event: InboundEvent) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.truncate(MOST_EVENTS - 1);
        events.push_front(event);
    }

    pub(crate) fn all(&self) -> Vec<InboundEvent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

async fn receive(events: Data<InboundEvents>, body: Json<Box<RawValue>>) -> impl Responder {
    let id = Uuid::new_v4().simple().to_string()[..8].to_owned();
    tracing::debug!("[events] <- telemetry.custom id={id} kind=usr persist=true");
    events.remember(InboundEvent { id, received_at: Timestamp::now(), body: body.into_inner() });
    HttpResponse::Ok()
}
