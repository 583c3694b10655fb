//! The licenses of the fleet: license keys that servers share, who has none that is valid, and licenses that were lost.

use std::sync::LazyLock;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::changes::{CHANGE, LATEST, change_of};
use super::routed_sql::RoutedSql;
use crate::receiver::store::licenses::{NAMED_SERVERS, unlicensed};
use crate::receiver::store::{
    Counted, FleetChange, KeyLicenses, Licenses, PostgresFleetStore, SharedLicense, State, StoreError,
};

/// The keys that most servers share, and the first servers of each. Citus takes no bound for each key, but numbers.
static SHARED: LazyLock<RoutedSql> = LazyLock::new(|| {
    let ended = State::Ended.rank();
    let shared = format!(
        "with shared as (
             select license_key_hash as hash, count(*) as servers, count(*) over () as total
             from telemetry_instance where license_key_hash is not null and state_rank <> {ended}
             group by 1 having count(*) > 1 order by 2 desc, license_key_hash collate \"C\" limit $1)
         select hash, servers, total, named.instance_id, named.custom_id from"
    );
    let order = "order by servers desc, hash collate \"C\", named.state_rank, named.instance_id";
    let usual = format!(
        "{shared} shared cross join lateral (
             select instance_id, custom_id, state_rank from telemetry_instance
             where license_key_hash = hash and state_rank <> {ended}
             order by state_rank, instance_id limit {NAMED_SERVERS}) as named {order}"
    );
    let distributed = format!(
        "{shared} (
             select shared.*, instance_id, custom_id, state_rank,
                 row_number() over (partition by hash order by state_rank, instance_id) as number
             from shared join telemetry_instance on license_key_hash = hash where state_rank <> {ended}) as named
         where number <= {NAMED_SERVERS} {order}"
    );
    RoutedSql::either(usual, distributed)
});

#[async_trait]
impl Licenses for PostgresFleetStore {
    async fn shared_licenses(&self, limit: i64) -> Result<Counted<SharedLicense>, StoreError> {
        let connection = self.connect().await?;
        let sql = connection.form(&SHARED);
        let rows = connection.rows(sql, &[&limit]).await?;
        let mut shared: Vec<SharedLicense> = Vec::new();
        for row in &rows {
            let hash: &str = row.get(0);
            if shared.last().is_none_or(|last| last.hash != hash) {
                shared.push(SharedLicense { hash: hash.to_owned(), servers: row.get(1), named: Vec::new() });
            }
            if let Some(last) = shared.last_mut() {
                last.named.push(named(row));
            }
        }
        Ok(Counted { total: rows.first().map_or(0, |row| row.get(2)), rows: shared })
    }

    async fn unlicensed_keys(&self, limit: i64) -> Result<Counted<KeyLicenses>, StoreError> {
        let rows = self.connect().await?.rows(&unlicensed("$1"), &[&limit]).await?;
        let of_key = |row: &Row| KeyLicenses {
            key_id: row.get(0),
            invalid: row.get(1),
            none: row.get(2),
            servers: row.get(3),
        };
        let total = rows.first().map_or(0, |row| row.get(4));
        Ok(Counted { total, rows: rows.iter().map(of_key).collect() })
    }

    async fn lost_licenses(&self, since: Timestamp, limit: i64) -> Result<Counted<FleetChange>, StoreError> {
        let sql = format!(
            "select {CHANGE}, count(*) over ()
             from telemetry_transition join telemetry_instance instance using (instance_id)
             where change = 'license' and \"to\" = 'invalid' and at >= $1 order by {LATEST} limit $2"
        );
        let rows = self.connect().await?.rows(&sql, &[&since, &limit]).await?;
        Ok(Counted {
            total: rows.first().map_or(0, |row| row.get(9)),
            rows: rows.iter().map(change_of).collect::<Result<_, _>>()?,
        })
    }
}

fn named(row: &Row) -> (Uuid, Option<String>) {
    (row.get(3), row.get(4))
}
