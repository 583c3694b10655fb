//! A fleet in an SQLite file, for trying the receiver and for small fleets.

mod builder;
mod census;
mod changes;
mod connection;
mod filter;
mod forgetting;
mod ingest;
mod judging;
mod keys;
mod licenses;
mod mending;
mod mutes;
mod outages;
mod outbox;
mod ownership;
mod queries;
mod rows;
mod schema;
mod strips;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Transaction;

use super::{FleetStore, Storage, StoreError};
use connection::{Access, SharedConnection};

/// Keeps a fleet in an SQLite file of its own: nothing to install, some thousand events a second, one
/// machine.
///
/// The file, and its folder if that is missing, is created when it is first needed, readable for its owner
/// only. Beside it are `-wal` and `-shm` while it is open. Other processes of the machine may work with it at
/// the same time. The file must not be on a network file system.
///
/// ```
/// use deployment_telemetry::receiver::SqliteFleetStore;
///
/// let store = SqliteFleetStore::new("/var/lib/fleet/fleet.sqlite");
/// ```
pub struct SqliteFleetStore {
    /// Writers wait for each other, as SQLite requires it anyway.
    writer: SharedConnection,
    /// Readers and writers do not wait for each other.
    reader: SharedConnection,
}

impl SqliteFleetStore {
    /// The store in the file at `path`. Nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let file: Arc<Path> = path.into().into();
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

impl FleetStore for SqliteFleetStore {
    fn kind(&self) -> &'static str {
        "SQLite"
    }
}

impl From<SqliteFleetStore> for Storage {
    fn from(store: SqliteFleetStore) -> Self {
        Self(Arc::new(store))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use futures_util::future::join_all;
    use jiff::civil::Date;
    use jiff::{SignedDuration, Timestamp};
    use rusqlite::Connection;
    use uuid::Uuid;

    use super::*;
    use crate::receiver::judging::judgement::decide;
    use crate::receiver::store::{
        Appended, EventFilter, Facts, Forgetting, Ingest, Instance, Judging, Keys, NewEvent, Queries, Run,
        Schema,
    };
    use crate::running::causes;

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
            is_imported: false,
            day: Date::constant(2026, 11, 25),
            reason: "update".to_owned(),
            frequency: None,
            facts: Facts::default(),
            new_per_hour: None,
            data: "{}".to_owned(),
        }
    }

    async fn events(store: &SqliteFleetStore) -> usize {
        store.events(&EventFilter::default(), None, 10_000).await.unwrap().len()
    }

    #[tokio::test]
    async fn the_file_and_its_folder_are_readable_for_their_owner_only() {
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
    async fn a_file_that_cannot_be_created_is_not_available() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteFleetStore::new(directory.path().join("no").join("such").join("fleet.db"));
        assert!(matches!(store.migrate().await, Err(StoreError::Unavailable(_))));
        assert!(matches!(store.keys().await, Err(StoreError::Unavailable(_))));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn no_event_is_lost_when_the_file_is_removed_or_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        let store = SqliteFleetStore::new(file("fleet.db"));
        store.migrate().await.unwrap();
        assert_eq!(store.append(&[event(1)]).await.unwrap(), [Appended::New]);
        assert_eq!(events(&store).await, 1);
        fs::rename(file("fleet.db"), file("aside.db")).unwrap();
        let error = store.append(&[event(2)]).await.unwrap_err();
        let told = causes::in_one_line(&error);
        assert!(matches!(error, StoreError::Unavailable(_)) && told.contains("was removed"), "{told}");
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
        assert_eq!(store.append(&[event(2)]).await.unwrap(), [Appended::New]);
        assert_eq!(events(&store).await, 1, "the file in its place is the store now");

        assert_eq!(store.append(&[event(3)]).await.unwrap(), [Appended::New]);
        fs::remove_file(file("fleet.db-wal")).unwrap();
        assert!(store.append(&[event(4)]).await.is_err(), "nobody would find it again");
    }

    #[tokio::test]
    async fn a_file_that_is_no_fleet_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let text = directory.path().join("text");
        fs::write(&text, "this is a text, and a long one, longer than the head of a database\n".repeat(20))
            .unwrap();
        assert!(matches!(SqliteFleetStore::new(&text).migrate().await, Err(StoreError::Unavailable(_))));

        let empty = SqliteFleetStore::new(directory.path().join("empty"));
        assert!(matches!(empty.append(&[event(1)]).await, Err(StoreError::Unavailable(_))));

        let later = directory.path().join("later");
        Connection::open(&later).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let error = SqliteFleetStore::new(&later).migrate().await.unwrap_err();
        assert!(
            matches!(error, StoreError::Refused(_)) && error.to_string().contains("later version"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_locked_file_is_waited_for_and_then_not_available_but_can_be_read() {
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
        assert_eq!(store.append(&batch).await.unwrap(), [Appended::New]);
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
            // Writers wait for each other, so that the abandoned one is over.
            store.touch_keys(&[]).await.unwrap();
            let now = events(&store).await;
            assert!(now == stored || now == stored + 50, "{stored} and then {now}");
            stored = now;
        }
    }

    #[tokio::test]
    async fn old_rows_are_deleted_piece_by_piece() {
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

    /// The other process of [`processes_that_start_at_the_same_time_share_the_file`].
    #[tokio::test]
    #[ignore = "a part of another test"]
    async fn another_process() {
        let store = SqliteFleetStore::new(std::env::var(FILE).unwrap());
        store.migrate().await.unwrap();
        for number in 0..50 {
            // On a busy machine another process may keep the file for longer than a call waits; what was turned away is
            // sent again.
            while let Err(error) = store.append(&[event(number), event(number + 1)]).await {
                assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn processes_that_start_at_the_same_time_share_the_file() {
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
    async fn stores_that_open_a_new_file_at_the_same_time_can_all_write() {
        for _ in 0..20 {
            let directory = tempfile::tempdir().unwrap();
            let open = async |_| {
                SqliteFleetStore::new(directory.path().join("fleet.db")).migrate().await.unwrap();
            };
            join_all((0..8).map(open)).await;
        }
    }
}
