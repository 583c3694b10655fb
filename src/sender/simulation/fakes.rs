//! Fakes for tests on paused time: a store, a transport, a destination, and values to send.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use actix::{Actor, Context, Handler};
use uuid::Uuid;

use crate::outgoing::failure::{Cause, Failure};
use crate::outgoing::request::Request;
use crate::outgoing::{Answer, Answering, Transport};
use crate::running::clock::Clock;
use crate::sender::config::{DestinationName, DestinationSettings, Reading, Settings, Vendor};
use crate::sender::destination::Deliver;
use crate::sender::outcome::{Delivered, Outcome};
use crate::sender::product::Product;
use crate::sender::request::{Event, Run};
use crate::sender::state::{StateError, StateStore};
use crate::wire::build::BuildInfo;
use crate::wire::license::LicenseState;
use crate::wire::payload::Reason;

pub(crate) const ID: Uuid = Uuid::from_u128(0x4915a241_ba4e_4d2c_8f6e_0123456789ab);

pub(crate) fn run() -> Run {
    Run {
        id: Uuid::from_u128(0x7229a017_0000_4000_8000_000000000001),
        product: Product::new("Sirveo"),
        build: Arc::new(
            BuildInfo::new("0.1.0")
                .with_commit("4379644")
                .with_time("2024-02-16T23:06:23+02:00")
                .with_mode("licenced"),
        ),
    }
}

/// Settings in the mode `both`.
pub(crate) fn settings() -> Settings {
    let variables = [
        ("SIRVEO_TELEMETRY_MODE", "both"),
        ("SIRVEO_TELEMETRY_URL", "http://operator.example/telemetry"),
        ("SIRVEO_TELEMETRY_FREQUENCY", "1h"),
        ("SIRVEO_TELEMETRY_IDENTIFIER", "my server"),
    ];
    let vendor = Vendor::new("http://vendor.example/telemetry").auth("vendor-token");
    Settings::check(reading(&variables), &Product::new("Sirveo"), Some(&vendor)).unwrap()
}

pub(crate) fn destination(name: DestinationName) -> DestinationSettings {
    settings().destinations.into_iter().find(|destination| destination.name == name).unwrap()
}

pub(crate) fn event(reason: Reason, sequence: u64) -> Event {
    Event { reason, instance_id: ID, license: LicenseState::default(), sequence }
}

pub(crate) fn deliver(reason: Reason, sequence: u64) -> Deliver {
    Deliver { event: event(reason, sequence), deadline: None }
}

/// Destination actor that records each event with its time. It accepts every event at once, unless told otherwise.
#[derive(Clone)]
pub(crate) struct Recorder {
    pub(crate) name: DestinationName,
    pub(crate) clock: Clock,
    pub(crate) heard: Rc<RefCell<Vec<(SystemTime, Event)>>>,
    /// Status with which events are answered.
    pub(crate) status: Rc<Cell<u16>>,
    /// Time until an event is answered.
    pub(crate) takes: Rc<Cell<Duration>>,
}

impl Recorder {
    pub(crate) fn new(name: DestinationName, clock: Clock) -> Self {
        Self { name, clock, heard: Rc::default(), status: Rc::new(Cell::new(200)), takes: Rc::default() }
    }

    pub(crate) fn reasons(&self) -> Vec<Reason> {
        self.heard.borrow().iter().map(|(_, event)| event.reason).collect()
    }

    pub(crate) fn count(&self, reason: Reason) -> usize {
        self.reasons().iter().filter(|r| **r == reason).count()
    }
}

impl Actor for Recorder {
    type Context = Context<Self>;
}

impl Handler<Deliver> for Recorder {
    type Result = actix::ResponseFuture<Delivered>;

    fn handle(&mut self, Deliver { event, .. }: Deliver, _: &mut Self::Context) -> Self::Result {
        let at = self.clock.now();
        self.heard.borrow_mut().push((at, event.clone()));
        let (destination, duration) = (self.name, self.takes.get());
        let outcome = Outcome::Status(self.status.get());
        Box::pin(async move {
            tokio::time::sleep(duration).await;
            Delivered { destination, reason: event.reason, at, outcome, hint: None, duration }
        })
    }
}

/// Behaviour of a fake when it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Fail,
    Hang,
    Panic,
}

