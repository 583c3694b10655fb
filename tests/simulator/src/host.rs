//! A receiver in this process, whose clock stands until it is set.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use actix_http::Request as HttpRequest;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::test::{TestRequest, init_service, read_body};
use actix_web::{App, Error};
use deployment_telemetry::receiver::{AlertDestination, Receiver, ReceiverBuilder, Storage};
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::delivery::Delivery;
use crate::sender::{Request, Sender};

/// Real time within which a receiver must be ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A gap between two marks of the receiver is never an outage: simulated time passes in steps of any length.
const NO_OUTAGE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Where nothing listens.
const NOBODY: &str = "http://127.0.0.1:9/";

/// Clock of a receiver, to the second.
#[derive(Clone)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    /// A clock that stands at this moment.
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(now.as_second().into()))
    }

    /// Sets it; a receiver's clock must not go back.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_second(), Ordering::SeqCst);
    }

    /// Where it stands.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
    }
}

/// A receiver, and the service that it is mounted in.
pub struct Host<S> {
    app: S,
    clock: Clock,
    /// The receiver.
    pub receiver: Receiver,
}

/// Starts a receiver and waits until it judges.
///
/// # Errors
/// It does not start, or is not ready within a minute.
pub async fn start(
    storage: Storage,
    clock: Clock,
) -> Result<Host<impl Service<HttpRequest, Response = ServiceResponse, Error = Error>>, String> {
    start_with(storage, clock, |builder| builder).await
}

/// The same, of a receiver that has alerts, which nobody takes.
pub(crate) async fn start_with_alerts(
    storage: Storage,
    clock: Clock,
) -> Result<Host<impl Service<HttpRequest, Response = ServiceResponse, Error = Error>>, String> {
    start_with(storage, clock, |builder| builder.alerts(AlertDestination::new(NOBODY))).await
}

async fn start_with(
    storage: Storage,
    clock: Clock,
    set: impl FnOnce(ReceiverBuilder) -> ReceiverBuilder,
) -> Result<Host<impl Service<HttpRequest, Response = ServiceResponse, Error = Error>>, String> {
    let shown = clock.clone();
    let builder =
        Receiver::builder(storage).clock(move || SystemTime::from(shown.now())).outage_after(NO_OUTAGE);
    let receiver = set(builder).start().map_err(|error| error.to_string())?;
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
    S: Service<HttpRequest, Response = ServiceResponse, Error = Error>,
{
    /// Posts an event that arrives now. Returns the status, and the body where it is not empty.
    ///
    /// # Errors
    /// The receiver does not answer.
    pub async fn post(&self, delivery: &Delivery, key: &str) -> Result<(u16, String), String> {
        let sender = Sender { speed: 1.0, token: None, secret: None };
        self.send(&format!("/webhooks/{key}"), sender.request(delivery, self.clock.now())).await
    }

    /// Posts any request. Returns the status, and the body where it is not empty.
    ///
    /// # Errors
    /// The receiver does not answer.
    pub async fn send(&self, path: &str, sent: Request) -> Result<(u16, String), String> {
        let mut request = TestRequest::post().uri(path).set_payload(sent.body);
        for (name, value) in sent.headers {
            request = request.insert_header((name, value));
        }
        let answer = self.app.call(request.to_request()).await.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        Ok((status, String::from_utf8_lossy(&read_body(answer).await).into_owned()))
    }

    /// What the API says; `None` where it answers 404.
    ///
    /// # Errors
    /// It answers anything else, or not at all.
    pub async fn get(&self, path: &str) -> Result<Option<Value>, String> {
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

    /// Judges what is due.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn judge(&self) -> Result<(), String> {
        self.receiver.judge().await.map_err(|error| error.to_string())
    }
}
