//! The stores of the receiver, and the traits they implement (receiver §2).
//!
//! A store holds what events say and how instances were judged, and carries out each call in one transaction.
//! What the events mean is decided outside, by the pure functions of [`super::judging::judgement`], so that
//! both stores mean the same.
//!
//! There is a trait for each task, and for each trait a file of the same name here, in `postgres`, in
//! `sqlite` and in `suite`, which tests both stores.

mod ask;
mod census;
mod changes;
mod day;
mod error;
mod facts;
mod filter;
mod forgetting;
mod ingest;
mod instance;
mod judging;
mod keys;
mod licenses;
mod mending;
mod merge;
mod mutes;
mod order;
mod outages;
mod outbox;
mod ownership;
#[cfg(feature = "postgres")]
mod postgres;
mod queries;
mod release;
mod schema;
#[cfg(feature = "sqlite")]
mod sqlite;
mod strips;
#[cfg(test)]
mod suite;
mod time;

use std::sync::Arc;

pub(crate) use ask::{on, within};
pub(crate) use census::{
    Census, CensusDay, CensusFilter, CensusPoint, CensusRow, Division, FirstDays, Kind, active_since,
};
pub(crate) use changes::{ChangeCursor, ChangeFilter, Changes, FleetChange, LOOKED_AT, Turn};
pub(crate) use day::{day_of, days_after, days_between, start_of};
pub(crate) use error::{Fault, StoreError};
pub(crate) use facts::{Facts, License};
pub(crate) use filter::InstanceFilter;
pub(crate) use forgetting::{Doomed, Forgetting, Piece};
pub(crate) use ingest::{Appended, Ingest, NewEvent};
pub(crate) use instance::{Change, Flags, Instance, Losses, Run, State, Transition};
pub(crate) use judging::{DEFAULT_FREQUENCY, JUDGED_RUNS, JudgeFn, Judgement, Judging, Loss};
pub(crate) use keys::{KeyCount, Keys, StoredKey};
pub(crate) use licenses::{Counted, KeyLicenses, Licenses, SharedLicense};
pub(crate) use mending::Mending;
pub(crate) use mutes::{MOST_MUTES, Mute, Muted, Mutes};
pub(crate) use order::{InstanceCursor, Sort};
pub(crate) use outages::{Marked, Outage, Outages, Reading, SET_SINCE, Standing, TOLERANCE, may_forget};
pub(crate) use outbox::{Alert, Digest, LatestAlert, Outbox, WaitingDigest};
pub(crate) use ownership::{HOST_KEY, HOST_KEY_NAME, NEW_WITHIN, Ownership};
pub(crate) use queries::{
    EVENTS_LOOKED_AT, EventCursor, EventFilter, EventMark, Group, NEW_FOR, Queries, Sight, StoredEvent,
};
pub(crate) use release::Release;
pub(crate) use schema::Schema;
pub(crate) use strips::{MOST_CHANGES, Strips};
pub(crate) use time::before;

#[cfg(feature = "postgres")]
pub use postgres::PostgresFleetStore;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteFleetStore;

/// A store of a fleet: all its tasks together. Any number of receivers may use one database at the same time.
///
/// Dropping a future abandons its call; what the call was about to write is then written as a whole or not at
/// all.
pub(crate) trait FleetStore:
    Schema
    + Ingest
    + Ownership
    + Judging
    + Outages
    + Mending
    + Outbox
    + Keys
    + Mutes
    + Queries
    + Forgetting
    + Census
    + Strips
    + Changes
    + Licenses
{
    /// Name of the database for people: `PostgreSQL`, `SQLite`.
    fn kind(&self) -> &'static str;
}

/// Where a fleet is kept: a [`PostgresFleetStore`] or a [`SqliteFleetStore`].
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("fleet.sqlite");
/// use deployment_telemetry::receiver::{Keys, Operator, SqliteFleetStore, Storage};
///
/// // One store for the receiver and for what an operator does.
/// let store = Storage::from(SqliteFleetStore::new(file));
/// let (keys, operator) = (Keys::of(store.clone()), Operator::of(store));
/// keys.migrate().await?;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
#[derive(Clone)]
pub struct Storage(pub(crate) Arc<dyn FleetStore>);
