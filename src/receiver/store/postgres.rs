//! A fleet in PostgreSQL.

use std::collections::{HashMap, HashSet};
use std::ops::Deref;
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{Client, ClientWrapper, Config as PoolConfig, Object};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};
use uuid::Uuid;

use super::fold::{InstanceDelta, RunDelta, fingerprint, fold};
use super::*;
use crate::postgres::Database;
use crate::state::StateError;

/// Transactions that write events at a time; the judge has a connection beside them.
const WRITERS: usize = 3;

/// Connections for whoever looks, so that a long look keeps no event waiting.
const READERS: usize = 4;

/// What is written is always found by its key. To plan anew for each batch, as PostgreSQL does for small ones, costs more
/// than writing it; and a plan made while a table is empty would read all of it later.
const SETUP_OF_WRITERS: &str =
    "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set jit = off";

/// `DTEL` in ASCII: under this advisory lock the schema is made and partitions are kept.
const SCHEMA_LOCK: i64 = 0x4454_454c;

/// `ALRT` in ASCII: whoever takes a digest is alone for that moment.
const ALERT_LOCK: i64 = 0x414c_5254;

/// The schema, version by version. What is here never changes; a change is a further one.
const MIGRATIONS: [&str; 1] = [include_str!("schema/postgres.sql")];

/// Partitions are there for so many days ahead.
const DAYS_AHEAD: i64 = 7;

/// How long an outage is remembered; a frequency may be a month.
const OUTAGES_REMEMBERED: SignedDuration = SignedDuration::from_hours(60 * 24);

/// Deletes are done in such pieces, so that none holds locks for long.
const PIECE: i64 = 5_000;

/// Keeps a fleet in PostgreSQL 13 or later, in tables named `telemetry_*` of the first schema in the `search_path`.
/// Any number of receivers may share one database.
pub struct PostgresFleetStore {
    writers: Database,
    readers: Database,
}

impl PostgresFleetStore {
    /// The database at `url`: a URL or a connection string as libpq takes it, `sslmode`, `sslrootcert`, several hosts
    /// and `target_session_attrs` included.
    ///
    /// # Errors
    /// What is wrong with `url`. Nothing is connected yet.
    pub fn from_url(url: impl Into<String>) -> Result<Self, StateError> {
        let mut config = PoolConfig::new();
        config.url = Some(url.into());
        Self::from_config(config)
    }

    /// The database of a pool configuration. The sizes and time limits of its pool are not taken over.
    ///
    /// # Errors
    /// What is wrong with `config`. Nothing is connected yet.
    pub fn from_config(mut config: PoolConfig) -> Result<Self, StateError> {
        config.application_name.get_or_insert_with(|| "deployment-telemetry-receiver".to_owned());
        let writers = Database::new(config.clone(), WRITERS + 1)?.with_setup(SETUP_OF_WRITERS);
        Ok(Self { writers, readers: Database::new(config, READERS)? })
    }

    async fn connect(&self) -> Result<Connection, StoreError> {
        connect(&self.readers).await
    }
}

async fn connect(database: &Database) -> Result<Connection, StoreError> {
    let unavailable = |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("PostgreSQL: {error}"));
    let pool = database.pool().await.map_err(|error| unavailable(&error))?;
    let client = pool.get().await.map_err(|error| unavailable(&StateError::new(error)))?;
    Ok(Connection(Some(client)))
}

/// A connection that goes back to its pool only when all that was begun on it was ended. A call that failed or was
/// abandoned may have left a transaction open: its connection is closed.
struct Connection(Option<Client>);

impl Connection {
    fn give_back(mut self) {
        self.0.take();
    }

    async fn prepared(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        self.prepare_cached(sql).await
    }

    /// One statement that is a transaction of its own.
    async fn rows(self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
        let statement = self.prepared(sql).await.map_err(failed)?;
        let rows = self.query(&statement, parameters).await.map_err(failed)?;
        self.give_back();
        Ok(rows)
    }

    /// Says how many rows it touched.
    async fn run(self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64, StoreError> {
        let statement = self.prepared(sql).await.map_err(failed)?;
        let count = self.execute(&statement, parameters).await.map_err(failed)?;
        self.give_back();
        Ok(count)
    }
}

impl Deref for Connection {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        self.0.as_ref().expect("it is taken only when this value goes")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        drop(self.0.take().map(Object::take));
    }
}

/// What PostgreSQL says of the values or of the schema will not change; all else may.
fn failed(error: tokio_postgres::Error) -> StoreError {
    let refused = error.code().is_some_and(|code| {
        let is_missing_partition = *code == SqlState::CHECK_VIOLATION;
        matches!(&code.code()[..2], "22" | "23" | "42") && !is_missing_partition
    });
    let message = format!("PostgreSQL: {}", StateError::new(error));
    if refused { StoreError::Refused(message) } else { StoreError::Unavailable(message) }
}

