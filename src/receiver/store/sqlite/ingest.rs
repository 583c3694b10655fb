//! Storing events, and adding them to their runs and instances.

use std::collections::HashSet;
use std::sync::LazyLock;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::types::ToSql;
use rusqlite::{CachedStatement, OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::ownership;
use super::rows::{Id, Time, fact_values, facts, id, optional_time, time};
use crate::receiver::store::facts::FACTS;
use crate::receiver::store::filter::searched;
use crate::receiver::store::merge::{
    InstanceDelta, RunDelta, began_beside, run_columns, sum_up, take_up_run,
};
use crate::receiver::store::ownership::{admit, ids_of_same_number};
use crate::receiver::store::release::Release;
use crate::receiver::store::{Appended, Ingest, NewEvent, SqliteFleetStore, State, StoreError};

#[async_trait]
impl Ingest for SqliteFleetStore {
    /// Writers wait for each other.
    fn writers(&self) -> usize {
        1
    }

    async fn append(&self, events: &[NewEvent]) -> Result<Vec<Appended>, StoreError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let events = events.to_vec();
        self.write(move |transaction| append(transaction, &events)).await
    }
}

const INSERT_EVENT: &str = "
    insert into telemetry_event (instance_id, id, ts, reason, run_id, sequence, frequency, data, key_id, product,
        imported)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

/// Whether the instance `?1` has an event with an id between these.
const HAS_EVENT: &str = "select 1 from telemetry_event where instance_id = ?1 and id between ?2 and ?3";

/// The statements of a batch, each found among those that are kept once and not for each event.
struct Statements<'a> {
    has_event: CachedStatement<'a>,
    insert_event: CachedStatement<'a>,
    select_instance: CachedStatement<'a>,
    see_instance: CachedStatement<'a>,
    update_instance: CachedStatement<'a>,
    insert_instance: CachedStatement<'a>,
    upsert_run: CachedStatement<'a>,
}

impl<'a> Statements<'a> {
    fn prepare(transaction: &'a Transaction<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            has_event: transaction.prepare_cached(HAS_EVENT)?,
            insert_event: transaction.prepare_cached(INSERT_EVENT)?,
            select_instance: transaction.prepare_cached(&SELECT_INSTANCE)?,
            see_instance: transaction.prepare_cached(SEE_INSTANCE)?,
            update_instance: transaction.prepare_cached(UPDATE_INSTANCE)?,
            insert_instance: transaction.prepare_cached(&INSERT_INSTANCE)?,
            upsert_run: transaction.prepare_cached(&UPSERT_RUN)?,
        })
    }
}

fn append(transaction: &Transaction<'_>, events: &[NewEvent]) -> rusqlite::Result<Vec<Appended>> {
    let all: Vec<&NewEvent> = events.iter().collect();
    let owners = ownership::owners(transaction, &all)?;
    let known: HashSet<Uuid> = owners.keys().copied().collect();
    let counts = ownership::counts(transaction, &all, &owners)?;
    let admission = admit(&all, owners, counts);
    admission.taken_over.iter().try_for_each(|taken| ownership::take_over(transaction, taken))?;
    let mut statements = Statements::prepare(transaction)?;
    let mut answers = Vec::with_capacity(events.len());
    let mut forks = HashSet::new();
    for (place, (event, refused)) in events.iter().zip(admission.refused).enumerate() {
        answers.push(match refused {
            Some(refused) => refused,
            None => insert_event(&mut statements, event, &events[..place], &mut forks)?,
        });
    }
    let is_new = |(_, answer): &(&NewEvent, &Appended)| **answer == Appended::New;
    let new = events.iter().zip(&answers).filter(is_new).map(|(event, _)| event);
    let (runs, instances) = sum_up(new, &forks);
    for run in runs.iter().filter(|run| !known.contains(&run.instance_id)) {
        ownership::link_changed_id(transaction, run)?;
    }
    // Whether an instance becomes due depends on its runs as they were.
    for instance in &instances {
        write_instance(&mut statements, instance)?;
    }
    for run in &runs {
        write_run(&mut statements, run)?;
    }
    Ok(answers)
}

/// Inserts an event, unless it is there. Where another event has its number, it is a fork, and so are those `before` it in
/// the batch that have the number: which of them came first does not matter.
fn insert_event(
    statements: &mut Statements<'_>,
    event: &NewEvent,
    before: &[NewEvent],
    forks: &mut HashSet<(Uuid, Uuid)>,
) -> rusqlite::Result<Appended> {
    let (first, last) = ids_of_same_number(event.id);
    if statements.has_event.exists([Id(event.instance_id), Id(first), Id(last)])? {
        if statements.has_event.exists([Id(event.instance_id), Id(event.id), Id(event.id)])? {
            return Ok(Appended::Before);
        }
        let has_number =
            |other: &&NewEvent| other.instance_id == event.instance_id && (first..=last).contains(&other.id);
        let same = before.iter().filter(has_number).chain([event]);
        forks.extend(same.map(|event| (event.instance_id, event.id)));
    }
    let NewEvent { sequence, reason, frequency, data, facts, .. } = event;
    let (instance_id, id, run_id) = (Id(event.instance_id), Id(event.id), Id(event.run_id));
    let (at, key_id, product) = (Time(event.received_at), Id(facts.key_id), &facts.product);
    let imported = event.is_imported;
    let values =
        params![instance_id, id, at, reason, run_id, sequence, frequency, data, key_id, product, imported];
    statements.insert_event.execute(values)?;
    Ok(Appended::New)
}

