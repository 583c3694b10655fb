//! The instances: a filtered list, and each by itself.

use std::collections::HashMap;

use actix_web::HttpRequest;
use actix_web::web::{Data, Json};
use serde::Serialize;
use uuid::Uuid;

use super::moment::Moment;
use crate::receiver::app::App;
use crate::receiver::http::parameters::Parameters;
use crate::receiver::http::problem::Problem;
use crate::receiver::judging::muting::{InForce, in_force, mute_of};
use crate::receiver::query::cursor::page;
pub(crate) use crate::receiver::query::flag::Flag;
pub(crate) use crate::receiver::query::instances::InstanceQuery;
use crate::receiver::query::instances::read_filter;
use crate::receiver::store::{Flags, Instance, InstanceCursor, License, Mute, Muted, NEW_FOR, State};
use crate::receiver::store_handle::QUERY_LIMIT;
use crate::receiver::strip;

pub(super) async fn list(app: Data<App>, request: HttpRequest) -> Result<Json<InstancePage>, Problem> {
    let asked = InstanceQuery::read(Parameters::parse(request.query_string())?)?;
    Ok(Json(InstancePage::ask(&app, &asked).await?))
}

#[derive(Serialize)]
pub(crate) struct InstancePage {
    pub(crate) instances: Vec<InstanceRow>,
    pub(crate) next: Option<String>,
}

impl InstancePage {
    pub(crate) async fn ask(app: &App, asked: &InstanceQuery) -> Result<Self, Problem> {
        let InstanceQuery { sort, limit, has_strip, .. } = *asked;
        let (asked, now) = (asked.clone(), app.now());
        let (found, mutes, changes) = app
            .store
            .ask(QUERY_LIMIT, move |store| async move {
                let mutes = store.mutes().await?;
                let filter = asked.filter(now, &mutes);
                let found = store.instances(&filter, sort, asked.after, limit + 1).await?;
                let mut changes = HashMap::new();
                if has_strip {
                    let ids: Vec<Uuid> = found.iter().map(|one| one.instance_id).collect();
                    changes = store.strips(&ids, strip::start(now, strip::DAYS), now).await?;
                }
                Ok((found, mutes, changes))
            })
            .await?;
        let mutes = in_force(&mutes, now, read_filter);
        let (found, next) = page(found, limit, |last| InstanceCursor::of(sort, last));
        let outages = if has_strip { app.server.judged.borrow().outages.clone() } else { Vec::new() };
        let row = |one: Instance| {
            let of_one = changes.get(&one.instance_id).map_or(&[][..], Vec::as_slice);
            let strip = has_strip.then(|| strip::strip(&one, of_one, &outages, now, strip::DAYS));
            let is_back = strip::is_back(&one, of_one);
            let back_after = strip::back_after(&one, of_one).map(|length| length.as_secs());
            InstanceRow { strip, is_back, back_after, ..InstanceRow::of(one, &mutes, app) }
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
    pub(crate) license: License,
    pub(crate) key_id: Uuid,
    /// `None` where the key is revoked, or where an earlier version stored the event.
    pub(crate) key_name: Option<String>,
    pub(crate) product: String,
    pub(crate) muted: Option<MutedRow>,
    /// The worst state of each of the last 30 days, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) strip: Option<Vec<Option<State>>>,
    /// Whether it was down before it came back up, where the strip was asked for.
    #[serde(skip)]
    pub(crate) is_back: bool,
    /// Seconds for which it was so, where it went down within the days of the strip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) back_after: Option<i64>,
}

/// The mute by which nobody is told of an instance.
#[derive(Serialize)]
pub(crate) struct MutedRow {
    pub(crate) id: Uuid,
    /// What the mute is about.
    pub(crate) of: MutedOf,
    pub(crate) until: Moment,
    pub(crate) reason: String,
}

/// What a mute is about: the instance alone, or others as well.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MutedOf {
    Instance,
    Key,
    Filter,
}

impl From<&Mute> for MutedRow {
    fn from(mute: &Mute) -> Self {
        let of = match mute.of {
            Muted::Instance(_) => MutedOf::Instance,
            Muted::Key(_) => MutedOf::Key,
            Muted::Filter(_) => MutedOf::Filter,
        };
        Self { id: mute.id, of, until: Moment(mute.until), reason: mute.reason.clone() }
    }
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
    /// One instance, without its history.
    pub(crate) async fn ask(app: &App, id: Uuid) -> Result<Self, Problem> {
        let (found, mutes) = app
            .store
            .ask(QUERY_LIMIT, move |store| async move {
                let found = store.instance(id).await?;
                Ok((found, store.mutes().await?))
            })
            .await?;
        let instance = found.ok_or_else(|| Problem::not_found("there is no such instance"))?;
        Ok(Self::of(instance, &in_force(&mutes, app.now(), read_filter), app))
    }

    /// Those with these ids that are in the fleet, by their ids.
    pub(crate) async fn all_of(app: &App, ids: Vec<Uuid>) -> Result<HashMap<Uuid, Self>, Problem> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let asked = InstanceQuery { limit: ids.len() as i64, ids, ..InstanceQuery::default() };
        let found = InstancePage::ask(app, &asked).await?.instances;
        Ok(found.into_iter().map(|row| (row.instance_id, row)).collect())
    }

    pub(super) fn of(instance: Instance, mutes: &[InForce<'_>], app: &App) -> Self {
        let muted = mute_of(mutes, &instance).map(MutedRow::from);
        let facts = instance.facts;
        let license = facts.license();
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
            license,
            license_key_hash: facts.license_key_hash,
            license_valid: facts.license_valid,
            key_name: app.keys.name_of(facts.key_id),
            key_id: facts.key_id,
            product: facts.product,
            muted,
            strip: None,
            is_back: false,
            back_after: None,
        }
    }
}