#[async_trait]
impl FleetStore for PostgresFleetStore {
    fn kind(&self) -> &'static str {
        "PostgreSQL"
    }

    fn writers(&self) -> usize {
        WRITERS
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let connection = self.connect().await?;
        connection.batch_execute("begin").await.map_err(failed)?;
        lock_schema(&connection).await?;
        connection
            .batch_execute("create table if not exists telemetry_schema (version integer not null)")
            .await
            .map_err(failed)?;
        let rows =
            connection.query("select max(version) from telemetry_schema", &[]).await.map_err(failed)?;
        let version = rows[0].get::<_, Option<i32>>(0).unwrap_or(0);
        let version = usize::try_from(version).unwrap_or_default();
        if version > MIGRATIONS.len() {
            return Err(StoreError::Refused(format!(
                "the database has the tables of a later version of this program ({version}, known is {}); update it",
                MIGRATIONS.len()
            )));
        }
        for (number, migration) in MIGRATIONS.iter().enumerate().skip(version) {
            connection.batch_execute(migration).await.map_err(failed)?;
            let version = i32::try_from(number + 1).unwrap_or(i32::MAX);
            connection
                .execute("insert into telemetry_schema values ($1)", &[&version])
                .await
                .map_err(failed)?;
        }
        connection.batch_execute("commit").await.map_err(failed)?;
        connection.give_back();
        Ok(())
    }

    async fn tidy(&self, now: Timestamp, retention: Duration) -> Result<(), StoreError> {
        let today = day_of(now);
        let oldest = before(now, retention);
        self.keep_partitions(today, day_of(oldest)).await?;
        for sql in [
            "delete from telemetry_run where (instance_id, run_id) in (
                select instance_id, run_id from telemetry_run run where last_seen_at < $1 and exists (
                    select from telemetry_instance instance where instance.instance_id = run.instance_id
                    and (instance.run_id <> run.run_id or instance.last_seen_at < $1)) limit $2)",
            "delete from telemetry_transition where (instance_id, at, change, \"to\") in (
                select instance_id, at, change, \"to\" from telemetry_transition where at < $1 limit $2)",
            "delete from telemetry_alert where (instance_id, id) in (
                select instance_id, id from telemetry_alert where delivered_at < $1 limit $2)",
            "delete from telemetry_instance where instance_id in (
                select instance_id from telemetry_instance instance where last_seen_at < $1 and not exists (
                    select from telemetry_run run
                    where run.instance_id = instance.instance_id and run.last_seen_at >= $1) limit $2)",
        ] {
            while self.connect().await?.run(sql, &[&oldest, &PIECE]).await? == PIECE.unsigned_abs() {}
        }
        Ok(())
    }

    async fn append(&self, events: &[NewEvent]) -> Result<Vec<bool>, StoreError> {
        let connection = connect(&self.writers).await?;
        let new = append(&connection, events).await.map_err(failed)?;
        connection.give_back();
        Ok(new)
    }

    async fn judge(&self, now: Timestamp, limit: i64, decide: Decide<'_>) -> Result<usize, StoreError> {
        let connection = connect(&self.writers).await?;
        let judged = judge(&connection, now, limit, decide).await.map_err(failed)?;
        connection.give_back();
        Ok(judged)
    }

    async fn mark(&self, now: Timestamp, outage_after: Duration) -> Result<Vec<Outage>, StoreError> {
        let connection = connect(&self.writers).await?;
        let outages = mark(&connection, now, outage_after).await.map_err(failed)?;
        connection.give_back();
        Ok(outages)
    }

    async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        let sql = "select id, name, hash, token_hash, secrets, rate, created_at, last_used_at, revoked_at
                   from telemetry_key order by created_at, id";
        let rows = self.connect().await?.rows(sql, &[]).await?;
        rows.iter().map(key_of).collect()
    }

    async fn add_key(&self, key: &StoredKey) -> Result<bool, StoreError> {
        let sql = "insert into telemetry_key (id, name, hash, token_hash, secrets, rate, created_at)
                   values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing";
        let secrets = exposed(&key.secrets);
        let (hash, token_hash) = (&key.hash[..], key.token_hash.as_ref().map(|hash| &hash[..]));
        let parameters: [&(dyn ToSql + Sync); 7] =
            [&key.id, &key.name, &hash, &token_hash, &secrets, &key.rate, &key.created_at];
        Ok(self.connect().await?.run(sql, &parameters).await? == 1)
    }

    async fn revoke_key(&self, id: Uuid, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "update telemetry_key set revoked_at = $2 where id = $1 and revoked_at is null";
        Ok(self.connect().await?.run(sql, &[&id, &now]).await? == 1)
    }

    async fn set_key_secrets(&self, id: Uuid, secrets: &[SecretString]) -> Result<bool, StoreError> {
        let sql = "update telemetry_key set secrets = $2 where id = $1 and revoked_at is null";
        Ok(self.connect().await?.run(sql, &[&id, &exposed(secrets)]).await? == 1)
    }

    async fn touch_keys(&self, used: &[(Uuid, Timestamp)]) -> Result<(), StoreError> {
        let sql = "update telemetry_key key set last_used_at = greatest(key.last_used_at, used.at)
                   from unnest($1::uuid[], $2::timestamptz[]) as used (id, at) where key.id = used.id";
        let (ids, times): (Vec<Uuid>, Vec<Timestamp>) = used.iter().copied().unzip();
        self.connect().await?.run(sql, &[&ids, &times]).await?;
        Ok(())
    }

    async fn take_digest(
        &self,
        now: Timestamp,
        next_try: &(dyn Fn(i32) -> Timestamp + Send + Sync),
        limit: i64,
    ) -> Result<Option<Digest>, StoreError> {
        let connection = self.connect().await?;
        let digest = take_digest(&connection, now, next_try, limit).await.map_err(failed)?;
        connection.give_back();
        Ok(digest)
    }

    async fn digest_delivered(&self, id: Uuid, now: Timestamp) -> Result<(), StoreError> {
        let sql =
            "update telemetry_alert set delivered_at = $2 where digest_id = $1 and delivered_at is null";
        self.connect().await?.run(sql, &[&id, &now]).await?;
        Ok(())
    }

    async fn waiting_alerts(&self) -> Result<i64, StoreError> {
        let sql = "select count(*) from telemetry_alert where delivered_at is null";
        Ok(self.connect().await?.rows(sql, &[]).await?[0].get(0))
    }

    async fn summary(&self, now: Timestamp) -> Result<Vec<Group>, StoreError> {
        let sql = "select state_rank, license_valid, crashed, several_runs, restarting,
                       first_seen_at > $1 as is_new, build_version, count(*)
                   from telemetry_instance group by 1, 2, 3, 4, 5, 6, 7";
        let yesterday = before(now, Duration::from_secs(86_400));
        let rows = self.connect().await?.rows(sql, &[&yesterday]).await?;
        rows.iter()
            .map(|row| {
                Ok(Group {
                    state: state_of(row.get(0))?,
                    license_valid: row.get(1),
                    flags: Flags { crashed: row.get(2), several_runs: row.get(3), restarting: row.get(4) },
                    is_new: row.get(5),
                    build_version: row.get(6),
                    count: row.get(7),
                })
            })
            .collect()
    }

    async fn instances(
        &self,
        filter: &InstanceFilter,
        after: Option<InstanceCursor>,
        limit: i64,
    ) -> Result<Vec<Instance>, StoreError> {
        let mut query = Query::new(format!("select {INSTANCE} from telemetry_instance where true"));
        let (rank, search) = (filter.state.map(State::rank), filter.search.as_deref().map(escaped));
        let contained = search.as_ref().map(|text| format!("%{text}%"));
        let begun = search.as_ref().map(|text| format!("{text}%"));
        query.narrow("state_rank = ", rank.as_ref());
        query.narrow("license_valid = ", filter.license_valid.as_ref());
        query.narrow("build_version = ", filter.build_version.as_ref());
        query.narrow("crashed = ", filter.crashed.as_ref());
        query.narrow("several_runs = ", filter.several_runs.as_ref());
        query.narrow("restarting = ", filter.restarting.as_ref());
        query.narrow("first_seen_at > ", filter.first_seen_after.as_ref());
        if let (Some(contained), Some(begun)) = (&contained, &begun) {
            let (contained, begun) = (query.parameter(contained), query.parameter(begun));
            query.add(&format!(" and (custom_id ilike {contained} or instance_id::text ilike {begun})"));
        }
        let rank_after = after.map(|after| after.state.rank());
        if let (Some(after), Some(rank_after)) = (&after, &rank_after) {
            let (rank, since, id) = (
                query.parameter(rank_after),
                query.parameter(&after.state_since),
                query.parameter(&after.instance_id),
            );
            query.add(&format!(
                " and state_rank >= {rank} and (state_rank > {rank} or state_since < {since}
                  or (state_since = {since} and instance_id > {id}))"
            ));
        }
        let limit = query.parameter(&limit);
        query.add(&format!(" order by state_rank, state_since desc, instance_id limit {limit}"));
        query.instances(self.connect().await?).await
    }

    async fn instance(&self, id: Uuid) -> Result<Option<Instance>, StoreError> {
        let sql = format!("select {INSTANCE} from telemetry_instance where instance_id = $1");
        let rows = self.connect().await?.rows(&sql, &[&id]).await?;
        rows.first().map(instance_of).transpose()
    }

    async fn runs(&self, instance_id: Uuid, limit: i64) -> Result<Vec<Run>, StoreError> {
        let sql = format!(
            "select {RUN} from telemetry_run where instance_id = $1 order by last_seen_at desc, run_id limit $2"
        );
        let rows = self.connect().await?.rows(&sql, &[&instance_id, &limit]).await?;
        Ok(rows.iter().map(run_of).collect())
    }

    async fn transitions(&self, instance_id: Uuid, limit: i64) -> Result<Vec<Transition>, StoreError> {
        let sql = "select at, change, \"from\", \"to\" from telemetry_transition
                   where instance_id = $1 order by at desc, change, \"to\" limit $2";
        let rows = self.connect().await?.rows(sql, &[&instance_id, &limit]).await?;
        rows.iter().map(|row| transition_of(row, 0)).collect()
    }

    async fn events(
        &self,
        filter: &EventFilter,
        after: Option<EventCursor>,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut query = Query::new(format!("select {EVENT} from telemetry_event where true"));
        // An event's day is off by one at the most, and names the partitions to look at.
        let first_day = filter.from.map(|from| day_of(from).saturating_sub(DAY));
        let until = filter.to.into_iter().chain(after.map(|after| after.received_at)).min();
        let last_day = until.map(|until| day_of(until).saturating_add(DAY));
        query.narrow("day >= ", first_day.as_ref());
        query.narrow("day <= ", last_day.as_ref());
        query.narrow("instance_id = ", filter.instance_id.as_ref());
        query.narrow("reason = ", filter.reason.as_ref());
        query.narrow("ts >= ", filter.from.as_ref());
        query.narrow("ts < ", filter.to.as_ref());
        if let Some(after) = &after {
            let (at, instance, id) = (
                query.parameter(&after.received_at),
                query.parameter(&after.instance_id),
                query.parameter(&after.id),
            );
            query.add(&format!(" and ts <= {at} and (ts, instance_id, id) < ({at}, {instance}, {id})"));
        }
        let limit = query.parameter(&limit);
        query.add(&format!(" order by ts desc, instance_id desc, id desc limit {limit}"));
        let rows = self.connect().await?.rows(&query.sql, &query.parameters).await?;
        Ok(rows.iter().map(event_of).collect())
    }

    async fn event(&self, instance_id: Uuid, id: Uuid) -> Result<Option<StoredEvent>, StoreError> {
        let sql = format!("select {EVENT} from telemetry_event where instance_id = $1 and id = $2");
        let rows = self.connect().await?.rows(&sql, &[&instance_id, &id]).await?;
        Ok(rows.first().map(event_of))
    }

    async fn delete_event(&self, instance_id: Uuid, id: Uuid) -> Result<bool, StoreError> {
        let sql = "delete from telemetry_event where instance_id = $1 and id = $2";
        Ok(self.connect().await?.run(sql, &[&instance_id, &id]).await? > 0)
    }
}

