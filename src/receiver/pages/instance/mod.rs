//! The page of one server: what it is, what is wrong with it, and what it did.

mod actions;
mod alerted;
mod begins;
#[cfg(test)]
mod examples;
mod expected;
mod lanes;
mod looks;
mod picture;
mod runs;
mod silence;
mod story;
#[cfg(all(test, feature = "sqlite"))]
mod tests;
mod verdict;

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use jiff::Timestamp;
use tokio::try_join;
use uuid::Uuid;

use super::changes::whole_name;
use super::filters::NOT_ENDED;
use super::frame::{Frame, Section};
use super::mutes::taps;
use super::page::{Refusal, key_name, query, refuse, respond, short, state};
use super::releases::Releases;
use super::report::{Report, run_name};
use super::strip::StripPicture;
use super::words::{count, day_and_month, halves, icon, number, shown};
use crate::receiver::api::events::{EventPage, EventQuery};
use crate::receiver::api::instance::{SHOWN_EVENTS, SHOWN_RUNS, SHOWN_TRANSITIONS, WholeInstance};
use crate::receiver::api::instances::{Flag, MutedOf};
use crate::receiver::api::moment::Moment;
use crate::receiver::api::refused::{self, RefusedRow};
use crate::receiver::app::App;
use crate::receiver::http::parameters::path_id;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::query::instances::read_hash;
use crate::receiver::store::{License, Outage, State};
use crate::receiver::strip;
use alerted::{Alerted, alerted};
use begins::begins_within_an_hour;
use expected::{Expected, is_what};
use lanes::{DAYS, Lanes, Mark, Past};
use looks::{Known, Look, Looks, SentWith};
use picture::LanesPicture;
use silence::{in_time, month_name, spells};
use story::{Happening, Part, story};
use verdict::{Around, Others, Verdict};

/// Number of the latest events that are listed.
const LISTED_EVENTS: i64 = 10;

/// Number of happenings that are shown at once.
const SHOWN_HAPPENINGS: usize = 20;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/instances/{instance_id}").get(show).compressed().mount(config);
    actions::routes(config);
}

#[derive(Template)]
#[template(path = "instance.html")]
struct InstanceView {
    frame: Frame,
    instance: WholeInstance,
    expected: Expected,
    /// The last that is known of it came from a file.
    is_imported: bool,
    /// What became of the alert that it is down.
    alerted: Option<Alerted>,
    looks: Option<Looks>,
    /// Where it is silent.
    verdict: Option<Verdict>,
    drawn: Drawn,
    story: Vec<Happening>,
    /// Since when all changes are known; `None` where earlier ones are not shown.
    changes_since: Option<Moment>,
    latest: Vec<Report>,
    /// Number of releases that are newer than its own; `None` where that has no place among them.
    behind: Option<usize>,
}

/// The picture of its runs, and what is around it.
struct Drawn {
    /// `None` where there was no run.
    svg: Option<String>,
    words: String,
    kinds: Vec<Mark>,
    has_outages: bool,
    /// Number of runs that are not drawn.
    left_out: usize,
    /// There may be earlier ones than are known.
    has_earlier_runs: bool,
    /// Since when events are marked, where there were too many.
    marked_since: Option<Moment>,
}

impl Drawn {
    fn of(past: &Past<'_>) -> Self {
        let lanes = Lanes::of(past);
        let known_since = runs::known_since(past.runs);
        let labels = runs::labels(&lanes, known_since, past.now);
        Self {
            svg: (!lanes.lanes.is_empty())
                .then(|| LanesPicture { lanes: &lanes, labels: &labels }.to_string()),
            words: runs::in_words(&lanes, past.outages, known_since, past.now),
            kinds: lanes.kinds(),
            has_outages: !lanes.outages.is_empty(),
            left_out: lanes.left_out,
            has_earlier_runs: known_since.is_some(),
            marked_since: past.events.last().filter(|_| past.has_more_events).map(|event| event.ts),
        }
    }
}

impl InstanceView {
    /// What people know it by.
    fn name(&self) -> String {
        whole_name(self.instance.row.custom_id.as_deref(), &self.instance.row.instance_id)
    }

    fn key(&self) -> String {
        shown(key_name(self.instance.row.key_name.as_deref(), &self.instance.row.key_id))
    }

    /// The number of servers of its key that have not ended.
    fn of_key(&self) -> String {
        let others = &self.instance.neighbours;
        let own = i64::from(self.instance.row.state != State::Ended);
        format!("{} in use", count(others.reporting + others.silent + own, "server"))
    }

    /// The query of the servers in use with its license key, where there is one that can be asked for.
    fn license_query(&self) -> Option<String> {
        let hash = self.instance.row.license_key_hash.as_deref().and_then(read_hash)?;
        Some(format!("{NOT_ENDED}&{}", query("license-hash", &hash)))
    }

    /// Whether its process keeps being started.
    fn is_restarting(&self) -> bool {
        self.instance.row.flags.set().any(|flag| flag == Flag::Restarting)
    }

