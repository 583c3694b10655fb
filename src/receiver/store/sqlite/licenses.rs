//! The licenses of the fleet: license keys that servers share, who has none that is valid, and licenses that were lost.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Transaction, params};
use uuid::Uuid;

use super::builder::select;
use super::changes::{CHANGE, LATEST, change};
use super::rows::{self, Time};
use crate::receiver::store::licenses::{NAMED_SERVERS, unlicensed};
use crate::receiver::store::{
    Counted, FleetChange, KeyLicenses, Licenses, SharedLicense, SqliteFleetStore, State, StoreError,
};

#[async_trait]
impl Licenses for SqliteFleetStore {
    async fn shared_licenses(&self, limit: i64) -> Result<Counted<SharedLicense>, StoreError> {
        self.read(move |transaction| {
            let sql = format!(
                "select license_key_hash, count(*), count(*) over ()
                 from telemetry_instance indexed by telemetry_instance_of_license
                 where license_key_hash is not null and state_rank <> {}
                 group by 1 having count(*) > 1 order by 2 desc, 1 limit ?1",
                State::Ended.rank()
            );
            let shared = select(transaction, &sql, [limit], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
            })?;
            let total = shared.first().map_or(0, |(_, _, total)| *total);
            let named = |(hash, servers, _): (String, i64, i64)| {
                Ok(SharedLicense { named: named(transaction, &hash)?, hash, servers })
            };
            Ok(Counted { total, rows: shared.into_iter().map(named).collect::<rusqlite::Result<_>>()? })
        })
        .await
    }

    async fn unlicensed_keys(&self, limit: i64) -> Result<Counted<KeyLicenses>, StoreError> {
        self.read(move |transaction| {
            let rows = select(transaction, &unlicensed("?1"), [limit], |row| {
                let of_key = KeyLicenses {
                    key_id: rows::id(row, 0)?,
                    invalid: row.get(1)?,
                    none: row.get(2)?,
                    servers: row.get(3)?,
                };
                Ok((of_key, row.get(4)?))
            })?;
            let total = rows.first().map_or(0, |(_, total)| *total);
            Ok(Counted { total, rows: rows.into_iter().map(|(of_key, _)| of_key).collect() })
        })
        .await
    }

    async fn lost_licenses(&self, since: Timestamp, limit: i64) -> Result<Counted<FleetChange>, StoreError> {
        self.read(move |transaction| {
            let lost = "from telemetry_transition indexed by telemetry_transition_of_license
                 join telemetry_instance instance using (instance_id)
                 where change = 'license' and \"to\" = 'invalid' and at >= ?1";
            let total =
                transaction.query_row(&format!("select count(*) {lost}"), [Time(since)], |row| row.get(0))?;
            let sql = format!("select {CHANGE} {lost} order by {LATEST} limit ?2");
            let rows = select(transaction, &sql, params![Time(since), limit], change)?;
            Ok(Counted { total, rows })
        })
        .await
    }
}

/// Some servers of a license key.
fn named(transaction: &Transaction<'_>, hash: &str) -> rusqlite::Result<Vec<(Uuid, Option<String>)>> {
    let sql = format!(
        "select instance_id, custom_id from telemetry_instance indexed by telemetry_instance_of_license
         where license_key_hash = ?1 and state_rank <> {} order by state_rank, instance_id limit {NAMED_SERVERS}",
        State::Ended.rank()
    );
    select(transaction, &sql, [hash], |row| Ok((rows::id(row, 0)?, row.get(1)?)))
}
