//! Databases that can be broken and mended while a host uses them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use postgres::{Client, NoTls, SimpleQueryMessage};
use rusqlite::Connection;
use tempfile::TempDir;
use test_support::TestCluster;
use uuid::Uuid;

use crate::sections::kills::{sqlite_ids, stored, with_password};
use crate::trial::{Outcome, ensure};

/// What is wrong with a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// PostgreSQL, killed.
    Killed,
    /// PostgreSQL, stopped, and started again at the end.
    Restarted,
    /// PostgreSQL answers nothing.
    Paused,
    /// Somebody holds a lock on the table.
    TableLocked,
    /// PostgreSQL takes no writes.
    ReadOnly,
    /// SQLite on a disk that is full.
    DiskFull,
    /// SQLite on a disk that takes no writes.
    DiskReadOnly,
    /// The SQLite file holds something else.
    Garbage,
    /// Somebody holds a lock on the SQLite file.
    FileLocked,
}

impl Break {
    pub(crate) const ALL: [Self; 9] = [
        Self::Killed,
        Self::Restarted,
        Self::Paused,
        Self::TableLocked,
        Self::ReadOnly,
        Self::DiskFull,
        Self::DiskReadOnly,
        Self::Garbage,
        Self::FileLocked,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Killed => "PostgreSQL killed",
            Self::Restarted => "PostgreSQL stopped and started",
            Self::Paused => "PostgreSQL answers nothing",
            Self::TableLocked => "PostgreSQL, the table locked",
            Self::ReadOnly => "PostgreSQL read-only",
            Self::DiskFull => "SQLite, the disk full",
            Self::DiskReadOnly => "SQLite, the disk read-only",
            Self::Garbage => "SQLite, garbage in the file",
            Self::FileLocked => "SQLite, the file locked",
        }
    }

    /// A stored id can be read all the same.
    pub(crate) fn lets_read(self) -> bool {
        matches!(self, Self::ReadOnly | Self::DiskFull | Self::DiskReadOnly)
    }

    /// A well database that can be broken so.
    pub(crate) fn prepare(self) -> Outcome<Box<dyn Store>> {
        Ok(match self {
            Self::Killed | Self::Restarted | Self::Paused | Self::TableLocked | Self::ReadOnly => {
                Box::new(Postgres { cluster: TestCluster::start(), how: self, lock: None })
            }
            Self::DiskFull | Self::DiskReadOnly | Self::Garbage | Self::FileLocked => {
                let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
                let is_disk = matches!(self, Self::DiskFull | Self::DiskReadOnly);
                let disk = if is_disk { Some(Disk::mount(folder.path())?) } else { None };
                Box::new(Sqlite { disk, folder, how: self, lock: None, good: None })
            }
        })
    }
}

/// A database.
pub(crate) trait Store {
    /// What a host is told of where it is.
    fn place(&self) -> String;
    /// Where a host says that it is, and what the table has in its place, because that is another one each time.
    fn named(&self) -> (String, &'static str);
    /// It is broken from now on.
    fn break_it(&mut self) -> Outcome<()>;
    /// It is well from now on.
    fn mend(&mut self) -> Outcome<()>;
    /// The stored id.
    fn id(&self) -> Outcome<Option<Uuid>>;
    /// Stores another, as an operator does.
    fn change_id(&self, to: Uuid) -> Outcome<()>;
}

struct Postgres {
    cluster: TestCluster,
    how: Break,
    /// Its transaction holds the lock.
    lock: Option<Client>,
}

const TABLE: &str = "create table if not exists server_state (key text primary key, value jsonb not null)";

impl Postgres {
    fn url(&self) -> String {
        self.cluster.url("postgres")
    }

    fn run(&self, sql: &str) -> Outcome<Option<String>> {
        let run = || {
            let messages = Client::connect(&self.url(), NoTls)?.simple_query(sql)?;
            Ok(messages.iter().find_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            }))
        };
        run().map_err(|error: postgres::Error| error.to_string())
    }
}

impl Store for Postgres {
    fn place(&self) -> String {
        with_password(&self.url())
    }

    fn named(&self) -> (String, &'static str) {
        (format!("127.0.0.1:{}", self.cluster.port()), "127.0.0.1:5432")
    }

