//! The page "Server": the receiver itself, the keys of its webhook, and the telemetry of the server it is part of.

use std::time::{Duration, SystemTime};

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, ServiceConfig};
use askama::Template;
use jiff::{SignedDuration, Timestamp};
use tokio::join;

use super::frame::{Frame, Section};
use super::page::{Refusal, Time, refuse, respond, see};
use crate::receiver::api::keys::KeyRow;
use crate::receiver::api::moment::Moment;
use crate::receiver::api::server::{Server, own_telemetry};
use crate::receiver::app::App;
use crate::receiver::health::HealthState;
use crate::receiver::http::route::Route;
use crate::receiver::store::TOLERANCE;
use crate::sender::outcome::Outcome;
use crate::sender::request::PreviewedRequest;
use crate::sender::status::{Health, Status};
use crate::sender::telemetry::Telemetry;

/// Number of attempts that are shown of those in the status.
const SHOWN_ATTEMPTS: usize = 10;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/server").get(show).compressed().mount(config);
    Route::at("/server/send").post(send_now).mount(config);
}

#[derive(Template)]
#[template(path = "server.html")]
struct ServerPage {
    frame: Frame,
    server: Server,
    /// `None` where the store does not answer.
    keys: Option<Vec<KeyRow>>,
    preview: Vec<PreviewedRequest>,
}

async fn show(app: Data<App>) -> HttpResponse {
    let (server, mut keys) = join!(Server::ask(&app), KeyRow::ask(&app));
    // An old key that has run out needs no end.
    let now = app.now();
    for key in keys.iter_mut().flatten() {
        key.old_until = key.old_until.filter(|until| until.0 > now);
    }
    let preview = app.server.telemetry.as_ref().map(Telemetry::preview).unwrap_or_default();
    respond(
        StatusCode::OK,
        &ServerPage { frame: Frame::of(&app, Section::Server, 0).await, server, keys: keys.ok(), preview },
    )
}

async fn send_now(app: Data<App>) -> Result<HttpResponse, Refusal> {
    let ask = async {
        own_telemetry(&app)?.send_now().await?;
        Ok(see("../server"))
    };
    ask.await.map_err(refuse(&app, 1))
}

/// A remark where the receiver does not run: what that means and what to do.
fn receiver_remark(server: &Server) -> Option<&'static str> {
    Some(match server.health {
        HealthState::Running => return None,
        HealthState::Frozen => {
            "The receiver has answered nothing for 10 seconds. Events are turned away until it does. The log may have the reason."
        }
        HealthState::Down => {
            "The receiver gave up after too many panics. Events are turned away. The log has the reason; restart the server."
        }
        HealthState::Stopped => "The receiver was stopped. Events are turned away.",
    })
}

/// How this machine's clock stands to the database's, where that one counts.
fn clock_remark(server: &Server) -> Option<String> {
    let difference = server.clock_difference?;
    Some(if difference.abs() <= TOLERANCE.as_secs_f64() {
        "the database's, with which this machine's agrees".to_owned()
    } else {
        let side = if difference < 0.0 { "behind" } else { "ahead of" };
        format!("the database's; this machine's is {:.0} s {side} it: set it by NTP", difference.abs())
    })
}

fn health(status: &Status) -> &'static str {
    match status.health {
        Health::Running => "running",
        Health::Down => "down",
        Health::Stopped => "stopped",
    }
}

/// Remarks on the telemetry that an operator should know.
fn remarks(status: &Status) -> Vec<String> {
    let mut remarks = Vec::new();
    let unread = |error| format!("The instance id cannot be read: {error}.");
    remarks.extend(status.state_store_error.as_ref().map(unread));
    remarks
        .extend(status.frozen.iter().map(|part| format!("The {part} has answered nothing for 10 seconds.")));
    if status.panics > 0 {
        remarks.push(format!("{} panics were contained since the start.", status.panics));
    }
    if status.do_not_track {
        remarks.push("DO_NOT_TRACK is set: nothing goes to the vendor.".to_owned());
    }
    remarks
}

fn time(time: &SystemTime) -> Time {
    Time(Moment(Timestamp::try_from(*time).unwrap_or_default()))
}

fn duration(duration: &Duration) -> String {
    SignedDuration::try_from(*duration).map(|duration| format!("{duration:#}")).unwrap_or_default()
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Status(code) => code.to_string(),
        Outcome::Failed(failure) => failure.message.clone(),
    }
}

/// The request as it goes over the wire.
fn wire(request: &PreviewedRequest) -> String {
    let mut text = format!("{} {}\n", request.method, request.url);
    for (name, value) in &request.headers {
        text += &format!("{name}: {value}\n");
    }
    text + "\n" + &String::from_utf8_lossy(&request.body.to_json())
}
