//! The stored events, read from the database itself.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use postgres::fallible_iterator::FallibleIterator;
use postgres::{Client, NoTls};
use rusqlite::{Connection, OpenFlags};
use uuid::Uuid;

use crate::Outcome;
use crate::fleet::{Event, Fleet};
use crate::receiver::Store;

/// The stored events.
#[derive(Default)]
pub(crate) struct Stored {
    /// Number of rows per event.
    events: HashMap<Event, u32>,
    /// Number of events with more than one row.
    pub(crate) twice: u64,
    /// Number of rows of other fleets.
    pub(crate) foreign: u64,
}

const EVENTS: &str = "select instance_id, run_id, sequence from telemetry_event";

impl Stored {
    /// Reads all events of a store.
    pub(crate) fn of(store: &Store, fleet: &Fleet) -> Outcome<Self> {
        let mut stored = Self::default();
        match store {
            Store::Postgres(url) => stored.read_postgres(url, fleet).map_err(|error| error.to_string())?,
            Store::Sqlite(folder) => {
                stored.read_sqlite(folder, fleet).map_err(|error| error.to_string())?;
            }
        }
        Ok(stored)
    }

    /// Number of different events.
    pub(crate) fn count(&self) -> u64 {
        self.events.len() as u64
    }

    pub(crate) fn has(&self, event: Event) -> bool {
        self.events.contains_key(&event)
    }

    fn read_postgres(&mut self, url: &str, fleet: &Fleet) -> Result<(), postgres::Error> {
        let mut client = Client::connect(url, NoTls)?;
        let mut rows = client.query_raw(EVENTS, std::iter::empty::<i32>())?;
        while let Some(row) = rows.next()? {
            self.add(fleet.event(row.get(0), row.get(1), row.get(2)));
        }
        Ok(())
    }

    fn read_sqlite(&mut self, folder: &Path, fleet: &Fleet) -> rusqlite::Result<()> {
        let connection = Connection::open_with_flags(sqlite_file(folder), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let mut statement = connection.prepare(EVENTS)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.add(fleet.event(uuid(row, 0)?, uuid(row, 1)?, row.get(2)?));
        }
        Ok(())
    }

    fn add(&mut self, event: Option<Event>) {
        let Some(event) = event else {
            self.foreign += 1;
            return;
        };
        let times = self.events.entry(event).or_default();
        *times += 1;
        if *times == 2 {
            self.twice += 1;
        }
    }
}

/// File of the only SQLite database in a folder.
pub(crate) fn sqlite_file(folder: &Path) -> std::path::PathBuf {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut databases = files.filter(|file| {
        let mut head = [0; 16];
        let is_read = std::fs::File::open(file).and_then(|mut file| file.read_exact(&mut head));
        is_read.is_ok() && head == *b"SQLite format 3\0"
    });
    databases.next().unwrap_or_else(|| folder.join("no database"))
}

/// Id that is stored as bytes or as text.
fn uuid(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    let parsed = match row.get_ref(column)? {
        rusqlite::types::ValueRef::Blob(bytes) => Uuid::from_slice(bytes).ok(),
        value => value.as_str().ok().and_then(|text| Uuid::try_parse(text).ok()),
    };
    Ok(parsed.unwrap_or_default())
}
