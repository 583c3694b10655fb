//! Queries of people and programs that look at the fleet.

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use tokio_postgres::Row;
use uuid::Uuid;

use super::builder::QueryBuilder;
use super::filter::{BoundFilter, begin_after, order};
use super::partitions::{DAY, day_of};
use super::rows::{EVENT, INSTANCE, RUN, event_of, instance_of, run_of, state_of, transition_of};
use crate::receiver::store::time::before;
use crate::receiver::store::{
    EVENTS_LOOKED_AT, EventCursor, EventFilter, EventMark, Flags, Group, Instance, InstanceCursor,
    InstanceFilter, License, NEW_FOR, PostgresFleetStore, Queries, Run, Sight, Sort, State, StoreError,
    StoredEvent, Transition,
};

/// The latest events first.
const NEWEST: &str = "ts desc, instance_id desc, id desc";

/// The first and the last day of events, which select the partitions: the day of an event is the date of its time or the one
/// before or after.
fn days_of(filter: &EventFilter, after: Option<EventCursor>) -> [Option<Date>; 2] {
    let until = filter.to.into_iter().chain(after.map(|after| after.received_at)).min();
    let first = filter.from.map(|from| day_of(from).saturating_sub(DAY));
    [first, until.map(|until| day_of(until).saturating_add(DAY))]
}

/// Adds the conditions of events after a place, but for that of their key.
fn narrow_events<'a>(
    query: &mut QueryBuilder<'a>,
    filter: &'a EventFilter,
    [first_day, last_day]: &'a [Option<Date>; 2],
    after: Option<&'a EventCursor>,
) {
    query.narrow("day >= ", first_day.as_ref());
    query.narrow("day <= ", last_day.as_ref());
    query.narrow("instance_id = ", filter.instance_id.as_ref());
    query.narrow("reason = ", filter.reason.as_ref());
    query.narrow("ts >= ", filter.from.as_ref());
    query.narrow("ts < ", filter.to.as_ref());
    if let Some(EventCursor { received_at, instance_id, id }) = after {
        let (at, instance) = (query.parameter(received_at), query.parameter(instance_id));
        let id = query.parameter(id);
        query.add(&format!(" and ts <= {at} and (ts, instance_id, id) < ({at}, {instance}, {id})"));
    }
}

#[async_trait]
impl Queries for PostgresFleetStore {
    async fn summary(&self, now: Timestamp) -> Result<Vec<Group>, StoreError> {
        let sql =
            "select state_rank, license_valid, license_valid or license_key_hash is not null, crashed, several_runs, cloned,
                       restarting, first_seen_at > $1 as is_new, build_version, count(*)
                   from telemetry_instance group by 1, 2, 3, 4, 5, 6, 7, 8, 9";
        let new_since = before(now, NEW_FOR);
        let rows = self.connect().await?.rows(sql, &[&new_since]).await?;
        rows.iter()
            .map(|row| {
                Ok(Group {
                    state: state_of(row.get(0))?,
                    license: License::of(row.get(1), row.get(2)),
                    flags: Flags {
                        crashed: row.get(3),
                        several_runs: row.get(4),
                        cloned: row.get(5),
                        restarting: row.get(6),
                    },
                    is_new: row.get(7),
                    build_version: row.get(8),
                    count: row.get(9),
                })
            })
            .collect()
    }

    async fn instances(
        &self,
        filter: &InstanceFilter,
        sort: Sort,
        after: Option<InstanceCursor>,
        limit: i64,
    ) -> Result<Vec<Instance>, StoreError> {
        let pieces = sort.pieces(filter, after.as_ref());
        if pieces.is_empty() {
            return Ok(Vec::new());
        }
        let (filter, order) = (BoundFilter::of(filter), order(sort));
        let mut query = QueryBuilder::new("select * from (".to_owned());
        for (number, state) in pieces.into_iter().enumerate() {
            query.add(if number == 0 { "" } else { " union all " });
            // With what it is ordered by.
            let columns = format!("{}, searched, release_key", *INSTANCE);
            query.add(&format!("(select {columns} from telemetry_instance where true"));
            if let Some(state) = state {
                query.add(&format!(" and state_rank = {}", state.rank()));
            }
            filter.narrow(&mut query);
            if let Some(after) = &after {
                begin_after(&mut query, after);
            }
            let limit = query.parameter(&limit);
            query.add(&format!(" order by {order} limit {limit})"));
        }
        let limit = query.parameter(&limit);
        query.add(&format!(") as found order by {order} limit {limit}"));
        query.rows(self.connect().await?).await?.iter().map(instance_of).collect()
    }

