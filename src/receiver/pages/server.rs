//! The page "Server": the receiver itself, the keys of its webhook, and the telemetry of the server it is part of.

use std::time::{Duration, SystemTime};

use actix_web::http::StatusCode;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use jiff::{SignedDuration, Timestamp};
use tokio::join;

use super::frame::{Frame, Section};
use super::key_lists::{KeyLists, key_search};
use super::one_key::{limit, requires};
use super::page::{Refusal, query, refuse, respond, see};
use super::words::{When, clock, count, exact, number, shown};
use crate::receiver::api::keys::CountedKey;
use crate::receiver::api::server::{OutageRow, Server, own_telemetry};
use crate::receiver::app::App;
use crate::receiver::counts::States;
use crate::receiver::health::HealthState;
use crate::receiver::http::route::Route;
use crate::receiver::store::{State, TOLERANCE};
use crate::sender::outcome::Outcome;
use crate::sender::request::PreviewedRequest;
use crate::sender::status::{DestinationStatus, Health, Status};
use crate::sender::telemetry::Telemetry;

/// Number of attempts that are shown of those in the status.
const SHOWN_ATTEMPTS: usize = 10;

/// Number of outages that are shown: the last ones.
const SHOWN_OUTAGES: usize = 5;

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
    keys: Option<KeyLists>,
    preview: Vec<PreviewedRequest>,
}

impl ServerPage {
    /// Number of alerts to be delivered, where there are some.
    fn waiting(&self) -> Option<i64> {
        self.server.waiting_alerts.filter(|waiting| *waiting > 0)
    }

    /// The last outages, the latest first.
    fn outages(&self) -> Vec<&OutageRow> {
        self.server.outages.iter().rev().take(SHOWN_OUTAGES).collect()
    }

    fn time(&self, time: &SystemTime) -> When {
        let at = Timestamp::try_from(*time).unwrap_or_default();
        When { at, text: clock(at, self.frame.now), is_relative: false }
    }

    /// The time until a moment.
    fn until(&self, time: &SystemTime) -> String {
        let at = Timestamp::try_from(*time).unwrap_or_default();
        exact(at.duration_since(self.frame.now))
    }
}

async fn show(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let search = key_search(&request).map_err(refuse(&app, 0))?;
    // At once, because each waits for a store that does not answer.
    let (server, keys, frame) =
        join!(Server::ask(&app), CountedKey::ask(&app), Frame::of(&app, Section::Server, 0));
    let preview = app.server.telemetry.as_ref().map(Telemetry::preview).unwrap_or_default();
    let keys = keys.ok().map(|keys| KeyLists::of(keys, search));
    Ok(respond(StatusCode::OK, &ServerPage { frame, server, keys, preview }))
}

async fn send_now(app: Data<App>) -> Result<HttpResponse, Refusal> {
    let ask = async {
        own_telemetry(&app)?.send_now().await?;
        Ok(see("../server"))
    };
    ask.await.map_err(refuse(&app, 1))
}

/// Numbers of the servers of a key that a customer may have lost, by their states.
fn not_up(counted: &CountedKey) -> [(State, i64); 3] {
    let States { down, late, ended, .. } = counted.states;
    [(State::Down, down), (State::Late, late), (State::Ended, ended)]
}

/// How the receiver is, in a sentence.
fn headline(server: &Server) -> String {
    let waiting = server.waiting_alerts.unwrap_or_default();
    match server.health {
        HealthState::Frozen => "The receiver has not responded for 10 seconds".to_owned(),
        HealthState::Down => "The receiver gave up".to_owned(),
        HealthState::Stopped => "The receiver was stopped".to_owned(),
        HealthState::Running if server.waiting_alerts.is_none() => "The store does not answer".to_owned(),
        HealthState::Running if server.judged_at.is_none() => "The receiver is starting".to_owned(),
        HealthState::Running if waiting > 0 => {
            let wait = if waiting == 1 { "waits" } else { "wait" };
            format!("The receiver works, and {} {wait} to be delivered", count(waiting, "alert"))
        }
        HealthState::Running => "The receiver works".to_owned(),
    }
}

/// What that means, and what to do.
fn explanation(server: &Server) -> &'static str {
    match server.health {
        HealthState::Frozen => {
            "Events are turned away until it answers; senders keep them. The log may have the reason."
        }
        HealthState::Down => {
            "It contained too many panics. Events are turned away. The log has the reason; restart the server."
        }
        HealthState::Stopped => "Events are turned away.",
        HealthState::Running if server.waiting_alerts.is_none() => {
            "Events are turned away until it does; senders keep them. The log has the reason."
        }
        HealthState::Running if server.alerts_to.is_none() => {
            "It takes events and judges the fleet once a second. Nobody is told of what changed: alerts have no destination."
        }
        HealthState::Running => "It takes events, judges the fleet once a second, and tells of what changed.",
    }
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

