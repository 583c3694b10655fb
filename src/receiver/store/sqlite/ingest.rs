//! How events are taken in: each is stored, then its run and its instance are brought up to date.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, Transaction, params};

use super::rows::{Id, Time, facts, id, optional_time, searched, time};
use crate::receiver::store::merge::{InstanceDelta, RunDelta, fold};
use crate::receiver::store::{Facts, NewEvent, State};

const INSERT_EVENT: &str = "
    insert into telemetry_event (instance_id, id, ts, reason, run_id, sequence, frequency, data)
    select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8
    where not exists (select 1 from telemetry_event where instance_id = ?1 and id = ?2)";

const SELECT_RUN: &str = "
    select first_seen_at, last_seen_at, begun, end_sequence, ended_at, last_sequence, frequency_sequence, frequency,
        updates, first_update_at, last_update_at, facts_at, build_version, build_commit, build_time, build_mode,
        build_os, build_arch, license_key_hash, license_valid, custom_id
    from telemetry_run where instance_id = ?1 and run_id = ?2";

const INSERT_RUN: &str = "
    insert or replace into telemetry_run (instance_id, run_id, first_seen_at, last_seen_at, begun, end_sequence,
        ended_at, last_sequence, frequency_sequence, frequency, updates, first_update_at, last_update_at, facts_at,
        build_version, build_commit, build_time, build_mode, build_os, build_arch, license_key_hash, license_valid,
        custom_id)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)";

const SELECT_INSTANCE: &str = "
    select first_seen_at, last_seen_at, check_at, judged_at, state_rank, run_id, build_version, build_commit,
        build_time, build_mode, build_os, build_arch, license_key_hash, license_valid, custom_id
    from telemetry_instance where instance_id = ?1";

const INSERT_INSTANCE: &str = "
    insert into telemetry_instance (instance_id, first_seen_at, last_seen_at, run_id, state_rank, state_since, check_at,
        build_version, build_commit, build_time, build_mode, build_os, build_arch, license_key_hash, license_valid,
        custom_id, searched)
    values (?1, ?2, ?3, ?4, ?5, ?2, ?2, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";

pub(super) fn append(transaction: &Transaction<'_>, events: &[NewEvent]) -> rusqlite::Result<Vec<bool>> {
    let mut insert = transaction.prepare_cached(INSERT_EVENT)?;
    let mut answers = Vec::with_capacity(events.len());
    for event in events {
        let NewEvent { sequence, reason, frequency, data, .. } = event;
        let (instance_id, id, run_id) = (Id(event.instance_id), Id(event.id), Id(event.run_id));
        let at = Time(event.received_at);
        let inserted =
            insert.execute(params![instance_id, id, at, reason, run_id, sequence, frequency, data])?;
        answers.push(inserted == 1);
    }
    let new = events.iter().zip(&answers).filter(|(_, is_new)| **is_new).map(|(event, _)| event);
    let (runs, instances) = fold(new);
    let mut other_frequency = HashSet::new();
    for run in &runs {
        if write_run(transaction, run)? {
            other_frequency.insert(run.instance_id);
        }
    }
    for instance in &instances {
        write_instance(transaction, instance, other_frequency.contains(&instance.instance_id))?;
    }
    Ok(answers)
}

/// Says whether the run has another frequency now.
fn write_run(transaction: &Transaction<'_>, delta: &RunDelta<'_>) -> rusqlite::Result<bool> {
    let mut select = transaction.prepare_cached(SELECT_RUN)?;
    let stored = select.query_row([Id(delta.instance_id), Id(delta.run_id)], |row| {
        let stored = RunDelta {
            first_seen_at: time(row, 0)?,
            last_seen_at: time(row, 1)?,
            begun: row.get(2)?,
            end: row.get::<_, Option<i64>>(3)?.zip(optional_time(row, 4)?),
            last_sequence: row.get(5)?,
            frequency: row.get::<_, Option<i64>>(6)?.zip(row.get(7)?),
            updates: row.get(8)?,
            first_update_at: optional_time(row, 9)?,
            last_update_at: optional_time(row, 10)?,
            facts_at: time(row, 11)?,
            ..delta.clone()
        };
        Ok((stored, facts(row, 12)?))
    });
    let Some((mut run, facts)) = stored.optional()? else {
        insert_run(transaction, delta)?;
        return Ok(false);
    };
    run.facts = &facts;
    let frequency = run.frequency;
    run.add(delta);
    insert_run(transaction, &run)?;
    Ok(run.frequency.map(|(_, seconds)| seconds) != frequency.map(|(_, seconds)| seconds))
}

fn insert_run(transaction: &Transaction<'_>, run: &RunDelta<'_>) -> rusqlite::Result<usize> {
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
    } = run.facts;
    transaction.prepare_cached(INSERT_RUN)?.execute(params![
        Id(run.instance_id),
        Id(run.run_id),
        Time(run.first_seen_at),
        Time(run.last_seen_at),
        run.begun,
        run.end.map(|(sequence, _)| sequence),
        run.end.map(|(_, at)| Time(at)),
        run.last_sequence,
        run.frequency.map(|(sequence, _)| sequence),
        run.frequency.map(|(_, seconds)| seconds),
        run.updates,
        run.first_update_at.map(Time),
        run.last_update_at.map(Time),
        Time(run.facts_at),
        build_version,
        build_commit,
        build_time,
        build_mode,
        build_os,
        build_arch,
        license_key_hash,
        license_valid,
        custom_id,
    ])
}

