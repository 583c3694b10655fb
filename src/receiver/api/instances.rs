//! The instances: a filtered list, and each by itself.

use std::collections::HashMap;

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, ServiceConfig};
use serde::Serialize;
use url::form_urlencoded::Serializer;
use uuid::Uuid;

use super::cursor::{Cursor, page};
use super::moment::Moment;
use super::parameters::{LIMIT, Parameters, path_id};
use crate::receiver::app::App;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::store::{
    Flags, Instance, InstanceCursor, InstanceFilter, NEW_FOR, Release, Run, State, Transition,
};
use crate::receiver::store_handle::QUERY_LIMIT;
use crate::receiver::strip;

const SHOWN_RUNS: i64 = 50;
const SHOWN_TRANSITIONS: i64 = 100;

/// Number of characters of the longest version that a filter compares with.
const LONGEST_VERSION: usize = 128;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/api/instances").get(list).mount(config);
    Route::at("/api/instances/{instance_id}").get(show).mount(config);
}

async fn list(app: Data<App>, request: HttpRequest) -> Result<Json<InstancePage>, Problem> {
    let asked = InstanceQuery::read(Parameters::parse(request.query_string())?)?;
    Ok(Json(InstancePage::ask(&app, &asked).await?))
}

async fn show(app: Data<App>, request: HttpRequest) -> Result<Json<WholeInstance>, Problem> {
    Ok(Json(WholeInstance::ask(&app, path_id(&request, "instance_id")?).await?))
}

/// A flag in a query.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flag {
    Crashed,
    SeveralRuns,
    Cloned,
    Restarting,
    New,
}

impl Flag {
    pub(crate) const ALL: [Flag; 5] =
        [Flag::Crashed, Flag::SeveralRuns, Flag::Cloned, Flag::Restarting, Flag::New];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Flag::Crashed => "crashed",
            Flag::SeveralRuns => "several-runs",
            Flag::Cloned => "cloned",
            Flag::Restarting => "restarting",
            Flag::New => "new",
        }
    }
}

/// The parameters of a query for instances.
#[derive(Default)]
pub(crate) struct InstanceQuery {
    pub(crate) state: Option<State>,
    pub(crate) license_valid: Option<bool>,
    pub(crate) version: Option<String>,
    release: Option<String>,
    older_than: Option<String>,
    pub(crate) flag: Option<Flag>,
    pub(crate) search: Option<String>,
    has_strip: bool,
    limit: i64,
    after: Option<InstanceCursor>,
}

impl InstanceQuery {
    pub(crate) fn read(mut given: Parameters) -> Result<Self, Problem> {
        let asked = Self {
            state: given.take("state", "down, late, up or ended", State::parse)?,
            license_valid: given.take("license", "valid or invalid", |text| match text {
                "valid" => Some(true),
                "invalid" => Some(false),
                _ => None,
            })?,
            version: given.take_text("version")?,
            release: given.take_text("release")?,
            older_than: given.take("older-than", "a version made of numbers, such as 2.3", |text| {
                let is_version = text.chars().count() <= LONGEST_VERSION && Release::of(text).is_ordered();
                is_version.then(|| text.to_owned())
            })?,
            flag: given.take("flag", "crashed, several-runs, cloned, restarting or new", |text| {
                Flag::ALL.into_iter().find(|flag| flag.as_str() == text)
            })?,
            search: given.take_text("search")?,
            has_strip: given
                .take("strip", "true or false", |text| text.parse::<bool>().ok())?
                .unwrap_or_default(),
            limit: given.take_limit()?,
            after: given.take("after", "the next of an earlier answer", InstanceCursor::decode)?,
        };
        given.finish()?;
        Ok(asked)
    }