impl PostgresFleetStore {
    /// Makes the partitions from yesterday on that are missing and drops those before `oldest`. Most of the time there
    /// is nothing to do, and then no lock is taken.
    async fn keep_partitions(&self, today: Date, oldest: Date) -> Result<(), StoreError> {
        let sql = "select child.relname from pg_inherits
                   join pg_class child on child.oid = inhrelid
                   where inhparent = 'telemetry_event'::regclass";
        let rows = self.connect().await?.rows(sql, &[]).await?;
        let present: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let wanted: Vec<Date> = (-1..=DAYS_AHEAD)
            .filter_map(|days| today.checked_add(SignedDuration::from_hours(24 * days)).ok())
            .collect();
        let missing = wanted.iter().filter(|day| !present.contains(&partition(**day)));
        let outdated = present
            .iter()
            .filter(|name| day_of_partition(name).is_some_and(|day| day < oldest && !wanted.contains(&day)));
        let statements: Vec<String> = missing
            .map(|day| {
                format!(
                    "create table if not exists {} partition of telemetry_event for values from ('{day}') to ('{}')",
                    partition(*day),
                    day.saturating_add(DAY)
                )
            })
            .chain(outdated.map(|name| format!("drop table if exists {name}")))
            .collect();
        for statement in statements {
            let connection = self.connect().await?;
            connection.batch_execute("begin; set local lock_timeout = '3s'").await.map_err(failed)?;
            lock_schema(&connection).await?;
            connection.batch_execute(&statement).await.map_err(failed)?;
            connection.batch_execute("commit").await.map_err(failed)?;
            connection.give_back();
        }
        Ok(())
    }
}

