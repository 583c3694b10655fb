//! The receiver itself, and the host's own telemetry.

use actix_web::web::{Data, Json, ServiceConfig};
use serde::Serialize;

use super::moment::Moment;
use crate::receiver::app::App;
use crate::receiver::health::HealthState;
use crate::receiver::http::problem::{Cause, Problem};
use crate::receiver::http::route::Route;
use crate::receiver::store::Outage;
use crate::receiver::store_handle::QUERY_LIMIT;
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

async fn show(app: Data<App>) -> Json<Server> {
    Json(Server::ask(&app).await)
}

async fn preview(app: Data<App>) -> Result<Json<Vec<PreviewedRequest>>, Problem> {
    Ok(Json(own_telemetry(&app)?.preview()))
}

async fn send_now(app: Data<App>) -> Result<Json<Vec<Delivered>>, Problem> {
    Ok(Json(own_telemetry(&app)?.send_now().await?))
}

pub(crate) fn own_telemetry(app: &App) -> Result<&Telemetry, Problem> {
    let none = || Problem::not_found("the server that the receiver is part of has no telemetry of its own");
    app.server.telemetry.as_ref().ok_or_else(none)
}

impl From<SendNowError> for Problem {
    fn from(error: SendNowError) -> Self {
        let cause = match error {
            SendNowError::Disabled => Cause::TelemetryDisabled,
            _ => Cause::Telemetry,
        };
        Problem::new(cause, error.to_string())
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
    /// Seconds by which this machine's clock is ahead of the database's; `None` where there is one clock alone.
    pub(crate) clock_difference: Option<f64>,
    pub(crate) waiting_events: usize,
    /// `None` where the store does not answer.
    pub(crate) waiting_alerts: Option<i64>,
    /// The host that alerts go to; `None` without alerts.
    pub(crate) alerts_to: Option<String>,
    pub(crate) outages: Vec<OutageRow>,
    pub(crate) telemetry: Option<Status>,
}

#[derive(Serialize)]
pub(crate) struct OutageRow {
    pub(crate) began_at: Moment,
    pub(crate) ended_at: Moment,
}

impl From<&Outage> for OutageRow {
    fn from(outage: &Outage) -> Self {
        Self { began_at: Moment(outage.began_at), ended_at: Moment(outage.ended_at) }
    }
}

impl Server {
    /// Answers also where the store does not: that is when an operator looks here.
    pub(crate) async fn ask(app: &App) -> Self {
        let waiting_alerts =
            app.store.ask(QUERY_LIMIT, |store| async move { store.waiting_alerts().await }).await;
        let judged = app.server.judged.borrow().clone();
        let outages = judged.outages.iter().map(OutageRow::from);
        let health = app.server.health.read();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            now: Moment(app.now()),
            health: health.state,
            panics: health.panics,
            store: app.store.kind(),
            judged_at: judged.at.map(Moment),
            clock_difference: app.clock.difference().map(|difference| difference.as_secs_f64()),
            waiting_events: app.server.backlog.count(),
            waiting_alerts: waiting_alerts.ok(),
            alerts_to: app.server.alerts.host().map(str::to_owned),
            outages: outages.collect(),
            telemetry: app.server.telemetry.as_ref().map(Telemetry::status),
        }
    }
}
