//! The fleet in numbers.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use actix_web::web::{Data, Json, ServiceConfig};
use serde::Serialize;
use tokio::try_join;
use uuid::Uuid;

use super::changes::ChangeRow;
use super::instances::{InstancePage, InstanceRow};
use super::moment::Moment;
use crate::receiver::app::App;
use crate::receiver::counts::{Details, States, Tally};
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::query::instances::InstanceQuery;
use crate::receiver::store::{ChangeFilter, Group, Instance, License, State};
use crate::receiver::store_handle::QUERY_LIMIT;

/// Number of versions that are named: those that most instances have.
const NAMED_VERSIONS: usize = 50;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/api/fleet").get(show).mount(config);
}

async fn show(app: Data<App>) -> Result<Json<Fleet>, Problem> {
    Ok(Json(Fleet::ask(&app).await?))
}

/// How many instances there are of each kind.
#[derive(Serialize)]
pub(crate) struct Fleet {
    /// When they were counted. The [`Details`] are looked at apart, and may be of another moment.
    pub(crate) now: Moment,
    pub(crate) total: i64,
    pub(crate) states: States,
    /// With a license key whose license is not valid.
    pub(crate) license_invalid: i64,
    /// Without any license.
    pub(crate) license_none: i64,
    pub(crate) crashed: i64,
    pub(crate) several_runs: i64,
    pub(crate) cloned: i64,
    pub(crate) restarting: i64,
    pub(crate) new: i64,
    /// Those of them that are up.
    #[serde(skip)]
    pub(crate) new_up: i64,
    /// Those that have not ended and were heard within 14 days.
    pub(crate) active: i64,
    /// `None` where it takes too long to count them.
    pub(crate) muted: Option<i64>,
    /// Those that ended on this day, in UTC.
    pub(crate) ended_today: i64,
    pub(crate) longest: Longest,
    pub(crate) versions: Vec<Version>,
}

/// Of each state, the instance that has been in it for longest.
#[derive(Default, Serialize)]
pub(crate) struct Longest {
    pub(crate) down: Option<SinceRow>,
    pub(crate) late: Option<SinceRow>,
    pub(crate) up: Option<SinceRow>,
    pub(crate) ended: Option<SinceRow>,
}

/// An instance, and since when it has been in its state.
#[derive(Serialize)]
pub(crate) struct SinceRow {
    pub(crate) instance_id: Uuid,
    pub(crate) custom_id: Option<String>,
    pub(crate) since: Moment,
    #[serde(skip)]
    pub(crate) last_seen_at: Moment,
}

