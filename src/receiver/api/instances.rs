//! The instances: a filtered list, and each by itself.

use std::collections::HashMap;

use actix_web::HttpRequest;
use actix_web::web::{Data, Json};
use jiff::Timestamp;
use serde::Serialize;
use url::form_urlencoded::Serializer;
use uuid::Uuid;

use super::cursor::{Cursor, page};
use super::history::{RunRow, TransitionRow};
use super::moment::Moment;
use super::parameters::{LIMIT, Parameters, path_id};
use crate::receiver::app::App;
use crate::receiver::http::problem::Problem;
use crate::receiver::judging::muting::{InForce, in_force, mute_of};
use crate::receiver::store::{Flags, Instance, InstanceCursor, InstanceFilter, NEW_FOR, Release, State};
use crate::receiver::store_handle::QUERY_LIMIT;
use crate::receiver::strip;

const SHOWN_RUNS: i64 = 50;
const SHOWN_TRANSITIONS: i64 = 100;

/// Number of characters of the longest version that a filter compares with.
const LONGEST_VERSION: usize = 128;

pub(super) async fn list(app: Data<App>, request: HttpRequest) -> Result<Json<InstancePage>, Problem> {
    let asked = InstanceQuery::read(Parameters::parse(request.query_string())?)?;
    Ok(Json(InstancePage::ask(&app, &asked).await?))
}

pub(super) async fn show(app: Data<App>, request: HttpRequest) -> Result<Json<WholeInstance>, Problem> {
    Ok(Json(WholeInstance::ask(&app, path_id(&request, "instance_id")?).await?))
}

/// How the filters of mutes are read: as the API does.
pub(crate) fn read_filter(query: &str, now: Timestamp) -> Option<InstanceFilter> {
    InstanceQuery::read_filter(query).ok().map(|asked| asked.filter(now))
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
    pub(crate) key: Option<Uuid>,
    pub(crate) product: Option<String>,
    release: Option<String>,
    older_than: Option<String>,
    pub(crate) flag: Option<Flag>,
    pub(crate) search: Option<String>,
    has_strip: bool,
    pub(super) limit: i64,
    pub(super) after: Option<InstanceCursor>,
}

impl InstanceQuery {
    pub(crate) fn read(mut given: Parameters) -> Result<Self, Problem> {
        let mut asked = Self::take_filter(&mut given)?;
        asked.has_strip = given.take_flag("strip")?;
        asked.limit = given.take_limit()?;
        asked.after = given.take("after", "the next of an earlier answer", InstanceCursor::decode)?;
        given.finish()?;
        Ok(asked)
    }

    /// Takes what selects instances, and nothing of what selects a page of them.
    pub(crate) fn take_filter(given: &mut Parameters) -> Result<Self, Problem> {
        Ok(Self {
            state: given.take("state", "down, late, up or ended", State::parse)?,
            license_valid: given.take("license", "valid or invalid", |text| match text {
                "valid" => Some(true),
                "invalid" => Some(false),
                _ => None,
            })?,
            version: given.take_text("version")?,
            key: given.take("key", "the id of a key", |text| Uuid::try_parse(text).ok())?,
            product: given.take_text("product")?,
            release: given.take_text("release")?,
            older_than: given.take("older-than", "a version made of numbers, such as 2.3", |text| {
                let is_version = text.chars().count() <= LONGEST_VERSION && Release::of(text).is_ordered();
                is_version.then(|| text.to_owned())
            })?,
            flag: given.take("flag", "crashed, several-runs, cloned, restarting or new", |text| {
                Flag::ALL.into_iter().find(|flag| flag.as_str() == text)
            })?,
            search: given.take_text("search")?,
            has_strip: false,
            limit: LIMIT,
            after: None,
        })
    }

    /// The first `limit` instances in a state.
    pub(crate) fn of_state(state: State, limit: i64) -> Self {
        Self { state: Some(state), limit, ..Self::default() }
    }

    /// The same with the strips of the instances.
    pub(crate) fn with_strip(self) -> Self {
        Self { has_strip: true, ..self }
    }

    /// The filter that a text stands for, which is written as the query of `api/instances`.
    pub(crate) fn read_filter(query: &str) -> Result<Self, Problem> {
        let mut given = Parameters::parse(query)?;
        let asked = Self::take_filter(&mut given)?;
        given.finish()?;
        Ok(asked)
    }

    /// The query of the page that begins at `after`.
    pub(crate) fn to_query(&self, after: &str) -> String {
        self.write(Some(after))
    }

    /// The query of the filter alone.
    pub(crate) fn to_filter(&self) -> String {
        self.write(None)
    }