/// An update of an instance that is up changes nothing but the time of its last sight, so that no index is touched. All
/// else makes the instance due.
fn write_instance(
    transaction: &Transaction<'_>,
    delta: &InstanceDelta<'_>,
    other_frequency: bool,
) -> rusqlite::Result<usize> {
    let mut select = transaction.prepare_cached(SELECT_INSTANCE)?;
    let stored = select.query_row([Id(delta.instance_id)], |row| {
        let is_judged = optional_time(row, 3)?.is_some();
        let as_judged = is_judged
            && row.get::<_, State>(4)? == State::Up
            && id(row, 5)? == delta.run_id
            && facts(row, 6)? == *delta.facts;
        let seen = (time(row, 0)?, time(row, 1)?, time(row, 2)?);
        Ok((seen, as_judged))
    });
    let Some(((first_seen_at, last_seen_at, check_at), as_judged)) = stored.optional()? else {
        return insert_instance(transaction, delta);
    };
    let last_seen_at = last_seen_at.max(delta.last_seen_at);
    if as_judged && !delta.has_news && !other_frequency && delta.first_seen_at >= first_seen_at {
        let sql =
            "update telemetry_instance set last_seen_at = ?2, revision = revision + 1 where instance_id = ?1";
        return transaction.prepare_cached(sql)?.execute(params![Id(delta.instance_id), Time(last_seen_at)]);
    }
    let (first_seen_at, check_at) =
        (first_seen_at.min(delta.first_seen_at), check_at.min(delta.first_seen_at));
    let sql = "update telemetry_instance set first_seen_at = ?2, last_seen_at = ?3, check_at = ?4, revision = revision + 1
               where instance_id = ?1";
    transaction.prepare_cached(sql)?.execute(params![
        Id(delta.instance_id),
        Time(first_seen_at),
        Time(last_seen_at),
        Time(check_at)
    ])
}

fn insert_instance(transaction: &Transaction<'_>, delta: &InstanceDelta<'_>) -> rusqlite::Result<usize> {
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
    } = delta.facts;
    transaction.prepare_cached(INSERT_INSTANCE)?.execute(params![
        Id(delta.instance_id),
        Time(delta.first_seen_at),
        Time(delta.last_seen_at),
        Id(delta.run_id),
        State::Up.rank(),
        build_version,
        build_commit,
        build_time,
        build_mode,
        build_os,
        build_arch,
        license_key_hash,
        license_valid,
        custom_id,
        searched(delta.facts),
    ])
}