    fn break_it(&mut self) -> Outcome<()> {
        match self.how {
            Break::Killed => self.cluster.kill(),
            Break::Restarted => self.cluster.stop(),
            Break::Paused => self.cluster.pause(),
            Break::TableLocked => {
                let lock = || {
                    let mut client = Client::connect(&self.url(), NoTls)?;
                    client.batch_execute(TABLE)?;
                    client.batch_execute("begin; lock table server_state in access exclusive mode")?;
                    Ok(client)
                };
                self.lock = Some(lock().map_err(|error: postgres::Error| error.to_string())?);
            }
            _ => _ = self.run("alter database postgres set default_transaction_read_only = on")?,
        }
        Ok(())
    }

    fn mend(&mut self) -> Outcome<()> {
        match self.how {
            Break::Killed | Break::Restarted => self.cluster.start_again(),
            Break::Paused => self.cluster.resume(),
            Break::TableLocked => self.lock = None,
            _ => {
                let sql =
                    "begin read write; alter database postgres reset default_transaction_read_only; commit";
                self.run(sql)?;
            }
        }
        Ok(())
    }

    fn id(&self) -> Outcome<Option<Uuid>> {
        self.run(TABLE)?;
        let sql = "select string_agg(value::text, ' ') from server_state where key = 'instance_id'";
        self.run(sql)?.map(|json| stored(&json)).transpose()
    }

    fn change_id(&self, to: Uuid) -> Outcome<()> {
        self.run(&format!("update server_state set value = '\"{to}\"'::jsonb where key = 'instance_id'"))
            .map(drop)
    }
}

struct Sqlite {
    /// Let go of before its folder.
    disk: Option<Disk>,
    folder: TempDir,
    how: Break,
    /// Its transaction holds the lock.
    lock: Option<Connection>,
    /// What was in the file before there was garbage.
    good: Option<Vec<u8>>,
}

impl Sqlite {
    fn file(&self) -> PathBuf {
        self.folder.path().join("state.db")
    }

    fn filler(&self) -> PathBuf {
        self.folder.path().join("filler")
    }

    fn disk(&self) -> &Disk {
        self.disk.as_ref().expect("this way of breaking has a disk")
    }
}

impl Store for Sqlite {
    fn place(&self) -> String {
        self.file().display().to_string()
    }

    fn named(&self) -> (String, &'static str) {
        (self.place(), "state.db")
    }

    fn break_it(&mut self) -> Outcome<()> {
        match self.how {
            Break::DiskFull => {
                let filled = fs::write(self.filler(), vec![0; Disk::BYTES * 2]);
                ensure(filled.is_err(), || "the disk does not get full".into())
            }
            Break::DiskReadOnly => self.disk().remount("ro"),
            Break::Garbage => {
                self.good = fs::read(self.file()).ok();
                fs::write(self.file(), b"this is no database. ".repeat(500))
                    .map_err(|error| error.to_string())
            }
            _ => {
                let lock = || {
                    let connection = Connection::open(self.file())?;
                    connection.execute_batch("begin exclusive")?;
                    Ok(connection)
                };
                self.lock = Some(lock().map_err(|error: rusqlite::Error| error.to_string())?);
                Ok(())
            }
        }
    }

    fn mend(&mut self) -> Outcome<()> {
        match self.how {
            Break::DiskFull => fs::remove_file(self.filler()).map_err(|error| error.to_string()),
            Break::DiskReadOnly => self.disk().remount("rw"),
            Break::Garbage => match self.good.take() {
                Some(good) => fs::write(self.file(), good).map_err(|error| error.to_string()),
                None => fs::remove_file(self.file()).map_err(|error| error.to_string()),
            },
            _ => {
                self.lock = None;
                Ok(())
            }
        }
    }

    fn id(&self) -> Outcome<Option<Uuid>> {
        sqlite_ids(&self.file())?.map(|json| stored(&json)).transpose()
    }

    fn change_id(&self, to: Uuid) -> Outcome<()> {
        let change = || {
            let sql = "update server_state set value = ?1 where key = 'instance_id'";
            Connection::open(self.file())?.execute(sql, [format!("\"{to}\"")])
        };
        change().map(drop).map_err(|error| error.to_string())
    }
}

/// A small disk in memory, mounted on a folder.
struct Disk(PathBuf);

impl Disk {
    const BYTES: usize = 64 * 1024;

    fn mount(folder: &Path) -> Outcome<Self> {
        let size = format!("size={}", Self::BYTES);
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder))?;
        Ok(Self(folder.to_owned()))
    }

    fn remount(&self, how: &str) -> Outcome<()> {
        run(Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&self.0))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}

fn run(command: &mut Command) -> Outcome<()> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    ensure(output.status.success(), || {
        format!("it takes root: {command:?}: {}", String::from_utf8_lossy(&output.stderr).trim())
    })
}
