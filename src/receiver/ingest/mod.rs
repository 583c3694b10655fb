//! The webhook: one request, one event, answered when it is durable (receiver §1).

pub(crate) mod backlog;
pub(crate) mod request;
pub(crate) mod writer;

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use actix_web::web::{Data, Path, Payload, ServiceConfig, post, resource};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt;
use tokio::sync::oneshot;

use super::http::problem::Problem;
use super::ingest::request::{EventHeaders, LONGEST_BODY, header};
use super::keys::ring::{ActiveKey, Found};
use super::shared::Shared;
use super::store::NewEvent;
use crate::wire::webhook;
use backlog::Place;
use writer::{Append, NotStored, Sender, Stored};

/// A body that takes longer than this to come is not waited for: a sender has 5 seconds for everything.
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// How long the writer may take to answer; it answers within 4.5 seconds where it runs.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

pub(crate) fn mount(shared: Data<Shared>, config: &mut ServiceConfig) {
    config.service(resource("/webhooks/{key}").app_data(shared).route(post().to(receive)).default_service(
        web::to(async || {
            HttpResponse::MethodNotAllowed()
                .insert_header((ALLOW, "POST"))
                .content_type("application/problem+json")
                .body(METHOD_NOT_ALLOWED)
        }),
    ));
}

const METHOD_NOT_ALLOWED: &str = r#"{"type":"urn:deployment-telemetry:problem:method","title":"The method is not allowed","status":405,"detail":"events are sent by POST"}"#;

async fn receive(
    request: HttpRequest,
    key: Path<String>,
    payload: Payload,
    shared: Data<Shared>,
) -> Result<HttpResponse, Problem> {
    let began = shared.clock.monotonic();
    let answer = take(&request, &key, payload, &shared).await;
    match &answer {
        Ok(()) => shared.metrics.answered(began.elapsed()),
        Err(problem) => shared.metrics.rejected(problem.cause),
    }
    answer.map(|()| HttpResponse::Ok().finish())
}

async fn take(request: &HttpRequest, key: &str, payload: Payload, shared: &Shared) -> Result<(), Problem> {
    let now = shared.now();
    let key = find(key, shared).await?;
    let headers = request.headers();
    check_content_type(headers)?;
    if !key.accepts_authorization(header(headers, AUTHORIZATION.as_str())?) {
        return Err(unauthorized("token", "the bearer token of this key is missing or wrong"));
    }
    let event_headers = EventHeaders::read(headers)?;
    let signatures = header(headers, webhook::SIGNATURE)?;
    let body = read_body(headers, payload).await?;
    let id = event_headers.webhook_id.as_deref();
    if !key.accepts_signature(id, event_headers.timestamp, signatures, &body, now) {
        let detail = "the signature is missing, wrong, or older or newer than 5 minutes (Standard Webhooks)";
        return Err(unauthorized("signature", detail));
    }
    // What is spent here belongs to those who may send: not to whoever only read the URL in some log.
    if !key.takes_one(now) {
        let detail = "more events a second than this key may send";
        return Err(
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate", "Too many events", detail).retry_after(1)
        );
    }
    let place = shared.backlog.enter().ok_or_else(too_many)?;
    let event = request::read(event_headers, body, now)?;
    key.used(now);
    store(event, place, shared).await
}

async fn find(text: &str, shared: &Shared) -> Result<std::sync::Arc<ActiveKey>, Problem> {
    // The same for a key that never was and one that was revoked.
    let unknown = || Problem::not_found("there is no webhook of this name");
    match shared.ring.find(text, shared.now()) {
        Found::Key(key) => return Ok(key),
        Found::No => return Err(unknown()),
        Found::NotYet => {}
    }
    let ring = shared.ring.clone();
    // That the store does not answer is said by who keeps the keys: anybody may ask for a key that there is not.
    let loaded = shared.ask(|store| async move { ring.load(&*store).await }).await;
    loaded.map_err(|error| {
        tracing::debug!("[receiver] a key cannot be looked for: {error}");
        Problem::store()
    })?;
    match shared.ring.find(text, shared.now()) {
        Found::Key(key) => Ok(key),
        Found::NotYet | Found::No => Err(unknown()),
    }
}

