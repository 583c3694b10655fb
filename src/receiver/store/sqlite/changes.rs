//! The latest changes of the whole fleet.

use async_trait::async_trait;
use rusqlite::Row;

use super::builder::QueryBuilder;
use super::rows::{self, Id};
use crate::receiver::store::changes::{IS_TOLD, LEFT, LOOKED_AT};
use crate::receiver::store::{ChangeFilter, Changes, FleetChange, SqliteFleetStore, StoreError};

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

#[async_trait]
impl Changes for SqliteFleetStore {
    async fn latest_changes(
        &self,
        filter: &ChangeFilter,
        limit: i64,
    ) -> Result<Vec<FleetChange>, StoreError> {
        let looked_at = if *filter == ChangeFilter::default() { limit } else { LOOKED_AT };
        let left = if filter.told { format!(", {LEFT}") } else { String::new() };
        let mut query = QueryBuilder::new(format!(
            "select {CHANGE} from (
                 select latest.*{left} from telemetry_transition latest indexed by telemetry_transition_oldest
                 order by {LATEST} limit {looked_at}) latest
             join telemetry_instance instance using (instance_id) where true"
        ));
        query.narrow("instance.key_id = ", filter.key_id.map(Id));
        if !filter.kinds.is_empty() {
            let kinds: Vec<String> = filter.kinds.iter().map(|kind| query.parameter(kind.as_str())).collect();
            query.add(&format!(" and change in ({})", kinds.join(", ")));
        }
        if filter.told {
            query.add(&format!(" and {IS_TOLD}"));
        }
        query.add(&format!(" order by {LATEST} limit {limit}"));
        self.read(move |transaction| query.rows(transaction, change)).await
    }
}