async fn lock_schema(connection: &Connection) -> Result<(), StoreError> {
    let sql = format!("select pg_advisory_xact_lock({SCHEMA_LOCK})");
    connection.batch_execute(&sql).await.map_err(failed)
}

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn day_of(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

fn before(now: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| now.checked_sub(by).ok()).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn partition(day: Date) -> String {
    format!("telemetry_event_{:04}_{:02}_{:02}", day.year(), day.month(), day.day())
}

fn day_of_partition(name: &str) -> Option<Date> {
    name.strip_prefix("telemetry_event_")?.replace('_', "-").parse().ok()
}

/// Repetitions are found by the primary key where they fall on one day. On another day they are looked for, but only
/// for events that are not known to be new by their number: that would be a look into every partition. (Not a join: a
/// plan made while the tables are small would read all runs later.)
const INSERT_EVENTS: &str = "\
insert into telemetry_event (instance_id, id, day, ts, reason, run_id, sequence, frequency, data)
select event.instance_id, event.id, event.day, event.ts, event.reason, event.run_id, event.sequence, event.frequency,
    event.data::json
from unnest($1::uuid[], $2::uuid[], $3::date[], $4::timestamptz[], $5::text[], $6::uuid[], $7::bigint[], $8::boolean[],
        $9::integer[], $10::text[])
    as event (instance_id, id, day, ts, reason, run_id, sequence, is_numbered, frequency, data)
where (event.is_numbered and event.sequence > coalesce((
        select run.last_sequence from telemetry_run run
        where run.instance_id = event.instance_id and run.run_id = event.run_id), -1))
    or not exists (
        select from telemetry_event seen where seen.instance_id = event.instance_id and seen.id = event.id)
order by event.instance_id, event.id
on conflict do nothing
returning instance_id, id";

/// The columns of [`Facts`], in the order of [`FactColumns`].
const FACTS: [&str; 9] = [
    "build_version",
    "build_commit",
    "build_time",
    "build_mode",
    "build_os",
    "build_arch",
    "license_key_hash",
    "license_valid",
    "custom_id",
];

static UPSERT_RUNS: LazyLock<String> = LazyLock::new(|| {
    let latest = |column: &&str| {
        format!(
            "{column} = case when excluded.last_sequence > run.last_sequence then excluded.{column} else run.{column} end"
        )
    };
    let facts = FACTS.join(", ");
    let latest_facts: Vec<String> = FACTS.iter().chain(&["facts_at", "fingerprint"]).map(latest).collect();
    format!(
        "insert into telemetry_run as run (instance_id, run_id, first_seen_at, last_seen_at, begun, ended_at,
             end_sequence, last_sequence, frequency, frequency_sequence, updates, first_update_at, last_update_at,
             facts_at, fingerprint, {facts})
         select * from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::boolean[],
             $6::timestamptz[], $7::bigint[], $8::bigint[], $9::integer[], $10::bigint[], $11::integer[],
             $12::timestamptz[], $13::timestamptz[], $14::timestamptz[], $15::bigint[], $16::text[], $17::text[],
             $18::text[], $19::text[], $20::text[], $21::text[], $22::text[], $23::boolean[], $24::text[])
         on conflict (instance_id, run_id) do update set
             first_seen_at = least(run.first_seen_at, excluded.first_seen_at),
             last_seen_at = greatest(run.last_seen_at, excluded.last_seen_at),
             begun = run.begun or excluded.begun,
             ended_at = case when excluded.end_sequence > coalesce(run.end_sequence, -1)
                 then excluded.ended_at else run.ended_at end,
             end_sequence = greatest(run.end_sequence, excluded.end_sequence),
             last_sequence = greatest(run.last_sequence, excluded.last_sequence),
             frequency = case when excluded.frequency_sequence > coalesce(run.frequency_sequence, -1)
                 then excluded.frequency else run.frequency end,
             frequency_sequence = greatest(run.frequency_sequence, excluded.frequency_sequence),
             updates = run.updates + excluded.updates,
             first_update_at = least(run.first_update_at, excluded.first_update_at),
             last_update_at = greatest(run.last_update_at, excluded.last_update_at),
             {}",
        latest_facts.join(", ")
    )
});

/// An update of an instance that is up changes nothing but the time of its last sight, so that no index is touched. All
/// else makes the instance due.
static UPSERT_INSTANCES: LazyLock<String> = LazyLock::new(|| {
    let facts = FACTS.join(", ");
    let of = |row: &str| FACTS.map(|column| format!("{row}.{column}")).join(", ");
    format!(
        "insert into telemetry_instance as instance (instance_id, first_seen_at, last_seen_at, has_news, run_id,
             frequency, state_rank, state_since, check_at, {facts})
         select id, first_seen_at, last_seen_at, has_news, run_id, coalesce(frequency, 0), {}, first_seen_at,
             first_seen_at, {facts}
         from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::boolean[], $5::uuid[], $6::integer[],
             $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::boolean[],
             $15::text[])
             as delta (id, first_seen_at, last_seen_at, has_news, run_id, frequency, {facts})
         on conflict (instance_id) do update set
             first_seen_at = least(instance.first_seen_at, excluded.first_seen_at),
             last_seen_at = greatest(instance.last_seen_at, excluded.last_seen_at),
             has_news = excluded.has_news,
             check_at = case
                 when excluded.has_news or instance.state_rank <> {} or instance.run_id <> excluded.run_id
                     or excluded.frequency not in (0, instance.frequency)
                     or ({}) is distinct from ({})
                 then least(instance.check_at, excluded.last_seen_at)
                 else instance.check_at
             end",
        State::Up.rank(),
        State::Up.rank(),
        of("instance"),
        of("excluded"),
    )
});

/// [`Facts`] of many rows, a list for each column.
#[derive(Default)]
struct FactColumns<'a> {
    texts: [Vec<&'a str>; 6],
    license_key_hash: Vec<Option<&'a str>>,
    license_valid: Vec<bool>,
    custom_id: Vec<Option<&'a str>>,
}

impl<'a> FactColumns<'a> {
    fn of(facts: impl Iterator<Item = &'a Facts>) -> Self {
        let mut columns = Self::default();
        for facts in facts {
            let texts = [
                &facts.build_version,
                &facts.build_commit,
                &facts.build_time,
                &facts.build_mode,
                &facts.build_os,
                &facts.build_arch,
            ];
            columns.texts.iter_mut().zip(texts).for_each(|(column, text)| column.push(text));
            columns.license_key_hash.push(facts.license_key_hash.as_deref());
            columns.license_valid.push(facts.license_valid);
            columns.custom_id.push(facts.custom_id.as_deref());
        }
        columns
    }

    fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
        let mut parameters: Vec<&(dyn ToSql + Sync)> = self.texts.iter().map(|text| text as _).collect();
        parameters.extend([
            &self.license_key_hash as &(dyn ToSql + Sync),
            &self.license_valid,
            &self.custom_id,
        ]);
        parameters
    }
}

