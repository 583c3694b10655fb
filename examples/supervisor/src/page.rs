//! The page "Server": what an operator wants to see of the telemetry, in any browser, without JavaScript.

use std::time::{Duration, SystemTime};

use actix_web::http::StatusCode;
use actix_web::http::header::{ContentType, LOCATION};
use actix_web::web::{Data, ServiceConfig, get, post};
use actix_web::{HttpResponse, Responder};
use askama::Template;
use deployment_telemetry::{Health, Outcome, Status, Telemetry};
use jiff::{SignedDuration, Timestamp};

use crate::inbound::{InboundEvent, InboundEvents};
use crate::refusal::Refusal;

/// So many attempts are shown of those that the status remembers.
const SHOWN_ATTEMPTS: usize = 10;

const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .route("/", get().to(show))
        .route("/send", post().to(send_now))
        .route("/server.css", get().to(style));
}

#[derive(Template)]
#[template(path = "server.html")]
struct ServerPage {
    status: Status,
    events: Vec<InboundEvent>,
    /// Why what was asked for did not happen.
    refusal: Option<Refusal>,
}

async fn show(telemetry: Data<Telemetry>, events: Data<InboundEvents>) -> impl Responder {
    respond(StatusCode::OK, &ServerPage { status: telemetry.status(), events: events.all(), refusal: None })
}

async fn send_now(telemetry: Data<Telemetry>, events: Data<InboundEvents>) -> impl Responder {
    match telemetry.send_now().await {
        // So that a reload does not send again.
        Ok(_) => HttpResponse::SeeOther().insert_header((LOCATION, "/")).finish(),
        Err(error) => {
            let refusal = Refusal::from(error);
            let status = actix_web::ResponseError::status_code(&refusal);
            respond(
                status,
                &ServerPage { status: telemetry.status(), events: events.all(), refusal: Some(refusal) },
            )
        }
    }
}

async fn style() -> impl Responder {
    HttpResponse::Ok().content_type("text/css; charset=utf-8").body(include_str!("../templates/server.css"))
}

fn respond(status: StatusCode, page: &ServerPage) -> HttpResponse {
    HttpResponse::build(status)
        .content_type(ContentType::html())
        .insert_header(("content-security-policy", POLICY))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("cache-control", "no-store"))
        .body(page.render().expect("the template writes to memory"))
}

impl ServerPage {
    fn health(&self) -> &'static str {
        match self.status.health {
            Health::Running => "running",
            Health::Down => "down",
            Health::Stopped => "stopped",
            _ => "unknown",
        }
    }

    /// What an operator should know of besides.
    fn remarks(&self) -> Vec<String> {
        let status = &self.status;
        let mut remarks = Vec::new();
        remarks.extend(
            status
                .state_store_error
                .as_ref()
                .map(|error| format!("The instance id cannot be read: {error}.")),
        );
        remarks.extend(
            status.frozen.iter().map(|part| format!("The {part} has answered nothing for 10 seconds.")),
        );
        if status.panics > 0 {
            remarks.push(format!("{} panics were contained since the start.", status.panics));
        }
        if status.do_not_track {
            remarks.push("DO_NOT_TRACK is set: nothing goes to the vendor.".to_owned());
        }
        remarks
    }
}

fn moment(time: &SystemTime) -> String {
    Timestamp::try_from(*time).map(|time| instant(&time)).unwrap_or_default()
}

fn instant(time: &Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
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
