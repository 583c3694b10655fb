//! Judging without holding up writers: instances are read, judged, and written unless they changed in the
//! meantime.

use std::sync::LazyLock;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::types::ToSql;
use rusqlite::{Transaction, params};
use uuid::Uuid;

use super::rows::{self, Id, Time, fact_values};
use crate::receiver::store::facts::FACTS;
use crate::receiver::store::filter::searched;
use crate::receiver::store::release::Release;
use crate::receiver::store::{
    Instance, JUDGED_RUNS, JudgeFn, Judgement, Judging, Run, SqliteFleetStore, StoreError,
};

#[async_trait]
impl Judging for SqliteFleetStore {
    async fn judge(&self, now: Timestamp, limit: i64, judge: JudgeFn<'_>) -> Result<usize, StoreError> {
        let due = self.read(move |transaction| due_instances(transaction, now, limit)).await?;
        let count = due.len();
        if count > 0 {
            let judged: Vec<_> = due
                .into_iter()
                .map(|due| {
                    let judgement = judge(&due.instance, &due.runs);
                    due.judged(judgement)
                })
                .collect();
            self.write(move |transaction| write_judgements(transaction, now, &judged)).await?;
        }
        Ok(count)
    }
}

/// An instance to be judged.
struct Due {
    instance: Instance,
    runs: Vec<Run>,
    revision: i64,
}

/// Its judgement.
struct Judged {
    instance_id: Uuid,
    revision: i64,
    judgement: Judgement,
}

impl Due {
    fn judged(self, judgement: Judgement) -> Judged {
        Judged { instance_id: self.instance.instance_id, revision: self.revision, judgement }
    }
}

fn due_instances(transaction: &Transaction<'_>, now: Timestamp, limit: i64) -> rusqlite::Result<Vec<Due>> {
    let mut select = transaction.prepare_cached(&format!(
        "select {}, revision from telemetry_instance where check_at <= ?1 order by check_at limit ?2",
        *rows::INSTANCE
    ))?;
    let mut runs_to_judge = transaction.prepare_cached(&rows::RUNS_TO_JUDGE)?;
    select
        .query_map(params![Time(now), limit], |row| Ok((rows::instance(row)?, row.get("revision")?)))?
        .map(|due| {
            let (instance, revision) = due?;
            let runs = runs_to_judge.query_map(params![Id(instance.instance_id), JUDGED_RUNS], rows::run)?;
            Ok(Due { runs: runs.collect::<Result<_, _>>()?, instance, revision })
        })
        .collect()
}

/// Writes judgements, except of instances that were seen or judged in the meantime: these are due again, or
/// were just judged.
fn write_judgements(
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
    // So that a loss is told once.
    let mut update_run = transaction
        .prepare_cached("update telemetry_run set lost_at = ?3 where instance_id = ?1 and run_id = ?2")?;
    for Judged { instance_id, revision, judgement } in judged {
        if !write_judgement(transaction, now, *instance_id, *revision, judgement)? {
            continue;
        }
        for loss in &judgement.lost {
            update_run.execute(params![Id(*instance_id), Id(loss.run_id), Time(loss.at)])?;
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

static UPDATE_INSTANCE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "update telemetry_instance set revision = revision + 1, judged_at = ?3, run_id = ?4, state_rank = ?5,
             state_since = ?6, crashed = ?7, several_runs = ?8, cloned = ?9, restarting = ?10, losses = ?11,
             last_loss_at = ?12, begins_since = ?13, frequency = ?14, check_at = ?15,
             last_seen_at = max(last_seen_at, ?16), searched = ?17, release = ?18, release_key = ?19, untold = ?20, license = ?21, {}
         where instance_id = ?1 and revision = ?2",
        FACTS.map(|column| format!("{column} = ?")).join(", ")
    )
});

/// Returns `false` if the instance has another revision by now.
fn write_judgement(
    transaction: &Transaction<'_>,
    now: Timestamp,
    instance_id: Uuid,
    revision: i64,
    judgement: &Judgement,
) -> rusqlite::Result<bool> {
    let (instance_id, run_id, now) = (Id(instance_id), Id(judgement.run_id), Time(now));
    let (rank, since, check_at) =
        (judgement.state.rank(), Time(judgement.state_since), Time(judgement.check_at));
    let (last_seen_at, searched) = (Time(judgement.last_seen_at), searched(&judgement.facts));
    let flags = &judgement.flags;
    let release = Release::of(&judgement.facts.build_version);
    let license = judgement.facts.license().rank();
    let (last_loss_at, begins_since) = (judgement.losses.last_at.map(Time), judgement.begins_since.map(Time));
    let mut values: Vec<&dyn ToSql> = vec![
        &instance_id,
        &revision,
        &now,
        &run_id,
        &rank,
        &since,
        &flags.crashed,
        &flags.several_runs,
        &flags.cloned,
        &flags.restarting,
        &judgement.losses.count,
        &last_loss_at,
        &begins_since,
        &judgement.frequency,
        &check_at,
        &last_seen_at,
        &searched,
        &release.name,
        &release.key,
        &judgement.untold,
        &license,
    ];
    values.extend(fact_values(&judgement.facts));
    Ok(transaction.prepare_cached(&UPDATE_INSTANCE)?.execute(&*values)? == 1)
}