    fn write(&self, after: Option<&str>) -> String {
        let mut query = Serializer::new(String::new());
        let mut add = |name, value: Option<&str>| {
            query.extend_pairs(value.map(|value| (name, value)));
        };
        add("state", self.state.map(State::as_str));
        add("license", self.license_valid.map(|valid| if valid { "valid" } else { "invalid" }));
        add("version", self.version.as_deref());
        add("key", self.key.map(|key| key.to_string()).as_deref());
        add("product", self.product.as_deref());
        add("release", self.release.as_deref());
        add("older-than", self.older_than.as_deref());
        add("flag", self.flag.map(Flag::as_str));
        add("search", self.search.as_deref());
        add("strip", (after.is_some() && self.has_strip).then_some("true"));
        add("limit", (after.is_some() && self.limit != LIMIT).then(|| self.limit.to_string()).as_deref());
        add("after", after);
        query.finish()
    }

    /// The filter, at a moment.
    pub(crate) fn filter(&self, now: Timestamp) -> InstanceFilter {
        let is_asked = |flag| (self.flag == Some(flag)).then_some(true);
        InstanceFilter {
            state: self.state,
            license_valid: self.license_valid,
            build_version: self.version.clone(),
            key_id: self.key,
            product: self.product.clone(),
            release: self.release.clone(),
            older_than: self.older_than.as_deref().map(|version| Release::of(version).key),
            crashed: is_asked(Flag::Crashed),
            several_runs: is_asked(Flag::SeveralRuns),
            cloned: is_asked(Flag::Cloned),
            restarting: is_asked(Flag::Restarting),
            first_seen_after: is_asked(Flag::New).and_then(|_| now.checked_sub(NEW_FOR).ok()),
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
        let (filter, after, limit) = (asked.filter(app.now()), asked.after, asked.limit);
        let (has_strip, now) = (asked.has_strip, app.now());
        let (found, mutes, changes) = app
            .store
            .ask(QUERY_LIMIT, move |store| async move {
                let found = store.instances(&filter, after, limit + 1).await?;
                let mut changes = HashMap::new();
                if has_strip {
                    let ids: Vec<Uuid> = found.iter().map(|one| one.instance_id).collect();
                    changes = store.strips(&ids, strip::start(now), now).await?;
                }
                Ok((found, store.mutes().await?, changes))
            })
            .await?;
        let mutes = in_force(&mutes, app.now(), read_filter);
        let (found, next) = page(found, limit, |last| InstanceCursor {
            state: last.state,
            state_since: last.state_since,
            instance_id: last.instance_id,
        });
        let outages = if has_strip { app.server.judged.borrow().outages.clone() } else { Vec::new() };
        let row = |one: Instance| {
            let of_one = changes.get(&one.instance_id).map_or(&[][..], Vec::as_slice);
            let strip = has_strip.then(|| strip::strip(&one, of_one, &outages, now));
            InstanceRow { strip, ..InstanceRow::of(one, &mutes, app) }
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
    pub(crate) key_id: Uuid,
    /// `None` where the key is revoked, or where an earlier version stored the event.
    pub(crate) key_name: Option<String>,
    pub(crate) product: String,
    pub(crate) muted: Option<MutedRow>,
    /// The worst state of each of the last 30 days, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) strip: Option<Vec<Option<State>>>,
}

/// The mute by which nobody is told of an instance.
#[derive(Serialize)]
pub(crate) struct MutedRow {
    pub(crate) until: Moment,
    pub(crate) reason: String,
}

/// Runs that were lost within the last seven days.
#[derive(Serialize)]
pub(crate) struct LossRow {
    pub(crate) count: i32,
    pub(crate) last_at: Option<Moment>,
}

#[derive(Serialize)]
pub(crate) struct AllFlags {
    #[serde(flatten)]
    pub(super) kept: Flags,
    pub(super) new: bool,
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
    fn of(instance: Instance, mutes: &[InForce<'_>], app: &App) -> Self {
        let muted = mute_of(mutes, &instance)
            .map(|mute| MutedRow { until: Moment(mute.until), reason: mute.reason.clone() });
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
            key_name: app.keys.name_of(facts.key_id),
            key_id: facts.key_id,
            product: facts.product,
            muted,
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
                let transitions = store.transitions(id, SHOWN_TRANSITIONS).await?;
                Ok(Some((instance, runs, transitions, store.mutes().await?)))
            })
            .await?;
        let (instance, runs, transitions, mutes) =
            found.ok_or_else(|| Problem::not_found("there is no such instance"))?;
        let mutes = in_force(&mutes, app.now(), read_filter);
        Ok(Self {
            row: InstanceRow::of(instance, &mutes, app),
            runs: runs.into_iter().map(RunRow::from).collect(),
            transitions: transitions.into_iter().map(TransitionRow::from).collect(),
        })
    }
}
