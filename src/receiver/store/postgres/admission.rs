//! Which events of a batch are stored: their instances are locked, and their owners and the numbers of new instances
//! looked up.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use futures_util::future::join;
use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::columns::column;
use super::connection::Connection;
use super::ownership::INSERT_TAKE_OVERS;
use super::routed_sql::RoutedSql;
use crate::receiver::store::NewEvent;
use crate::receiver::store::ownership::{Admission, NEW_WITHIN, Owner, TakeOver, admit, limited_keys};
use crate::receiver::store::time::before;

/// Locks the known instances of a batch. From here on until the end of the transaction their events are
/// stored one after another, so that an event that is new by its number stays new.
const LOCK_INSTANCES: &str = "\
select instance.instance_id, instance.owner_id, coalesce(key.revoked_at is null and key.id is not null, false)
from telemetry_instance instance left join telemetry_key key on key.id = instance.owner_id
where instance.instance_id = any($1) order by instance.instance_id for update of instance";

/// The result of looking at a batch.
pub(super) struct Admitted {
    /// The instances that are known.
    pub(super) known: HashSet<Uuid>,
    pub(super) admission: Admission,
}

/// Begins the transaction, locks the known instances, and decides which events are stored.
pub(super) async fn look(
    connection: &Connection,
    events: &[&NewEvent],
) -> Result<Admitted, tokio_postgres::Error> {
    let instance_ids = column(events, |event| event.instance_id);
    let parameters: [&(dyn ToSql + Sync); 1] = [&instance_ids];
    let lock = async {
        let lock = connection.prepared(LOCK_INSTANCES).await?;
        connection.query(&lock, &parameters).await
    };
    let rows = connection.begin_with(lock).await?;
    let owners: HashMap<Uuid, Owner> =
        rows.iter().map(|row| (row.get(0), Owner { key_id: row.get(1), is_in_use: row.get(2) })).collect();
    let known = owners.keys().copied().collect();
    let limited = limited_keys(events, &owners);
    let counts = match events.iter().map(|event| event.received_at).min() {
        Some(at) if !limited.is_empty() => count_new(connection, limited.into_keys().collect(), at).await?,
        _ => HashMap::new(),
    };
    Ok(Admitted { known, admission: admit(events, owners, counts) })
}

/// Counts the instances that keys reported for the first time within the last hour, on all shards. The lock of a key's
/// row keeps the number right until the end of the transaction.
async fn count_new(
    connection: &Connection,
    mut keys: Vec<Uuid>,
    now: Timestamp,
) -> Result<HashMap<Uuid, i64>, tokio_postgres::Error> {
    keys.sort_unstable();
    let lock = connection
        .prepared("select from telemetry_key where id = any($1) order by id for no key update")
        .await?;
    let count = "select owner_id, count(*) from telemetry_instance
                 where owner_id = any($1) and first_seen_at > $2 group by owner_id";
    let count = connection.prepared(count).await?;
    let since = before(now, NEW_WITHIN);
    let locking: [&(dyn ToSql + Sync); 1] = [&keys];
    let counting: [&(dyn ToSql + Sync); 2] = [&keys, &since];
    let (locked, counted) =
        join(connection.execute(&lock, &locking), connection.query(&count, &counting)).await;
    locked?;
    Ok(counted?.iter().map(|row| (row.get(0), row.get(1))).collect())
}

static UPDATE_OWNERS: LazyLock<RoutedSql> = LazyLock::new(|| {
    RoutedSql::new(
        "update telemetry_instance instance set owner_id = taken.new_owner
         from unnest($1::uuid[], $2::uuid[]) as taken (id, new_owner)
         where instance.instance_id = taken.id« and instance.instance_id = any($1)»",
    )
});

/// Gives instances to the keys that take them over, and notes it as transitions.
pub(super) async fn write_take_overs(
    connection: &Connection,
    taken_over: &[TakeOver],
) -> Result<(), tokio_postgres::Error> {
    if taken_over.is_empty() {
        return Ok(());
    }
    let update = connection.routed(&UPDATE_OWNERS).await?;
    let insert = connection.prepared(&INSERT_TAKE_OVERS).await?;
    let ids = column(taken_over, |taken| taken.instance_id);
    let to = column(taken_over, |taken| taken.to);
    let from = column(taken_over, |taken| taken.from);
    let times = column(taken_over, |taken| taken.at);
    connection.execute(&update, &[&ids, &to]).await?;
    connection.execute(&insert, &[&ids, &times, &from, &to]).await?;
    Ok(())
}