impl Longest {
    fn of(instances: &[Instance]) -> Self {
        let in_state = |state| {
            instances.iter().find(|instance| instance.state == state).map(|instance| SinceRow {
                instance_id: instance.instance_id,
                custom_id: instance.facts.custom_id.clone(),
                since: Moment(instance.state_since),
                last_seen_at: Moment(instance.last_seen_at),
            })
        };
        Self {
            down: in_state(State::Down),
            late: in_state(State::Late),
            up: in_state(State::Up),
            ended: in_state(State::Ended),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Version {
    /// `None` for all others together.
    pub(crate) version: Option<String>,
    pub(crate) count: i64,
}

impl Fleet {
    pub(crate) async fn ask(app: &App) -> Result<Self, Problem> {
        let (tally, details) = try_join!(app.counts.tally(), app.counts.details())?;
        Ok(Self::of(&tally, &details))
    }

    fn of(tally: &Tally, details: &Details) -> Self {
        let (groups, states) = (&tally.groups, tally.states());
        let count_if = |holds: fn(&Group) -> bool| {
            groups.iter().filter(|group| holds(group)).map(|group| group.count).sum()
        };
        Self {
            now: Moment(tally.at),
            total: states.total(),
            states,
            license_invalid: count_if(|group| group.license == License::Invalid),
            license_none: count_if(|group| group.license == License::None),
            crashed: count_if(|group| group.flags.crashed),
            several_runs: count_if(|group| group.flags.several_runs),
            cloned: count_if(|group| group.flags.cloned),
            restarting: count_if(|group| group.flags.restarting),
            new: count_if(|group| group.is_new),
            new_up: count_if(|group| group.is_new && group.state == State::Up),
            active: (states.down + states.late + states.up - details.silent_long).max(0),
            muted: details.muted,
            // The two are counted apart.
            ended_today: details.ended_today.min(states.ended),
            longest: Longest::of(&details.longest),
            versions: versions(groups),
        }
    }
}

/// All that the page of a fleet shows.
pub(crate) struct WholeFleet {
    pub(crate) fleet: Fleet,
    pub(crate) found: InstancePage,
    /// Numbers of all that match, or would in another state.
    pub(crate) by_state: States,
    /// Number of all that match.
    pub(crate) matching: i64,
    /// The first of those that are down, the latest first.
    pub(crate) down: Vec<InstanceRow>,
    /// Those that came back up last, the latest first.
    pub(crate) back: Vec<InstanceRow>,
    /// The latest changes.
    pub(crate) changes: Vec<ChangeRow>,
}

/// Number of instances that are named where they are down.
const NAMED_DOWN: i64 = 5;

/// Number of instances that are named where they came back.
const NAMED_BACK: usize = 2;

/// Number of instances that are looked at for those: of the latest that are up, some are new or were late alone.
const LOOKED_AT_FOR_BACK: i64 = 20;

/// Number of changes beside a list.
const SHOWN_CHANGES: i64 = 12;

impl WholeFleet {
    /// `tally` is the fleet in numbers.
    pub(crate) async fn ask(app: &App, asked: &InstanceQuery, tally: &Tally) -> Result<Self, Problem> {
        let states = tally.states();
        let details = async { Ok(app.counts.details().await?) };
        let down = async {
            match states.down {
                0 => Ok(Vec::new()),
                _ => {
                    let first = InstanceQuery::of_state(State::Down, NAMED_DOWN);
                    Ok(InstancePage::ask(app, &first).await?.instances)
                }
            }
        };
        let all = ChangeFilter::default();
        let (details, found, by_state, down, back, changes) = try_join!(
            details,
            InstancePage::ask(app, asked),
            count(app, asked, states),
            down,
            back(app),
            ChangeRow::ask(app, all, SHOWN_CHANGES)
        )?;
        let matching = match &asked.states[..] {
            [] => by_state.total(),
            states => states.iter().map(|state| by_state.in_state(*state)).sum(),
        };
        Ok(Self { fleet: Fleet::of(tally, &details), found, by_state, matching, down, back, changes })
    }
}

/// The instances that came back up last.
async fn back(app: &App) -> Result<Vec<InstanceRow>, Problem> {
    let latest = InstanceQuery::of_state(State::Up, LOOKED_AT_FOR_BACK);
    let mut back = InstancePage::ask(app, &InstanceQuery { has_strip: true, ..latest }).await?.instances;
    back.retain(|row| row.is_back);
    back.truncate(NAMED_BACK);
    Ok(back)
}

/// Numbers of the instances that match but for their state. Where the state is all that is asked for, those in other states
/// are known; of those that are listed it is asked anew, so that their number is that of the list.
async fn count(app: &App, asked: &InstanceQuery, all: States) -> Result<States, Problem> {
    if asked.to_filter().is_empty() {
        return Ok(all);
    }
    let others = InstanceQuery { states: Vec::new(), ..asked.clone() };
    let is_of_state = others.to_filter().is_empty();
    let (asked, mut states) = if is_of_state { (asked.clone(), all) } else { (others, States::default()) };
    asked.states.iter().for_each(|state| states.clear(*state));
    let now = app.now();
    let counts = app
        .store
        .ask(QUERY_LIMIT, move |store| async move {
            let filter = asked.filter_for(&*store, now).await?;
            store.count_by_state(&filter).await
        })
        .await?;
    counts.into_iter().for_each(|(state, count)| states.add(state, count));
    Ok(states)
}

fn versions(groups: &[Group]) -> Vec<Version> {
    let mut by_version = BTreeMap::<&str, i64>::new();
    for group in groups {
        *by_version.entry(&group.build_version).or_default() += group.count;
    }
    let mut ranked: Vec<_> = by_version.into_iter().collect();
    ranked.sort_by_key(|(_, count)| Reverse(*count));
    let rest = ranked.split_off(ranked.len().min(NAMED_VERSIONS));
    let mut versions: Vec<_> = ranked
        .into_iter()
        .map(|(version, count)| Version { version: Some(version.to_owned()), count })
        .collect();
    if !rest.is_empty() {
        versions.push(Version { version: None, count: rest.iter().map(|(_, count)| count).sum() });
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::store::Flags;

    fn group(state: State, version: &str, count: i64) -> Group {
        Group {
            state,
            license: if state == State::Down { License::Invalid } else { License::None },
            flags: Flags { crashed: state == State::Down, ..Flags::default() },
            is_new: state == State::Up,
            build_version: version.to_owned(),
            count,
        }
    }

    #[test]
    fn groups_add_up() {
        let groups = [group(State::Up, "1", 5), group(State::Down, "1", 2), group(State::Late, "2", 8)];
        let tally = Tally { at: jiff::Timestamp::UNIX_EPOCH, groups: groups.into() };
        let fleet = Fleet::of(
            &tally,
            &Details { longest: Vec::new(), ended_today: 0, silent_long: 1, muted: Some(3) },
        );
        assert_eq!(
            serde_json::to_value(&fleet).unwrap(),
            serde_json::json!({
                "now": "1970-01-01T00:00:00.000000Z", "total": 15,
                "states": {"down": 2, "late": 8, "up": 5, "ended": 0},
                "license_invalid": 2, "license_none": 13, "crashed": 2, "several_runs": 0, "cloned": 0, "restarting": 0, "new": 5, "active": 14,
                "muted": 3, "ended_today": 0,
                "longest": {"down": null, "late": null, "up": null, "ended": null},
                "versions": [{"version": "2", "count": 8}, {"version": "1", "count": 7}],
            })
        );
    }

    #[test]
    fn no_more_ended_today_than_have_ended() {
        let fleet = |ended| {
            let groups = vec![group(State::Ended, "1", ended)];
            let tally = Tally { at: jiff::Timestamp::UNIX_EPOCH, groups };
            Fleet::of(&tally, &Details { longest: Vec::new(), ended_today: 4, silent_long: 0, muted: None })
        };
        assert_eq!([3, 4, 5].map(|ended| fleet(ended).ended_today), [3, 4, 4]);
    }

    #[test]
    fn rare_versions_are_counted_together() {
        let groups: Vec<_> = (0..60).map(|n| group(State::Up, &n.to_string(), 100 - n)).collect();
        let versions = versions(&groups);
        assert_eq!(versions.len(), NAMED_VERSIONS + 1);
        assert_eq!(versions[0], Version { version: Some("0".to_owned()), count: 100 });
        assert_eq!(versions[NAMED_VERSIONS], Version { version: None, count: (41..=50).sum() });
    }
}
