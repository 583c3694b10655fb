//! The fleet in numbers.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use actix_web::web::{Data, Json, ServiceConfig};
use serde::Serialize;

use super::moment::Moment;
use crate::receiver::app::App;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::store::{Group, State};

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
    pub(crate) now: Moment,
    pub(crate) total: i64,
    pub(crate) states: States,
    pub(crate) license_invalid: i64,
    pub(crate) crashed: i64,
    pub(crate) several_runs: i64,
    pub(crate) cloned: i64,
    pub(crate) restarting: i64,
    pub(crate) new: i64,
    pub(crate) versions: Vec<Version>,
}

#[derive(Default, Serialize)]
pub(crate) struct States {
    pub(crate) down: i64,
    pub(crate) late: i64,
    pub(crate) up: i64,
    pub(crate) ended: i64,
}

impl States {
    fn of(&mut self, state: State) -> &mut i64 {
        match state {
            State::Down => &mut self.down,
            State::Late => &mut self.late,
            State::Up => &mut self.up,
            State::Ended => &mut self.ended,
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
        let (groups, at) = app.counts.ask().await?;
        Ok(Self::of(&groups, Moment(at)))
    }

    fn of(groups: &[Group], now: Moment) -> Self {
        let count_if = |holds: fn(&Group) -> bool| {
            groups.iter().filter(|group| holds(group)).map(|group| group.count).sum()
        };
        let mut states = States::default();
        for group in groups {
            *states.of(group.state) += group.count;
        }
        Self {
            now,
            total: count_if(|_| true),
            states,
            license_invalid: count_if(|group| !group.license_valid),
            crashed: count_if(|group| group.flags.crashed),
            several_runs: count_if(|group| group.flags.several_runs),
            cloned: count_if(|group| group.flags.cloned),
            restarting: count_if(|group| group.flags.restarting),
            new: count_if(|group| group.is_new),
            versions: versions(groups),
        }
    }
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
            license_valid: state != State::Down,
            flags: Flags { crashed: state == State::Down, ..Flags::default() },
            is_new: state == State::Up,
            build_version: version.to_owned(),
            count,
        }
    }

    #[test]
    fn groups_add_up() {
        let fleet = Fleet::of(
            &[group(State::Up, "1", 5), group(State::Down, "1", 2), group(State::Late, "2", 8)],
            Moment(jiff::Timestamp::UNIX_EPOCH),
        );
        assert_eq!(
            serde_json::to_value(&fleet).unwrap(),
            serde_json::json!({
                "now": "1970-01-01T00:00:00.000000Z", "total": 15,
                "states": {"down": 2, "late": 8, "up": 5, "ended": 0},
                "license_invalid": 2, "crashed": 2, "several_runs": 0, "cloned": 0, "restarting": 0, "new": 5,
                "versions": [{"version": "2", "count": 8}, {"version": "1", "count": 7}],
            })
        );
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