    async fn count_by_state(&self, filter: &InstanceFilter) -> Result<Vec<(State, i64)>, StoreError> {
        let filter = BoundFilter::of(filter);
        let mut query =
            QueryBuilder::new("select state_rank, count(*) from telemetry_instance where true".to_owned());
        filter.narrow(&mut query);
        query.add(" group by 1 order by 1");
        let rows = query.rows(self.connect().await?).await?;
        rows.iter().map(|row| Ok((state_of(row.get(0))?, row.get(1)))).collect()
    }

    async fn count_ended(&self, since: Timestamp) -> Result<i64, StoreError> {
        let sql = "select count(*) from telemetry_instance where state_rank = $1 and state_since >= $2";
        Ok(self.connect().await?.rows(sql, &[&State::Ended.rank(), &since]).await?[0].get(0))
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
        let mut query = match filter.key_id {
            Some(_) => {
                QueryBuilder::new(format!("select {EVENT} from (select * from telemetry_event where true"))
            }
            None => QueryBuilder::new(format!("select {EVENT} from telemetry_event where true")),
        };
        let days = days_of(filter, after);
        narrow_events(&mut query, filter, &days, after.as_ref());
        if let Some(key) = &filter.key_id {
            let key = query.parameter(key);
            query.add(&format!(
                " order by {NEWEST} limit {EVENTS_LOOKED_AT}) as looked_at where key_id = {key}"
            ));
        }
        let limit = query.parameter(&limit);
        query.add(&format!(" order by {NEWEST} limit {limit}"));
        Ok(query.rows(self.connect().await?).await?.iter().map(event_of).collect())
    }

    async fn last_event_looked_at(
        &self,
        filter: &EventFilter,
        after: Option<EventCursor>,
    ) -> Result<Option<EventCursor>, StoreError> {
        let mut query =
            QueryBuilder::new("select ts, instance_id, id from telemetry_event where true".to_owned());
        let days = days_of(filter, after);
        narrow_events(&mut query, filter, &days, after.as_ref());
        query.add(&format!(" order by {NEWEST} offset {} limit 1", EVENTS_LOOKED_AT - 1));
        let rows = query.rows(self.connect().await?).await?;
        let place =
            |row: &Row| EventCursor { received_at: row.get(0), instance_id: row.get(1), id: row.get(2) };
        Ok(rows.first().map(place))
    }

    async fn event_marks(
        &self,
        instance_id: Uuid,
        since: Timestamp,
        limit: i64,
    ) -> Result<Vec<EventMark>, StoreError> {
        // The day of an event is the date of its time or the one before or after.
        let first_day = day_of(since).saturating_sub(DAY);
        let sql = "select id, run_id, sequence, ts, reason from telemetry_event
                   where instance_id = $1 and ts >= $2 and day >= $3 order by ts desc, id desc limit $4";
        let rows = self.connect().await?.rows(sql, &[&instance_id, &since, &first_day, &limit]).await?;
        let mark = |row: &Row| EventMark {
            id: row.get(0),
            run_id: row.get(1),
            sequence: row.get(2),
            received_at: row.get(3),
            reason: row.get(4),
        };
        Ok(rows.iter().map(mark).collect())
    }

    async fn sights(&self, after: Timestamp, limit: i64) -> Result<Vec<Sight>, StoreError> {
        // The day of an event is the date of its time or the one before or after.
        let first_day = day_of(after).saturating_sub(DAY);
        let sql = "select instance_id, key_id, product, ts, imported from telemetry_event
                   where ts > $1 and day >= $2 order by ts desc, instance_id desc, id desc limit $3";
        let rows = self.connect().await?.rows(sql, &[&after, &first_day, &limit]).await?;
        let sight = |row: &Row| Sight {
            instance_id: row.get(0),
            key_id: row.get(1),
            product: row.get(2),
            at: row.get(3),
            is_imported: row.get(4),
        };
        Ok(rows.iter().map(sight).collect())
    }

    async fn event(&self, instance_id: Uuid, id: Uuid) -> Result<Option<StoredEvent>, StoreError> {
        let sql = format!("select {EVENT} from telemetry_event where instance_id = $1 and id = $2");
        let rows = self.connect().await?.rows(&sql, &[&instance_id, &id]).await?;
        Ok(rows.first().map(event_of))
    }
}
