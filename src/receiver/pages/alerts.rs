//! The page "Alerts": where alerts go and what came back, what waits and why, what there was to tell, and of whom nobody
//! is told for a time.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use tokio::try_join;
use uuid::Uuid;

use super::changes::{Told, name};
use super::frame::{Frame, Section};
use super::names::names_of;
use super::page::{Refusal, key_name, query, refuse, respond, see, short};
use super::words::{count, exact, icon, number, shown};
use crate::receiver::api::alerts::{Alerts, DigestRow, give_up_digest, send_test};
use crate::receiver::api::changes::ChangeRow;
use crate::receiver::api::mutes::MuteRow;
use crate::receiver::app::App;
use crate::receiver::http::parameters::path_id;
use crate::receiver::http::route::Route;
use crate::receiver::store::ChangeFilter;

/// Number of changes that are shown.
const SHOWN_CHANGES: i64 = 12;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/alerts").get(show).compressed().mount(config);
    Route::at("/alerts/test").post(test).mount(config);
    Route::at("/alerts/{digest_id}/give-up").post(give_up).mount(config);
}

#[derive(Template)]
#[template(path = "alerts.html")]
struct AlertsPage {
    frame: Frame,
    alerts: Alerts,
    changes: Vec<ChangeRow>,
    mutes: Vec<MuteRow>,
    /// The names of the keys that are muted, where they are in use.
    names: Vec<(Uuid, String)>,
    /// The names of the servers that are muted by their ids.
    servers: HashMap<Uuid, String>,
}

impl AlertsPage {
    /// The name of a key, for people.
    fn name_of(&self, id: &Uuid) -> String {
        key_name(self.names.iter().find(|(key, _)| key == id).map(|(_, name)| name.as_str()), id)
    }

    /// The time for which a mute lasts.
    fn left(&self, mute: &MuteRow) -> String {
        exact(mute.until.0.duration_since(self.frame.now))
    }

    fn is_failing(&self) -> bool {
        self.alerts.last_answer.as_ref().is_some_and(|answer| !answer.delivered)
    }

    /// When the next try is, for people.
    fn next_try(&self, digest: &DigestRow) -> String {
        match &digest.next_try_at {
            Some(at) if at.0 > self.frame.now => format!("in {}", exact(at.0.duration_since(self.frame.now))),
            _ => "now".to_owned(),
        }
    }
}

/// Whether people are told, in a sentence.
fn headline(alerts: &Alerts) -> String {
    let wait = |waiting| if waiting == 1 { "waits" } else { "wait" };
    let is_refused = alerts.digests.iter().any(|digest| digest.failure.is_some());
    match (&alerts.to, alerts.waiting) {
        (None, _) => "Nobody is told: alerts have no destination".to_owned(),
        (Some(_), 0) if alerts.last_delivered_at.is_none() => "There was nothing to tell yet".to_owned(),
        (Some(_), 0) => "Every alert was delivered".to_owned(),
        (Some(_), waiting) if is_refused => {
            format!("{} {}: the destination does not take them", count(waiting, "alert"), wait(waiting))
        }
        (Some(_), waiting) => format!("{} {} to be delivered", count(waiting, "alert"), wait(waiting)),
    }
}

async fn show(app: Data<App>) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let told = ChangeFilter { told: true, ..ChangeFilter::default() };
        let (alerts, changes, mutes) =
            try_join!(Alerts::ask(&app), ChangeRow::ask(&app, told, SHOWN_CHANGES), MuteRow::ask(&app))?;
        let keys = mutes.iter().filter_map(|mute| mute.key_id);
        let names = keys.filter_map(|id| Some((id, app.keys.name_of(id)?))).collect();
        let servers = names_of(&app, mutes.iter().filter_map(|mute| mute.instance_id).collect()).await?;
        let frame = Frame::of(&app, Section::Alerts, 0).await;
        Ok(AlertsPage { frame, alerts, changes, mutes, names, servers })
    };
    Ok(respond(StatusCode::OK, &ask.await.map_err(refuse(&app, 0))?))
}

/// Tries the destination; the page then shows what came back.
async fn test(app: Data<App>) -> Result<HttpResponse, Refusal> {
    send_test(&app).await.map_err(refuse(&app, 1))?;
    Ok(see("../alerts"))
}

async fn give_up(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async { give_up_digest(&app, path_id(&request, "digest_id")?).await };
    ask.await.map_err(refuse(&app, 2))?;
    Ok(see("../../alerts"))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::receiver::api::moment::Moment;

    const NOW: Moment = Moment(Timestamp::UNIX_EPOCH);

    fn alerts(to: Option<&str>, waiting: i64, failure: Option<&str>) -> Alerts {
        let digest = DigestRow {
            id: None,
            alerts: waiting,
            since: NOW,
            tries: 1,
            next_try_at: None,
            failed_at: failure.map(|_| NOW),
            failure: failure.map(str::to_owned),
        };
        Alerts {
            to: to.map(str::to_owned),
            last_answer: None,
            last_delivered_at: None,
            waiting,
            digests: if waiting > 0 { vec![digest] } else { Vec::new() },
        }
    }

    #[test]
    fn the_first_sentence_says_whether_people_are_told() {
        for (alerts, sentence) in [
            (alerts(None, 3, None), "Nobody is told: alerts have no destination"),
            (alerts(Some("hook.example"), 0, None), "There was nothing to tell yet"),
            (
                Alerts { last_delivered_at: Some(NOW), ..alerts(Some("hook.example"), 0, None) },
                "Every alert was delivered",
            ),
            (alerts(Some("hook.example"), 1, None), "1 alert waits to be delivered"),
            (alerts(Some("hook.example"), 2, None), "2 alerts wait to be delivered"),
            (
                alerts(Some("hook.example"), 2, Some("status 413")),
                "2 alerts wait: the destination does not take them",
            ),
        ] {
            assert_eq!(headline(&alerts), sentence);
        }
    }
}