    /// Number of times that it began within the last hour, where it is known to.
    fn begins(&self) -> Option<String> {
        begins_within_an_hour(&self.instance.events, self.frame.now)
    }

    /// The first of the days that are shown.
    fn first_day(&self) -> String {
        day_and_month(strip::start(self.frame.now, self.instance.days.len()))
    }

    /// When it was built, where that is a time.
    fn built_at(&self) -> Option<Moment> {
        self.instance.row.build_time.parse().ok().map(Moment)
    }

    fn first_happenings(&self) -> &[Happening] {
        &self.story[..self.story.len().min(SHOWN_HAPPENINGS)]
    }

    fn earlier_happenings(&self) -> &[Happening] {
        &self.story[self.story.len().min(SHOWN_HAPPENINGS)..]
    }
}

async fn show(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async { view(&app, path_id(&request, "instance_id")?).await };
    Ok(respond(StatusCode::OK, &ask.await.map_err(refuse(&app, 1))?))
}

async fn view(app: &App, id: Uuid) -> Result<InstanceView, Problem> {
    let now = app.now();
    let latest = EventQuery::latest_of(id, LISTED_EVENTS);
    let (instance, latest) = try_join!(WholeInstance::ask(app, id), EventPage::ask(app, &latest))?;
    let outages = app.server.judged.borrow().outages.clone();
    let refused = refused::rows(app);
    let row = &instance.row;
    let latest: Vec<Report> = latest.events.iter().map(Report::of).collect();
    let is_imported =
        latest.first().is_some_and(|event| event.is_imported && event.at.0 >= row.last_seen_at.0);
    let known = Known {
        state: row.state,
        heard_at: row.last_seen_at.0,
        key_id: row.key_id,
        is_imported,
        flags: row.flags.set().collect(),
        losses: (row.losses.count, row.losses.last_at),
        runs: &instance.runs,
        is_key_revoked: row.key_name.is_none() && !row.key_id.is_nil(),
        is_license_invalid: row.license == License::Invalid,
        refused: refused_of(&refused, &id),
    };
    let past = Past {
        now,
        frequency: row.frequency,
        runs: &instance.runs,
        events: &instance.events,
        has_more_events: instance.events.len() as i64 >= SHOWN_EVENTS,
        changes: &instance.transitions,
        outages: &outages,
        is_imported,
    };
    let (frame, looks) = (Frame::of(app, Section::Fleet, 1).await, Looks::of(&known));
    Ok(InstanceView {
        verdict: verdict(&instance, looks.as_ref(), &outages, &frame),
        frame,
        expected: Expected::of(row.frequency, row.last_seen_at, &instance.runs, &outages, now),
        is_imported,
        alerted: (row.state == State::Down && row.muted.is_none() && !is_imported)
            .then(|| alerted(row.state_since, instance.alert.as_ref(), app.server.alerts.host().is_some()))
            .flatten(),
        looks,
        drawn: Drawn::of(&past),
        story: story(&instance.transitions, &instance.runs),
        changes_since: changes_since(&instance, now, app.server.retention),
        latest,
        behind: Releases::of(&app.counts.tally().await?.groups).behind(&row.build_version),
        instance,
    })
}

/// Whether a server that is silent, its network or the receiver is the cause.
fn verdict(
    instance: &WholeInstance,
    looks: Option<&Looks>,
    outages: &[Outage],
    frame: &Frame,
) -> Option<Verdict> {
    let looks = looks.filter(|looks| looks.is_silent)?;
    Some(Verdict::of(&Around {
        evidence: instance.evidence.as_ref()?,
        others: (!instance.row.key_id.is_nil()).then(|| Others::of(&instance.neighbours)),
        sent_with: looks.sent_with,
        is_blind: frame.pulse.is_blind(),
        heard_at: instance.row.last_seen_at.0,
        outages,
        now: frame.now,
    }))
}

/// Since when all changes of a server are known; `None` where earlier ones are not shown.
fn changes_since(instance: &WholeInstance, now: Timestamp, retention: Duration) -> Option<Moment> {
    let kept_since = now.checked_sub(retention).unwrap_or(Timestamp::MIN);
    let are_all = (instance.transitions.len() as i64) < SHOWN_TRANSITIONS;
    are_all.then(|| Moment(instance.row.first_seen_at.0.max(kept_since)))
}

/// The refused requests that name a server, the last first.
fn refused_of<'a>(refused: &'a [RefusedRow], id: &Uuid) -> Vec<&'a RefusedRow> {
    let names = |text: &String| Uuid::try_parse(text).is_ok_and(|named| named == *id);
    refused.iter().filter(|row| row.instance_id.as_ref().is_some_and(names)).collect()
}

/// A number of requests at the beginning of a sentence about them.
fn requests(number: &usize) -> String {
    count(*number as i64, "request")
}

/// A number of lost runs at the beginning of a sentence about them.
fn lost_runs(number: &i32) -> String {
    format!("{} {}", count(i64::from(*number), "run"), if *number == 1 { "was" } else { "were" })
}

/// How far a release is behind the newest.
fn releases_behind(number: &usize) -> String {
    format!("{} behind", count(*number as i64, "release"))
}
