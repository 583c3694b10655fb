//! Queries of people and programs that look at the fleet.

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::builder::QueryBuilder;
use super::partitions::{DAY, day_of};
use super::rows::{EVENT, INSTANCE, RUN, event_of, instance_of, run_of, state_of, transition_of};
use crate::receiver::store::queries::ids_beginning_with;
use crate::receiver::store::time::before;
use crate::receiver::store::{
    EventCursor, EventFilter, Flags, Group, Instance, InstanceCursor, InstanceFilter, NEW_FOR,
    PostgresFleetStore, Queries, Run, State, StoreError, StoredEvent, Transition,
};

#[async_trait]
impl Queries for PostgresFleetStore {
    async fn summary(&self, now: Timestamp) -> Result<Vec<Group>, StoreError> {
        let sql = "select state_rank, license_valid, crashed, several_runs, cloned, restarting,
                       first_seen_at > $1 as is_new, build_version, count(*)
                   from telemetry_instance group by 1, 2, 3, 4, 5, 6, 7, 8";
        let new_since = before(now, NEW_FOR);
        let rows = self.connect().await?.rows(sql, &[&new_since]).await?;
        rows.iter()
            .map(|row| {
                Ok(Group {
                    state: state_of(row.get(0))?,
                    license_valid: row.get(1),
                    flags: Flags {
                        crashed: row.get(2),
                        several_runs: row.get(3),
                        cloned: row.get(4),
                        restarting: row.get(5),
                    },
                    is_new: row.get(6),
                    build_version: row.get(7),
                    count: row.get(8),
                })
            })
            .collect()
    }

    async fn instances(
        &self,
        filter: &InstanceFilter,
        after: Option<InstanceCursor>,
        limit: i64,
    ) -> Result<Vec<Instance>, StoreError> {
        let mut query = QueryBuilder::new(format!("select {} from telemetry_instance where true", *INSTANCE));
        let filter = BoundFilter::of(filter);
        filter.narrow(&mut query);
        let rank_after = after.map(|after| after.state.rank());
        if let (Some(after), Some(rank_after)) = (&after, &rank_after) {
            let (rank, since, id) = (
                query.parameter(rank_after),
                query.parameter(&after.state_since),
                query.parameter(&after.instance_id),
            );
            query.add(&format!(
                " and state_rank >= {rank} and (state_rank > {rank} or state_since < {since}
                  or (state_since = {since} and instance_id > {id}))"
            ));
        }
        let limit = query.parameter(&limit);
        query.add(&format!(" order by state_rank, state_since desc, instance_id limit {limit}"));
        query.rows(self.connect().await?).await?.iter().map(instance_of).collect()
    }

    async fn instance(&self, id: Uuid) -> Result<Option<Instance>, StoreError> {
        let sql = format!("select {} from telemetry_instance where instance_id = $1", *INSTANCE);
        let rows = self.connect().await?.rows(&sql, &[&id]).await?;
        rows.first().map(instance_of).transpose()
    }

    async fn runs(&self, instance_id: Uuid, limit: i64) -> Result<Vec<Run>, StoreError> {
        let sql = format!(
            "select {} from telemetry_run where instance_id = $1 order by last_seen_at desc, run_id limit $2",
            *RUN
        );
        let rows = self.connect().await?.rows(&sql, &[&instance_id, &limit]).await?;
        Ok(rows.iter().map(run_of).collect())
    }

    async fn transitions(&self, instance_id: Uuid, limit: i64) -> Result<Vec<Transition>, StoreError> {
        let sql = "select at, change, \"from\", \"to\" from telemetry_transition
                   where instance_id = $1 order by at desc, change, \"to\" limit $2";
        let rows = self.connect().await?.rows(sql, &[&instance_id, &limit]).await?;
        rows.iter().map(|row| transition_of(row, 0)).collect()
    }

    async fn events(
        &self,
        filter: &EventFilter,
        after: Option<EventCursor>,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut query = QueryBuilder::new(format!("select {EVENT} from telemetry_event where true"));
        // The day of an event is the date of its time or the one before or after. It selects the partitions.
        let first_day = filter.from.map(|from| day_of(from).saturating_sub(DAY));
        let until = filter.to.into_iter().chain(after.map(|after| after.received_at)).min();
        let last_day = until.map(|until| day_of(until).saturating_add(DAY));
        query.narrow("day >= ", first_day.as_ref());
        query.narrow("day <= ", last_day.as_ref());
        query.narrow("instance_id = ", filter.instance_id.as_ref());
        query.narrow("reason = ", filter.reason.as_ref());
        query.narrow("ts >= ", filter.from.as_ref());
        query.narrow("ts < ", filter.to.as_ref());
        if let Some(after) = &after {
            let (at, instance, id) = (
                query.parameter(&after.received_at),
                query.parameter(&after.instance_id),
                query.parameter(&after.id),
            );
            query.add(&format!(" and ts <= {at} and (ts, instance_id, id) < ({at}, {instance}, {id})"));
        }
        let limit = query.parameter(&limit);
        query.add(&format!(" order by ts desc, instance_id desc, id desc limit {limit}"));
        Ok(query.rows(self.connect().await?).await?.iter().map(event_of).collect())
    }

    async fn event(&self, instance_id: Uuid, id: Uuid) -> Result<Option<StoredEvent>, StoreError> {
        let sql = format!("select {EVENT} from telemetry_event where instance_id = $1 and id = $2");
        let rows = self.connect().await?.rows(&sql, &[&instance_id, &id]).await?;
        Ok(rows.first().map(event_of))
    }
}

/// A filter with the values that its conditions compare with.
pub(super) struct BoundFilter<'a> {
    filter: &'a InstanceFilter,
    rank: Option<i16>,
    contained: Option<String>,
    ids: Option<(Uuid, Uuid)>,
}

impl<'a> BoundFilter<'a> {
    pub(super) fn of(filter: &'a InstanceFilter) -> Self {
        let search = filter.search.as_deref();
        Self {
            filter,
            rank: filter.state.map(State::rank),
            contained: search.map(str::to_lowercase),
            ids: search.and_then(ids_beginning_with),
        }
    }

    /// Adds the conditions of the filter to a query from `telemetry_instance`.
    pub(super) fn narrow<'b>(&'b self, query: &mut QueryBuilder<'b>) {
        let filter = self.filter;
        query.narrow("state_rank = ", self.rank.as_ref());
        query.narrow("license_valid = ", filter.license_valid.as_ref());
        query.narrow("build_version = ", filter.build_version.as_ref());
        query.narrow("key_id = ", filter.key_id.as_ref());
        query.narrow("product = ", filter.product.as_ref());
        query.narrow("release = ", filter.release.as_ref());
        // Empty until the next judgement, where an earlier version of the receiver stored it.
        query.narrow("release_key > '' and release_key < ", filter.older_than.as_ref());
        query.narrow("crashed = ", filter.crashed.as_ref());
        query.narrow("several_runs = ", filter.several_runs.as_ref());
        query.narrow("cloned = ", filter.cloned.as_ref());
        query.narrow("restarting = ", filter.restarting.as_ref());
        query.narrow("first_seen_at > ", filter.first_seen_after.as_ref());
        if let Some(contained) = &self.contained {
            let contained = query.parameter(contained);
            query.add(&format!(" and (strpos(searched, {contained}) > 0"));
            if let Some((first, last)) = &self.ids {
                let (first, last) = (query.parameter(first), query.parameter(last));
                query.add(&format!(" or instance_id between {first} and {last}"));
            }
            query.add(")");
        }
    }
}