/// What this server sends, in a sentence.
fn own_headline(status: &Status) -> String {
    match (status.health, status.destinations.as_slice()) {
        (Health::Down, _) => "It is down: nothing is sent until the server starts it again.".to_owned(),
        (Health::Stopped, _) => "It was stopped: nothing is sent.".to_owned(),
        (Health::Running, []) => "It has no destination: nothing is sent.".to_owned(),
        (Health::Running, destinations) => {
            let failing = destinations.iter().filter(|destination| is_failing(destination)).count();
            let number = count(destinations.len() as i64, "destination");
            match failing {
                0 => format!("It reports to {number}."),
                failing => format!("It reports to {number}; the last attempt failed at {failing}."),
            }
        }
    }
}

fn is_failing(destination: &DestinationStatus) -> bool {
    destination.attempts.front().is_some_and(|attempt| !attempt.outcome.is_success())
}

/// Remarks on the telemetry that an operator should know.
fn remarks(status: &Status) -> Vec<String> {
    let mut remarks = Vec::new();
    let unread = |error| format!("The instance id cannot be read: {error}.");
    remarks.extend(status.state_store_error.as_ref().map(unread));
    remarks.extend(status.frozen.iter().map(|part| format!("The {part} has not responded for 10 seconds.")));
    if status.panics > 0 {
        remarks.push(format!("{} panics were contained since the start.", status.panics));
    }
    if status.do_not_track {
        remarks.push("DO_NOT_TRACK is set: nothing goes to the vendor.".to_owned());
    }
    remarks
}

fn length(outage: &OutageRow) -> String {
    exact(outage.ended_at.0.duration_since(outage.began_at.0))
}

fn duration(duration: &Duration) -> String {
    SignedDuration::try_from(*duration).map(exact).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::api::moment::Moment;

    fn server(health: HealthState, is_judged: bool, waiting_alerts: Option<i64>) -> Server {
        let now = Moment(Timestamp::UNIX_EPOCH);
        Server {
            version: "1",
            now,
            health,
            panics: 0,
            store: "SQLite",
            judged_at: is_judged.then_some(now),
            clock_difference: None,
            waiting_events: 0,
            waiting_alerts,
            alerts_to: None,
            outages: Vec::new(),
            telemetry: None,
        }
    }

    #[test]
    fn the_first_sentence_says_how_the_receiver_is() {
        for (health, is_judged, waiting, sentence) in [
            (HealthState::Running, true, Some(0), "The receiver works"),
            (HealthState::Running, true, Some(1), "The receiver works, and 1 alert waits to be delivered"),
            (HealthState::Running, true, Some(2), "The receiver works, and 2 alerts wait to be delivered"),
            (HealthState::Running, false, Some(0), "The receiver is starting"),
            (HealthState::Running, true, None, "The store does not answer"),
            (HealthState::Down, true, None, "The receiver gave up"),
            (HealthState::Stopped, false, None, "The receiver was stopped"),
            (HealthState::Frozen, true, None, "The receiver has not responded for 10 seconds"),
        ] {
            let server = server(health, is_judged, waiting);
            assert_eq!(headline(&server), sentence);
            assert!(!explanation(&server).is_empty());
        }
    }

    #[test]
    fn it_is_not_said_to_tell_where_nobody_is_told() {
        let nowhere = server(HealthState::Running, true, Some(0));
        assert!(explanation(&nowhere).contains("Nobody is told"), "{}", explanation(&nowhere));
        let somewhere = Server { alerts_to: Some("hook.example".to_owned()), ..nowhere };
        assert!(explanation(&somewhere).ends_with("tells of what changed."));
    }

    #[test]
    fn a_clock_is_told_where_there_are_two() {
        let with =
            |clock_difference| Server { clock_difference, ..server(HealthState::Running, true, Some(0)) };
        assert_eq!(clock_remark(&with(None)), None);
        assert!(clock_remark(&with(Some(0.01))).unwrap().ends_with("agrees"));
        let behind = clock_remark(&with(Some(-3_600.0))).unwrap();
        assert!(behind.contains("is 3600 s behind it"), "{behind}");
    }
}
