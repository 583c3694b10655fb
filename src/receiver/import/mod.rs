//! The import of event files: of what senders without a network wrote to a file, which somebody carried here
//! (`docs/protocol.md`). An event gets the time at which it was written, and is marked as imported: the judgement takes
//! the silence after it for no evidence, because nobody could have heard its sender.

mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod line;
mod lines;
mod report;

use std::collections::BTreeSet;
use std::io::{self, BufRead};
use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use uuid::Uuid;

pub use error::ImportError;
pub use report::{Imported, SkippedLine};

use super::clock::ReceiverClock;
use super::keys::ring::ActiveKey;
use super::store::{Appended, NewEvent, SET_SINCE, Storage, StoreError};
use super::store_handle::StoreHandle;
use line::{Rules, Skip};
use lines::{LONGEST_LINE, Next};

/// Time limit of a call to the store.
const LIMIT: Duration = Duration::from_secs(30);

/// Number of lines that are stored in one transaction.
const BATCH: usize = 500;

/// Longest retention that is considered, which bounds the number of days for which there are events: ten years.
const LONGEST_RETENTION: Duration = Duration::from_secs(3_660 * 24 * 60 * 60);

/// Imports event files into a store, with or without a running receiver, which judges the instances within a second.
///
/// ```no_run
/// # #[cfg(feature = "sqlite")]
/// # async fn import() -> Result<(), Box<dyn std::error::Error>> {
/// use std::fs::File;
/// use std::io::BufReader;
/// use std::time::Duration;
///
/// use deployment_telemetry::receiver::{Importer, Keys, NewKey, SqliteFleetStore, Storage};
///
/// let store = Storage::from(SqliteFleetStore::new("/var/lib/fleet/fleet.sqlite"));
/// let keys = Keys::of(store.clone());
/// keys.migrate().await?;
/// let key = keys.create(NewKey::named("carried by hand")).await?;
/// let importer = Importer::of(store, Duration::from_secs(90 * 24 * 60 * 60));
/// let file = BufReader::new(File::open("telemetry.jsonl")?);
/// let imported = importer.import(key.id, file, |so_far| println!("{} lines", so_far.lines)).await?;
/// println!("{} events stored, {} known before", imported.stored, imported.known);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Importer {
    store: StoreHandle,
    clock: ReceiverClock,
    retention: Duration,
}

impl Importer {
    /// Imports into `store`. Events that are older than `retention`, which is that of the receiver, are refused: they
    /// would be deleted at once. Every call is to be awaited in a tokio runtime.
    pub fn of(store: impl Into<Storage>, retention: Duration) -> Self {
        let store = StoreHandle::alone(store.into().0);
        Self { store, clock: ReceiverClock::of_receiver(false), retention }
    }

    /// Imports an event file for the key with this id, to which new instances belong from then on. Calls `progress`
    /// after every 500 lines.
    ///
    /// A line that cannot be used is skipped, and told in the report. The same file can be imported any number of times:
    /// an event that is known changes nothing. The file is read on a thread on which that may block.
    ///
    /// # Errors
    /// There is no such key, the clock is not set, the file cannot be read, or the store does not answer.
    pub async fn import(
        &self,
        key_id: Uuid,
        file: impl BufRead + Send + 'static,
        mut progress: impl FnMut(&Imported),
    ) -> Result<Imported, ImportError> {
        let rules = self.rules(key_id).await?;
        let (batches, mut read) = mpsc::channel(2);
        let reading = tokio::task::spawn_blocking(move || read_batches(file, &rules, &batches));
        let (mut imported, mut days) = (Imported::default(), BTreeSet::new());
        while let Some(batch) = read.recv().await {
            self.store_batch(batch, &mut days, &mut imported).await?;
            progress(&imported);
        }
        reading.await.map_err(|_| ImportError::Panicked)?.map_err(ImportError::Read)?;
        Ok(imported)
    }