/// A list of one field of many rows.
fn column<'a, R, T>(rows: &'a [R], field: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(field).collect()
}

/// Most events are updates that say nothing new: [`append_updates`] takes these, and what is not one is left to
/// [`append_news`].
async fn append(connection: &Connection, events: &[NewEvent]) -> Result<Vec<bool>, tokio_postgres::Error> {
    let mut answers = append_updates(connection, events).await?;
    let (places, left): (Vec<usize>, Vec<&NewEvent>) =
        events.iter().enumerate().filter(|(place, _)| !answers[*place]).unzip();
    if !left.is_empty() {
        let news = append_news(connection, &left).await?;
        places.into_iter().zip(news).for_each(|(place, is_new)| answers[place] = is_new);
    }
    Ok(answers)
}

/// An update of a steady run whose last event said the same of the server: it changes the run's last sight and nothing
/// else. That its number is higher than the run's last shows that it was not seen before, and the lock on the run's row
/// keeps it so; the primary key needs no second look. The same lock makes it wait for a judgement of the instance, and
/// look again whether the run is still steady. What does not fit is not touched.
const INSERT_UPDATES: &str = "\
with moved as (
    update telemetry_run run set
        last_seen_at = greatest(run.last_seen_at, event.ts),
        last_sequence = event.sequence,
        frequency_sequence = case when event.frequency is null then run.frequency_sequence else event.sequence end,
        updates = run.updates + 1,
        last_update_at = greatest(run.last_update_at, event.ts),
        first_update_at = least(run.first_update_at, event.ts),
        facts_at = event.ts
    from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::date[], $5::timestamptz[], $6::uuid[], $7::bigint[],
            $8::integer[], $9::text[])
        as event (instance_id, id, fingerprint, day, ts, run_id, sequence, frequency, data)
    where run.instance_id = event.instance_id and run.run_id = event.run_id and run.is_steady
        and run.fingerprint = event.fingerprint and run.last_sequence < event.sequence
        and run.first_seen_at <= event.ts
        and run.frequency is not distinct from event.frequency
    returning event.*
)
insert into telemetry_event (instance_id, id, day, ts, reason, run_id, sequence, frequency, data)
select instance_id, id, day, ts, 'update', run_id, sequence, frequency, data::json from moved
returning instance_id, id";

/// One statement and one round trip. Answers for each event whether it was one and is stored now.
async fn append_updates(
    connection: &Connection,
    events: &[NewEvent],
) -> Result<Vec<bool>, tokio_postgres::Error> {
    let of_run = |event: &NewEvent| (event.instance_id, event.run_id);
    // In the order in which rows are locked; of several of one run the statement would take any.
    let mut by_run: Vec<&NewEvent> = events.iter().collect();
    by_run.sort_unstable_by_key(|event| of_run(event));
    let updates: Vec<&NewEvent> = by_run
        .chunk_by(|one, next| of_run(one) == of_run(next))
        .filter_map(|of_run| match of_run {
            [event] if event.is_numbered && event.reason == "update" => Some(*event),
            _ => None,
        })
        .collect();
    if updates.is_empty() {
        return Ok(vec![false; events.len()]);
    }
    let statement = connection.prepared(INSERT_UPDATES).await?;
    let instance_ids = column(&updates, |event| event.instance_id);
    let ids = column(&updates, |event| event.id);
    let fingerprints = column(&updates, |event| fingerprint(&event.facts));
    let days = column(&updates, |event| event.day);
    let times = column(&updates, |event| event.received_at);
    let run_ids = column(&updates, |event| event.run_id);
    let sequences = column(&updates, |event| event.sequence);
    let frequencies = column(&updates, |event| event.frequency);
    let data = column(&updates, |event| event.data.as_str());
    let parameters: [&(dyn ToSql + Sync); 9] =
        [&instance_ids, &ids, &fingerprints, &days, &times, &run_ids, &sequences, &frequencies, &data];
    let mut stored: Vec<(Uuid, Uuid)> =
        connection.query(&statement, &parameters).await?.iter().map(|row| (row.get(0), row.get(1))).collect();
    stored.sort_unstable();
    Ok(events.iter().map(|event| stored.binary_search(&(event.instance_id, event.id)).is_ok()).collect())
}

/// Three statements in one transaction and two round trips: what is new, then what it comes to. Rows are locked in the
/// order of events, instances, runs and within each by id, so that receivers never wait for each other in a circle.
async fn append_news(
    connection: &Connection,
    events: &[&NewEvent],
) -> Result<Vec<bool>, tokio_postgres::Error> {
    let statement = connection.prepared(INSERT_EVENTS).await?;
    let (upsert_runs, upsert_instances) =
        (connection.prepared(&UPSERT_RUNS).await?, connection.prepared(&UPSERT_INSTANCES).await?);
    let inserted: Vec<Row> = {
        let instance_ids = column(events, |event| event.instance_id);
        let ids = column(events, |event| event.id);
        let days = column(events, |event| event.day);
        let times = column(events, |event| event.received_at);
        let reasons = column(events, |event| event.reason.as_str());
        let run_ids = column(events, |event| event.run_id);
        let sequences = column(events, |event| event.sequence);
        let numbered = column(events, |event| event.is_numbered);
        let frequencies = column(events, |event| event.frequency);
        let data = column(events, |event| event.data.as_str());
        let parameters: [&(dyn ToSql + Sync); 10] = [
            &instance_ids,
            &ids,
            &days,
            &times,
            &reasons,
            &run_ids,
            &sequences,
            &numbered,
            &frequencies,
            &data,
        ];
        let (_, rows) =
            tokio::try_join!(connection.batch_execute("begin"), connection.query(&statement, &parameters))?;
        rows
    };

    let mut new: HashSet<(Uuid, Uuid)> = inserted.iter().map(|row| (row.get(0), row.get(1))).collect();
    // Of two that are the same within the batch, the first is the new one.
    let answers: Vec<bool> = events.iter().map(|event| new.remove(&(event.instance_id, event.id))).collect();
    let stored = events.iter().zip(&answers).filter(|(_, is_new)| **is_new).map(|(event, _)| *event);
    let (runs, instances) = fold(stored);
    if runs.is_empty() {
        connection.batch_execute("commit").await?;
        return Ok(answers);
    }
    tokio::try_join!(
        write_instances(connection, &upsert_instances, &instances),
        write_runs(connection, &upsert_runs, &runs),
        connection.batch_execute("commit")
    )?;
    Ok(answers)
}

