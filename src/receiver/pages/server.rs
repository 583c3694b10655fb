//! The page "Server": the receiver itself, the keys of its webhook, and the telemetry of the server it is part of.

use std::time::{Duration, SystemTime};

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use tokio::join;

use super::page::{ROOTS, Refusal, Time, refuse, respond, see};
use crate::receiver::api::body::read_form;
use crate::receiver::api::keys::{self, KeyRow};
use crate::receiver::api::moment::Moment;
use crate::receiver::api::parameters::path_id;
use crate::receiver::api::server::{Server, own_telemetry};
use crate::receiver::app::App;
use crate::receiver::health::HealthState;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::keys::NewKey;
use crate::receiver::keys::settings::{
    FORGET_RULE, NAME_RULE, RATE_RULE, valid_forget_after, valid_name, valid_rate,
};
use crate::receiver::store::TOLERANCE;
use crate::sender::outcome::Outcome;
use crate::sender::request::PreviewedRequest;
use crate::sender::status::{Health, Status};
use crate::sender::telemetry::Telemetry;

/// Number of attempts that are shown of those in the status.
const SHOWN_ATTEMPTS: usize = 10;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/server").get(show).mount(config);
    Route::at("/server/send").post(send_now).mount(config);
    // What was shown there is not shown again.
    Route::at("/server/keys").get(async || see("../server#keys")).post(create_key).mount(config);
    Route::at("/server/keys/{key_id}/secrets").get(async || see(KEYS)).post(add_secret).mount(config);
    Route::at("/server/keys/{key_id}/revoke").post(revoke_key).mount(config);
    Route::at("/server/keys/{key_id}/finish").post(finish_rotation).mount(config);
}

/// The list of keys, from a path about one key.
const KEYS: &str = "../../../server#keys";

#[derive(Template)]
#[template(path = "server.html")]
struct ServerPage {
    root: &'static str,
    server: Server,
    /// `None` where the store does not answer.
    keys: Option<Vec<KeyRow>>,
    preview: Vec<PreviewedRequest>,
}

async fn show(app: Data<App>) -> HttpResponse {
    let (server, keys) = join!(Server::ask(&app), KeyRow::ask(&app));
    let preview = app.server.telemetry.as_ref().map(Telemetry::preview).unwrap_or_default();
    respond(StatusCode::OK, &ServerPage { root: "", server, keys: keys.ok(), preview })
}

async fn send_now(app: Data<App>) -> Result<HttpResponse, Refusal> {
    let ask = async {
        own_telemetry(&app)?.send_now().await?;
        Ok(see("../server"))
    };
    ask.await.map_err(refuse(1))
}

/// The page that shows a new secret, once.
#[derive(Template)]
#[template(path = "key.html")]
struct KeyView {
    root: &'static str,
    title: &'static str,
    path: Option<String>,
    secret: Option<SecretString>,
    token: Option<SecretString>,
}

async fn create_key(app: Data<App>, body: Payload) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let mut given = read_form(body).await?.without_empty();
        let name = given.take("name", NAME_RULE, valid_name)?;
        let rate = given.take("rate", RATE_RULE, |text| text.parse().ok().and_then(valid_rate))?;
        let is_on = |text: &str| (text == "on").then_some(());
        let signed = given.take("signed", "on", is_on)?.is_some();
        let token = given.take("token", "on", is_on)?.is_some();
        let hours = |text: &str| text.parse().ok().and_then(valid_forget_after);
        let forget_after = given.take("forget_after", FORGET_RULE, hours)?;
        given.finish()?;
        let name = name.ok_or_else(|| Problem::bad_field("name", NAME_RULE))?;
        let new = NewKey { rate, signed, token, forget_after, ..NewKey::named(name) };
        let created = app.keys.create(new).await?;
        Ok(KeyView {
            root: ROOTS[1],
            title: "A new key",
            path: Some(keys::path(&created)),
            secret: created.secret,
            token: created.token,
        })
    };
    Ok(respond(StatusCode::CREATED, &ask.await.map_err(refuse(1))?))
}

async fn add_secret(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let secret = app.keys.add_secret(path_id(&request, "key_id")?).await?;
        let secret = Some(secret.ok_or_else(keys::no_such_key)?);
        Ok(KeyView { root: ROOTS[3], title: "A new secret", path: None, secret, token: None })
    };
    Ok(respond(StatusCode::OK, &ask.await.map_err(refuse(3))?))
}

async fn revoke_key(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async { back(app.keys.revoke(path_id(&request, "key_id")?).await?) };
    ask.await.map_err(refuse(3))
}

async fn finish_rotation(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async { back(app.keys.finish_rotation(path_id(&request, "key_id")?).await?) };
    ask.await.map_err(refuse(3))
}

fn back(was_there: bool) -> Result<HttpResponse, Problem> {
    match was_there {
        true => Ok(see(KEYS)),
        false => Err(keys::no_such_key()),
    }
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
