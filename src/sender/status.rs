//! The status of the subsystem, as an operator sees it (spec §9).
//!
//! Each actor writes its own part to the [`StatusBoard`], and the handle reads copies. A status is therefore
//! available at once, even while an actor or the whole telemetry thread does not respond.

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

/// Number of attempts that a status holds per destination.
const REMEMBERED_ATTEMPTS: usize = 50;

/// Health of the subsystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Health {
    /// The subsystem runs. In the mode `disabled` it runs without sending anything.
    Running,
    /// The subsystem ended itself after too many panics, or
    /// [`start_or_disabled`](crate::TelemetryBuilder::start_or_disabled) could not start it. The host is not
    /// affected, and nothing is sent until the host starts the subsystem again.
    Down,
    /// The host stopped the subsystem.
    Stopped,
}

/// Status of the subsystem at one moment. It can be serialized and holds no secret.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// Health of the subsystem.
    pub health: Health,
    /// Mode that the operator configured.
    pub mode: Mode,
    /// Whether `DO_NOT_TRACK` keeps the vendor's destination inactive, although the mode includes it.
    pub do_not_track: bool,
    /// Instance id; `None` until it was read from the database for the first time.
    pub instance_id: Option<Uuid>,
    /// Error of the last attempt to read the instance id; `None` where that succeeded.
    pub state_store_error: Option<String>,
    /// License state that events report.
    pub license: LicenseState,
    /// Active destinations: none, one or two.
    pub destinations: Vec<DestinationStatus>,
    /// Number of license messages that a newer one replaced before they were processed.
    pub merged_license_changes: u64,
    /// Number of panics that were contained since the start.
    pub panics: u64,
    /// Names of the actors and threads that have not responded for 10 seconds or longer.
    pub frozen: BTreeSet<&'static str>,
}

/// Status of one destination at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DestinationStatus {
    /// Name of the destination.
    pub name: DestinationName,
    /// URL of the destination without user part, query and keys in the path.
    pub url: String,
    /// Time between two updates. Serialized in seconds.
    #[serde(rename = "frequency_seconds", serialize_with = "seconds")]
    pub frequency: Duration,
    /// Time of the next update; `None` before `begin` and after `end`.
    #[serde(serialize_with = "as_optional_rfc3339::serialize")]
    pub next_slot: Option<SystemTime>,
    /// Number of events that the destination accepted with a status from 200 to 299.
    pub sent: u64,
    /// Number of events that the destination refused or that did not reach it.
    pub failed: u64,
    /// Number of events that were dropped without an attempt: too many were waiting, or the subsystem stopped.
    pub dropped: u64,
    /// Number of events that wait to be sent.
    pub waiting: usize,
    /// Last attempts, at most 50, newest first.
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

    /// Counts an attempt and adds it to the last attempts.
    pub(crate) fn remember(&mut self, delivered: &Delivered) {
        match delivered.outcome.is_success() {
            true => self.sent += 1,
            false => self.failed += 1,
        }
        self.attempts.truncate(REMEMBERED_ATTEMPTS - 1);
        self.attempts.push_front(delivered.clone());
    }
}

/// Board to which the actors publish their parts of the status. Clones share one status.
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

    /// Publishes the settings.
    pub(crate) fn show(&self, settings: &Settings) {
        self.update(|status| {
            status.mode = settings.mode;
            status.do_not_track = settings.not_tracked;
            status.destinations = settings.destinations.iter().map(DestinationStatus::new).collect();
        });
    }

    /// Receiver of incidents, which publishes them.
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

    /// Changes the status of one destination.
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