async fn write_runs(
    connection: &Connection,
    statement: &Statement,
    runs: &[RunDelta<'_>],
) -> Result<u64, tokio_postgres::Error> {
    let instance_ids = column(runs, |run| run.instance_id);
    let run_ids = column(runs, |run| run.run_id);
    let first_seen = column(runs, |run| run.first_seen_at);
    let last_seen = column(runs, |run| run.last_seen_at);
    let begun = column(runs, |run| run.begun);
    let ended_at = column(runs, |run| run.end.map(|(_, at)| at));
    let end_sequence = column(runs, |run| run.end.map(|(sequence, _)| sequence));
    let last_sequence = column(runs, |run| run.last_sequence);
    let frequency = column(runs, |run| run.frequency.map(|(_, frequency)| frequency));
    let frequency_sequence = column(runs, |run| run.frequency.map(|(sequence, _)| sequence));
    let updates = column(runs, |run| run.updates);
    let first_update = column(runs, |run| run.first_update_at);
    let last_update = column(runs, |run| run.last_update_at);
    let facts_at = column(runs, |run| run.facts_at);
    let fingerprints = column(runs, |run| fingerprint(run.facts));
    let facts = FactColumns::of(runs.iter().map(|run| run.facts));
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![
        &instance_ids,
        &run_ids,
        &first_seen,
        &last_seen,
        &begun,
        &ended_at,
        &end_sequence,
        &last_sequence,
        &frequency,
        &frequency_sequence,
        &updates,
        &first_update,
        &last_update,
        &facts_at,
        &fingerprints,
    ];
    parameters.extend(facts.parameters());
    connection.execute(statement, &parameters).await
}

async fn write_instances(
    connection: &Connection,
    statement: &Statement,
    instances: &[InstanceDelta<'_>],
) -> Result<u64, tokio_postgres::Error> {
    let ids = column(instances, |instance| instance.instance_id);
    let first_seen = column(instances, |instance| instance.first_seen_at);
    let last_seen = column(instances, |instance| instance.last_seen_at);
    let has_news = column(instances, |instance| instance.has_news);
    let run_ids = column(instances, |instance| instance.run_id);
    let frequencies = column(instances, |instance| instance.frequency);
    let facts = FactColumns::of(instances.iter().map(|instance| instance.facts));
    let mut parameters: Vec<&(dyn ToSql + Sync)> =
        vec![&ids, &first_seen, &last_seen, &has_news, &run_ids, &frequencies];
    parameters.extend(facts.parameters());
    connection.execute(statement, &parameters).await
}

/// Who is judged by another receiver at this moment is passed over, and so is who just sends something: it will be due
/// again. A steady run is locked from before it is read until it is written whether it still is: an update of it comes
/// either before, and is judged by, or after.
async fn judge(
    connection: &Connection,
    now: Timestamp,
    limit: i64,
    decide: Decide<'_>,
) -> Result<usize, tokio_postgres::Error> {
    let due = connection
        .prepared(&format!(
            "select {INSTANCE} from telemetry_instance where check_at <= $1 order by check_at limit $2
             for update skip locked"
        ))
        .await?;
    let parameters: [&(dyn ToSql + Sync); 2] = [&now, &limit];
    let (_, rows) = tokio::try_join!(connection.batch_execute("begin"), connection.query(&due, &parameters))?;
    if rows.is_empty() {
        connection.batch_execute("commit").await?;
        return Ok(0);
    }
    let instances: Vec<Instance> = rows.iter().filter_map(|row| instance_of(row).ok()).collect();
    let ids = column(&instances, |instance| instance.instance_id);
    let lock = "select from telemetry_run where instance_id = any($1) and is_steady
                order by instance_id, run_id for update";
    let lock = connection.prepared(lock).await?;
    let runs = connection
        .prepared(&format!(
            "select run.*, due.id from unnest($1::uuid[]) as due (id) cross join lateral (
                 select {RUN} from telemetry_run where instance_id = due.id
                 order by last_seen_at desc, run_id limit {JUDGED_RUNS}) as run"
        ))
        .await?;
    let mut runs_of: HashMap<Uuid, Vec<Run>> = HashMap::new();
    let parameters: [&(dyn ToSql + Sync); 1] = [&ids];
    let (_, rows_of_runs) =
        tokio::try_join!(connection.execute(&lock, &parameters), connection.query(&runs, &parameters))?;
    for row in rows_of_runs {
        runs_of.entry(row.get("id")).or_default().push(run_of(&row));
    }
    let judgements: Vec<(Uuid, Judgement)> = instances
        .iter()
        .map(|instance| {
            let runs = runs_of.get(&instance.instance_id).map_or(&[][..], Vec::as_slice);
            (instance.instance_id, decide(instance, runs))
        })
        .collect();
    write_judgements(connection, now, &judgements).await?;
    write_steadiness(connection, &judgements).await?;
    write_transitions(connection, &judgements).await?;
    write_alerts(connection, &judgements).await?;
    connection.batch_execute("commit").await?;
    Ok(rows.len())
}

async fn write_judgements(
    connection: &Connection,
    now: Timestamp,
    judgements: &[(Uuid, Judgement)],
) -> Result<u64, tokio_postgres::Error> {
    static UPDATE: LazyLock<String> = LazyLock::new(|| {
        let facts = FACTS.map(|column| format!("{column} = judged.{column}")).join(", ");
        format!(
            "update telemetry_instance instance set judged_at = $1, run_id = judged.run_id,
                 last_seen_at = greatest(instance.last_seen_at, judged.last_seen_at),
                 state_rank = judged.state_rank, state_since = judged.state_since, crashed = judged.crashed,
                 several_runs = judged.several_runs, restarting = judged.restarting, frequency = judged.frequency,
                 check_at = judged.check_at, {facts}
             from unnest($2::uuid[], $3::uuid[], $4::timestamptz[], $5::smallint[], $6::timestamptz[], $7::boolean[],
                 $8::boolean[], $9::boolean[], $10::integer[], $11::timestamptz[], $12::text[], $13::text[],
                 $14::text[], $15::text[], $16::text[], $17::text[], $18::text[], $19::boolean[], $20::text[])
                 as judged (id, run_id, last_seen_at, state_rank, state_since, crashed, several_runs, restarting, frequency, check_at,
                     {})
             where instance.instance_id = judged.id",
            FACTS.join(", ")
        )
    });
    let update = connection.prepared(&UPDATE).await?;
    let ids = column(judgements, |(id, _)| *id);
    let run_ids = column(judgements, |(_, judgement)| judgement.run_id);
    let last_seen = column(judgements, |(_, judgement)| judgement.last_seen_at);
    let ranks = column(judgements, |(_, judgement)| judgement.state.rank());
    let since = column(judgements, |(_, judgement)| judgement.state_since);
    let crashed = column(judgements, |(_, judgement)| judgement.flags.crashed);
    let several_runs = column(judgements, |(_, judgement)| judgement.flags.several_runs);
    let restarting = column(judgements, |(_, judgement)| judgement.flags.restarting);
    let frequencies = column(judgements, |(_, judgement)| judgement.frequency);
    let check_at = column(judgements, |(_, judgement)| judgement.check_at);
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
        &restarting,
        &frequencies,
        &check_at,
    ];
    parameters.extend(facts.parameters());
    connection.execute(&update, &parameters).await
}

