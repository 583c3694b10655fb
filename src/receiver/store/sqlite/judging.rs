//! How instances are judged without holding up who writes: read, decided about, and written down unless they changed
//! meanwhile.

use jiff::Timestamp;
use rusqlite::{Transaction, params};
use uuid::Uuid;

use super::rows::{self, Id, Time, searched};
use crate::receiver::store::{Facts, Instance, JUDGED_RUNS, Judgement, Run};

/// An instance to be judged.
pub(super) struct Due {
    pub(super) instance: Instance,
    pub(super) runs: Vec<Run>,
    revision: i64,
}

/// What it was judged to be.
pub(super) struct Judged {
    instance_id: Uuid,
    revision: i64,
    judgement: Judgement,
}

impl Due {
    pub(super) fn judged(self, judgement: Judgement) -> Judged {
        Judged { instance_id: self.instance.instance_id, revision: self.revision, judgement }
    }
}

pub(super) fn due(transaction: &Transaction<'_>, now: Timestamp, limit: i64) -> rusqlite::Result<Vec<Due>> {
    let mut select = transaction.prepare_cached(&format!(
        "select {}, revision from telemetry_instance where check_at <= ?1 order by check_at limit ?2",
        rows::INSTANCE
    ))?;
    let mut latest_runs = transaction.prepare_cached(&rows::RUNS_TO_JUDGE)?;
    select
        .query_map(params![Time(now), limit], |row| Ok((rows::instance(row)?, row.get("revision")?)))?
        .map(|due| {
            let (instance, revision) = due?;
            let runs = latest_runs.query_map(params![Id(instance.instance_id), JUDGED_RUNS], rows::run)?;
            Ok(Due { runs: runs.collect::<Result<_, _>>()?, instance, revision })
        })
        .collect()
}

/// Whoever was heard or judged since is passed over: it is due again, or was just judged.
pub(super) fn write(
    transaction: &Transaction<'_>,
    now: Timestamp,
    judged: &[Judged],
) -> rusqlite::Result<()> {
    let mut insert_transition = transaction.prepare_cached(
        "insert into telemetry_transition (instance_id, at, change, \"from\", \"to\") values (?1, ?2, ?3, ?4, ?5)
         on conflict do nothing",
    )?;
    let mut insert_alert = transaction.prepare_cached(
        "insert into telemetry_alert (instance_id, id, at, change, \"from\", \"to\", custom_id, build_version)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for Judged { instance_id, revision, judgement } in judged {
        if !write_instance(transaction, now, *instance_id, *revision, judgement)? {
            continue;
        }
        for transition in &judgement.transitions {
            insert_transition.execute(params![
                Id(*instance_id),
                Time(transition.at),
                transition.change.as_str(),
                transition.from,
                transition.to
            ])?;
        }
        for transition in &judgement.alerts {
            insert_alert.execute(params![
                Id(*instance_id),
                Id(Uuid::new_v4()),
                Time(transition.at),
                transition.change.as_str(),
                transition.from,
                transition.to,
                judgement.facts.custom_id,
                judgement.facts.build_version
            ])?;
        }
    }
    Ok(())
}

/// Says whether it is still the one that was judged.
fn write_instance(
    transaction: &Transaction<'_>,
    now: Timestamp,
    instance_id: Uuid,
    revision: i64,
    judgement: &Judgement,
) -> rusqlite::Result<bool> {
    let mut update = transaction.prepare_cached(
        "update telemetry_instance set revision = revision + 1, judged_at = ?3, run_id = ?4, state_rank = ?5,
             state_since = ?6, crashed = ?7, several_runs = ?8, restarting = ?9, frequency = ?10, check_at = ?11,
             build_version = ?12, build_commit = ?13, build_time = ?14, build_mode = ?15, build_os = ?16,
             build_arch = ?17, license_key_hash = ?18, license_valid = ?19, custom_id = ?20, searched = ?21
         where instance_id = ?1 and revision = ?2",
    )?;
    let Facts {
        build_version,
        build_commit,
        build_time,
        build_mode,
        build_os,
        build_arch,
        license_key_hash,
        license_valid,
        custom_id,
    } = &judgement.facts;
    let updated = update.execute(params![
        Id(instance_id),
        revision,
        Time(now),
        Id(judgement.run_id),
        judgement.state.rank(),
        Time(judgement.state_since),
        judgement.flags.crashed,
        judgement.flags.several_runs,
        judgement.flags.restarting,
        judgement.frequency,
        Time(judgement.check_at),
        build_version,
        build_commit,
        build_time,
        build_mode,
        build_os,
        build_arch,
        license_key_hash,
        license_valid,
        custom_id,
        searched(&judgement.facts),
    ])?;
    Ok(updated == 1)
}
