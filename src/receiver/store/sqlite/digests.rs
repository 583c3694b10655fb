//! The outbox of alerts: what is told together is taken together.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::query::select;
use super::rows::{self, Id, Time};
use crate::receiver::store::{Alert, Digest};

/// A digest of which no delivery is under way, and how often it was tried.
pub(super) fn due(transaction: &Transaction<'_>, now: Timestamp) -> rusqlite::Result<Option<(Uuid, i32)>> {
    let sql = "select digest_id, tries from telemetry_alert
               where delivered_at is null and digest_id is not null and next_try_at <= ?1
               order by next_try_at, digest_id limit 1";
    transaction.query_row(sql, [Time(now)], |row| Ok((rows::id(row, 0)?, row.get(1)?))).optional()
}

/// `None` where it was taken or delivered meanwhile.
pub(super) fn take_again(
    transaction: &Transaction<'_>,
    id: Uuid,
    tries: i32,
    next: Timestamp,
) -> rusqlite::Result<Option<Digest>> {
    let sql = "update telemetry_alert set tries = ?3, next_try_at = ?4
               where digest_id = ?1 and tries = ?2 and delivered_at is null";
    let taken = transaction.execute(sql, params![Id(id), tries, tries + 1, Time(next)])?;
    if taken == 0 { Ok(None) } else { digest(transaction, id, tries + 1).map(Some) }
}

/// `None` where no alert is new.
pub(super) fn new(
    transaction: &Transaction<'_>,
    next: Timestamp,
    limit: i64,
) -> rusqlite::Result<Option<Digest>> {
    let id = Uuid::new_v4();
    let sql =
        "update telemetry_alert set digest_id = ?1, tries = 1, next_try_at = ?2 where (instance_id, id) in (
                   select instance_id, id from telemetry_alert
                   where delivered_at is null and digest_id is null order by at, id limit ?3)";
    let taken = transaction.execute(sql, params![Id(id), Time(next), limit])?;
    if taken == 0 { Ok(None) } else { digest(transaction, id, 1).map(Some) }
}

fn digest(transaction: &Transaction<'_>, id: Uuid, tries: i32) -> rusqlite::Result<Digest> {
    let sql = format!(
        "select id, instance_id, custom_id, build_version, {} from telemetry_alert
         where digest_id = ?1 and delivered_at is null order by at, id",
        rows::TRANSITION
    );
    let alerts = select(transaction, &sql, [Id(id)], |row| {
        Ok(Alert {
            id: rows::id(row, 0)?,
            instance_id: rows::id(row, 1)?,
            custom_id: row.get(2)?,
            build_version: row.get(3)?,
            transition: rows::transition(row, 4)?,
        })
    })?;
    Ok(Digest { id, tries, alerts })
}
