//! Judging: instances are locked, read, judged and written in one transaction.

use std::collections::HashMap;
use std::sync::LazyLock;

use async_trait::async_trait;
use futures_util::future::join;
use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::columns::{FACT_TYPES, FactColumns, column, unnest};
use super::connection::{Connection, failed};
use super::routed_sql::RoutedSql;
use super::rows::{INSTANCE, RUN, instance_columns, instance_of, run_of};
use super::shards::Shards;
use super::transitions::{write_alerts, write_transitions};
use crate::receiver::store::facts::FACTS;
use crate::receiver::store::filter::searched;
use crate::receiver::store::merge::{IS_NOT_LOST, IS_OPEN, began_beside};
use crate::receiver::store::release::Release;
use crate::receiver::store::{
    Instance, JUDGED_RUNS, JudgeFn, Judgement, Judging, Loss, PostgresFleetStore, Run, State, StoreError,
};

#[async_trait]
impl Judging for PostgresFleetStore {
    async fn judge(&self, now: Timestamp, limit: i64, judge: JudgeFn<'_>) -> Result<usize, StoreError> {
        let (shards, connection) = (self.shards().await?, self.connect_to_write().await?);
        let count = match shards.are_distributed() {
            true => judge_shard_by_shard(&connection, &shards, now, limit, judge).await?,
            false => judge_those(&connection, &CLAIM, &[&now, &limit], now, judge).await?,
        };
        connection.give_back();
        Ok(count)
    }
}

/// Locks the instances that are due. Skips those that another receiver is judging or writing: the events that it writes
/// make them due again.
static CLAIM: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select {} from telemetry_instance where check_at <= $1 order by check_at limit $2 for update skip locked",
        *INSTANCE
    )
});

/// The same among the instances of one shard.
static CLAIM_OF_SHARD: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select {} from telemetry_instance where check_at <= $1 and instance_id = any($2)
         order by check_at for update skip locked",
        instance_columns("and run.instance_id = any($2)")
    )
});

/// Those that are due on all shards, of which none is locked.
const DUE: &str =
    "select instance_id from telemetry_instance where check_at <= $1 order by check_at limit $2";

/// Judges the instances that are due, those of each shard in a transaction of their own.
async fn judge_shard_by_shard(
    connection: &Connection,
    shards: &Shards,
    now: Timestamp,
    limit: i64,
    judge: JudgeFn<'_>,
) -> Result<usize, StoreError> {
    let due = connection.rows_alone(DUE, &[&now, &limit]).await.map_err(failed)?;
    let mut count = 0;
    for ids in shards.divide(due.iter().map(|row| row.get::<_, Uuid>(0)), |id| *id) {
        count += judge_those(connection, &CLAIM_OF_SHARD, &[&now, &ids], now, judge).await?;
    }
    // Where others are judging some of the first ones, more may be due behind these.
    let is_cut = due.len() as i64 == limit && count > 0;
    Ok(if is_cut { due.len() } else { count })
}

/// Judges the instances that `claim` locks, in one transaction, and returns their number.
async fn judge_those(
    connection: &Connection,
    claim: &str,
    parameters: &[&(dyn ToSql + Sync)],
    now: Timestamp,
    judge: JudgeFn<'_>,
) -> Result<usize, StoreError> {
    let claimed = async {
        let claim = connection.prepared(claim).await?;
        connection.query(&claim, parameters).await
    };
    let claimed = connection.begin_with(claimed).await.map_err(failed)?;
    let instances = claimed.iter().map(instance_of).collect::<Result<Vec<_>, _>>()?;
    if !instances.is_empty() {
        let runs_of = lock_runs(connection, &instances).await.map_err(failed)?;
        let judgements: Vec<(Uuid, Judgement)> = instances
            .iter()
            .map(|instance| {
                let runs = runs_of.get(&instance.instance_id).map_or(&[][..], Vec::as_slice);
                (instance.instance_id, judge(instance, runs))
            })
            .collect();
        write(connection, now, &judgements).await.map_err(failed)?;
    }
    connection.commit().await.map_err(failed)?;
    Ok(instances.len())
}

