//! The receiver itself, and the host's own telemetry.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, ServiceConfig};
use serde::Serialize;

use super::Moment;
use crate::receiver::health::HealthState;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::shared::Shared;
use crate::sender::outcome::Delivered;
use crate::sender::outcome::SendNowError;
use crate::sender::request::PreviewedRequest;
use crate::sender::status::Status;
use crate::sender::telemetry::Telemetry;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/api/server").get(show).mount(config);
    Route::at("/api/server/preview").get(preview).mount(config);
    Route::at("/api/server/send").post(send_now).mount(config);
}

async fn show(shared: Data<Shared>) -> Json<Server> {
    Json(Server::ask(&shared).await)
}

async fn preview(shared: Data<Shared>) -> Result<Json<Vec<PreviewedRequest>>, Problem> {
    Ok(Json(own_telemetry(&shared)?.preview()))
}

async fn send_now(shared: Data<Shared>) -> Result<Json<Vec<Delivered>>, Problem> {
    Ok(Json(own_telemetry(&shared)?.send_now().await?))
}

pub(crate) fn own_telemetry(shared: &Shared) -> Result<&Telemetry, Problem> {
    let none = || Problem::not_found("the server that the receiver is part of has no telemetry of its own");
    shared.telemetry.as_ref().ok_or_else(none)
}

impl From<SendNowError> for Problem {
    fn from(error: SendNowError) -> Self {
        let (status, cause) = match error {
            SendNowError::Disabled => (StatusCode::CONFLICT, "telemetry-disabled"),
            _ => (StatusCode::SERVICE_UNAVAILABLE, "telemetry"),
        };
        let problem = Problem::new(status, cause, "Nothing was sent", error.to_string());
        if status == StatusCode::SERVICE_UNAVAILABLE { problem.retry_after(5) } else { problem }
    }
}

#[derive(Serialize)]
pub(crate) struct Server {
    pub(crate) version: &'static str,
    pub(crate) now: Moment,
    pub(crate) health: HealthState,
    /// Panics that were contained since the start.
    pub(crate) panics: u64,
    pub(crate) store: &'static str,
    pub(crate) judged_at: Option<Moment>,
    pub(crate) waiting_events: usize,
    /// `None` where the store does not answer.
    pub(crate) waiting_alerts: Option<i64>,
    /// A host; `None` where nobody is told.
    pub(crate) alerts_to: Option<String>,
    pub(crate) outages: Vec<OutageRow>,
    pub(crate) telemetry: Option<Status>,
}

#[derive(Serialize)]
pub(crate) struct OutageRow {
    pub(crate) began_at: Moment,
    pub(crate) ended_at: Moment,
}

impl Server {
    /// Answers without the store as well: that is when somebody looks here.
    pub(crate) async fn ask(shared: &Shared) -> Self {
        let waiting_alerts = shared.ask(|store| async move { store.waiting_alerts().await }).await;
        let judged = shared.judged.borrow().clone();
        let outages = judged
            .outages
            .iter()
            .map(|outage| OutageRow { began_at: Moment(outage.began_at), ended_at: Moment(outage.ended_at) });
        let health = shared.health.read();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            now: Moment(shared.now()),
            health: health.state,
            panics: health.panics,
            store: shared.store.kind(),
            judged_at: judged.at.map(Moment),
            waiting_events: shared.backlog.count(),
            waiting_alerts: waiting_alerts.map_err(Problem::from).ok(),
            alerts_to: shared.alerts_to.clone(),
            outages: outages.collect(),
            telemetry: shared.telemetry.as_ref().map(Telemetry::status),
        }
    }
}