    /// The query of the page that begins at `after`.
    pub(crate) fn to_query(&self, after: &str) -> String {
        let mut query = Serializer::new(String::new());
        let mut add = |name, value: Option<&str>| {
            query.extend_pairs(value.map(|value| (name, value)));
        };
        add("state", self.state.map(State::as_str));
        add("license", self.license_valid.map(|valid| if valid { "valid" } else { "invalid" }));
        add("version", self.version.as_deref());
        add("release", self.release.as_deref());
        add("older-than", self.older_than.as_deref());
        add("flag", self.flag.map(Flag::as_str));
        add("search", self.search.as_deref());
        add("strip", self.has_strip.then_some("true"));
        add("limit", (self.limit != LIMIT).then(|| self.limit.to_string()).as_deref());
        add("after", Some(after));
        query.finish()
    }

    fn filter(&self, app: &App) -> InstanceFilter {
        let is_asked = |flag| (self.flag == Some(flag)).then_some(true);
        InstanceFilter {
            state: self.state,
            license_valid: self.license_valid,
            build_version: self.version.clone(),
            release: self.release.clone(),
            older_than: self.older_than.as_deref().map(|version| Release::of(version).key),
            crashed: is_asked(Flag::Crashed),
            several_runs: is_asked(Flag::SeveralRuns),
            cloned: is_asked(Flag::Cloned),
            restarting: is_asked(Flag::Restarting),
            first_seen_after: is_asked(Flag::New).and_then(|_| app.now().checked_sub(NEW_FOR).ok()),
            search: self.search.clone(),
        }
    }
}

#[derive(Serialize)]
pub(crate) struct InstancePage {
    pub(crate) instances: Vec<InstanceRow>,
    pub(crate) next: Option<String>,
}

impl InstancePage {
    pub(crate) async fn ask(app: &App, asked: &InstanceQuery) -> Result<Self, Problem> {
        let (filter, after, limit) = (asked.filter(app), asked.after, asked.limit);
        let (has_strip, now) = (asked.has_strip, app.now());
        let (found, changes) = app
            .store
            .ask(QUERY_LIMIT, move |store| async move {
                let found = store.instances(&filter, after, limit + 1).await?;
                let mut changes = HashMap::new();
                if has_strip {
                    let ids: Vec<Uuid> = found.iter().map(|one| one.instance_id).collect();
                    changes = store.strips(&ids, strip::start(now), now).await?;
                }
                Ok((found, changes))
            })
            .await?;
        let (found, next) = page(found, limit, |last| InstanceCursor {
            state: last.state,
            state_since: last.state_since,
            instance_id: last.instance_id,
        });
        let outages = if has_strip { app.server.judged.borrow().outages.clone() } else { Vec::new() };
        let row = |one: Instance| {
            let of_one = changes.get(&one.instance_id).map_or(&[][..], Vec::as_slice);
            let strip = has_strip.then(|| strip::strip(&one, of_one, &outages, now));
            InstanceRow { strip, ..InstanceRow::of(one, app) }
        };
        Ok(Self { instances: found.into_iter().map(row).collect(), next })
    }
}

/// An instance in an answer.
#[derive(Serialize)]
pub(crate) struct InstanceRow {
    pub(crate) instance_id: Uuid,
    pub(crate) custom_id: Option<String>,
    pub(crate) state: State,
    pub(crate) state_since: Moment,
    pub(crate) first_seen_at: Moment,
    pub(crate) last_seen_at: Moment,
    pub(crate) frequency: i32,
    pub(crate) flags: AllFlags,
    pub(crate) losses: LossRow,
    pub(crate) build_version: String,
    pub(crate) build_commit: String,
    pub(crate) build_time: String,
    pub(crate) build_mode: String,
    pub(crate) build_os: String,
    pub(crate) build_arch: String,
    pub(crate) license_key_hash: Option<String>,
    pub(crate) license_valid: bool,
    /// The worst state of each of the last 30 days, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) strip: Option<Vec<Option<State>>>,
}

/// Runs that were lost within the last seven days.
#[derive(Serialize)]
pub(crate) struct LossRow {
    count: i32,
    last_at: Option<Moment>,
}

