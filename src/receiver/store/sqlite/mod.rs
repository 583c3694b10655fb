//! A fleet in an SQLite file, for trying the receiver and for small fleets.

mod connection;
mod digests;
mod forgetting;
mod ingest;
mod judging;
mod query;
mod rows;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};
use secrecy::SecretString;
use uuid::Uuid;

use super::*;
use connection::{Access, SharedConnection};
use query::{Query, select};
use rows::{Id, Secrets, Time};

/// The schema, version by version. What is here never changes; a change is a further one.
const MIGRATIONS: [&str; 1] = [include_str!("../schema/sqlite.sql")];

/// How long an outage is remembered; a frequency may be a month.
const OUTAGES_REMEMBERED: Duration = Duration::from_secs(60 * 86_400);

/// Keeps a fleet in an SQLite file of its own: nothing to install, some thousand events a second, one machine.
///
/// The file, and its folder where that is missing, is made when it is first needed, readable for its owner only. Beside
/// it stand `-wal` and `-shm` while it is open. Other processes of the machine may work with it at the same time; a
/// network file system will not do.
pub struct SqliteFleetStore {
    /// What writes waits for what writes, as SQLite has it anyway.
    writer: SharedConnection,
    /// Who reads waits for nobody who writes, and the other way round.
    reader: SharedConnection,
}

impl SqliteFleetStore {
    /// Nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let file: Arc<std::path::Path> = path.into().into();
        Self {
            writer: SharedConnection::new(file.clone(), Access::Write),
            reader: SharedConnection::new(file, Access::Read),
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.reader.run(work).await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.run(work).await
    }
}