    async fn rules(&self, key_id: Uuid) -> Result<Rules, ImportError> {
        let keys = self.store.ask(LIMIT, |store| async move { store.keys().await }).await?;
        let key = keys.iter().find(|key| key.id == key_id && key.revoked_at.is_none());
        let key = ActiveKey::of(key.ok_or(ImportError::NoSuchKey)?);
        let time = self.store.ask(LIMIT, |store| async move { store.time().await }).await?;
        let now = time.unwrap_or_else(|| self.clock.timestamp());
        if now.as_second() < SET_SINCE {
            return Err(ImportError::ClockNotSet);
        }
        let retention = SignedDuration::try_from(self.retention.min(LONGEST_RETENTION)).unwrap_or_default();
        let oldest = now.checked_sub(retention).unwrap_or(Timestamp::MIN);
        Ok(Rules { key, now, oldest })
    }

    /// Stores the events of a batch, in days for which there may be no room yet.
    async fn store_batch(
        &self,
        batch: Batch,
        days: &mut BTreeSet<Date>,
        imported: &mut Imported,
    ) -> Result<(), ImportError> {
        let new: BTreeSet<Date> = batch.events.iter().map(|(_, event)| event.day).collect();
        let new: Vec<Date> = new.difference(days).copied().collect();
        if !new.is_empty() {
            days.extend(&new);
            self.store.ask(LIMIT, |store| async move { store.make_room_for(&new).await }).await?;
        }
        let (numbers, events): (Vec<u64>, Vec<NewEvent>) = batch.events.into_iter().unzip();
        let answers = self.append(&events).await?;
        let mut skipped = batch.skipped;
        for ((number, event), answer) in numbers.into_iter().zip(&events).zip(answers) {
            let added = match answer {
                Some(appended) => imported.add(event, appended),
                None => Err(Skip::refused("the store cannot hold one of its values")),
            };
            skipped.extend(added.err().map(|skip| (number, skip)));
        }
        skipped.sort_by_key(|(number, _)| *number);
        skipped.into_iter().for_each(|(number, skip)| imported.skip(number, skip));
        (imported.lines, imported.bytes) = (batch.lines, batch.bytes);
        Ok(())
    }

    /// Stores events together, or one by one where the store refuses one of them: `None` for that one.
    async fn append(&self, events: &[NewEvent]) -> Result<Vec<Option<Appended>>, StoreError> {
        let together = events.to_vec();
        match self.store.ask(LIMIT, |store| async move { store.append(&together).await }).await {
            Ok(answers) => return Ok(answers.into_iter().map(Some).collect()),
            Err(StoreError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        let mut answers = Vec::with_capacity(events.len());
        for event in events {
            let alone = [event.clone()];
            answers.push(
                match self.store.ask(LIMIT, |store| async move { store.append(&alone).await }).await {
                    Ok(answer) => answer.first().copied(),
                    Err(StoreError::Refused(_)) => None,
                    Err(error) => return Err(error),
                },
            );
        }
        Ok(answers)
    }
}

/// A piece of a file.
#[derive(Default)]
struct Batch {
    /// With the numbers of their lines.
    events: Vec<(u64, NewEvent)>,
    skipped: Vec<(u64, Skip)>,
    /// Number of lines and bytes that were read, those before included.
    lines: u64,
    bytes: u64,
}

/// Reads a file to its end, or until nobody takes the batches any more.
fn read_batches(mut file: impl BufRead, rules: &Rules, batches: &mpsc::Sender<Batch>) -> io::Result<()> {
    let (mut line, mut batch) = (Vec::new(), Batch::default());
    loop {
        let next = lines::next(&mut file, &mut line, &mut batch.bytes)?;
        let is_over = next == Next::End;
        if !is_over {
            batch.lines += 1;
        }
        let number = batch.lines;
        match next {
            Next::End => {}
            Next::TooLong => {
                let why = format!("it has more than {LONGEST_LINE} bytes, which no event has");
                batch.skipped.push((number, Skip::refused(why)));
            }
            Next::Line if line.trim_ascii().is_empty() => {}
            Next::Line => match line::read(&line, rules) {
                Ok(event) => batch.events.push((number, event)),
                Err(skip) => batch.skipped.push((number, skip)),
            },
        }
        if is_over || number.is_multiple_of(BATCH as u64) {
            let following = Batch { lines: batch.lines, bytes: batch.bytes, ..Batch::default() };
            let is_taken = batches.blocking_send(std::mem::replace(&mut batch, following)).is_ok();
            if is_over || !is_taken {
                return Ok(());
            }
        }
    }
}