fn unauthorized(cause: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, cause, "Not authorized", detail)
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let refused = |detail| {
        Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content-type",
            "The content type is not supported",
            detail,
        )
    };
    let essence = header(headers, CONTENT_TYPE.as_str())?.and_then(|value| value.split(';').next());
    if !essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json")) {
        return Err(refused("events are application/json"));
    }
    match header(headers, CONTENT_ENCODING.as_str())? {
        None => Ok(()),
        Some(coding) if coding.trim().eq_ignore_ascii_case("identity") => Ok(()),
        Some(_) => Err(refused("events are not compressed")),
    }
}

async fn read_body(headers: &HeaderMap, mut payload: Payload) -> Result<Vec<u8>, Problem> {
    let too_long = || {
        let detail = "an event has at most 16384 bytes";
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "length", "The body is too long", detail)
    };
    let declared = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > LONGEST_BODY as u64) {
        return Err(too_long());
    }
    let mut body = Vec::with_capacity(declared.and_then(|length| length.try_into().ok()).unwrap_or(1024));
    let read = async {
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| {
                let detail = "the body ended early or is not what its headers say";
                Problem::new(StatusCode::BAD_REQUEST, "malformed", "The body cannot be read", detail)
            })?;
            if body.len() + chunk.len() > LONGEST_BODY {
                return Err(too_long());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(())
    };
    match tokio::time::timeout(BODY_LIMIT, read).await {
        Ok(read) => read.map(|()| body),
        Err(_) => {
            let detail = "the body did not come within 10 s";
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "slow", "The request took too long", detail))
        }
    }
}

/// Resolves when the event is durable.
async fn store(event: NewEvent, place: Place, shared: &Shared) -> Result<(), Problem> {
    let (answer, answered) = oneshot::channel();
    let reason = event.reason.clone();
    let sender = Sender { since: shared.clock.monotonic(), answer, place };
    shared.writer.do_send(Append { event, sender });
    // A writer that does not run answers nothing.
    let Ok(answered) = tokio::time::timeout(ANSWER_LIMIT, answered).await else {
        return Err(busy("the receiver did not answer in time; its log may have the reason"));
    };
    match answered {
        Ok(Ok(Stored::New)) => shared.metrics.stored(&reason),
        Ok(Ok(Stored::Before)) => shared.metrics.repeated(),
        Ok(Err(NotStored::Late)) => {
            return Err(busy(
                "the store did not take the event in time; the receiver's log may have the reason",
            ));
        }
        Ok(Err(NotStored::Refused)) => {
            let detail = "the store refused the event; the receiver's log has the reason";
            return Err(Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "refused",
                "The event cannot be stored",
                detail,
            ));
        }
        Err(_) => {
            return Err(busy(
                "the receiver is stopping, is being restarted or is down; its log has the reason",
            ));
        }
    }
    Ok(())
}

fn too_many() -> Problem {
    busy("more events are waiting than the store takes in time")
}

fn busy(detail: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "The store cannot take the event in time", detail)
        .retry_after(5)
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use std::iter;
    use std::time::Duration;

    use actix_web::App;
    use actix_web::dev::ServiceResponse;
    use actix_web::http::StatusCode;
    use actix_web::http::header::RETRY_AFTER;
    use actix_web::test::{TestRequest, call_service, init_service};

    use crate::receiver::NewKey;
    use crate::receiver::fixture::Fixture;

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
    async fn an_event_for_which_there_is_no_place_is_told_to_come_again_before_it_is_read() {
        let Fixture { receiver, .. } = &Fixture::with(0).await;
        let key =
            receiver.keys().create(NewKey { name: "any".to_owned(), ..NewKey::default() }).await.unwrap().key;
        let app = init_service(App::new().configure(receiver.webhooks())).await;
        let send = async || -> ServiceResponse {
            let request = TestRequest::post().uri(&format!("/webhooks/{}", key.expose()));
            let request = request.insert_header(("content-type", "application/json")).set_payload("no JSON");
            call_service(&app, request.to_request()).await
        };
        let places: Vec<_> = iter::from_fn(|| receiver.shared.backlog.enter()).collect();
        let answer = send().await;
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers().get(RETRY_AFTER).unwrap(), "5");
        drop(places);
        assert_eq!(send().await.status(), 400);
    }
}
