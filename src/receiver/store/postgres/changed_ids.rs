//! Instances whose id was changed: a new one has the run that another one had.

use std::collections::{BTreeMap, HashMap, HashSet};

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::columns::column;
use super::connection::Connection;
use super::transitions::{TransitionColumns, insert_transitions};
use crate::receiver::store::{Change, NewEvent, Transition};

/// Runs of new instances that other instances of their keys have. Two of each run show that it is a mistake.
const OTHERS: &str = "\
select new.run_id, new.key_id, run.instance_id
from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as new (instance_id, run_id, key_id)
cross join lateral (
    select instance_id from telemetry_run
    where run_id = new.run_id and key_id = new.key_id and instance_id <> new.instance_id limit 2) as run";

/// The same on a distributed PostgreSQL, which takes no bound for each run. It reads all shards, because the other id may
/// be on any, and locks nothing.
const OTHERS_ON_ALL_SHARDS: &str = "\
select run_id, key_id, instance_id from telemetry_run
where run_id = any($2) and key_id = any($3) and instance_id <> all($1) limit $4";

/// Most rows of [`OTHERS_ON_ALL_SHARDS`]. If there are more, runs of so many instances are a mistake, and nobody can
/// tell whose other rows are missing.
const MOST_OTHERS: i64 = 5_000;

/// Notes of each new instance whose run one other instance of its key had: its id was changed (receiver §3). A run of
/// several others is a sender's mistake. `new` has one event for each run of a new instance.
pub(super) async fn link_changed_ids(
    connection: &Connection,
    new: &[&NewEvent],
) -> Result<(), tokio_postgres::Error> {
    let others = others(connection, new).await?;
    let mut changes: BTreeMap<Uuid, Vec<Transition>> = BTreeMap::new();
    for event in new {
        let had = others.get(&(event.run_id, event.facts.key_id)).into_iter().flatten();
        let mut had = had.filter(|id| **id != event.instance_id);
        let (Some(before), None) = (had.next(), had.next()) else { continue };
        let change = Transition {
            at: event.received_at,
            change: Change::Id,
            from: Some(before.to_string()),
            to: event.instance_id.to_string(),
        };
        changes.entry(event.instance_id).or_default().push(change.clone());
        changes.entry(*before).or_default().push(change);
    }
    let mut columns = TransitionColumns::default();
    for (instance_id, changes) in &changes {
        changes.iter().for_each(|change| columns.push(*instance_id, change));
    }
    insert_transitions(connection, &columns).await
}

/// The instances that have the runs of new ones, by run and key.
async fn others(
    connection: &Connection,
    new: &[&NewEvent],
) -> Result<HashMap<(Uuid, Uuid), HashSet<Uuid>>, tokio_postgres::Error> {
    let mut others: HashMap<(Uuid, Uuid), HashSet<Uuid>> = HashMap::new();
    if new.is_empty() {
        return Ok(others);
    }
    let instance_ids = column(new, |event| event.instance_id);
    let run_ids = column(new, |event| event.run_id);
    let key_ids = column(new, |event| event.facts.key_id);
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&instance_ids, &run_ids, &key_ids];
    let select = match connection.is_distributed() {
        true => {
            parameters.push(&MOST_OTHERS);
            connection.prepared(OTHERS_ON_ALL_SHARDS).await?
        }
        false => connection.prepared(OTHERS).await?,
    };
    let rows = connection.query(&select, &parameters).await?;
    if connection.is_distributed() && rows.len() as i64 == MOST_OTHERS {
        return Ok(others);
    }
    for row in rows {
        others.entry((row.get(0), row.get(1))).or_default().insert(row.get(2));
    }
    Ok(others)
}