#[derive(Serialize)]
pub(crate) struct AllFlags {
    #[serde(flatten)]
    kept: Flags,
    new: bool,
}

impl AllFlags {
    /// The flags that are set.
    pub(crate) fn set(&self) -> impl Iterator<Item = Flag> {
        let Flags { crashed, several_runs, cloned, restarting } = self.kept;
        Flag::ALL
            .into_iter()
            .zip([crashed, several_runs, cloned, restarting, self.new])
            .filter_map(|(flag, is_set)| is_set.then_some(flag))
    }
}

impl InstanceRow {
    fn of(instance: Instance, app: &App) -> Self {
        let facts = instance.facts;
        let is_new = app.now().duration_since(instance.first_seen_at).unsigned_abs() < NEW_FOR;
        Self {
            instance_id: instance.instance_id,
            custom_id: facts.custom_id,
            state: instance.state,
            state_since: Moment(instance.state_since),
            first_seen_at: Moment(instance.first_seen_at),
            last_seen_at: Moment(instance.last_seen_at),
            frequency: instance.frequency,
            flags: AllFlags { kept: instance.flags, new: is_new },
            losses: LossRow { count: instance.losses.count, last_at: instance.losses.last_at.map(Moment) },
            build_version: facts.build_version,
            build_commit: facts.build_commit,
            build_time: facts.build_time,
            build_mode: facts.build_mode,
            build_os: facts.build_os,
            build_arch: facts.build_arch,
            license_key_hash: facts.license_key_hash,
            license_valid: facts.license_valid,
            strip: None,
        }
    }
}

/// An instance with its runs and transitions.
#[derive(Serialize)]
pub(crate) struct WholeInstance {
    #[serde(flatten)]
    pub(crate) row: InstanceRow,
    pub(crate) runs: Vec<RunRow>,
    pub(crate) transitions: Vec<TransitionRow>,
}

impl WholeInstance {
    pub(crate) async fn ask(app: &App, id: Uuid) -> Result<Self, Problem> {
        let found = app
            .store
            .ask(QUERY_LIMIT, |store| async move {
                let Some(instance) = store.instance(id).await? else { return Ok(None) };
                let runs = store.runs(id, SHOWN_RUNS).await?;
                Ok(Some((instance, runs, store.transitions(id, SHOWN_TRANSITIONS).await?)))
            })
            .await?;
        let (instance, runs, transitions) =
            found.ok_or_else(|| Problem::not_found("there is no such instance"))?;
        Ok(Self {
            row: InstanceRow::of(instance, app),
            runs: runs.into_iter().map(RunRow::from).collect(),
            transitions: transitions.into_iter().map(TransitionRow::from).collect(),
        })
    }
}

#[derive(Serialize)]
pub(crate) struct RunRow {
    pub(crate) run_id: Uuid,
    pub(crate) first_seen_at: Moment,
    pub(crate) last_seen_at: Moment,
    pub(crate) begun: bool,
    pub(crate) ended_at: Option<Moment>,
    pub(crate) updates: i32,
    pub(crate) build_version: String,
    pub(crate) license_valid: bool,
}

impl From<Run> for RunRow {
    fn from(run: Run) -> Self {
        Self {
            run_id: run.run_id,
            first_seen_at: Moment(run.first_seen_at),
            last_seen_at: Moment(run.last_seen_at),
            begun: run.begun,
            ended_at: run.ended_at.map(Moment),
            updates: run.updates,
            build_version: run.facts.build_version,
            license_valid: run.facts.license_valid,
        }
    }
}

#[derive(Serialize)]
pub(crate) struct TransitionRow {
    pub(crate) at: Moment,
    pub(crate) change: &'static str,
    pub(crate) from: Option<String>,
    pub(crate) to: String,
}

impl From<Transition> for TransitionRow {
    fn from(transition: Transition) -> Self {
        let Transition { at, change, from, to } = transition;
        Self { at: Moment(at), change: change.as_str(), from, to }
    }
}