static SELECT_RUNS: LazyLock<RoutedSql> = LazyLock::new(|| {
    RoutedSql::new(&format!(
        "select run.*, due.id from unnest($1::uuid[]) as due (id) cross join lateral (
             (select {run} from telemetry_run where instance_id = due.id« and instance_id = any($1)»
                 order by last_seen_at desc, run_id limit {JUDGED_RUNS})
             union
             (select {run} from telemetry_run where instance_id = due.id« and instance_id = any($1)» and {IS_OPEN}
                 order by last_seen_at desc, run_id limit {JUDGED_RUNS})
             union
             (select {run} from telemetry_run where instance_id = due.id« and instance_id = any($1)» and {IS_OPEN} and {IS_NOT_LOST}
                 order by last_seen_at, run_id limit {JUDGED_RUNS})
             order by last_seen_at desc, run_id) as run",
        run = *RUN
    ))
});

/// Locks the steady runs of instances, and returns the runs by which each instance is judged.
///
/// A steady run is locked from before it is read until it is written whether it still is steady, because its
/// updates do not lock the instance. An update comes before that, and the judgement considers it, or after.
async fn lock_runs(
    connection: &Connection,
    instances: &[Instance],
) -> Result<HashMap<Uuid, Vec<Run>>, tokio_postgres::Error> {
    let lock = "select from telemetry_run where instance_id = any($1) and is_steady
                order by instance_id, run_id for update";
    let lock = connection.prepared(lock).await?;
    let select = connection.routed(&SELECT_RUNS).await?;
    let ids = column(instances, |instance| instance.instance_id);
    let parameters: [&(dyn ToSql + Sync); 1] = [&ids];
    let (locked, rows) =
        join(connection.execute(&lock, &parameters), connection.query(&select, &parameters)).await;
    locked?;
    let mut runs_of: HashMap<Uuid, Vec<Run>> = HashMap::new();
    for row in rows? {
        runs_of.entry(row.get("id")).or_default().push(run_of(&row));
    }
    Ok(runs_of)
}

async fn write(
    connection: &Connection,
    now: Timestamp,
    judgements: &[(Uuid, Judgement)],
) -> Result<(), tokio_postgres::Error> {
    write_judgements(connection, now, judgements).await?;
    write_steady_runs(connection, judgements).await?;
    write_losses(connection, judgements).await?;
    write_transitions(connection, judgements).await?;
    write_alerts(connection, judgements).await
}

static UPDATE_INSTANCES: LazyLock<RoutedSql> = LazyLock::new(|| {
    const TYPES: [&str; 18] = [
        "uuid",
        "uuid",
        "timestamptz",
        "smallint",
        "timestamptz",
        "boolean",
        "boolean",
        "boolean",
        "boolean",
        "integer",
        "timestamptz",
        "timestamptz",
        "integer",
        "timestamptz",
        "text",
        "text",
        "text",
        "boolean",
    ];
    let facts = FACTS.map(|column| format!("{column} = judged.{column}")).join(", ");
    RoutedSql::new(&format!(
        "update telemetry_instance instance set judged_at = $1, run_id = judged.run_id,
             last_seen_at = greatest(instance.last_seen_at, judged.last_seen_at),
             state_rank = judged.state_rank, state_since = judged.state_since, crashed = judged.crashed,
             several_runs = judged.several_runs, cloned = judged.cloned, restarting = judged.restarting,
             losses = judged.losses, last_loss_at = judged.last_loss_at, begins_since = judged.begins_since,
             frequency = judged.frequency, check_at = judged.check_at, searched = judged.searched,
             release = judged.release, release_key = judged.release_key,
             untold = judged.untold, {facts}
         from {}
             as judged (id, run_id, last_seen_at, state_rank, state_since, crashed, several_runs, cloned, restarting,
                 losses, last_loss_at, begins_since, frequency, check_at, searched, release, release_key,
                 untold, {})
         where instance.instance_id = judged.id« and instance.instance_id = any($2)»",
        unnest(2, TYPES.into_iter().chain(FACT_TYPES)),
        FACTS.join(", ")
    ))
});

