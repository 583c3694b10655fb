//! To whom instances belong: which events of a batch are stored, and instances that go to another key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::rows::{Id, Time, id};
use crate::receiver::store::merge::RunDelta;
use crate::receiver::store::ownership::{NEW_WITHIN, Owner, TakeOver, limited_keys};
use crate::receiver::store::time::before;
use crate::receiver::store::{
    Change, HOST_KEY, HOST_KEY_NAME, NewEvent, Ownership, SqliteFleetStore, StoreError,
};

/// The owners of the instances of a batch that are known.
pub(super) fn owners(
    transaction: &Transaction<'_>,
    events: &[&NewEvent],
) -> rusqlite::Result<HashMap<Uuid, Owner>> {
    let mut select =
        transaction.prepare_cached("select owner_id from telemetry_instance where instance_id = ?1")?;
    let mut select_key =
        transaction.prepare_cached("select 1 from telemetry_key where id = ?1 and revoked_at is null")?;
    let (mut owners, mut in_use) = (HashMap::new(), HashMap::new());
    for event in events {
        let owner = select.query_row([Id(event.instance_id)], |row| id(row, 0)).optional()?;
        let Some(key_id) = owner else { continue };
        let is_in_use = match in_use.entry(key_id) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => *unknown.insert(select_key.exists([Id(key_id)])?),
        };
        owners.insert(event.instance_id, Owner { key_id, is_in_use });
    }
    Ok(owners)
}

/// The numbers of instances that limited keys of a batch reported for the first time within the last hour.
pub(super) fn counts(
    transaction: &Transaction<'_>,
    events: &[&NewEvent],
    owners: &HashMap<Uuid, Owner>,
) -> rusqlite::Result<HashMap<Uuid, i64>> {
    let Some(now) = events.iter().map(|event| event.received_at).min() else { return Ok(HashMap::new()) };
    let mut count = transaction.prepare_cached(
        "select count(*) from telemetry_instance where owner_id = ?1 and first_seen_at > ?2",
    )?;
    limited_keys(events, owners)
        .into_keys()
        .map(|key| {
            Ok((key, count.query_row(params![Id(key), Time(before(now, NEW_WITHIN))], |row| row.get(0))?))
        })
        .collect()
}

/// The name of a key; its id where it is not known.
fn name_of(transaction: &Transaction<'_>, key: Uuid) -> rusqlite::Result<String> {
    if key == HOST_KEY {
        return Ok(HOST_KEY_NAME.to_owned());
    }
    let mut select = transaction.prepare_cached("select name from telemetry_key where id = ?1")?;
    Ok(select.query_row([Id(key)], |row| row.get(0)).optional()?.unwrap_or_else(|| key.to_string()))
}

const INSERT_CHANGE: &str = "insert into telemetry_transition (instance_id, at, change, \"from\", \"to\")
    values (?1, ?2, ?3, ?4, ?5) on conflict do nothing";

/// Gives an instance to another key, and notes it as a transition. The first owner of an instance is no news.
pub(super) fn take_over(transaction: &Transaction<'_>, taken: &TakeOver) -> rusqlite::Result<()> {
    let TakeOver { instance_id, from, to, at } = *taken;
    let mut update =
        transaction.prepare_cached("update telemetry_instance set owner_id = ?2 where instance_id = ?1")?;
    update.execute(params![Id(instance_id), Id(to)])?;
    if !from.is_nil() {
        let (from, to) = (name_of(transaction, from)?, name_of(transaction, to)?);
        let mut insert = transaction.prepare_cached(INSERT_CHANGE)?;
        insert.execute(params![Id(instance_id), Time(at), Change::Key.as_str(), from, to])?;
    }
    Ok(())
}

/// Notes of a new instance whose run one other instance of its key had that its id was changed (receiver §3). A run of
/// several others is a sender's mistake.
pub(super) fn link_changed_id(transaction: &Transaction<'_>, run: &RunDelta<'_>) -> rusqlite::Result<()> {
    if run.run_id.is_nil() {
        return Ok(());
    }
    let mut select = transaction.prepare_cached(
        "select instance_id from telemetry_run where run_id = ?1 and key_id = ?2 and instance_id <> ?3 limit 2",
    )?;
    let mut insert = transaction.prepare_cached(INSERT_CHANGE)?;
    let parameters = params![Id(run.run_id), Id(run.facts.key_id), Id(run.instance_id)];
    let before: Vec<Uuid> =
        select.query_map(parameters, |row| id(row, 0))?.collect::<rusqlite::Result<_>>()?;
    let [old] = before[..] else { return Ok(()) };
    for side in [old, run.instance_id] {
        let (from, to) = (old.to_string(), run.instance_id.to_string());
        insert.execute(params![Id(side), Time(run.first_seen_at), Change::Id.as_str(), from, to])?;
    }
    Ok(())
}

#[async_trait]
impl Ownership for SqliteFleetStore {
    async fn move_instance(
        &self,
        instance_id: Uuid,
        key_id: Uuid,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(move |transaction| {
            let mut select = transaction
                .prepare_cached("select 1 from telemetry_key where id = ?1 and revoked_at is null")?;
            let is_in_use = key_id == HOST_KEY || select.exists([Id(key_id)])?;
            let owner = "select owner_id from telemetry_instance where instance_id = ?1";
            let owner = transaction.query_row(owner, [Id(instance_id)], |row| id(row, 0)).optional()?;
            if let Some(from) = owner.filter(|owner| is_in_use && *owner != key_id) {
                take_over(transaction, &TakeOver { instance_id, from, to: key_id, at: now })?;
                for table in ["telemetry_run", "telemetry_instance"] {
                    let update = format!("update {table} set key_id = ?2 where instance_id = ?1");
                    transaction.execute(&update, params![Id(instance_id), Id(key_id)])?;
                }
            }
            Ok(owner.is_some() && is_in_use)
        })
        .await
    }

    async fn note_flood(
        &self,
        key_id: Uuid,
        limit: i32,
        now: Timestamp,
        tells: bool,
    ) -> Result<bool, StoreError> {
        self.write(move |transaction| {
            let update = "update telemetry_key set flooded_at = ?2
                          where id = ?1 and coalesce(flooded_at <= ?3, true) returning name";
            let parameters = params![Id(key_id), Time(now), Time(before(now, NEW_WITHIN))];
            let name: Option<String> =
                transaction.query_row(update, parameters, |row| row.get(0)).optional()?;
            if let Some(name) = name.as_deref().filter(|_| tells) {
                let insert =
                    "insert into telemetry_alert (instance_id, id, at, change, \"to\", custom_id, build_version)
                     values (?1, ?2, ?3, ?4, ?5, ?6, '')";
                let (nobody, id, change) = (Id(Uuid::nil()), Id(Uuid::new_v4()), Change::NewInstances.as_str());
                let parameters = params![nobody, id, Time(now), change, limit.to_string(), name];
                transaction.execute(insert, parameters)?;
            }
            Ok(name.is_some())
        })
        .await
    }
}