#[async_trait]
impl FleetStore for SqliteFleetStore {
    fn kind(&self) -> &'static str {
        "SQLite"
    }

    /// They wait for each other.
    fn writers(&self) -> usize {
        1
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let version = self
            .write(|transaction| {
                let version: u32 = transaction.query_row("pragma user_version", [], |row| row.get(0))?;
                let version = version as usize;
                for migration in MIGRATIONS.iter().skip(version) {
                    transaction.execute_batch(migration)?;
                }
                if version < MIGRATIONS.len() {
                    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
                }
                Ok(version)
            })
            .await?;
        if version > MIGRATIONS.len() {
            return Err(StoreError::Refused(format!(
                "the file has the tables of a later version of this program ({version}, known is {}); update it",
                MIGRATIONS.len()
            )));
        }
        Ok(())
    }

    async fn make_room(&self, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn tidy(&self, now: Timestamp, retention: Duration) -> Result<(), StoreError> {
        self.forget(now, before(now, retention)).await
    }

    async fn append(&self, events: &[NewEvent]) -> Result<Vec<bool>, StoreError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let events = events.to_vec();
        self.write(move |transaction| ingest::append(transaction, &events)).await
    }

    async fn judge(&self, now: Timestamp, limit: i64, decide: Decide<'_>) -> Result<usize, StoreError> {
        let due = self.read(move |transaction| judging::due(transaction, now, limit)).await?;
        let count = due.len();
        if count > 0 {
            let judged: Vec<_> = due
                .into_iter()
                .map(|due| {
                    let judgement = decide(&due.instance, &due.runs);
                    due.judged(judgement)
                })
                .collect();
            self.write(move |transaction| judging::write(transaction, now, &judged)).await?;
        }
        Ok(count)
    }

    async fn mark(&self, now: Timestamp, outage_after: Duration) -> Result<Vec<Outage>, StoreError> {
        self.write(move |transaction| {
            let last = transaction
                .query_row("select at from telemetry_mark", [], |row| rows::time(row, 0))
                .optional()?
                .unwrap_or(now);
            if last < before(now, outage_after) {
                let sql = "insert into telemetry_outage (began_at, ended_at) values (?1, ?2) on conflict do nothing";
                transaction.execute(sql, params![Time(last), Time(now)])?;
            }
            let sql = "insert into telemetry_mark (only_one, at) values (1, ?1) on conflict do update set at = max(at, ?1)";
            transaction.execute(sql, [Time(now)])?;
            let forgotten = Time(before(now, OUTAGES_REMEMBERED));
            transaction.execute("delete from telemetry_outage where ended_at < ?1", [forgotten])?;
            select(transaction, "select began_at, ended_at from telemetry_outage order by began_at", [], |row| {
                Ok(Outage { began_at: rows::time(row, 0)?, ended_at: rows::time(row, 1)? })
            })
        })
        .await
    }

    async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        self.read(|transaction| {
            let sql = format!("select {} from telemetry_key order by created_at, id", rows::KEY);
            select(transaction, &sql, [], rows::key)
        })
        .await
    }

    async fn add_key(&self, key: &StoredKey) -> Result<bool, StoreError> {
        let key = key.clone();
        self.write(move |transaction| {
            let sql = "insert into telemetry_key (id, name, hash, token_hash, secrets, rate, created_at)
                       values (?1, ?2, ?3, ?4, ?5, ?6, ?7) on conflict do nothing";
            let StoredKey { name, hash, token_hash, rate, .. } = &key;
            let (id, secrets, created_at) = (Id(key.id), Secrets(key.secrets.clone()), Time(key.created_at));
            transaction.execute(sql, params![id, name, hash, token_hash, secrets, rate, created_at])
        })
        .await
        .map(is_one)
    }

    async fn revoke_key(&self, id: Uuid, now: Timestamp) -> Result<bool, StoreError> {
        self.write(move |transaction| {
            let sql = "update telemetry_key set revoked_at = ?2 where id = ?1 and revoked_at is null";
            transaction.execute(sql, params![Id(id), Time(now)])
        })
        .await
        .map(is_one)
    }

    async fn set_key_secrets(
        &self,
        id: Uuid,
        before: &[SecretString],
        secrets: &[SecretString],
    ) -> Result<bool, StoreError> {
        let (before, secrets) = (Secrets(before.to_vec()), Secrets(secrets.to_vec()));
        self.write(move |transaction| {
            let sql =
                "update telemetry_key set secrets = ?2 where id = ?1 and secrets = ?3 and revoked_at is null";
            transaction.execute(sql, params![Id(id), secrets, before])
        })
        .await
        .map(is_one)
    }

    async fn touch_keys(&self, used: &[(Uuid, Timestamp)]) -> Result<(), StoreError> {
        let used = used.to_vec();
        self.write(move |transaction| {
            let sql = "update telemetry_key set last_used_at = ?2
                       where id = ?1 and (last_used_at is null or last_used_at < ?2)";
            let mut update = transaction.prepare_cached(sql)?;
            used.iter().try_for_each(|(id, at)| update.execute(params![Id(*id), Time(*at)]).map(drop))
        })
        .await
    }

    async fn take_digest(
        &self,
        now: Timestamp,
        next_try: &(dyn Fn(i32) -> Timestamp + Send + Sync),
        limit: i64,
    ) -> Result<Option<Digest>, StoreError> {
        let first_try_until = next_try(1);
        loop {
            let due = self.read(move |transaction| digests::due(transaction, now)).await?;
            let Some((id, tries)) = due else {
                return self
                    .write(move |transaction| digests::new(transaction, first_try_until, limit))
                    .await;
            };
            let next = next_try(tries + 1);
            let taken =
                self.write(move |transaction| digests::take_again(transaction, id, tries, next)).await?;
            // Another receiver took it, and there may be a further one.
            if taken.is_some() {
                return Ok(taken);
            }
        }
    }

    async fn digest_delivered(&self, id: Uuid, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |transaction| {
            let sql =
                "update telemetry_alert set delivered_at = ?2 where digest_id = ?1 and delivered_at is null";
            transaction.execute(sql, params![Id(id), Time(now)]).map(drop)
        })
        .await
    }

    async fn waiting_alerts(&self) -> Result<i64, StoreError> {
        self.read(|transaction| {
            let sql = "select count(*) from telemetry_alert where delivered_at is null";
            transaction.query_row(sql, [], |row| row.get(0))
        })
        .await
    }

    async fn summary(&self, now: Timestamp) -> Result<Vec<Group>, StoreError> {
        let yesterday = before(now, Duration::from_secs(86_400));
        self.read(move |transaction| {
            let sql = "select state_rank, license_valid, crashed, several_runs, restarting, build_version,
                           count(*) filter (where first_seen_at > ?1), count(*) filter (where first_seen_at <= ?1)
                       from telemetry_instance indexed by telemetry_instance_groups group by 1, 2, 3, 4, 5, 6";
            let groups = select(transaction, sql, [Time(yesterday)], |row| {
                let group = |is_new, count| -> rusqlite::Result<Group> {
                    Ok(Group {
                        state: row.get(0)?,
                        license_valid: row.get(1)?,
                        flags: Flags {
                            crashed: row.get(2)?,
                            several_runs: row.get(3)?,
                            restarting: row.get(4)?,
                        },
                        is_new,
                        build_version: row.get(5)?,
                        count,
                    })
                };
                Ok([group(true, row.get(6)?)?, group(false, row.get(7)?)?])
            })?;
            Ok(groups.into_iter().flatten().filter(|group| group.count > 0).collect())
        })
        .await
    }

    async fn instances(
        &self,
        filter: &InstanceFilter,
        after: Option<InstanceCursor>,
        limit: i64,
    ) -> Result<Vec<Instance>, StoreError> {
        // Who is on the page is found in the index alone.
        let mut query = Query::new(format!(
            "select {} from telemetry_instance where instance_id in (
                 select instance_id from telemetry_instance indexed by telemetry_instance_worst where true",
            rows::INSTANCE
        ));
        query.narrow("state_rank = ", filter.state.map(State::rank));
        query.narrow("license_valid = ", filter.license_valid);
        query.narrow("build_version = ", filter.build_version.clone());
        query.narrow("crashed = ", filter.crashed);
        query.narrow("several_runs = ", filter.several_runs);
        query.narrow("restarting = ", filter.restarting);
        query.narrow("first_seen_at > ", filter.first_seen_after.map(Time));
        if let Some(search) = &filter.search {
            let contained = query.parameter(search.to_lowercase());
            query.add(&format!(" and (instr(searched, {contained}) > 0"));
            if let Some((first, last)) = ids_beginning_with(search) {
                let (first, last) = (query.parameter(Id(first)), query.parameter(Id(last)));
                query.add(&format!(" or instance_id between {first} and {last}"));
            }
            query.add(")");
        }
        if let Some(after) = after {
            let rank = query.parameter(after.state.rank());
            let (since, id) =
                (query.parameter(Time(after.state_since)), query.parameter(Id(after.instance_id)));
            query.add(&format!(
                " and state_rank >= {rank} and (state_rank > {rank} or state_since < {since}
                  or (state_since = {since} and instance_id > {id}))"
            ));
        }
        query.narrow("true order by state_rank, state_since desc, instance_id limit ", Some(limit));
        query.add(") order by state_rank, state_since desc, instance_id");
        self.read(move |transaction| query.rows(transaction, rows::instance)).await
    }

    async fn instance(&self, id: Uuid) -> Result<Option<Instance>, StoreError> {
        self.read(move |transaction| {
            let sql = format!("select {} from telemetry_instance where instance_id = ?1", rows::INSTANCE);
            transaction.prepare_cached(&sql)?.query_row([Id(id)], rows::instance).optional()
        })
        .await
    }

    async fn runs(&self, instance_id: Uuid, limit: i64) -> Result<Vec<Run>, StoreError> {
        self.read(move |transaction| {
            select(transaction, &rows::LATEST_RUNS, params![Id(instance_id), limit], rows::run)
        })
        .await
    }

    async fn transitions(&self, instance_id: Uuid, limit: i64) -> Result<Vec<Transition>, StoreError> {
        self.read(move |transaction| {
            let sql = format!(
                "select {} from telemetry_transition where instance_id = ?1 order by at desc, change, \"to\" limit ?2",
                rows::TRANSITION
            );
            select(transaction, &sql, params![Id(instance_id), limit], |row| rows::transition(row, 0))
        })
        .await
    }

    async fn events(
        &self,
        filter: &EventFilter,
        after: Option<EventCursor>,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let index = match filter {
            EventFilter { instance_id: Some(_), .. } => "sqlite_autoindex_telemetry_event_1",
            EventFilter { reason: Some(_), .. } => "telemetry_event_of_reason",
            _ => "telemetry_event_newest",
        };
        // Which are on the page is found in the index alone.
        let mut query = Query::new(format!(
            "select {} from telemetry_event where rowid in (
                 select rowid from telemetry_event indexed by {index} where true",
            rows::EVENT
        ));
        query.narrow("instance_id = ", filter.instance_id.map(Id));
        query.narrow("reason = ", filter.reason.clone());
        query.narrow("ts >= ", filter.from.map(Time));
        query.narrow("ts < ", filter.to.map(Time));
        if let Some(after) = after {
            let at = query.parameter(Time(after.received_at));
            let (instance, id) = (query.parameter(Id(after.instance_id)), query.parameter(Id(after.id)));
            query.add(&format!(" and ts <= {at} and (ts, instance_id, id) < ({at}, {instance}, {id})"));
        }
        query.narrow("true order by ts desc, instance_id desc, id desc limit ", Some(limit));
        query.add(") order by ts desc, instance_id desc, id desc");
        self.read(move |transaction| query.rows(transaction, rows::event)).await
    }

    async fn event(&self, instance_id: Uuid, id: Uuid) -> Result<Option<StoredEvent>, StoreError> {
        self.read(move |transaction| {
            let sql =
                format!("select {} from telemetry_event where instance_id = ?1 and id = ?2", rows::EVENT);
            transaction.prepare_cached(&sql)?.query_row([Id(instance_id), Id(id)], rows::event).optional()
        })
        .await
    }

    async fn delete_event(&self, instance_id: Uuid, id: Uuid) -> Result<bool, StoreError> {
        self.write(move |transaction| {
            let sql = "delete from telemetry_event where instance_id = ?1 and id = ?2";
            transaction.execute(sql, [Id(instance_id), Id(id)])
        })
        .await
        .map(is_one)
    }
}

