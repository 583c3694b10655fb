//! The latest changes of the whole fleet.

use async_trait::async_trait;
use rusqlite::Row;

use super::builder::QueryBuilder;
use super::rows::{self, Id, Time};
use crate::receiver::store::changes::{IS_TOLD, LEFT, LOOKED_AT};
use crate::receiver::store::{
    ChangeCursor, ChangeFilter, Changes, FleetChange, SqliteFleetStore, StoreError, Transition,
};

/// Columns of [`change`].
pub(super) const CHANGE: &str =
    "instance_id, instance.custom_id, instance.key_id, instance.license, at, change, \"from\", \"to\"";

/// The latest first.
pub(super) const LATEST: &str = "at desc, instance_id desc, change desc, \"to\" desc";

pub(super) fn change(row: &Row<'_>) -> rusqlite::Result<FleetChange> {
    Ok(FleetChange {
        instance_id: rows::id(row, 0)?,
        custom_id: row.get(1)?,
        key_id: rows::id(row, 2)?,
        license: row.get(3)?,
        transition: rows::transition(row, 4)?,
    })
}

fn place(row: &Row<'_>) -> rusqlite::Result<ChangeCursor> {
    let Transition { at, change, to, .. } = rows::transition(row, 1)?;
    Ok(ChangeCursor { at, instance_id: rows::id(row, 0)?, change, to })
}

/// Adds the condition that a change comes after a place in the order of [`LATEST`].
fn begin_after(query: &mut QueryBuilder, after: &ChangeCursor) {
    let (at, instance) = (query.parameter(Time(after.at)), query.parameter(Id(after.instance_id)));
    let (change, to) = (query.parameter(after.change.as_str()), query.parameter(after.to.clone()));
    query.add(&format!(
        " and at <= {at} and (at, instance_id, change, \"to\") < ({at}, {instance}, {change}, {to})"
    ));
}

#[async_trait]
impl Changes for SqliteFleetStore {
    async fn latest_changes(
        &self,
        filter: &ChangeFilter,
        after: Option<&ChangeCursor>,
        limit: i64,
    ) -> Result<Vec<FleetChange>, StoreError> {
        let looked_at = if filter.is_of_all() { limit } else { LOOKED_AT };
        let left = if filter.told { format!(", {LEFT}") } else { String::new() };
        let mut query = QueryBuilder::new(format!(
            "select {CHANGE} from (
                 select latest.*{left} from telemetry_transition latest indexed by telemetry_transition_oldest
                 where true"
        ));
        if let Some(after) = after {
            begin_after(&mut query, after);
        }
        query.add(&format!(
            " order by {LATEST} limit {looked_at}) latest
             join telemetry_instance instance using (instance_id) where true"
        ));
        query.narrow("instance.key_id = ", filter.key_id.map(Id));
        if !filter.kinds.is_empty() {
            let kinds: Vec<String> = filter.kinds.iter().map(|kind| query.parameter(kind.as_str())).collect();
            query.add(&format!(" and change in ({})", kinds.join(", ")));
        }
        if !filter.turns.is_empty() {
            query.add(&format!(" and ({})", filter.of_turns()));
        }
        if filter.told {
            query.add(&format!(" and {IS_TOLD}"));
        }
        query.add(&format!(" order by {LATEST} limit {limit}"));
        self.read(move |transaction| query.rows(transaction, change)).await
    }

    async fn last_looked_at(&self, after: Option<&ChangeCursor>) -> Result<Option<ChangeCursor>, StoreError> {
        let mut query = QueryBuilder::new(
            "select instance_id, at, change, \"from\", \"to\"
             from telemetry_transition indexed by telemetry_transition_oldest where true"
                .to_owned(),
        );
        if let Some(after) = after {
            begin_after(&mut query, after);
        }
        query.add(&format!(" order by {LATEST} limit 1 offset {}", LOOKED_AT - 1));
        Ok(self.read(move |transaction| query.rows(transaction, place)).await?.pop())
    }
}
