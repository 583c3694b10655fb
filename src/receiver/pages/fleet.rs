//! The page "Fleet": what is wrong in a sentence, the fleet in numbers, and every server, worst first.

use actix_web::http::StatusCode;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use jiff::SignedDuration;
use tokio::try_join;
use uuid::Uuid;

use super::by_key::with_most;
use super::changes::{Told, name};
use super::filters::{self, Link, NOT_ENDED, Part, all_that_match, extent, href, order, order_name};
use super::frame::{Frame, Section};
use super::headline::{headline, title};
use super::key_choice::{self, KeyChoice};
use super::page::{Refusal, flag_class, flag_words, key_name, query, refuse, respond, see, short, state};
use super::refusals::Refusals;
use super::releases::Releases;
use super::start;
use super::strip::StripPicture;
use super::tiles::{Notes, Tile, tiles};
use super::words::{count, day, exact, frequency, number, shown};
use crate::receiver::api::fleet::{Fleet, WholeFleet};
use crate::receiver::api::instances::InstanceRow;
use crate::receiver::api::keys::KeyRow;
use crate::receiver::app::App;
use crate::receiver::counts::Tally;
use crate::receiver::http::parameters::Parameters;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::query::flag::Flag;
use crate::receiver::query::instances::InstanceQuery;
use crate::receiver::store::{License, Sort, State};

/// Number of servers on a page of the list, unless its address has another. The page has to fit 60 kB, also where each of them
/// has changed its state twenty times within the days that are shown.
const ROWS: i64 = 30;

/// Number of keys that are named where their names contain what is looked for.
const KEYS_LIKE: usize = 5;

/// Number of keys that are named beside servers in some states.
const WHOSE: usize = 3;

/// Number of systems that are offered to be filtered by.
const SYSTEMS: usize = 20;

/// Lengths of silence that are offered, as the query has them and in words.
const SILENCES: [(&str, &str); 4] = [("1d", "a day"), ("3d", "3 days"), ("1w", "a week"), ("30d", "30 days")];

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/").get(show).compressed().mount(config);
}

#[derive(Template)]
#[template(path = "fleet.html")]
struct FleetPage {
    frame: Frame,
    whole: WholeFleet,
    releases: Releases,
    asked: InstanceQuery,
    /// Those in use, and the one that is asked for.
    keys: KeyChoice,
    /// Alerts have a destination.
    is_told: bool,
    refusals: Option<Refusals>,
    /// Number of servers whose license is invalid, and of those that have none, without those that have ended.
    unlicensed: (i64, i64),
    /// Whose servers those in the states that are asked for are; of the whole fleet, whose those are that are down.
    whose: Whose,
}

/// The keys with most of some servers.
#[derive(Default)]
struct Whose {
    keys: Vec<(String, i64, Link)>,
    /// Number of further keys.
    more: i64,
}

/// A kind of servers that some belong to.
struct Chip {
    name: &'static str,
    count: i64,
    link: Link,
}

/// The head of a column by which the list can be ordered.
struct Head {
    name: &'static str,
    link: Link,
    /// `ascending` or `descending`, and the arrow that says so.
    direction: (&'static str, &'static str),
    /// Whether it is there only where there is much room.
    is_wide: bool,
}

impl FleetPage {
    fn fleet(&self) -> &Fleet {
        &self.whole.fleet
    }

    fn is_sorted(&self, sort: &Sort) -> bool {
        self.asked.sort == *sort
    }

    /// Whether the page is of a part of the fleet: it says what that part is, and not what is wrong with the rest.
    fn is_filtered(&self) -> bool {
        !self.asked.to_filter().is_empty()
    }

    /// The first keys whose names contain what is looked for.
    fn keys_like(&self) -> Vec<&KeyRow> {
        self.asked.search.as_deref().map_or_else(Vec::new, |text| self.keys.like(text, KEYS_LIKE))
    }

    /// What is said of refused requests.
    fn refusals(&self) -> Option<&Refusals> {
        self.refusals.as_ref().filter(|_| !self.is_filtered())
    }

    fn tiles(&self) -> [Tile; 4] {
        match self.is_filtered() {
            true => tiles(self.whole.by_state, Notes::outside(&self.asked.states), &self.asked),
            false => tiles(self.fleet().states, Notes::of(self.fleet(), self.frame.now), &self.asked),
        }
    }