fn before(now: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| now.checked_sub(by).ok()).unwrap_or(Timestamp::MIN)
}

fn is_one(rows: usize) -> bool {
    rows == 1
}

/// The first and the last of the ids of which the text begins with `text`.
fn ids_beginning_with(text: &str) -> Option<(Uuid, Uuid)> {
    let filled = |with: &str| {
        let rest = with.get(text.len()..)?;
        let id = format!("{text}{rest}");
        // Hyphens in other places make another form of a UUID, or none.
        Uuid::parse_str(&id).ok().filter(|parsed| parsed.to_string().eq_ignore_ascii_case(&id))
    };
    Some((filled("00000000-0000-0000-0000-000000000000")?, filled("ffffffff-ffff-ffff-ffff-ffffffffffff")?))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::{Command, Stdio};

    use futures_util::future::join_all;
    use rusqlite::Connection;

    use super::*;
    use crate::receiver::judging::judgement::decide;

    const FILE: &str = "SQLITE_FLEET_FILE";

    fn event(number: u128) -> NewEvent {
        let received_at = Timestamp::from_second(1_795_608_000).unwrap();
        NewEvent {
            id: Uuid::from_u128(number),
            instance_id: Uuid::from_u128(1),
            run_id: Uuid::from_u128(2),
            sequence: number as i64,
            is_numbered: true,
            received_at,
            day: Date::constant(2026, 11, 25),
            reason: "update".to_owned(),
            frequency: None,
            facts: Facts::default(),
            data: "{}".to_owned(),
        }
    }

    async fn events(store: &SqliteFleetStore) -> usize {
        store.events(&EventFilter::default(), None, 10_000).await.unwrap().len()
    }

    #[tokio::test]
    async fn the_file_and_its_folder_are_made_for_their_owner() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("data").join("fleet.db");
        let store = SqliteFleetStore::new(&file);
        assert!(!file.exists(), "nothing is opened yet");
        store.migrate().await.unwrap();
        #[cfg(unix)]
        for name in ["fleet.db", "fleet.db-wal", "fleet.db-shm"] {
            use std::os::unix::fs::PermissionsExt;
            let metadata = fs::metadata(file.with_file_name(name)).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
        }
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_made_is_not_available() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteFleetStore::new(directory.path().join("no").join("such").join("fleet.db"));
        assert!(matches!(store.migrate().await, Err(StoreError::Unavailable(_))));
        assert!(matches!(store.keys().await, Err(StoreError::Unavailable(_))));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_file_that_is_removed_or_replaced_takes_no_events_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        let store = SqliteFleetStore::new(file("fleet.db"));
        store.migrate().await.unwrap();
        assert_eq!(store.append(&[event(1)]).await.unwrap(), [true]);
        assert_eq!(events(&store).await, 1);
        fs::rename(file("fleet.db"), file("aside.db")).unwrap();
        let error = store.append(&[event(2)]).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Unavailable(_)) && error.to_string().contains("was removed"),
            "{error}"
        );
        for _ in 0..2 {
            assert!(store.keys().await.is_err());
            assert!(store.append(&[event(2)]).await.is_err());
        }
        assert!(!file("fleet.db").exists());

        for name in ["fleet.db-wal", "fleet.db-shm"] {
            let _ = fs::remove_file(file(name));
        }
        let other = SqliteFleetStore::new(file("other.db"));
        other.migrate().await.unwrap();
        drop(other);
        fs::rename(file("other.db"), file("fleet.db")).unwrap();
        assert_eq!(store.append(&[event(2)]).await.unwrap(), [true]);
        assert_eq!(events(&store).await, 1, "what was put in its place is the store now");

        assert_eq!(store.append(&[event(3)]).await.unwrap(), [true]);
        fs::remove_file(file("fleet.db-wal")).unwrap();
        assert!(store.append(&[event(4)]).await.is_err(), "nobody would find it again");
    }

    #[tokio::test]
    async fn what_is_no_fleet_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let text = directory.path().join("text");
        fs::write(&text, "this is a text, and a long one, longer than the head of a database\n".repeat(20))
            .unwrap();
        assert!(matches!(SqliteFleetStore::new(&text).migrate().await, Err(StoreError::Unavailable(_))));

        let empty = SqliteFleetStore::new(directory.path().join("empty"));
        assert!(matches!(empty.append(&[event(1)]).await, Err(StoreError::Unavailable(_))));

        let later = directory.path().join("later");
        Connection::open(&later).unwrap().pragma_update(None, "user_version", 2).unwrap();
        let error = SqliteFleetStore::new(&later).migrate().await.unwrap_err();
        assert!(
            matches!(error, StoreError::Refused(_)) && error.to_string().contains("later version"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_lock_of_another_is_waited_for_and_then_not_available_while_reading_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("fleet.db");
        let store = SqliteFleetStore::new(&file);
        store.migrate().await.unwrap();
        store.append(&[event(1)]).await.unwrap();
        let other = Connection::open(&file).unwrap();
        other.execute_batch("begin immediate").unwrap();
        let batch = [event(2)];
        let mut append = store.append(&batch);
        let read = events(&store);
        tokio::select! {
            biased;
            answer = &mut append => panic!("{answer:?} while the file is locked"),
            count = read => assert_eq!(count, 1),
        }
        assert!(matches!(append.await, Err(StoreError::Unavailable(_))));
        other.execute_batch("rollback").unwrap();
        assert_eq!(store.append(&batch).await.unwrap(), [true]);
    }

    #[tokio::test]
    async fn an_abandoned_batch_is_stored_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteFleetStore::new(directory.path().join("fleet.db"));
        store.migrate().await.unwrap();
        let mut stored = 0;
        for number in 0..20 {
            let batch: Vec<_> = (0..50).map(|event_number| event(number * 50 + event_number)).collect();
            let mut append = store.append(&batch);
            for _ in 0..number {
                tokio::select! {
                    biased;
                    _ = &mut append => break,
                    () = tokio::task::yield_now() => {}
                }
            }
            drop(append);
            // Whatever was under way is over when the next one is.
            store.touch_keys(&[]).await.unwrap();
            let now = events(&store).await;
            assert!(now == stored || now == stored + 50, "{stored} and then {now}");
            stored = now;
        }
    }

    #[tokio::test]
    async fn what_is_old_is_forgotten_piece_by_piece() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteFleetStore::new(directory.path().join("fleet.db"));
        store.migrate().await.unwrap();
        let old: Vec<_> = (0..2 * forgetting::PIECE as u128 + 1)
            .map(|number| NewEvent {
                instance_id: Uuid::from_u128(number),
                run_id: Uuid::from_u128(number),
                reason: "end".to_owned(),
                ..event(number)
            })
            .collect();
        store.append(&old).await.unwrap();
        let now = old[0].received_at + SignedDuration::from_hours(4 * 24);
        let decide = |instance: &Instance, runs: &[Run]| decide(instance, runs, &[], now);
        store.judge(now, 10_000, &decide).await.unwrap();
        store.tidy(now, Duration::from_secs(2)).await.unwrap();
        assert_eq!(events(&store).await, 0);
        assert!(store.summary(now).await.unwrap().is_empty());
    }

    /// What another process does in [`processes_that_start_at_once_share_the_file`].
    #[tokio::test]
    #[ignore = "a part of another test"]
    async fn another_process() {
        let store = SqliteFleetStore::new(std::env::var(FILE).unwrap());
        store.migrate().await.unwrap();
        for number in 0..50 {
            store.append(&[event(number), event(number + 1)]).await.unwrap();
        }
    }

    #[tokio::test]
    async fn processes_that_start_at_once_share_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("fleet.db");
        let start = |_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--ignored", "--exact", "receiver::store::sqlite::tests::another_process"])
                .env(FILE, &file)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        };
        let processes: Vec<_> = (0..4).map(start).collect();
        for process in processes {
            let output = process.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && said.contains("1 passed"), "{said}");
        }
        let store = SqliteFleetStore::new(&file);
        assert_eq!(events(&store).await, 51);
        assert_eq!(store.runs(Uuid::from_u128(1), 1).await.unwrap()[0].updates, 51);
    }

    #[tokio::test]
    async fn handles_that_open_a_new_file_at_once_all_get_to_write() {
        for _ in 0..20 {
            let directory = tempfile::tempdir().unwrap();
            let open = async |_| {
                SqliteFleetStore::new(directory.path().join("fleet.db")).migrate().await.unwrap();
            };
            join_all((0..8).map(open)).await;
        }
    }

    #[test]
    fn ids_are_found_by_how_their_text_begins() {
        let id = |text: &str| Uuid::parse_str(text).unwrap();
        let range = ids_beginning_with("aB0");
        let expected =
            (id("ab000000-0000-0000-0000-000000000000"), id("ab0fffff-ffff-ffff-ffff-ffffffffffff"));
        assert_eq!(range, Some(expected));
        let whole = "abcdef01-2345-6789-abcd-ef0123456789";
        assert_eq!(ids_beginning_with(whole), Some((id(whole), id(whole))));
        assert_eq!(ids_beginning_with(""), Some((Uuid::nil(), Uuid::max())));
        for text in [
            "g",
            "abcdef012",
            "abcdef-01",
            "{abcdef0",
            "urn:uuid:",
            "abcdef01-2345-6789-abcd-ef01234567890",
            "ä",
            "0\u{10FFFF}",
        ] {
            assert_eq!(ids_beginning_with(text), None, "{text}");
        }
    }
}
