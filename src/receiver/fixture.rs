//! A small fleet on a real store, for the tests of what shows it.

use std::sync::Arc;
use std::time::Duration;

use actix_web::App;
use actix_web::body::to_bytes;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::test::{TestRequest, init_service};
use actix_web::web::scope;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use uuid::Uuid;

use super::judging::judgement;
use super::store::*;
use super::{Receiver, Storage};
use crate::running::clock::Clock;

/// A name that tries to break a page.
pub(super) const HOSTILE: &str = "<script>alert('x')</script>\"&";

pub(super) struct Fixture {
    pub(super) receiver: Receiver,
    /// When the fixture was made.
    pub(super) now: Timestamp,
    directory: TempDir,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Fixture {
    /// A fleet of this many instances: the first is down and has a hostile name, the second is late, all others are up.
    pub(super) async fn with(instances: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn FleetStore> = Arc::new(SqliteFleetStore::new(directory.path().join("fleet.db")));
        store.migrate().await.unwrap();
        let clock = Clock::system();
        let now = Timestamp::try_from(clock.now()).unwrap();
        let now = Timestamp::from_microsecond(now.as_microsecond()).unwrap();
        let events: Vec<_> = (1..=instances).map(|number| event(number, now)).collect();
        if !events.is_empty() {
            store.append(&events).await.unwrap();
        }
        while store.judge(now, 1000, &decide).await.unwrap() == 1000 {}
        store.take_census(now).await.unwrap();
        let receiver = Receiver::builder(Storage(store)).start().unwrap();
        Self { receiver, now, directory }
    }

    /// A fleet that heard these events, those of each stage at once, and that was judged before each stage and after it.
    /// For so long before now no receiver was at work.
    pub(super) async fn of(stages: &[Vec<NewEvent>], away: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteFleetStore::new(directory.path().join("fleet.db"));
        store.migrate().await.unwrap();
        let judge = async |at: Timestamp| {
            let by_rules = |instance: &Instance, runs: &[Run]| judgement::decide(instance, runs, &[], at);
            while store.judge(at, 1000, &by_rules).await.unwrap() == 1000 {}
        };
        for stage in stages {
            let times = || stage.iter().map(|event| event.received_at);
            judge(times().min().unwrap()).await;
            store.append(stage).await.unwrap();
            judge(times().max().unwrap()).await;
        }
        let now = Timestamp::now();
        if !away.is_zero() {
            for at in [now - away, now] {
                store.mark(Reading { at, is_given: true, counted: None }, away / 2).await.unwrap();
            }
        }
        let receiver = Receiver::builder(store).start().unwrap();
        let fixture = Self { receiver, now, directory };
        fixture.is_ready().await;
        fixture
    }

    /// Resolves when the receiver takes events, and has judged all that are stored.
    pub(super) async fn is_ready(&self) {
        let judged = async {
            while self.receiver.judge().await.is_err() {
                tokio::task::yield_now().await
            }
        };
        tokio::time::timeout(Duration::from_secs(60), judged).await.expect("the receiver is ready");
    }

    /// Its store, for another receiver.
    pub(super) fn storage(&self) -> Storage {
        Storage(Arc::new(SqliteFleetStore::new(self.directory.path().join("fleet.db"))))
    }

    /// A receiver whose store cannot be opened.
    pub(super) fn without_store() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let no_folder = directory.path().join("file");
        std::fs::write(&no_folder, "").unwrap();
        let receiver = Receiver::builder(SqliteFleetStore::new(no_folder.join("fleet.db"))).start().unwrap();
        Self { receiver, now: Timestamp::UNIX_EPOCH, directory }
    }

    /// Sends a request to what is mounted at `/fleet`.
    pub(super) async fn ask(&self, request: TestRequest) -> Answer {
        let app = App::new().service(scope("/fleet").configure(self.receiver.fleet()));
        let app = init_service(app).await;
        let response: ServiceResponse = app.call(request.to_request()).await.unwrap().map_into_boxed_body();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body()).await.unwrap();
        Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask(TestRequest::get().uri(path)).await
    }
}

pub(super) fn instance_id(number: u32) -> Uuid {
    Uuid::from_u128(u128::from(number) << 96 | 0x4000_8000_0000_0000_0000)
}

pub(super) fn event_id(number: u32) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

/// The first event of an instance. The higher its number, the earlier it came.
pub(super) fn event(number: u32, now: Timestamp) -> NewEvent {
    let facts = Facts {
        build_version: if number.is_multiple_of(2) { "2.0" } else { "1.0" }.to_owned(),
        build_commit: "abc".to_owned(),
        build_time: "2027-01-01T00:00:00Z".to_owned(),
        build_mode: "release".to_owned(),
        build_os: "linux".to_owned(),
        build_arch: "amd64".to_owned(),
        license_key_hash: (number == 1).then(|| "0a".repeat(32)),
        license_valid: number != 1,
        custom_id: (number <= 2).then(|| if number == 1 { HOSTILE } else { "late one" }.to_owned()),
        key_id: Uuid::from_u128(99),
        product: "example-server".to_owned(),
    };
    let received_at = now - SignedDuration::from_secs(number.into());
    NewEvent {
        id: event_id(number),
        instance_id: instance_id(number),
        run_id: Uuid::from_u128(700 + u128::from(number)),
        sequence: 1,
        is_numbered: true,
        received_at,
        is_imported: false,
        day: received_at.to_zoned(jiff::tz::TimeZone::UTC).date(),
        reason: "begin".to_owned(),
        frequency: Some(3600),
        facts,
        new_per_hour: None,
        data: format!("{{ \"z\": 1.0, \"number\": {number}, \"note\": \"</pre>\" }}"),
    }
}

fn decide(instance: &Instance, runs: &[Run]) -> Judgement {
    let facts = runs[0].facts.clone();
    let state = match facts.custom_id.as_deref() {
        Some(HOSTILE) => State::Down,
        Some(_) => State::Late,
        None => State::Up,
    };
    let transition = Transition {
        at: instance.first_seen_at,
        change: Change::State,
        from: None,
        to: state.as_str().to_owned(),
    };
    Judgement {
        run_id: runs[0].run_id,
        last_seen_at: instance.last_seen_at,
        state,
        state_since: instance.first_seen_at,
        flags: Flags { crashed: state == State::Down, ..Flags::default() },
        losses: Losses::default(),
        begins_since: None,
        untold: false,
        lost: Vec::new(),
        frequency: 3600,
        facts,
        check_at: instance.first_seen_at + SignedDuration::from_hours(1000),
        transitions: vec![transition.clone()],
        alerts: if state == State::Down { vec![transition] } else { Vec::new() },
    }
}
