//! One instance: all that is known of it.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::{Data, Json};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use super::alerts::LatestAlertRow;
use super::evidence::Evidence;
use super::history::{MarkRow, MonthRow, RunRow, TransitionRow};
use super::instances::InstanceRow;
use super::moment::Moment;
use super::server::OutageRow;
use crate::receiver::app::App;
use crate::receiver::http::parameters::path_id;
use crate::receiver::http::problem::Problem;
use crate::receiver::judging::judgement::grace;
use crate::receiver::judging::muting::in_force;
use crate::receiver::query::instances::read_filter;
use crate::receiver::store::{
    EventMark, FleetStore, Instance, InstanceFilter, LatestAlert, Mute, Outage, Run, State, StoreError,
    Transition,
};
use crate::receiver::store_handle::QUERY_LIMIT;
use crate::receiver::strip::LONG_DAYS;
use crate::receiver::{silence, strip};

/// Number of runs that are shown of one instance, the latest.
pub(crate) const SHOWN_RUNS: i64 = 50;

/// Number of changes that are shown of one instance, the latest.
pub(crate) const SHOWN_TRANSITIONS: i64 = 100;

/// Number of events that are shown of one instance, the latest.
pub(crate) const SHOWN_EVENTS: i64 = 500;

/// The time whose events are shown.
const EVENTS_WITHIN: SignedDuration = SignedDuration::from_hours(14 * 24);

pub(super) async fn show(app: Data<App>, request: HttpRequest) -> Result<Json<WholeInstance>, Problem> {
    Ok(Json(WholeInstance::ask(&app, path_id(&request, "instance_id")?).await?))
}

/// An instance with its history, and what it shares with others.
#[derive(Serialize)]
pub(crate) struct WholeInstance {
    #[serde(flatten)]
    pub(crate) row: InstanceRow,
    /// Seconds by which an update may be overdue.
    pub(crate) grace: i64,
    /// When the next update is due, or was.
    pub(crate) due_at: Moment,
    pub(crate) runs: Vec<RunRow>,
    pub(crate) transitions: Vec<TransitionRow>,
    /// The events of the last 14 days, the latest first.
    pub(crate) events: Vec<MarkRow>,
    /// The worst state of each of the last 90 days.
    pub(crate) days: Vec<Option<State>>,
    /// Its silence by month, of the same days, the latest first.
    pub(crate) months: Vec<MonthRow>,
    /// The outages of the receivers on these days.
    pub(crate) outages: Vec<OutageRow>,
    pub(crate) alert: Option<LatestAlertRow>,
    /// Number of instances with its license key that have not ended; `None` without a key.
    pub(crate) license_servers: Option<i64>,
    pub(crate) neighbours: Neighbours,
    /// What was heard of others since; `None` unless it is late or down.
    pub(crate) evidence: Option<Evidence>,
}

/// The other instances of its key that have not ended.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Neighbours {
    /// Those that are up.
    pub(crate) reporting: i64,
    /// Those that are late or down.
    pub(crate) silent: i64,
}

impl Neighbours {
    /// The neighbours of an instance in this state, where these are the numbers of all of its key.
    fn of(own: State, counts: &[(State, i64)]) -> Self {
        let others = |state| {
            let all = counts.iter().find(|(counted, _)| *counted == state).map_or(0, |(_, count)| *count);
            all - i64::from(own == state)
        };
        Self {
            reporting: others(State::Up).max(0),
            silent: (others(State::Late) + others(State::Down)).max(0),
        }
    }
}

/// What the store knows of an instance.
struct Found {
    instance: Instance,
    runs: Vec<Run>,
    transitions: Vec<Transition>,
    mutes: Vec<Mute>,
    events: Vec<EventMark>,
    /// The changes of state of the days that are shown.
    changes: Vec<Transition>,
    alert: Option<LatestAlert>,
    license_servers: Option<i64>,
    /// Numbers of all instances of its key.
    of_key: Vec<(State, i64)>,
    evidence: Option<Evidence>,
}

