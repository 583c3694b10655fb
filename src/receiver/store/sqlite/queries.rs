//! Queries of people and programs that look at the fleet.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

use super::builder::{QueryBuilder, select};
use super::filter::{begin_after, index, narrow, order};
use super::rows::{self, Id, Time};
use crate::receiver::store::time::before;
use crate::receiver::store::{
    EVENTS_LOOKED_AT, EventCursor, EventFilter, EventMark, Flags, Group, Instance, InstanceCursor,
    InstanceFilter, NEW_FOR, Queries, Run, Sight, Sort, SqliteFleetStore, State, StoreError, StoredEvent,
    Transition,
};

/// The latest events first.
const NEWEST: &str = "ts desc, instance_id desc, id desc";

/// The index that finds events in their order.
fn index_of(filter: &EventFilter) -> &'static str {
    match filter {
        EventFilter { instance_id: Some(_), .. } => "sqlite_autoindex_telemetry_event_1",
        EventFilter { reason: Some(_), .. } => "telemetry_event_of_reason",
        _ => "telemetry_event_newest",
    }
}

/// Adds the conditions of events after a place, but for that of their key.
fn narrow_events(query: &mut QueryBuilder, filter: &EventFilter, after: Option<EventCursor>) {
    query.narrow("instance_id = ", filter.instance_id.map(Id));
    query.narrow("reason = ", filter.reason.clone());
    query.narrow("ts >= ", filter.from.map(Time));
    query.narrow("ts < ", filter.to.map(Time));
    if let Some(after) = after {
        let at = query.parameter(Time(after.received_at));
        let (instance, id) = (query.parameter(Id(after.instance_id)), query.parameter(Id(after.id)));
        query.add(&format!(" and ts <= {at} and (ts, instance_id, id) < ({at}, {instance}, {id})"));
    }
}

#[async_trait]
impl Queries for SqliteFleetStore {
    async fn summary(&self, now: Timestamp) -> Result<Vec<Group>, StoreError> {
        let new_since = before(now, NEW_FOR);
        self.read(move |transaction| {
            let sql = "select state_rank, license, crashed, several_runs, cloned, restarting, build_version,
                           count(*) filter (where first_seen_at > ?1), count(*) filter (where first_seen_at <= ?1)
                       from telemetry_instance indexed by telemetry_instance_groups group by 1, 2, 3, 4, 5, 6, 7";
            let groups = select(transaction, sql, [Time(new_since)], |row| {
                let group = |is_new, count| -> rusqlite::Result<Group> {
                    Ok(Group {
                        state: row.get(0)?,
                        license: row.get(1)?,
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
        sort: Sort,
        after: Option<InstanceCursor>,
        limit: i64,
    ) -> Result<Vec<Instance>, StoreError> {
        let (index, order) = (index(filter), order(sort));
        let mut query = QueryBuilder::new(format!(
            "select {} from telemetry_instance where instance_id in (",
            *rows::INSTANCE
        ));
        for (number, state) in sort.pieces(filter, after.as_ref()).into_iter().enumerate() {
            query.add(if number == 0 { "" } else { " union all " });
            query.add(&format!(
                "select instance_id from (
                     select instance_id from telemetry_instance indexed by {index} where true"
            ));
            query.narrow("state_rank = ", state.map(State::rank));
            narrow(&mut query, filter);
            if let Some(after) = &after {
                begin_after(&mut query, after);
            }
            query.add(&format!(" order by {order} limit {limit})"));
        }
        query.add(&format!(") order by {order} limit {limit}"));
        self.read(move |transaction| query.rows(transaction, rows::instance)).await
    }

    async fn count_by_state(&self, filter: &InstanceFilter) -> Result<Vec<(State, i64)>, StoreError> {
        let mut query = QueryBuilder::new(format!(
            "select state_rank, count(*) from telemetry_instance indexed by {} where true",
            index(filter)
        ));
        narrow(&mut query, filter);
        query.add(" group by 1 order by 1");
        self.read(move |transaction| query.rows(transaction, |row| Ok((row.get(0)?, row.get(1)?)))).await
    }

    async fn count_ended(&self, since: Timestamp) -> Result<i64, StoreError> {
        self.read(move |transaction| {
            let sql = "select count(*) from telemetry_instance where state_rank = ?1 and state_since >= ?2";
            transaction.query_row(sql, params![State::Ended.rank(), Time(since)], |row| row.get(0))
        })
        .await
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
        // The index alone is enough to find the events of the page.
        let mut query = QueryBuilder::new(format!(
            "select {} from telemetry_event where rowid in (
                 select rowid from telemetry_event indexed by {} where true",
            rows::EVENT,
            index_of(filter)
        ));
        narrow_events(&mut query, filter, after);
        let looked_at = if filter.key_id.is_some() { EVENTS_LOOKED_AT } else { limit };
        query.add(&format!(" order by {NEWEST} limit {looked_at})"));
        query.narrow("key_id = ", filter.key_id.map(Id));
        query.add(&format!(" order by {NEWEST} limit {limit}"));
        self.read(move |transaction| query.rows(transaction, rows::event)).await
    }

    async fn last_event_looked_at(
        &self,
        filter: &EventFilter,
        after: Option<EventCursor>,
    ) -> Result<Option<EventCursor>, StoreError> {
        let mut query = QueryBuilder::new(format!(
            "select ts, instance_id, id from telemetry_event indexed by {} where true",
            index_of(filter)
        ));
        narrow_events(&mut query, filter, after);
        query.add(&format!(" order by {NEWEST} limit 1 offset {}", EVENTS_LOOKED_AT - 1));
        let place = |row: &rusqlite::Row<'_>| {
            Ok(EventCursor {
                received_at: rows::time(row, 0)?,
                instance_id: rows::id(row, 1)?,
                id: rows::id(row, 2)?,
            })
        };
        Ok(self.read(move |transaction| query.rows(transaction, place)).await?.pop())
    }

    async fn event_marks(
        &self,
        instance_id: Uuid,
        since: Timestamp,
        limit: i64,
    ) -> Result<Vec<EventMark>, StoreError> {
        self.read(move |transaction| {
            let sql = "select id, run_id, sequence, ts, reason from telemetry_event
                       where instance_id = ?1 and ts >= ?2 order by ts desc, id desc limit ?3";
            select(transaction, sql, params![Id(instance_id), Time(since), limit], |row| {
                Ok(EventMark {
                    id: rows::id(row, 0)?,
                    run_id: rows::id(row, 1)?,
                    sequence: row.get(2)?,
                    received_at: rows::time(row, 3)?,
                    reason: row.get(4)?,
                })
            })
        })
        .await
    }

    async fn sights(&self, after: Timestamp, limit: i64) -> Result<Vec<Sight>, StoreError> {
        self.read(move |transaction| {
            let sql = "select instance_id, key_id, product, ts, imported
                       from telemetry_event indexed by telemetry_event_newest
                       where ts > ?1 order by ts desc, instance_id desc, id desc limit ?2";
            select(transaction, sql, params![Time(after), limit], |row| {
                Ok(Sight {
                    instance_id: rows::id(row, 0)?,
                    key_id: rows::id(row, 1)?,
                    product: row.get(2)?,
                    at: rows::time(row, 3)?,
                    is_imported: row.get(4)?,
                })
            })
        })
        .await
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
