//! The changes of state that the strips of a list are drawn from.

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::rows::transition_of;
use crate::receiver::store::strips::MOST_CHANGES;
use crate::receiver::store::{PostgresFleetStore, StoreError, Strips, Transition};

#[async_trait]
impl Strips for PostgresFleetStore {
    async fn strips(
        &self,
        ids: &[Uuid],
        from: Timestamp,
        now: Timestamp,
    ) -> Result<HashMap<Uuid, Vec<Transition>>, StoreError> {
        let sql = format!(
            "select wanted.id, changed.* from unnest($1::uuid[]) as wanted (id) cross join lateral (
                 select at, change, \"from\", \"to\" from telemetry_transition
                 where instance_id = wanted.id and change = 'state' and at between $2 and $3
                 order by at desc, \"to\" desc limit {MOST_CHANGES}) as changed"
        );
        let rows = self.connect().await?.rows(&sql, &[&ids, &from, &now]).await?;
        let mut changes = HashMap::<Uuid, Vec<Transition>>::new();
        for row in &rows {
            changes.entry(row.get(0)).or_default().push(transition_of(row, 1)?);
        }
        changes.values_mut().for_each(|changes| changes.reverse());
        Ok(changes)
    }
}
