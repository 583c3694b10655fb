//! A receiver in this process, whose clock stands until it is set.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use actix_http::Request;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::test::{TestRequest, init_service, read_body};
use actix_web::{App, Error};
use deployment_telemetry::receiver::{Receiver, Storage};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::delivery::Delivery;
use crate::scenarios::{EPOCH, Second};
use crate::sender::Sender;

/// Real time within which a receiver must be ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A gap between two marks of the receiver is never an outage: simulated time passes in steps of any length.
const NO_OUTAGE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Clock of a receiver, in seconds since the simulation began.
#[derive(Clone, Default)]
pub(super) struct Clock(Arc<AtomicU64>);

impl Clock {
    pub(super) fn set(&self, now: Second) {
        self.0.store(now, Ordering::SeqCst);
    }

    fn now(&self) -> Timestamp {
        let since = i64::try_from(self.0.load(Ordering::SeqCst)).unwrap_or(i64::MAX);
        EPOCH.saturating_add(SignedDuration::from_secs(since)).unwrap_or(Timestamp::MAX)
    }
}

/// A receiver, and the service that it is mounted in.
pub(super) struct Host<S> {
    app: S,
    clock: Clock,
    pub(super) receiver: Receiver,
}

/// Starts a receiver and waits until it judges.
pub(super) async fn start(
    storage: Storage,
    clock: Clock,
) -> Result<Host<impl Service<Request, Response = ServiceResponse, Error = Error>>, String> {
    let shown = clock.clone();
    let builder =
        Receiver::builder(storage).clock(move || SystemTime::from(shown.now())).outage_after(NO_OUTAGE);
    let receiver = builder.start().map_err(|error| error.to_string())?;
    let app = App::new().configure(receiver.webhooks()).configure(receiver.fleet());
    let app = init_service(app).await;
    let ready = async {
        while receiver.judge().await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(READY_WITHIN, ready)
        .await
        .map_err(|_| format!("the receiver is not ready after {READY_WITHIN:?}"))?;
    Ok(Host { app, clock, receiver })
}

impl<S> Host<S>
where
    S: Service<Request, Response = ServiceResponse, Error = Error>,
{
    /// Posts an event that arrives now. Returns the status, and the body where it is not empty.
    pub(super) async fn post(&self, delivery: &Delivery, key: &str) -> Result<(u16, String), String> {
        let sender = Sender { speed: 1.0, token: None, secret: None };
        let sent = sender.request(delivery, self.clock.now());
        let mut request = TestRequest::post().uri(&format!("/webhooks/{key}")).set_payload(sent.body);
        for (name, value) in sent.headers {
            request = request.insert_header((name, value));
        }
        let answer = self.app.call(request.to_request()).await.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        Ok((status, String::from_utf8_lossy(&read_body(answer).await).into_owned()))
    }

    /// What the API says; `None` where it answers 404.
    pub(super) async fn get(&self, path: &str) -> Result<Option<Value>, String> {
        let request = TestRequest::get().uri(path).to_request();
        let answer = self.app.call(request).await.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        let body = read_body(answer).await;
        match status {
            200 => serde_json::from_slice(&body).map(Some).map_err(|error| format!("{path}: {error}")),
            404 => Ok(None),
            _ => Err(format!("{path}: {status} {}", String::from_utf8_lossy(&body))),
        }
    }

    pub(super) async fn judge(&self) -> Result<(), String> {
        self.receiver.judge().await.map_err(|error| error.to_string())
    }
}