impl Found {
    async fn ask(store: &dyn FleetStore, id: Uuid, now: Timestamp) -> Result<Option<Self>, StoreError> {
        let Some(instance) = store.instance(id).await? else { return Ok(None) };
        let events_since = now.saturating_sub(EVENTS_WITHIN).unwrap_or(now);
        let mut changes = store.strips(&[id], strip::start(now, LONG_DAYS), now).await?;
        let license_servers = match &instance.facts.license_key_hash {
            Some(hash) => Some(license_servers(store, hash).await?),
            None => None,
        };
        // Asked now and not kept: a count of before the last change would have the instance among its neighbours.
        let of_key = InstanceFilter { key_id: Some(instance.facts.key_id), ..InstanceFilter::default() };
        Ok(Some(Self {
            runs: store.runs(id, SHOWN_RUNS).await?,
            transitions: store.transitions(id, SHOWN_TRANSITIONS).await?,
            mutes: store.mutes().await?,
            events: store.event_marks(id, events_since, SHOWN_EVENTS).await?,
            changes: changes.remove(&id).unwrap_or_default(),
            alert: store.latest_alert(id).await?,
            license_servers,
            of_key: store.count_by_state(&of_key).await?,
            evidence: Evidence::ask(store, &instance).await?,
            instance,
        }))
    }
}

/// Number of the instances with a license key that have not ended.
async fn license_servers(store: &dyn FleetStore, hash: &str) -> Result<i64, StoreError> {
    let of_key = InstanceFilter {
        license_hash: Some(hash.to_owned()),
        states: vec![State::Down, State::Late, State::Up],
        ..InstanceFilter::default()
    };
    Ok(store.count_by_state(&of_key).await?.iter().map(|(_, count)| count).sum())
}

impl WholeInstance {
    pub(crate) async fn ask(app: &App, id: Uuid) -> Result<Self, Problem> {
        let now = app.now();
        let found = |store: Arc<dyn FleetStore>| async move { Found::ask(&*store, id, now).await };
        let found = app.store.ask(QUERY_LIMIT, found).await?;
        let found = found.ok_or_else(|| Problem::not_found("there is no such instance"))?;
        let outages = app.server.judged.borrow().outages.clone();
        Ok(Self::of(found, &outages, now, app))
    }

    fn of(found: Found, outages: &[Outage], now: Timestamp, app: &App) -> Self {
        let Found { instance, changes, .. } = &found;
        let frequency = SignedDuration::from_secs(i64::from(instance.frequency));
        let begin = strip::start(now, LONG_DAYS);
        let is_shown = |outage: &&Outage| begin < outage.ended_at;
        let months = silence::by_month(instance, changes, outages, now, LONG_DAYS);
        Self {
            grace: grace(frequency).as_secs(),
            due_at: Moment(instance.last_seen_at.saturating_add(frequency).unwrap_or(Timestamp::MAX)),
            days: strip::strip(instance, changes, outages, now, LONG_DAYS),
            months: months.into_iter().map(MonthRow::from).collect(),
            outages: outages.iter().filter(is_shown).map(OutageRow::from).collect(),
            neighbours: Neighbours::of(instance.state, &found.of_key),
            license_servers: found.license_servers,
            evidence: found.evidence,
            alert: found.alert.map(LatestAlertRow::from),
            events: found.events.into_iter().map(MarkRow::from).collect(),
            runs: found.runs.into_iter().map(RunRow::from).collect(),
            transitions: found.transitions.into_iter().map(TransitionRow::from).collect(),
            row: InstanceRow::of(found.instance, &in_force(&found.mutes, now, read_filter), app),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_not_its_own_neighbour() {
        let counts = [(State::Down, 2), (State::Up, 3), (State::Ended, 7)];
        assert_eq!(Neighbours::of(State::Down, &counts), Neighbours { reporting: 3, silent: 1 });
        assert_eq!(Neighbours::of(State::Up, &counts), Neighbours { reporting: 2, silent: 2 });
        assert_eq!(Neighbours::of(State::Ended, &counts), Neighbours { reporting: 3, silent: 2 });
        assert_eq!(Neighbours::of(State::Late, &[]), Neighbours { reporting: 0, silent: 0 });
    }
}
