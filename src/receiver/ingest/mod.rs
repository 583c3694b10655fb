//! The webhook: one request, one event, answered when it is durable (receiver §1).

pub(crate) mod backlog;
mod queues;
pub(crate) mod refused;
pub(crate) mod request;
mod strict_json;
pub(crate) mod writer;

use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use actix_web::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use actix_web::web::{self, Data, Path, Payload, ServiceConfig, post, resource};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::StreamExt;
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::clock::{NoTime, ReceiverClock};
use super::http::problem::{Cause, Problem};
use super::http::route::method_not_allowed;
use super::keys::ring::{ActiveKey, Found, KeyRing};
use super::metrics::Metrics;
use super::store::{Appended, NewEvent};
use super::store_handle::{QUERY_LIMIT, StoreHandle};
use crate::wire::webhook;
use backlog::{Backlog, Slot};
use refused::{Refused, RefusedRequests, Seen};
use request::{EventHeaders, LONGEST_BODY, Origin, header, product};
use writer::{Append, NotStored, Waiter, WriterActor};

/// Name of the webhook among the resources of an app, by which pages find its path.
pub(crate) const WEBHOOK: &str = "telemetry-webhook";

/// How long a body may take to come. A sender has 5 seconds for everything.
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// How long the writer may take to answer. It answers within 4.5 seconds where it runs.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// What the webhook's handler works with.
pub(crate) struct Ingest {
    pub(crate) store: StoreHandle,
    pub(crate) clock: ReceiverClock,
    pub(crate) metrics: Metrics,
    pub(crate) ring: Arc<KeyRing>,
    pub(crate) writer: Addr<WriterActor>,
    pub(crate) backlog: Backlog,
    pub(crate) refused: RefusedRequests,
    /// True where somebody is told of a key that reports too many new instances.
    pub(crate) has_alerts: bool,
}

pub(crate) fn mount(ingest: Data<Ingest>, config: &mut ServiceConfig) {
    let other = web::to(async || method_not_allowed("POST"));
    let webhook = resource("/webhooks/{key}").name(WEBHOOK).app_data(ingest).route(post().to(receive));
    config.service(webhook.default_service(other));
}

async fn receive(
    request: HttpRequest,
    key: Path<String>,
    payload: Payload,
    ingest: Data<Ingest>,
) -> Result<HttpResponse, Problem> {
    let began = ingest.clock.monotonic();
    let mut seen = Seen { product: product(request.headers()), ..Seen::default() };
    let answer = ingest.take(&request, &key, payload, &mut seen).await;
    match &answer {
        Ok(()) => ingest.metrics.answered(began.elapsed()),
        Err(problem) => {
            ingest.metrics.rejected(problem.cause.word());
            ingest.refused.add(Refused::of(ingest.clock.timestamp(), seen, problem));
        }
    }
    answer.map(|()| HttpResponse::Ok().finish())
}

impl Ingest {
    /// Takes an event, and notes in `seen` what is known of it.
    async fn take(
        &self,
        request: &HttpRequest,
        key: &str,
        payload: Payload,
        seen: &mut Seen,
    ) -> Result<(), Problem> {
        let key = self.find(key, self.clock.timestamp()).await?;
        seen.key = Some(key.clone());
        let headers = request.headers();
        check_content_type(headers)?;
        if !key.accepts_authorization(header(headers, AUTHORIZATION.as_str())?) {
            return Err(Problem::new(Cause::Token, "the bearer token of this key is missing or wrong"));
        }
        let event_headers = EventHeaders::read(headers, key.takes_any_frequency)?;
        let signatures = header(headers, webhook::SIGNATURE)?;
        seen.body = read_body(headers, payload).await?;
        let body = &seen.body;
        let now = self.clock.known().await.map_err(no_time)?;
        let id = event_headers.webhook_id.as_deref();
        if !key.accepts_signature(id, event_headers.timestamp, signatures, body, now) {
            let detail =
                "the signature is missing, wrong, or older or newer than 5 minutes (Standard Webhooks)";
            return Err(Problem::new(Cause::Signature, detail));
        }
        // Only authorized requests count against the rate, not those of a client that read the URL in some log.
        if !key.takes_one(now) {
            return Err(Problem::new(Cause::Rate, "more events a second than this key may send"));
        }
        let slot =
            self.backlog.enter().ok_or_else(|| busy("more events wait than the store takes in time"))?;
        let origin = Origin { key_id: key.id, new_per_hour: key.new_per_hour, product: seen.product.clone() };
        let event = request::read(event_headers, origin, body, now)?;
        key.used(now);
        let reason = event.reason.clone();
        match self.store(event, slot).await? {
            Appended::New => self.metrics.stored(&reason),
            Appended::Before => self.metrics.repeated(),
            Appended::OtherKey => {
                let detail =
                    "this instance belongs to the key that reported it first; an operator can move it";
                return Err(Problem::new(Cause::OtherKey, detail).field("instance_id"));
            }
            Appended::TooManyNew => {
                self.note_flood(&key, now).await;
                let limit = key.new_per_hour.unwrap_or_default();
                let detail = format!("this key may report {limit} new instances an hour, and has");
                return Err(Problem::new(Cause::TooManyNew, detail));
            }
        }
        Ok(())
    }