    /// Number of servers that are down and that the sentence does not name.
    fn unnamed(&self) -> i64 {
        self.fleet().states.down - self.whole.down.len() as i64
    }

    /// All that are down, where the sentence does not name them all and the list does: their names alone, which fit a phone
    /// at once.
    fn down_listed(&self) -> Vec<&InstanceRow> {
        let down = || self.whole.found.instances.iter().filter(|row| row.state == State::Down);
        let are_all_listed = down().count() as i64 >= self.fleet().states.down;
        if self.unnamed() > 0 && are_all_listed { down().collect() } else { Vec::new() }
    }

    /// Number of servers that report, in time or late.
    fn reporting(&self) -> i64 {
        self.fleet().states.up + self.fleet().states.late
    }

    fn chips(&self) -> Vec<Chip> {
        chips(self.fleet(), self.unlicensed, &self.asked)
    }

    fn parts(&self) -> Vec<Part> {
        filters::parts(&self.asked, self.keys.asked_name().as_deref())
    }

    fn heads(&self) -> [Head; 5] {
        let (up, down) = (("ascending", "↑"), ("descending", "↓"));
        let head = |name, sort, direction| Head {
            name,
            link: filters::by(&self.asked, sort),
            direction,
            is_wide: sort == Sort::FirstSeen,
        };
        [
            head("Server", Sort::Name, up),
            head("State", Sort::Worst, down),
            head("Last heard", Sort::Silent, up),
            head("Version", Sort::Version, up),
            head("First seen", Sort::FirstSeen, down),
        ]
    }

    /// Systems of the servers that are shown, and the one that is asked for.
    fn systems(&self) -> Vec<String> {
        let rows = self.whole.found.instances.iter();
        let mut systems: Vec<String> =
            rows.map(|row| format!("{}/{}", row.build_os, row.build_arch)).collect();
        systems.sort_unstable();
        systems.dedup();
        systems.truncate(SYSTEMS);
        systems
    }

    /// Silences to choose from, with the one that is asked for.
    fn silences(&self) -> Vec<(String, String, bool)> {
        let asked = self.asked.heard.map(|heard| heard.to_string());
        let mut offered: Vec<(String, String, bool)> = SILENCES
            .iter()
            .map(|(value, words)| {
                ((*value).to_owned(), (*words).to_owned(), asked.as_deref() == Some(*value))
            })
            .collect();
        if let Some(asked) = asked.filter(|asked| offered.iter().all(|(value, ..)| value != asked)) {
            offered.push((asked.clone(), asked, true));
        }
        offered
    }

    /// How far a version is behind the newest release, where it is.
    fn behind(&self, version: &str) -> Option<usize> {
        self.releases.behind(version).filter(|behind| *behind > 0)
    }

    /// What people know a server by.
    fn name(&self, row: &InstanceRow) -> String {
        name(row.custom_id.as_deref(), &row.instance_id)
    }

    /// Whether the list is of those that are up alone, the one first that came to be so last.
    fn is_of_up(&self) -> bool {
        self.asked.states == [State::Up]
    }

    /// For how long a server was down before it came back up, where that is known.
    fn back_after(&self, row: &InstanceRow) -> Option<String> {
        row.back_after.map(|seconds| exact(SignedDuration::from_secs(seconds)))
    }

    /// Whether all that match can be muted: what is muted is no filter of a mute.
    fn can_mute(&self) -> bool {
        !self.asked.is_about_mutes()
    }
}

/// Whether its silence is what is wrong with it: people ask since when.
fn is_silent(row: &InstanceRow) -> bool {
    matches!(row.state, State::Down | State::Late)
}

/// The kinds of servers beside their states that there are some of, or that are asked for: what is wrong comes first.
fn chips(fleet: &Fleet, unlicensed: (i64, i64), asked: &InstanceQuery) -> Vec<Chip> {
    let license = |license| filters::of_license(asked, license);
    let flag = |flag| filters::of_flag(asked, flag);
    let mut chips: Vec<Chip> = [
        ("Crashed", fleet.crashed, flag(Flag::Crashed)),
        ("Restarting", fleet.restarting, flag(Flag::Restarting)),
        ("License invalid", unlicensed.0, license(License::Invalid)),
        ("Cloned", fleet.cloned, flag(Flag::Cloned)),
        ("Several runs", fleet.several_runs, flag(Flag::SeveralRuns)),
        ("No license", unlicensed.1, license(License::None)),
        ("Muted", fleet.muted.unwrap_or_default(), flag(Flag::Muted)),
        ("New", fleet.new, flag(Flag::New)),
    ]
    .map(|(name, count, link)| Chip { name, count, link })
    .into();
    chips.retain(|chip| chip.count > 0 || chip.link.is_on);
    chips
}