/// The hour of a time, as a number.
fn hour(time: &str) -> String {
    format!("{time} / 3600000000")
}

static UPSERT_RUN: LazyLock<String> = LazyLock::new(|| {
    format!(
        "insert into telemetry_run as run ({}) values (?{}) {}",
        run_columns(&FACTS),
        ", ?".repeat(17 + FACTS.len()),
        take_up_run("min", "max", hour, &FACTS)
    )
});

fn write_run(statements: &mut Statements<'_>, run: &RunDelta<'_>) -> rusqlite::Result<usize> {
    let (instance_id, run_id) = (Id(run.instance_id), Id(run.run_id));
    let (first_seen_at, last_seen_at) = (Time(run.first_seen_at), Time(run.last_seen_at));
    let (ended_at, end_sequence) = run.end.map(|(at, sequence)| (Time(at), sequence)).unzip();
    let last_sequence_at = Time(run.last_sequence_at);
    let (frequency_at, frequency) = run.frequency.map(|(at, frequency)| (Time(at), frequency)).unzip();
    let (first_update_at, last_update_at) = (run.first_update_at.map(Time), run.last_update_at.map(Time));
    let (facts_at, forked_at) = (Time(run.facts_at), run.forked_at.map(Time));
    let imported_until = run.imported_until.map(Time);
    let mut values: Vec<&dyn ToSql> = vec![
        &instance_id,
        &run_id,
        &first_seen_at,
        &last_seen_at,
        &run.begun,
        &ended_at,
        &end_sequence,
        &run.last_sequence,
        &last_sequence_at,
        &frequency,
        &frequency_at,
        &run.updates,
        &first_update_at,
        &last_update_at,
        &facts_at,
        &run.facts_sequence,
        &forked_at,
        &imported_until,
    ];
    values.extend(fact_values(run.facts));
    statements.upsert_run.execute(&*values)
}

static SELECT_INSTANCE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select first_seen_at, judged_at, state_rank, run_id, frequency, {}, {}
         from telemetry_instance where instance_id = ?1",
        began_beside("instance_id = ?1", "?2"),
        FACTS.join(", ")
    )
});

/// Changes nothing that an index holds.
const SEE_INSTANCE: &str = "
    update telemetry_instance set last_seen_at = max(last_seen_at, ?2), revision = revision + 1
    where instance_id = ?1";

/// Makes the instance due from `?4` on.
const UPDATE_INSTANCE: &str = "
    update telemetry_instance set last_seen_at = max(last_seen_at, ?2), first_seen_at = min(first_seen_at, ?3),
        check_at = min(check_at, ?4), revision = revision + 1
    where instance_id = ?1";

/// Adds events to their instance. Updates that say the same as the last judgement, and do not show for the first time
/// that two runs live beside each other, write nothing but the time at which the instance was last seen; all other
/// events make the instance due.
fn write_instance(statements: &mut Statements<'_>, delta: &InstanceDelta<'_>) -> rusqlite::Result<usize> {
    let known = statements.select_instance.query_row([Id(delta.instance_id), Id(delta.run_id)], |row| {
        let judged_frequency: i32 = row.get(4)?;
        let is_as_judged = optional_time(row, 1)?.is_some()
            && row.get::<_, State>(2)? == State::Up
            && id(row, 3)? == delta.run_id
            && delta.frequency.is_none_or(|frequency| frequency == judged_frequency)
            && !row.get::<_, bool>(5)?
            && facts(row, 6)? == *delta.facts;
        Ok((time(row, 0)?, is_as_judged))
    });
    let Some((first_seen_at, is_as_judged)) = known.optional()? else {
        return insert_instance(statements, delta);
    };
    let is_due = delta.needs_judgement || !is_as_judged;
    let (instance_id, last_seen_at) = (Id(delta.instance_id), Time(delta.last_seen_at));
    if !is_due && delta.first_seen_at >= first_seen_at {
        return statements.see_instance.execute(params![instance_id, last_seen_at]);
    }
    let due_at = if is_due { delta.first_seen_at } else { Timestamp::MAX };
    statements.update_instance.execute(params![
        instance_id,
        last_seen_at,
        Time(delta.first_seen_at),
        Time(due_at)
    ])
}

static INSERT_INSTANCE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "insert into telemetry_instance (instance_id, first_seen_at, last_seen_at, run_id, state_rank, state_since,
             check_at, frequency, searched, release, release_key, owner_id, license, {})
         values (?1, ?2, ?3, ?4, {}, ?2, ?2, ?5, ?6, ?7, ?8, ?9, ?10{})",
        FACTS.join(", "),
        State::Up.rank(),
        ", ?".repeat(FACTS.len())
    )
});

fn insert_instance(statements: &mut Statements<'_>, delta: &InstanceDelta<'_>) -> rusqlite::Result<usize> {
    let (instance_id, run_id) = (Id(delta.instance_id), Id(delta.run_id));
    let (first_seen_at, last_seen_at) = (Time(delta.first_seen_at), Time(delta.last_seen_at));
    let (frequency, searched) = (delta.frequency.unwrap_or_default(), searched(delta.facts));
    let release = Release::of(&delta.facts.build_version);
    let license = delta.facts.license().rank();
    let mut values: Vec<&dyn ToSql> = vec![
        &instance_id,
        &first_seen_at,
        &last_seen_at,
        &run_id,
        &frequency,
        &searched,
        &release.name,
        &release.key,
        delta.facts.key_id.as_bytes(),
        &license,
    ];
    values.extend(fact_values(delta.facts));
    statements.insert_instance.execute(&*values)
}