    /// Says, once an hour, that a key reports more new instances than it may.
    async fn note_flood(&self, key: &ActiveKey, now: Timestamp) {
        if !key.is_first_flood(now) {
            return;
        }
        let (id, limit, tells) = (key.id, key.new_per_hour.unwrap_or_default(), self.has_alerts);
        let noted = self
            .store
            .ask(QUERY_LIMIT, move |store| async move { store.note_flood(id, limit, now, tells).await });
        // Where the store does not answer, the log has it at least.
        if noted.await.unwrap_or(true) {
            tracing::warn!(
                "[receiver] the key {:?} reported {limit} new servers within an hour; more of them are refused. Where these \
                 are yours, raise its limit: fleet key limit; else make a new key and revoke this one",
                key.name
            );
        }
    }

    /// The key `text`. The answer is the same for a key that never was and one that was revoked.
    async fn find(&self, text: &str, now: Timestamp) -> Result<Arc<ActiveKey>, Problem> {
        let unknown = || Problem::not_found("there is no webhook of this name");
        match self.ring.find(text, now) {
            Found::Key(key) => return Ok(key),
            Found::No => return Err(unknown()),
            Found::NotYet => {}
        }
        let ring = self.ring.clone();
        self.store.ask(QUERY_LIMIT, |store| async move { ring.load(&*store).await }).await?;
        match self.ring.find(text, self.clock.timestamp()) {
            Found::Key(key) => Ok(key),
            Found::NotYet | Found::No => Err(unknown()),
        }
    }

    /// Resolves when the event is durable, or refused.
    async fn store(&self, event: NewEvent, slot: Slot) -> Result<Appended, Problem> {
        let (answer, answered) = oneshot::channel();
        let waiter = Waiter { since: self.clock.monotonic(), answer, slot };
        self.writer.do_send(Append { event, waiter });
        // A writer that does not run answers nothing.
        let Ok(answered) = tokio::time::timeout(ANSWER_LIMIT, answered).await else {
            return Err(busy("the receiver did not answer in time; its log may have the reason"));
        };
        match answered {
            Ok(Ok(appended)) => Ok(appended),
            Ok(Err(NotStored::Late)) => {
                let detail =
                    "the store did not take the event in time; the receiver's log may have the reason";
                Err(busy(detail))
            }
            Ok(Err(NotStored::Refused)) => {
                let detail = "the store refused the event; the receiver's log has the reason";
                Err(Problem::new(Cause::Refused, detail))
            }
            Err(_) => {
                Err(busy("the receiver is stopping, is being restarted or is down; its log has the reason"))
            }
        }
    }
}

/// The problem of an event that came when the time was not known: its times would be wrong for good.
fn no_time(why: NoTime) -> Problem {
    busy(&why.to_string())
}

fn busy(detail: &str) -> Problem {
    Problem::new(Cause::Busy, detail)
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let essence = header(headers, CONTENT_TYPE.as_str())?.and_then(|value| value.split(';').next());
    if !essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json")) {
        return Err(Problem::new(Cause::MediaType, "events are application/json").field("content-type"));
    }
    match header(headers, CONTENT_ENCODING.as_str())? {
        None => Ok(()),
        Some(coding) if coding.trim().eq_ignore_ascii_case("identity") => Ok(()),
        Some(_) => Err(Problem::new(Cause::MediaType, "events are not compressed").field("content-encoding")),
    }
}

