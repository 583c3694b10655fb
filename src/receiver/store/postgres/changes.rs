//! The latest changes of the whole fleet.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::builder::QueryBuilder;
use super::rows::transition_of;
use crate::receiver::store::changes::{IS_TOLD, LEFT, LOOKED_AT};
use crate::receiver::store::{ChangeFilter, Changes, FleetChange, License, PostgresFleetStore, StoreError};

/// Columns of [`change_of`].
pub(super) const CHANGE: &str = "instance_id, instance.custom_id, instance.key_id, instance.license_valid,
    instance.license_key_hash is not null, at, change, \"from\", \"to\"";

/// The latest first.
pub(super) const LATEST: &str =
    "at desc, instance_id desc, change collate \"C\" desc, \"to\" collate \"C\" desc";

pub(super) fn change_of(row: &Row) -> Result<FleetChange, StoreError> {
    Ok(FleetChange {
        instance_id: row.get(0),
        custom_id: row.get(1),
        key_id: row.get(2),
        license: License::of(row.get(3), row.get(4)),
        transition: transition_of(row, 5)?,
    })
}

#[async_trait]
impl Changes for PostgresFleetStore {
    async fn latest_changes(
        &self,
        filter: &ChangeFilter,
        limit: i64,
    ) -> Result<Vec<FleetChange>, StoreError> {
        let looked_at = if *filter == ChangeFilter::default() { limit } else { LOOKED_AT };
        let kinds: Vec<&str> = filter.kinds.iter().map(|kind| kind.as_str()).collect();
        let left = if filter.told { format!(", {LEFT}") } else { String::new() };
        let mut query = QueryBuilder::new(format!(
            "select {CHANGE} from (select latest.*{left} from telemetry_transition latest"
        ));
        let looked_at = query.parameter(&looked_at);
        query.add(&format!(
            " order by {LATEST} limit {looked_at}) as latest
             join telemetry_instance instance using (instance_id) where true"
        ));
        query.narrow("instance.key_id = ", filter.key_id.as_ref());
        if !kinds.is_empty() {
            let kinds = query.parameter(&kinds);
            query.add(&format!(" and change = any({kinds})"));
        }
        if filter.told {
            query.add(&format!(" and {IS_TOLD}"));
        }
        let limit = query.parameter(&limit);
        query.add(&format!(" order by {LATEST} limit {limit}"));
        query.rows(self.connect().await?).await?.iter().map(change_of).collect()
    }
}
