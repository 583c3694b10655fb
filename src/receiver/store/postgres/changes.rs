//! The latest changes of the whole fleet.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::builder::QueryBuilder;
use super::rows::transition_of;
use crate::receiver::store::changes::{IS_TOLD, LEFT, LOOKED_AT};
use crate::receiver::store::{
    ChangeCursor, ChangeFilter, Changes, FleetChange, License, PostgresFleetStore, StoreError, Transition,
};

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

/// Adds the condition that a change comes after a place in the order of [`LATEST`].
fn begin_after<'a>(query: &mut QueryBuilder<'a>, after: &'a ChangeCursor, change: &'a &'static str) {
    let (at, instance) = (query.parameter(&after.at), query.parameter(&after.instance_id));
    let (change, to) = (query.parameter(change), query.parameter(&after.to));
    query.add(&format!(
        " and at <= {at} and (at, instance_id, change collate \"C\", \"to\" collate \"C\")
              < ({at}, {instance}, {change}, {to})"
    ));
}

#[async_trait]
impl Changes for PostgresFleetStore {
    async fn latest_changes(
        &self,
        filter: &ChangeFilter,
        after: Option<&ChangeCursor>,
        limit: i64,
    ) -> Result<Vec<FleetChange>, StoreError> {
        let looked_at = if filter.is_of_all() { limit } else { LOOKED_AT };
        let kinds: Vec<&str> = filter.kinds.iter().map(|kind| kind.as_str()).collect();
        let left = if filter.told { format!(", {LEFT}") } else { String::new() };
        let change = after.map(|after| after.change.as_str()).unwrap_or_default();
        let mut query = QueryBuilder::new(format!(
            "select {CHANGE} from (select latest.*{left} from telemetry_transition latest where true"
        ));
        if let Some(after) = after {
            begin_after(&mut query, after, &change);
        }
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
        if !filter.turns.is_empty() {
            query.add(&format!(" and ({})", filter.of_turns()));
        }
        if filter.told {
            query.add(&format!(" and {IS_TOLD}"));
        }
        let limit = query.parameter(&limit);
        query.add(&format!(" order by {LATEST} limit {limit}"));
        query.rows(self.connect().await?).await?.iter().map(change_of).collect()
    }

    async fn last_looked_at(&self, after: Option<&ChangeCursor>) -> Result<Option<ChangeCursor>, StoreError> {
        let change = after.map(|after| after.change.as_str()).unwrap_or_default();
        let mut query = QueryBuilder::new(
            "select instance_id, at, change, \"from\", \"to\" from telemetry_transition where true"
                .to_owned(),
        );
        if let Some(after) = after {
            begin_after(&mut query, after, &change);
        }
        query.add(&format!(" order by {LATEST} offset {} limit 1", LOOKED_AT - 1));
        let rows = query.rows(self.connect().await?).await?;
        let last = rows.first().map(|row| {
            let Transition { at, change, to, .. } = transition_of(row, 1)?;
            Ok(ChangeCursor { at, instance_id: row.get(0), change, to })
        });
        last.transpose()
    }
}