async fn read_body(headers: &HeaderMap, mut payload: Payload) -> Result<Vec<u8>, Problem> {
    let too_large =
        || Problem::new(Cause::TooLarge, format!("an event must not have more than {LONGEST_BODY} bytes"));
    let declared = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > LONGEST_BODY as u64) {
        return Err(too_large());
    }
    let mut body = Vec::with_capacity(declared.and_then(|length| length.try_into().ok()).unwrap_or(1024));
    let read = async {
        while let Some(chunk) = payload.next().await {
            let ended = |_| Problem::malformed("the body ended early or is not what its headers say");
            let chunk = chunk.map_err(ended)?;
            if body.len() + chunk.len() > LONGEST_BODY {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(())
    };
    match tokio::time::timeout(BODY_LIMIT, read).await {
        Ok(read) => read.map(|()| body),
        Err(_) => {
            let limit = BODY_LIMIT.as_secs();
            Err(Problem::new(Cause::Slow, format!("the body did not come within {limit} s")))
        }
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod webhook_tests;

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use std::iter;
    use std::time::{Duration, UNIX_EPOCH};

    use actix_web::App;
    use actix_web::dev::ServiceResponse;
    use actix_web::http::StatusCode;
    use actix_web::http::header::RETRY_AFTER;
    use actix_web::test::{TestRequest, call_service, init_service, read_body};

    use crate::receiver::clock::ReceiverClock;
    use crate::receiver::fixture::Fixture;
    use crate::receiver::{NewKey, Receiver, SqliteFleetStore, WebhookKey};
    use crate::running::clock::fake::FakeClock;

    #[actix_web::test]
    async fn a_receiver_that_is_mounted_runs_without_another_handle() {
        let directory = tempfile::tempdir().unwrap();
        let store = crate::receiver::SqliteFleetStore::new(directory.path().join("fleet.db"));
        let receiver = crate::receiver::Receiver::builder(store).start().unwrap();
        let app = init_service(App::new().configure(receiver.webhooks()).configure(receiver.fleet())).await;
        drop(receiver);
        let answered = async {
            let ask = || TestRequest::get().uri("/api/fleet").to_request();
            while call_service(&app, ask()).await.status() != StatusCode::OK {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), answered).await.expect("its store is ready");
    }

    #[actix_web::test]
    async fn before_the_clock_is_set_events_are_turned_away() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteFleetStore::new(directory.path().join("fleet.db"));
        let key = WebhookKey::generate();
        let machine = FakeClock::at(UNIX_EPOCH);
        let mut builder = Receiver::builder(store).key(&key);
        builder.clock = Some(ReceiverClock::of_machine(machine.clock(), false));
        let receiver = builder.start().unwrap();
        let app = init_service(App::new().configure(receiver.webhooks())).await;
        let send = async || -> ServiceResponse {
            let request = TestRequest::post().uri(&format!("/webhooks/{}", key.expose()));
            let request = request.insert_header(("content-type", "application/json")).set_payload("no JSON");
            call_service(&app, request.to_request()).await
        };
        let answer = send().await;
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers().get(RETRY_AFTER).unwrap(), "5");
        let body = String::from_utf8(read_body(answer).await.to_vec()).unwrap();
        assert!(body.contains("the receiver's clock is not set yet"), "{body}");
        assert!(receiver.judge().await.is_err());

        machine.jump_forward(Duration::from_secs(1_795_608_000));
        let read = async { while send().await.status() != 400 {} };
        tokio::time::timeout(Duration::from_secs(60), read).await.expect("it recovers by itself");
    }

    #[actix_web::test]
    async fn an_event_beyond_the_bound_is_turned_away_before_it_is_read() {
        let Fixture { receiver, .. } = &Fixture::with(0).await;
        let key = receiver.keys().create(NewKey::named("any")).await.unwrap().key;
        let app = init_service(App::new().configure(receiver.webhooks())).await;
        let send = async || -> ServiceResponse {
            let request = TestRequest::post().uri(&format!("/webhooks/{}", key.expose()));
            let request = request.insert_header(("content-type", "application/json")).set_payload("no JSON");
            call_service(&app, request.to_request()).await
        };
        let slots: Vec<_> = iter::from_fn(|| receiver.ingest.backlog.enter()).collect();
        let answer = send().await;
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers().get(RETRY_AFTER).unwrap(), "5");
        drop(slots);
        assert_eq!(send().await.status(), 400);
    }
}