async fn write_steadiness(
    connection: &Connection,
    judgements: &[(Uuid, Judgement)],
) -> Result<u64, tokio_postgres::Error> {
    let update = "update telemetry_run run set is_steady = not run.is_steady
                  from unnest($1::uuid[], $2::uuid[], $3::boolean[]) as judged (id, run_id, is_up)
                  where run.instance_id = judged.id
                      and run.is_steady <> (judged.is_up and run.run_id = judged.run_id)";
    let update = connection.prepared(update).await?;
    let ids = column(judgements, |(id, _)| *id);
    let run_ids = column(judgements, |(_, judgement)| judgement.run_id);
    let up = column(judgements, |(_, judgement)| judgement.state == State::Up);
    connection.execute(&update, &[&ids, &run_ids, &up]).await
}

/// Transitions of many instances, a list for each column.
#[derive(Default)]
struct TransitionColumns<'a> {
    instance_ids: Vec<Uuid>,
    times: Vec<Timestamp>,
    changes: Vec<&'static str>,
    from: Vec<Option<&'a str>>,
    to: Vec<&'a str>,
}

impl<'a> TransitionColumns<'a> {
    fn push(&mut self, instance_id: Uuid, transition: &'a Transition) {
        self.instance_ids.push(instance_id);
        self.times.push(transition.at);
        self.changes.push(transition.change.as_str());
        self.from.push(transition.from.as_deref());
        self.to.push(&transition.to);
    }
}

async fn write_transitions(
    connection: &Connection,
    judgements: &[(Uuid, Judgement)],
) -> Result<(), tokio_postgres::Error> {
    let mut columns = TransitionColumns::default();
    for (id, judgement) in judgements {
        judgement.transitions.iter().for_each(|transition| columns.push(*id, transition));
    }
    if columns.to.is_empty() {
        return Ok(());
    }
    let insert = "insert into telemetry_transition (instance_id, at, change, \"from\", \"to\")
                  select * from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[])
                  on conflict do nothing";
    let insert = connection.prepared(insert).await?;
    let TransitionColumns { instance_ids, times, changes, from, to } = &columns;
    connection.execute(&insert, &[instance_ids, times, changes, from, to]).await?;
    Ok(())
}

async fn write_alerts(
    connection: &Connection,
    judgements: &[(Uuid, Judgement)],
) -> Result<(), tokio_postgres::Error> {
    let mut columns = TransitionColumns::default();
    let (mut custom_ids, mut versions) = (Vec::new(), Vec::new());
    for (id, judgement) in judgements {
        for transition in &judgement.alerts {
            columns.push(*id, transition);
            custom_ids.push(judgement.facts.custom_id.as_deref());
            versions.push(judgement.facts.build_version.as_str());
        }
    }
    if columns.to.is_empty() {
        return Ok(());
    }
    let insert = "insert into telemetry_alert (instance_id, id, at, change, \"from\", \"to\", custom_id, build_version)
                  select * from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[],
                      $7::text[], $8::text[])";
    let insert = connection.prepared(insert).await?;
    let ids: Vec<Uuid> = columns.to.iter().map(|_| Uuid::new_v4()).collect();
    let TransitionColumns { instance_ids, times, changes, from, to } = &columns;
    let parameters: [&(dyn ToSql + Sync); 8] =
        [instance_ids, &ids, times, changes, from, to, &custom_ids, &versions];
    connection.execute(&insert, &parameters).await?;
    Ok(())
}

async fn mark(
    connection: &Connection,
    now: Timestamp,
    outage_after: Duration,
) -> Result<Vec<Outage>, tokio_postgres::Error> {
    connection.batch_execute("begin").await?;
    connection.execute("insert into telemetry_mark (at) values ($1) on conflict do nothing", &[&now]).await?;
    let row = connection.query_one("select at from telemetry_mark for update", &[]).await?;
    let last: Timestamp = row.get(0);
    if now.duration_since(last) > SignedDuration::try_from(outage_after).unwrap_or(SignedDuration::MAX) {
        let insert = "insert into telemetry_outage values ($1, $2) on conflict do nothing";
        connection.execute(insert, &[&last, &now]).await?;
    }
    let forgotten = now.saturating_sub(OUTAGES_REMEMBERED).unwrap_or(now);
    connection.execute("delete from telemetry_outage where ended_at < $1", &[&forgotten]).await?;
    connection.execute("update telemetry_mark set at = greatest(at, $1)", &[&now]).await?;
    let outages =
        connection.query("select began_at, ended_at from telemetry_outage order by began_at", &[]).await?;
    connection.batch_execute("commit").await?;
    Ok(outages.iter().map(|row| Outage { began_at: row.get(0), ended_at: row.get(1) }).collect())
}