async fn write_judgements(
    connection: &Connection,
    now: Timestamp,
    judgements: &[(Uuid, Judgement)],
) -> Result<u64, tokio_postgres::Error> {
    let update = connection.routed(&UPDATE_INSTANCES).await?;
    let ids = column(judgements, |(id, _)| *id);
    let run_ids = column(judgements, |(_, judgement)| judgement.run_id);
    let last_seen = column(judgements, |(_, judgement)| judgement.last_seen_at);
    let ranks = column(judgements, |(_, judgement)| judgement.state.rank());
    let since = column(judgements, |(_, judgement)| judgement.state_since);
    let crashed = column(judgements, |(_, judgement)| judgement.flags.crashed);
    let several_runs = column(judgements, |(_, judgement)| judgement.flags.several_runs);
    let cloned = column(judgements, |(_, judgement)| judgement.flags.cloned);
    let restarting = column(judgements, |(_, judgement)| judgement.flags.restarting);
    let losses = column(judgements, |(_, judgement)| judgement.losses.count);
    let last_loss_at = column(judgements, |(_, judgement)| judgement.losses.last_at);
    let begins_since = column(judgements, |(_, judgement)| judgement.begins_since);
    let frequencies = column(judgements, |(_, judgement)| judgement.frequency);
    let check_at = column(judgements, |(_, judgement)| judgement.check_at);
    let searched = column(judgements, |(_, judgement)| searched(&judgement.facts));
    let releases = column(judgements, |(_, judgement)| Release::of(&judgement.facts.build_version));
    let (release_names, release_keys) =
        (column(&releases, |release| &release.name), column(&releases, |release| &release.key));
    let untold = column(judgements, |(_, judgement)| judgement.untold);
    let facts = FactColumns::of(judgements.iter().map(|(_, judgement)| &judgement.facts));
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![
        &now,
        &ids,
        &run_ids,
        &last_seen,
        &ranks,
        &since,
        &crashed,
        &several_runs,
        &cloned,
        &restarting,
        &losses,
        &last_loss_at,
        &begins_since,
        &frequencies,
        &check_at,
        &searched,
        &release_names,
        &release_keys,
        &untold,
    ];
    parameters.extend(facts.parameters());
    connection.execute(&update, &parameters).await
}

static UPDATE_STEADY_RUNS: LazyLock<RoutedSql> = LazyLock::new(|| {
    RoutedSql::new(&format!(
        "update telemetry_run run set is_steady = not run.is_steady
         from unnest($1::uuid[], $2::uuid[], $3::boolean[]) as judged (id, run_id, is_up)
         where run.instance_id = judged.id« and run.instance_id = any($1)»
             and run.is_steady <> (judged.is_up and run.run_id = judged.run_id and not {})",
        began_beside("instance_id = judged.id« and instance_id = any($1)»", "judged.run_id")
    ))
});

/// Notes which runs are steady: those by which an instance was just judged to be up, unless their next update shows that
/// another run lives beside them.
async fn write_steady_runs(
    connection: &Connection,
    judgements: &[(Uuid, Judgement)],
) -> Result<u64, tokio_postgres::Error> {
    let update = connection.routed(&UPDATE_STEADY_RUNS).await?;
    let ids = column(judgements, |(id, _)| *id);
    let run_ids = column(judgements, |(_, judgement)| judgement.run_id);
    let up = column(judgements, |(_, judgement)| judgement.state == State::Up);
    connection.execute(&update, &[&ids, &run_ids, &up]).await
}

static UPDATE_LOST_RUNS: LazyLock<RoutedSql> = LazyLock::new(|| {
    RoutedSql::new(
        "update telemetry_run run set lost_at = lost.at
         from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) as lost (id, run_id, at)
         where run.instance_id = lost.id and run.run_id = lost.run_id« and run.instance_id = any($1)»",
    )
});

/// Notes which runs are lost, so that a loss is told once.
async fn write_losses(
    connection: &Connection,
    judgements: &[(Uuid, Judgement)],
) -> Result<(), tokio_postgres::Error> {
    let lost: Vec<(Uuid, Loss)> = judgements
        .iter()
        .flat_map(|(id, judgement)| judgement.lost.iter().map(|loss| (*id, *loss)))
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    let update = connection.routed(&UPDATE_LOST_RUNS).await?;
    let ids = column(&lost, |(id, _)| *id);
    let run_ids = column(&lost, |(_, loss)| loss.run_id);
    let times = column(&lost, |(_, loss)| loss.at);
    connection.execute(&update, &[&ids, &run_ids, &times]).await?;
    Ok(())
}
