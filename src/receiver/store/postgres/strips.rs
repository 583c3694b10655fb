//! The changes of state that the strips of a list are drawn from.

use std::collections::HashMap;
use std::sync::LazyLock;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::routed_sql::RoutedSql;
use super::rows::transition_of;
use crate::receiver::store::strips::MOST_CHANGES;
use crate::receiver::store::{PostgresFleetStore, StoreError, Strips, Transition};

/// The latest changes of each instance, the latest first. Citus takes no bound for each of them, but their numbers.
static CHANGES: LazyLock<RoutedSql> = LazyLock::new(|| {
    let usual = format!(
        "select wanted.id, changed.* from unnest($1::uuid[]) as wanted (id) cross join lateral (
             select at, change, \"from\", \"to\" from telemetry_transition
             where instance_id = wanted.id and change = 'state' and at between $2 and $3
             order by at desc, \"to\" desc limit {MOST_CHANGES}) as changed"
    );
    let distributed = format!(
        "select instance_id, at, change, \"from\", \"to\" from (
             select *, row_number() over (partition by instance_id order by at desc, \"to\" desc) as number
             from telemetry_transition
             where instance_id = any($1) and change = 'state' and at between $2 and $3) as changed
         where number <= {MOST_CHANGES} order by at desc, \"to\" desc"
    );
    RoutedSql::either(usual, distributed)
});

#[async_trait]
impl Strips for PostgresFleetStore {
    async fn strips(
        &self,
        ids: &[Uuid],
        from: Timestamp,
        now: Timestamp,
    ) -> Result<HashMap<Uuid, Vec<Transition>>, StoreError> {
        let connection = self.connect().await?;
        let sql = connection.form(&CHANGES);
        let rows = connection.rows(sql, &[&ids, &from, &now]).await?;
        let mut changes = HashMap::<Uuid, Vec<Transition>>::new();
        for row in &rows {
            changes.entry(row.get(0)).or_default().push(transition_of(row, 1)?);
        }
        changes.values_mut().for_each(|changes| changes.reverse());
        Ok(changes)
    }
}
