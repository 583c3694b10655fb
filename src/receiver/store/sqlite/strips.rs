//! The changes of state that the strips of a list are drawn from.

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::params;
use uuid::Uuid;

use super::builder::select;
use super::rows::{self, Id, Time};
use crate::receiver::store::strips::MOST_CHANGES;
use crate::receiver::store::{SqliteFleetStore, StoreError, Strips, Transition};

#[async_trait]
impl Strips for SqliteFleetStore {
    async fn strips(
        &self,
        ids: &[Uuid],
        from: Timestamp,
        now: Timestamp,
    ) -> Result<HashMap<Uuid, Vec<Transition>>, StoreError> {
        let ids = ids.to_vec();
        self.read(move |transaction| {
            let sql = format!(
                "select {} from telemetry_transition
                 where instance_id = ?1 and change = 'state' and at between ?2 and ?3
                 order by at desc, \"to\" desc limit {MOST_CHANGES}",
                rows::TRANSITION
            );
            let mut changes = HashMap::new();
            for id in ids {
                let parameters = params![Id(id), Time(from), Time(now)];
                let mut of_one = select(transaction, &sql, parameters, |row| rows::transition(row, 0))?;
                if !of_one.is_empty() {
                    of_one.reverse();
                    changes.insert(id, of_one);
                }
            }
            Ok(changes)
        })
        .await
    }
}
