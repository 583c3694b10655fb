//! The alerts: where they go, what waits to be delivered, and a test of the destination.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, ServiceConfig};
use serde::Serialize;
use uuid::Uuid;

use super::history::TransitionRow;
use super::moment::Moment;
use crate::receiver::alerting::board::{Answered, NoTest};
use crate::receiver::app::App;
use crate::receiver::http::parameters::path_id;
use crate::receiver::http::problem::{Cause, Problem};
use crate::receiver::http::route::Route;
use crate::receiver::store::{LatestAlert, WaitingDigest};
use crate::receiver::store_handle::QUERY_LIMIT;

/// Number of digests that are listed.
const SHOWN_DIGESTS: i64 = 100;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/api/alerts").get(show).mount(config);
    Route::at("/api/alerts/test").post(test).mount(config);
    Route::at("/api/alerts/{digest_id}").delete(give_up).mount(config);
}

async fn show(app: Data<App>) -> Result<Json<Alerts>, Problem> {
    Ok(Json(Alerts::ask(&app).await?))
}

async fn test(app: Data<App>) -> Result<Json<AnsweredRow>, Problem> {
    Ok(Json(send_test(&app).await?))
}

async fn give_up(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    give_up_digest(&app, path_id(&request, "digest_id")?).await?;
    Ok(HttpResponse::new(StatusCode::NO_CONTENT))
}

/// Sends a test to the destination.
pub(crate) async fn send_test(app: &App) -> Result<AnsweredRow, Problem> {
    let answered = tokio::select! {
        // In this order, so that a receiver that does not run is not asked: it would send the test when it runs again.
        biased;
        () = app.server.health.not_running() => Err(NoTest::NotRunning),
        answered = app.server.alerts.test() => answered,
    };
    answered.map(AnsweredRow::from).map_err(|error| match error {
        NoTest::NoDestination => Problem::not_found("no destination of alerts is set"),
        NoTest::NotRunning => Problem::new(Cause::Store, "the receiver is not ready, or does not run"),
    })
}

/// Gives up a digest that waits.
pub(crate) async fn give_up_digest(app: &App, id: Uuid) -> Result<(), Problem> {
    match app.store.ask(QUERY_LIMIT, move |store| async move { store.give_up_digest(id).await }).await? {
        true => Ok(()),
        false => Err(Problem::not_found("there is no such digest that waits")),
    }
}

/// What is known of the alerts.
#[derive(Serialize)]
pub(crate) struct Alerts {
    /// The host that they go to; `None` where no destination is set.
    pub(crate) to: Option<String>,
    /// What the destination last answered to this receiver since it started.
    pub(crate) last_answer: Option<AnsweredRow>,
    /// When one was last delivered, by any receiver.
    pub(crate) last_delivered_at: Option<Moment>,
    /// Number of those that are not delivered.
    pub(crate) waiting: i64,
    /// The digests that they belong to, the oldest first.
    pub(crate) digests: Vec<DigestRow>,
}

impl Alerts {
    pub(crate) async fn ask(app: &App) -> Result<Self, Problem> {
        let (waiting, last_delivery, digests) = app
            .store
            .ask(QUERY_LIMIT, |store| async move {
                let waiting = store.waiting_alerts().await?;
                Ok((waiting, store.last_delivery().await?, store.waiting_digests(SHOWN_DIGESTS).await?))
            })
            .await?;
        Ok(Self {
            to: app.server.alerts.host().map(str::to_owned),
            last_answer: app.server.alerts.last().map(AnsweredRow::from),
            last_delivered_at: last_delivery.map(Moment),
            waiting,
            digests: digests.into_iter().map(DigestRow::from).collect(),
        })
    }
}

/// What came of a delivery.
#[derive(Serialize)]
pub(crate) struct AnsweredRow {
    pub(crate) at: Moment,
    /// Number of alerts; 0 for a test.
    pub(crate) alerts: usize,
    pub(crate) delivered: bool,
    /// The status of the answer; `None` where there was none.
    pub(crate) status: Option<u16>,
    /// What came back, in words.
    pub(crate) answer: String,
}

impl From<Answered> for AnsweredRow {
    fn from(answered: Answered) -> Self {
        let Answered { at, alerts, status, failure } = answered;
        let delivered = failure.is_none();
        let answer = match (status, failure) {
            (Some(status), None) => format!("taken, with status {status}"),
            (Some(status), Some(_)) => format!("not taken: the destination answered with status {status}"),
            (None, failure) => format!("not delivered: {}", failure.unwrap_or_default()),
        };
        Self { at: Moment(at), alerts, delivered, status, answer }
    }
}

/// Alerts that wait to be delivered in one request.
#[derive(Serialize)]
pub(crate) struct DigestRow {
    /// `None` for alerts that are in no digest yet.
    pub(crate) id: Option<Uuid>,
    pub(crate) alerts: i64,
    /// When the earliest of their changes became true.
    pub(crate) since: Moment,
    pub(crate) tries: i32,
    pub(crate) next_try_at: Option<Moment>,
    pub(crate) failed_at: Option<Moment>,
    /// Why it could not be delivered, the last time.
    pub(crate) failure: Option<String>,
}

impl From<WaitingDigest> for DigestRow {
    fn from(digest: WaitingDigest) -> Self {
        let WaitingDigest { id, alerts, since, tries, next_try_at, failure } = digest;
        let (failed_at, failure) = failure.unzip();
        let (next_try_at, failed_at) = (next_try_at.map(Moment), failed_at.map(Moment));
        Self { id, alerts, since: Moment(since), tries, next_try_at, failed_at, failure }
    }
}

/// The latest alert of an instance.
#[derive(Serialize)]
pub(crate) struct LatestAlertRow {
    #[serde(flatten)]
    pub(crate) transition: TransitionRow,
    pub(crate) delivered_at: Option<Moment>,
    pub(crate) failed_at: Option<Moment>,
    pub(crate) failure: Option<String>,
}

impl From<LatestAlert> for LatestAlertRow {
    fn from(alert: LatestAlert) -> Self {
        let LatestAlert { transition, delivered_at, failure } = alert;
        let (failed_at, failure) = failure.unzip();
        Self {
            transition: transition.into(),
            delivered_at: delivered_at.map(Moment),
            failed_at: failed_at.map(Moment),
            failure,
        }
    }
}
