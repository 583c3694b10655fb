//! The page "Fleet": what is wrong in a sentence, the fleet in numbers, and every server, worst first.

use actix_web::http::StatusCode;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use tokio::try_join;
use uuid::Uuid;

use super::frame::{Frame, Section};
use super::page::{Refusal, flag_class, flag_words, key_name, query, refuse, respond, short, state};
use super::releases::Releases;
use super::strip::StripPicture;
use super::words::{frequency, number, shown};
use crate::receiver::api::fleet::{Fleet, States};
use crate::receiver::api::instances::{Flag, InstancePage, InstanceQuery, InstanceRow};
use crate::receiver::api::keys::KeyRow;
use crate::receiver::api::parameters::Parameters;
use crate::receiver::app::App;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::store::{License, State};

/// Number of servers that the sentence names.
const NAMED: i64 = 5;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/").get(show).compressed().mount(config);
}

#[derive(Template)]
#[template(path = "fleet.html")]
struct FleetPage {
    frame: Frame,
    fleet: Fleet,
    releases: Releases,
    asked: InstanceQuery,
    found: InstancePage,
    /// Some that are down, the latest first.
    down: Vec<InstanceRow>,
    /// Those in use, and the one that is asked for.
    keys: Vec<KeyRow>,
}

/// A number at the top, which leads to the servers that it counts.
struct Tally {
    state: State,
    count: i64,
}

impl Tally {
    /// Whether it needs somebody.
    fn is_alarm(&self) -> bool {
        self.count > 0 && matches!(self.state, State::Down | State::Late)
    }
}

impl FleetPage {
    fn is_asked(&self, key: &KeyRow) -> bool {
        self.asked.key == Some(key.id)
    }

    /// The key that is asked for, where there is none such.
    fn unknown_key(&self) -> Option<&Uuid> {
        self.asked.key.as_ref().filter(|id| self.keys.iter().all(|key| key.id != **id))
    }

    fn tallies(&self) -> [Tally; 4] {
        let States { down, late, up, ended } = self.fleet.states;
        [(State::Down, down), (State::Late, late), (State::Up, up), (State::Ended, ended)]
            .map(|(state, count)| Tally { state, count })
    }

    /// Number of servers that are down and that the sentence does not name.
    fn unnamed(&self) -> i64 {
        self.fleet.states.down - self.down.len() as i64
    }

    fn active(&self) -> i64 {
        self.fleet.states.up + self.fleet.states.late
    }

    /// Kinds of servers that some belong to: name, number, and the query that shows them.
    fn chips(&self) -> Vec<(&'static str, i64, &'static str)> {
        let Fleet { license_invalid, crashed, several_runs, cloned, restarting, new, .. } = &self.fleet;
        let mut chips = vec![
            ("License invalid", *license_invalid, "license=invalid"),
            ("Crashed", *crashed, "flag=crashed"),
            ("Several runs", *several_runs, "flag=several-runs"),
            ("Cloned", *cloned, "flag=cloned"),
            ("Restarting", *restarting, "flag=restarting"),
            ("New", *new, "flag=new"),
        ];
        chips.retain(|(_, count, _)| *count > 0);
        chips
    }

    /// How far a version is behind the newest release, where it is.
    fn behind(&self, version: &str) -> Option<usize> {
        self.releases.behind(version).filter(|behind| *behind > 0)
    }
}

/// What there is to say of a fleet, in a sentence.
fn headline(states: &States) -> String {
    let are = |count: i64| if count == 1 { "server is" } else { "servers are" };
    match states {
        States { down: 0, late: 0, up: 0, ended: 1 } => "The one server has ended".to_owned(),
        States { down: 0, late: 0, up: 0, ended } => format!("All {} servers have ended", number(*ended)),
        States { down: 0, late: 0, up: 1, .. } => "The one active server is up".to_owned(),
        States { down: 0, late: 0, up, .. } => format!("All {} active servers are up", number(*up)),
        States { down: 0, late, .. } => format!("{} {} late", number(*late), are(*late)),
        States { down, late: 0, .. } => format!("{} {} down", number(*down), are(*down)),
        States { down, late, .. } => {
            let is = if *late == 1 { "is" } else { "are" };
            format!("{} {} down, {} {is} late", number(*down), are(*down), number(*late))
        }
    }
}

/// The same for the title of a tab.
fn title(states: &States) -> String {
    match states {
        States { down: 0, late: 0, up: 0, .. } => "Fleet".to_owned(),
        States { down: 0, late: 0, .. } => "All up".to_owned(),
        States { down: 0, late, .. } => format!("{} late", number(*late)),
        States { down, late: 0, .. } => format!("{} down", number(*down)),
        States { down, late, .. } => format!("{} down, {} late", number(*down), number(*late)),
    }
}

async fn show(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let asked = InstanceQuery::read(Parameters::parse(request.query_string())?.without_empty())?;
        page(&app, InstanceQuery { has_strip: true, ..asked }).await
    };
    Ok(respond(StatusCode::OK, &ask.await.map_err(refuse(&app, 0))?))
}

async fn page(app: &App, asked: InstanceQuery) -> Result<FleetPage, Problem> {
    let (fleet, groups) = (Fleet::ask(app).await?, app.counts.ask().await?.0);
    let down = async {
        if fleet.states.down == 0 {
            return Ok(Vec::new());
        }
        Ok(InstancePage::ask(app, &InstanceQuery::of_state(State::Down, NAMED)).await?.instances)
    };
    let (found, mut keys, down) = try_join!(InstancePage::ask(app, &asked), KeyRow::ask(app), down)?;
    keys.retain(|key| key.revoked_at.is_none() || asked.key == Some(key.id));
    let frame = Frame::of(app, Section::Fleet, 0).await;
    Ok(FleetPage { frame, fleet, releases: Releases::of(&groups), asked, found, down, keys })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sentence_says_what_is_wrong() {
        for ((down, late, up, ended), sentence, of_tab) in [
            ((3, 7, 1_238, 64), "3 servers are down, 7 are late", "3 down, 7 late"),
            ((1, 1, 0, 0), "1 server is down, 1 is late", "1 down, 1 late"),
            ((1_000, 0, 5, 0), "1,000 servers are down", "1,000 down"),
            ((0, 1, 5, 0), "1 server is late", "1 late"),
            ((0, 0, 1_245, 64), "All 1,245 active servers are up", "All up"),
            ((0, 0, 1, 0), "The one active server is up", "All up"),
            ((0, 0, 0, 1), "The one server has ended", "Fleet"),
            ((0, 0, 0, 64), "All 64 servers have ended", "Fleet"),
        ] {
            let states = States { down, late, up, ended };
            assert_eq!((headline(&states), title(&states)), (sentence.to_owned(), of_tab.to_owned()));
        }
    }
}
