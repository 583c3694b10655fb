//! What an operator sees of the subsystem (spec §9): a [`Status`], kept current by the actors.
//!
//! Each actor writes its own part onto the [`StatusBoard`]; the handle reads copies. So a status
//! is there at once and even while an actor, or the whole thread, answers nothing.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::sync::watch;
use uuid::Uuid;

use super::config::{DestinationName, DestinationSettings, Mode, Settings};
use super::outcome::Delivered;
use crate::running::containment::Incident;
use crate::wire::license::LicenseState;
use crate::wire::rfc3339::as_optional_rfc3339;

/// How many attempts a status remembers for each destination.
const REMEMBERED_ATTEMPTS: usize = 50;

/// How the subsystem fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Health {
    /// At work; in the mode `disabled`, at rest.
    Running,
    /// Given up after too many panics, or never started because of an error. The host is unharmed;
    /// nothing is sent.
    Down,
    /// Stopped.
    Stopped,
}

/// The subsystem at one moment. Serializable; holds no secret.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// How the subsystem fares.
    pub health: Health,
    /// Which destinations are active.
    pub mode: Mode,
    /// `DO_NOT_TRACK` is set: nothing goes to the vendor's destination.
    pub do_not_track: bool,
    /// The identity; `None` until it was read from the database.
    pub instance_id: Option<Uuid>,
    /// Why the instance id could not be read the last time, if it could not.
    pub state_store_error: Option<String>,
    /// The license as it is reported.
    pub license: LicenseState,
    /// The active destinations.
    pub destinations: Vec<DestinationStatus>,
    /// Messages about the license that were overtaken by a newer one before they were looked at.
    pub merged_license_changes: u64,
    /// Panics that were contained since the start.
    pub panics: u64,
    /// Parts that answered nothing for 10 seconds and still do not.
    pub frozen: BTreeSet<&'static str>,
}

/// One destination at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DestinationStatus {
    /// Whose it is.
    pub name: DestinationName,
    /// Where it is, without user part, query and keys in the path.
    pub url: String,
    /// How often an update is sent.
    #[serde(rename = "frequency_seconds", serialize_with = "seconds")]
    pub frequency: Duration,
    /// When the next update is due; `None` before `begin` and after `end`.
    #[serde(serialize_with = "as_optional_rfc3339::serialize")]
    pub next_slot: Option<SystemTime>,
    /// Events the destination took (any status from 200 to 299).
    pub sent: u64,
    /// Events it did not take, or that did not reach it.
    pub failed: u64,
    /// Events dropped because too many were waiting.
    pub dropped: u64,
    /// Events waiting now.
    pub waiting: usize,
    /// The last 50 attempts, newest first.
    pub attempts: VecDeque<Delivered>,
}

fn seconds<S: serde::Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(duration.as_secs())
}

impl DestinationStatus {
    fn new(settings: &DestinationSettings) -> Self {
        Self {
            name: settings.name,
            url: settings.target.endpoint.to_string(),
            frequency: settings.frequency,
            next_slot: None,
            sent: 0,
            failed: 0,
            dropped: 0,
            waiting: 0,
            attempts: VecDeque::new(),
        }
    }

    /// Counts and remembers an attempt.
    pub(crate) fn remember(&mut self, delivered: &Delivered) {
        match delivered.outcome.is_success() {
            true => self.sent += 1,
            false => self.failed += 1,
        }
        self.attempts.truncate(REMEMBERED_ATTEMPTS - 1);
        self.attempts.push_front(delivered.clone());
    }
}

/// Where the actors publish their part of the status.
#[derive(Clone)]
pub(crate) struct StatusBoard(Arc<watch::Sender<Status>>);

impl StatusBoard {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Status {
            health: Health::Running,
            mode: Mode::Disabled,
            do_not_track: false,
            instance_id: None,
            state_store_error: None,
            license: LicenseState::default(),
            destinations: Vec::new(),
            merged_license_changes: 0,
            panics: 0,
            frozen: BTreeSet::new(),
        })))
    }

    /// Takes over what the settings say.
    pub(crate) fn show(&self, settings: &Settings) {
        self.update(|status| {
            status.mode = settings.mode;
            status.do_not_track = settings.not_tracked;
            status.destinations = settings.destinations.iter().map(DestinationStatus::new).collect();
        });
    }

    /// Counts what happened to the contained actors.
    pub(crate) fn incidents(&self) -> impl Fn(Incident) + use<> {
        let board = self.clone();
        move |incident| {
            board.update(|status| match incident {
                Incident::Panicked => status.panics += 1,
                Incident::GivenUp => status.health = Health::Down,
            });
        }
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Status)) {
        self.0.send_modify(change);
    }

    /// Changes the part of one destination.
    pub(crate) fn update_destination(
        &self,
        name: DestinationName,
        change: impl FnOnce(&mut DestinationStatus),
    ) {
        self.update(|status| {
            if let Some(destination) = status.destinations.iter_mut().find(|d| d.name == name) {
                change(destination);
            }
        });
    }

    pub(crate) fn read(&self) -> Status {
        self.0.borrow().clone()
    }
}