async fn take_digest(
    connection: &Connection,
    now: Timestamp,
    next_try: &(dyn Fn(i32) -> Timestamp + Send + Sync),
    limit: i64,
) -> Result<Option<Digest>, tokio_postgres::Error> {
    connection.batch_execute(&format!("begin; select pg_advisory_xact_lock({ALERT_LOCK})")).await?;
    let due = "select digest_id, tries from telemetry_alert
               where delivered_at is null and digest_id is not null and next_try_at <= $1
               order by next_try_at, digest_id limit 1";
    let due = connection.query_opt(due, &[&now]).await?;
    let (id, tries) = match due {
        Some(row) => (row.get(0), row.get::<_, i32>(1).saturating_add(1)),
        None => {
            let id = Uuid::new_v4();
            let fresh = "update telemetry_alert set digest_id = $1 where (instance_id, id) in (
                             select instance_id, id from telemetry_alert
                             where delivered_at is null and digest_id is null order by at, id limit $2)";
            if connection.execute(fresh, &[&id, &limit]).await? == 0 {
                connection.batch_execute("commit").await?;
                return Ok(None);
            }
            (id, 1)
        }
    };
    let take = "update telemetry_alert set tries = $2, next_try_at = $3 where digest_id = $1 and delivered_at is null";
    connection.execute(take, &[&id, &tries, &next_try(tries)]).await?;
    let content = "select id, instance_id, custom_id, build_version, at, change, \"from\", \"to\"
                   from telemetry_alert where digest_id = $1 order by at, id";
    let rows = connection.query(content, &[&id]).await?;
    connection.batch_execute("commit").await?;
    let alerts = rows
        .iter()
        .filter_map(|row| {
            Some(Alert {
                id: row.get(0),
                instance_id: row.get(1),
                custom_id: row.get(2),
                build_version: row.get(3),
                transition: transition_of(row, 4).ok()?,
            })
        })
        .collect();
    Ok(Some(Digest { id, tries, alerts }))
}

/// A query that is put together from what is asked for.
struct Query<'a> {
    sql: String,
    parameters: Vec<&'a (dyn ToSql + Sync)>,
}

impl<'a> Query<'a> {
    fn new(sql: String) -> Self {
        Self { sql, parameters: Vec::new() }
    }

    fn add(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    /// The name of a further parameter.
    fn parameter(&mut self, value: &'a (impl ToSql + Sync)) -> String {
        self.parameters.push(value);
        format!("${}", self.parameters.len())
    }

    fn narrow(&mut self, condition: &str, value: Option<&'a (impl ToSql + Sync)>) {
        if let Some(value) = value {
            let parameter = self.parameter(value);
            self.add(&format!(" and {condition}{parameter}"));
        }
    }

    async fn instances(self, connection: Connection) -> Result<Vec<Instance>, StoreError> {
        connection.rows(&self.sql, &self.parameters).await?.iter().map(instance_of).collect()
    }
}

/// A text that `like` takes by the letter.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// Of `telemetry_instance`, which is a part of the query by its own name.
const INSTANCE: &str = "instance_id, first_seen_at, greatest(last_seen_at, (select run.last_seen_at from telemetry_run run
        where run.instance_id = telemetry_instance.instance_id and run.run_id = telemetry_instance.run_id)), state_rank, state_since, crashed, several_runs,
    restarting, frequency, judged_at, build_version, build_commit, build_time, build_mode, build_os, build_arch,
    license_key_hash, license_valid, custom_id";

fn instance_of(row: &Row) -> Result<Instance, StoreError> {
    Ok(Instance {
        instance_id: row.get(0),
        first_seen_at: row.get(1),
        last_seen_at: row.get(2),
        state: state_of(row.get(3))?,
        state_since: row.get(4),
        flags: Flags { crashed: row.get(5), several_runs: row.get(6), restarting: row.get(7) },
        frequency: row.get(8),
        judged_at: row.get(9),
        facts: facts_of(row, 10),
    })
}

const RUN: &str = "run_id, first_seen_at, last_seen_at, begun,
    case when end_sequence >= last_sequence then ended_at end as ended_at, last_sequence, frequency, updates,
    first_update_at, last_update_at, facts_at, build_version, build_commit, build_time, build_mode, build_os, build_arch,
    license_key_hash, license_valid, custom_id";

fn run_of(row: &Row) -> Run {
    Run {
        run_id: row.get(0),
        first_seen_at: row.get(1),
        last_seen_at: row.get(2),
        begun: row.get(3),
        ended_at: row.get(4),
        last_sequence: row.get(5),
        frequency: row.get(6),
        updates: row.get(7),
        first_update_at: row.get(8),
        last_update_at: row.get(9),
        facts_at: row.get(10),
        facts: facts_of(row, 11),
    }
}

/// Facts from the columns that begin with this one.
fn facts_of(row: &Row, first: usize) -> Facts {
    Facts {
        build_version: row.get(first),
        build_commit: row.get(first + 1),
        build_time: row.get(first + 2),
        build_mode: row.get(first + 3),
        build_os: row.get(first + 4),
        build_arch: row.get(first + 5),
        license_key_hash: row.get(first + 6),
        license_valid: row.get(first + 7),
        custom_id: row.get(first + 8),
    }
}

const EVENT: &str = "id, instance_id, run_id, sequence, ts, reason, frequency, data::text";

fn event_of(row: &Row) -> StoredEvent {
    StoredEvent {
        id: row.get(0),
        instance_id: row.get(1),
        run_id: row.get(2),
        sequence: row.get(3),
        received_at: row.get(4),
        reason: row.get(5),
        frequency: row.get(6),
        data: row.get(7),
    }
}

fn transition_of(row: &Row, first: usize) -> Result<Transition, StoreError> {
    Ok(Transition {
        at: row.get(first),
        change: Change::parse(row.get(first + 1)).ok_or_else(|| unknown("change"))?,
        from: row.get(first + 2),
        to: row.get(first + 3),
    })
}

fn state_of(rank: i16) -> Result<State, StoreError> {
    State::of_rank(rank).ok_or_else(|| unknown("state"))
}

fn key_of(row: &Row) -> Result<StoredKey, StoreError> {
    let hash = |bytes: Vec<u8>| <[u8; 32]>::try_from(bytes).map_err(|_| unknown("key"));
    Ok(StoredKey {
        id: row.get(0),
        name: row.get(1),
        hash: hash(row.get(2))?,
        token_hash: row.get::<_, Option<Vec<u8>>>(3).map(hash).transpose()?,
        secrets: row.get::<_, Vec<String>>(4).into_iter().map(SecretString::from).collect(),
        rate: row.get(5),
        created_at: row.get(6),
        last_used_at: row.get(7),
        revoked_at: row.get(8),
    })
}

fn exposed(secrets: &[SecretString]) -> Vec<&str> {
    secrets.iter().map(ExposeSecret::expose_secret).collect()
}

fn unknown(what: &str) -> StoreError {
    StoreError::Refused(format!("PostgreSQL: a {what} that this version does not know"))
}
