//! Queries of people and programs that look at the fleet.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

use super::builder::{QueryBuilder, select};
use super::rows::{self, Id, Time};
use crate::receiver::store::queries::ids_beginning_with;
use crate::receiver::store::time::before;
use crate::receiver::store::{
    EventCursor, EventFilter, Flags, Group, Instance, InstanceCursor, InstanceFilter, NEW_FOR, Queries, Run,
    SqliteFleetStore, State, StoreError, StoredEvent, Transition,
};

#[async_trait]
impl Queries for SqliteFleetStore {
    async fn summary(&self, now: Timestamp) -> Result<Vec<Group>, StoreError> {
        let new_since = before(now, NEW_FOR);
        self.read(move |transaction| {
            let sql = "select state_rank, license_valid, crashed, several_runs, cloned, restarting, build_version,
                           count(*) filter (where first_seen_at > ?1), count(*) filter (where first_seen_at <= ?1)
                       from telemetry_instance indexed by telemetry_instance_groups group by 1, 2, 3, 4, 5, 6, 7";
            let groups = select(transaction, sql, [Time(new_since)], |row| {
                let group = |is_new, count| -> rusqlite::Result<Group> {
                    Ok(Group {
                        state: row.get(0)?,
                        license_valid: row.get(1)?,
                        flags: Flags {
                            crashed: row.get(2)?,
                            several_runs: row.get(3)?,
                            cloned: row.get(4)?,
                            restarting: row.get(5)?,
                        },
                        is_new,
                        build_version: row.get(6)?,
                        count,
                    })
                };
                Ok([group(true, row.get(7)?)?, group(false, row.get(8)?)?])
            })?;
            Ok(groups.into_iter().flatten().filter(|group| group.count > 0).collect())
        })
        .await
    }

    async fn instances(
        &self,
        filter: &InstanceFilter,
        after: Option<InstanceCursor>,
        limit: i64,
    ) -> Result<Vec<Instance>, StoreError> {
        // The index alone is enough to find the instances of the page.
        let mut query = QueryBuilder::new(format!(
            "select {} from telemetry_instance where instance_id in (
                 select instance_id from telemetry_instance indexed by telemetry_instance_worst where true",
            *rows::INSTANCE
        ));
        narrow(&mut query, filter);
        if let Some(after) = after {
            let rank = query.parameter(after.state.rank());
            let (since, id) =
                (query.parameter(Time(after.state_since)), query.parameter(Id(after.instance_id)));
            query.add(&format!(
                " and state_rank >= {rank} and (state_rank > {rank} or state_since < {since}
                  or (state_since = {since} and instance_id > {id}))"
            ));
        }
        query.narrow("true order by state_rank, state_since desc, instance_id limit ", Some(limit));
        query.add(") order by state_rank, state_since desc, instance_id");
        self.read(move |transaction| query.rows(transaction, rows::instance)).await
    }

    async fn instance(&self, id: Uuid) -> Result<Option<Instance>, StoreError> {
        self.read(move |transaction| {
            let sql = format!("select {} from telemetry_instance where instance_id = ?1", *rows::INSTANCE);
            transaction.prepare_cached(&sql)?.query_row([Id(id)], rows::instance).optional()
        })
        .await
    }

    async fn runs(&self, instance_id: Uuid, limit: i64) -> Result<Vec<Run>, StoreError> {
        self.read(move |transaction| {
            select(transaction, &rows::LATEST_RUNS, params![Id(instance_id), limit], rows::run)
        })
        .await
    }

    async fn transitions(&self, instance_id: Uuid, limit: i64) -> Result<Vec<Transition>, StoreError> {
        self.read(move |transaction| {
            let sql = format!(
                "select {} from telemetry_transition where instance_id = ?1 order by at desc, change, \"to\" limit ?2",
                rows::TRANSITION
            );
            select(transaction, &sql, params![Id(instance_id), limit], |row| rows::transition(row, 0))
        })
        .await
    }

    async fn events(
        &self,
        filter: &EventFilter,
        after: Option<EventCursor>,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let index = match filter {
            EventFilter { instance_id: Some(_), .. } => "sqlite_autoindex_telemetry_event_1",
            EventFilter { reason: Some(_), .. } => "telemetry_event_of_reason",
            _ => "telemetry_event_newest",
        };
        // The index alone is enough to find the events of the page.
        let mut query = QueryBuilder::new(format!(
            "select {} from telemetry_event where rowid in (
                 select rowid from telemetry_event indexed by {index} where true",
            rows::EVENT
        ));
        query.narrow("instance_id = ", filter.instance_id.map(Id));
        query.narrow("reason = ", filter.reason.clone());
        query.narrow("ts >= ", filter.from.map(Time));
        query.narrow("ts < ", filter.to.map(Time));
        if let Some(after) = after {
            let at = query.parameter(Time(after.received_at));
            let (instance, id) = (query.parameter(Id(after.instance_id)), query.parameter(Id(after.id)));
            query.add(&format!(" and ts <= {at} and (ts, instance_id, id) < ({at}, {instance}, {id})"));
        }
        query.narrow("true order by ts desc, instance_id desc, id desc limit ", Some(limit));
        query.add(") order by ts desc, instance_id desc, id desc");
        self.read(move |transaction| query.rows(transaction, rows::event)).await
    }

    async fn event(&self, instance_id: Uuid, id: Uuid) -> Result<Option<StoredEvent>, StoreError> {
        self.read(move |transaction| {
            let sql =
                format!("select {} from telemetry_event where instance_id = ?1 and id = ?2", rows::EVENT);
            transaction.prepare_cached(&sql)?.query_row([Id(instance_id), Id(id)], rows::event).optional()
        })
        .await
    }
}

/// Adds the conditions of a filter to a query from `telemetry_instance`.
pub(super) fn narrow(query: &mut QueryBuilder, filter: &InstanceFilter) {
    query.narrow("state_rank = ", filter.state.map(State::rank));
    query.narrow("license_valid = ", filter.license_valid);
    query.narrow("build_version = ", filter.build_version.clone());
    query.narrow("key_id = ", filter.key_id.map(Id));
    query.narrow("product = ", filter.product.clone());
    query.narrow("release = ", filter.release.clone());
    // Empty until the next judgement, where an earlier version of the receiver stored it.
    query.narrow("release_key > '' and release_key < ", filter.older_than.clone());
    query.narrow("crashed = ", filter.crashed);
    query.narrow("several_runs = ", filter.several_runs);
    query.narrow("cloned = ", filter.cloned);
    query.narrow("restarting = ", filter.restarting);
    query.narrow("first_seen_at > ", filter.first_seen_after.map(Time));
    if let Some(search) = &filter.search {
        let contained = query.parameter(search.to_lowercase());
        query.add(&format!(" and (instr(searched, {contained}) > 0"));
        if let Some((first, last)) = ids_beginning_with(search) {
            let (first, last) = (query.parameter(Id(first)), query.parameter(Id(last)));
            query.add(&format!(" or instance_id between {first} and {last}"));
        }
        query.add(")");
    }
}