/// Transport that records its requests.
#[derive(Clone)]
pub(crate) struct FakeTransport {
    pub(crate) status: Rc<Cell<u16>>,
    /// Header `Date` of the answers.
    pub(crate) date: Rc<Cell<Option<SystemTime>>>,
    pub(crate) fault: Rc<Cell<Fault>>,
    /// Time until a request is answered.
    pub(crate) takes: Rc<Cell<Duration>>,
    pub(crate) requests: Rc<RefCell<Vec<Request>>>,
}

impl FakeTransport {
    pub(crate) fn new() -> Self {
        Self {
            status: Rc::new(Cell::new(200)),
            date: Rc::default(),
            fault: Rc::new(Cell::new(Fault::None)),
            takes: Rc::default(),
            requests: Rc::default(),
        }
    }

    /// Numbers of the events, from the header `webhook-id` of the requests.
    pub(crate) fn sequences(&self) -> Vec<u64> {
        let number = |request: &Request| {
            let id = request.headers.iter().find(|header| header.name == crate::wire::webhook::ID).unwrap();
            id.expose().rsplit('.').next().unwrap().parse().unwrap()
        };
        self.requests.borrow().iter().map(number).collect()
    }
}

impl Transport for FakeTransport {
    fn send(&self, request: Request, limit: Duration) -> Answering {
        self.requests.borrow_mut().push(request);
        let (status, fault, takes) = (self.status.get(), self.fault.get(), self.takes.get());
        let date = self.date.get();
        Box::pin(async move {
            let answer = async move {
                tokio::time::sleep(takes).await;
                match fault {
                    Fault::None => Ok(Answer { status, date }),
                    Fault::Fail => Err(Failure::new(Cause::Refused, "connection refused")),
                    Fault::Hang => std::future::pending().await,
                    Fault::Panic => panic!("the transport was told to panic"),
                }
            };
            let timed_out = |_| Err(Failure::new(Cause::TimedOut, "timed out"));
            tokio::time::timeout(limit, answer).await.unwrap_or_else(timed_out)
        })
    }
}

/// Store in memory that can fail. Clones share the row.
#[derive(Clone)]
pub(crate) struct FakeStore {
    pub(crate) row: Arc<Mutex<Option<String>>>,
    pub(crate) fault: Arc<Mutex<Fault>>,
    /// Times of the readings.
    pub(crate) reads: Arc<Mutex<Vec<tokio::time::Instant>>>,
    /// Value that another process stores before the next replacement.
    pub(crate) rival: Arc<Mutex<Option<String>>>,
}

impl FakeStore {
    pub(crate) fn new(row: Option<&str>) -> Self {
        Self {
            row: Arc::new(Mutex::new(row.map(str::to_owned))),
            fault: Arc::new(Mutex::new(Fault::None)),
            reads: Arc::default(),
            rival: Arc::default(),
        }
    }

    pub(crate) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    async fn apply_fault(&self) -> Result<(), StateError> {
        let fault = *self.fault.lock().unwrap();
        match fault {
            Fault::None => Ok(()),
            Fault::Fail => Err("the database is down".into()),
            Fault::Hang => std::future::pending().await,
            Fault::Panic => panic!("the store was told to panic"),
        }
    }
}

impl StateStore for FakeStore {
    async fn read(&self, _: &str) -> Result<Option<String>, StateError> {
        self.reads.lock().unwrap().push(Clock::system().monotonic());
        self.apply_fault().await?;
        Ok(self.row.lock().unwrap().clone())
    }

    async fn replace(&self, _: &str, expected: Option<&str>, value: &str) -> Result<bool, StateError> {
        self.apply_fault().await?;
        let mut row = self.row.lock().unwrap();
        if let Some(rival) = self.rival.lock().unwrap().take() {
            *row = Some(rival);
        }
        let is_as_expected = row.as_deref() == expected;
        if is_as_expected {
            *row = Some(value.to_owned());
        }
        Ok(is_as_expected)
    }

    /// On the thread of the actors, whose time is paused.
    fn needs_host_runtime(&self) -> bool {
        false
    }
}

/// Lets all tasks that are ready run, on paused time.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Reading of these variables for the product `Sirveo`.
pub(crate) fn reading(variables: &[(&str, &str)]) -> Reading {
    let environment =
        |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).into());
    Reading::from_environment(&Product::new("Sirveo"), &environment)
}