async fn show(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let mut given = Parameters::parse(request.query_string())?.without_empty();
        let typed = key_choice::take_typed(&app, &mut given).await?;
        let asked = InstanceQuery::read_page(given, ROWS)?;
        if let Some(key) = typed {
            return Ok(see(&href(&InstanceQuery { key: Some(key), ..asked })));
        }
        let tally = app.counts.tally().await?;
        if tally.states().total() == 0 {
            return start::show(&app).await;
        }
        Ok(respond(StatusCode::OK, &page(&app, asked, &tally).await?))
    };
    ask.await.map_err(refuse(&app, 0))
}

/// The page of a fleet that was counted once, so that its numbers agree; its lists, and the notes below the numbers, may
/// be of a moment before or after.
async fn page(app: &App, asked: InstanceQuery, tally: &Tally) -> Result<FleetPage, Problem> {
    let with_strip = InstanceQuery { has_strip: true, ..asked.clone() };
    let (whole, keys) = try_join!(WholeFleet::ask(app, &with_strip, tally), KeyRow::ask(app))?;
    let keys = KeyChoice::of(keys, asked.key);
    let frame = Frame { down: tally.states().down, ..Frame::without_counts(app, Some(Section::Fleet), 0) };
    let is_told = app.server.alerts.host().is_some();
    let refusals = Refusals::of(&app.server.refused, frame.now);
    let are_more_down = tally.states().down > whole.down.len() as i64;
    let whose = whose(app, &asked, are_more_down).await?;
    Ok(FleetPage {
        frame,
        whole,
        releases: Releases::of(&tally.groups),
        asked,
        keys,
        is_told,
        refusals,
        unlicensed: (tally.not_ended_with(License::Invalid), tally.not_ended_with(License::None)),
        whose,
    })
}

/// Whose servers those in some states are, where nothing else is asked for. Of the whole fleet, those that are down, where
/// more of them are than are named.
async fn whose(app: &App, asked: &InstanceQuery, are_more_down: bool) -> Result<Whose, Problem> {
    let mut asked = asked.clone();
    if are_more_down && asked.to_filter().is_empty() {
        asked.states = vec![State::Down];
    }
    if asked.states.is_empty() || filters::parts(&asked, None).len() > 1 || asked.key.is_some() {
        return Ok(Whose::default());
    }
    let name = |id: Uuid| key_name(app.keys.shown_name(id).as_deref(), &id);
    let mut keys = with_most(&app.counts.of_keys().await?, &asked.states, name);
    let more = keys.len().saturating_sub(WHOSE) as i64;
    keys.truncate(WHOSE);
    let keys = keys.into_iter().map(|(id, name, count)| (name, count, filters::of_key(&asked, id))).collect();
    Ok(Whose { keys, more })
}

#[cfg(test)]
mod tests {
    use super::super::tiles::tests::fleet;
    use super::*;
    use crate::receiver::counts::States;

    #[test]
    fn what_is_wrong_comes_first_among_the_kinds() {
        let names = |fleet: &Fleet, query: &str| -> Vec<&'static str> {
            let asked = InstanceQuery::read_list(query).unwrap();
            chips(fleet, (fleet.license_invalid, fleet.license_none), &asked)
                .into_iter()
                .map(|chip| chip.name)
                .collect()
        };
        let some = Fleet {
            license_invalid: 1,
            license_none: 1,
            crashed: 1,
            several_runs: 1,
            cloned: 1,
            restarting: 1,
            new: 9,
            muted: Some(1),
            ..fleet(States { up: 9, ..States::default() })
        };
        assert_eq!(
            names(&some, ""),
            [
                "Crashed",
                "Restarting",
                "License invalid",
                "Cloned",
                "Several runs",
                "No license",
                "Muted",
                "New"
            ]
        );
        let none = fleet(States::default());
        assert_eq!(names(&none, ""), [""; 0]);
        assert_eq!(names(&none, "flag=cloned"), ["Cloned"], "what is asked for can be dropped");
    }
}
