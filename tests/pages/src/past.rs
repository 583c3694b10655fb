//! The past of a fleet: what its servers ran and sent, told in seconds before the moment at which it ends.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use simulator::Request;
use test_support::webhook;
use uuid::Uuid;

/// Seconds before the moment at which the past ends.
pub(crate) type Ago = i64;

pub(crate) const MINUTE: Ago = 60;
pub(crate) const HOUR: Ago = 60 * MINUTE;
pub(crate) const DAY: Ago = 24 * HOUR;

/// A fleet with a past.
#[derive(Default)]
pub(crate) struct Past {
    /// Names of the keys, one for each owner of servers.
    pub(crate) keys: Vec<String>,
    pub(crate) servers: Vec<Server>,
    /// Ids of servers that are muted, for how many seconds, and why.
    pub(crate) mutes: Vec<(Uuid, i64, String)>,
    /// Events that are less apart than this arrive together.
    pub(crate) together: Ago,
}

/// A server, and what it was.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) id: Uuid,
    pub(crate) name: Option<String>,
    /// Number of its key.
    pub(crate) key: usize,
    pub(crate) product: String,
    pub(crate) mode: String,
    pub(crate) os: String,
    pub(crate) arch: String,
    /// Seconds between two updates.
    pub(crate) every: Ago,
    /// The first license, and each later one with the moment from which on it was in use.
    pub(crate) licenses: (License, Vec<(Ago, License)>),
    pub(crate) runs: Vec<Run>,
    /// What its updates say instead of `update`.
    pub(crate) reason: Option<String>,
}

/// One life of a process.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) build: Build,
    pub(crate) began: Ago,
    /// When its last event arrived.
    pub(crate) heard: Ago,
    /// Whether that was an `end`.
    pub(crate) stopped: bool,
}

/// What a process was built from.
#[derive(Clone, Default)]
pub(crate) struct Build {
    pub(crate) version: String,
    pub(crate) commit: String,
    /// When it was built.
    pub(crate) age: Ago,
}

/// The license of a server, by the key that is configured.
#[derive(Clone)]
pub(crate) enum License {
    Valid(&'static str),
    Invalid(&'static str),
    None,
}

/// An event, ready to be sent.
pub(crate) struct Event {
    pub(crate) at: Ago,
    /// Number of the key that it is sent with.
    pub(crate) key: usize,
    pub(crate) instance: Uuid,
    /// It says more than that the server is alive.
    pub(crate) is_news: bool,
    pub(crate) request: Request,
}

impl Past {
    /// All events until `now`, in the order in which they arrive.
    pub(crate) fn events(&self, now: Timestamp) -> Vec<Event> {
        let mut events: Vec<Event> = self.servers.iter().flat_map(|server| server.events(now)).collect();
        events.sort_by_key(|event| std::cmp::Reverse(event.at));
        events
    }

    /// When the first event arrives.
    pub(crate) fn begins(&self) -> Ago {
        let runs = self.servers.iter().flat_map(|server| &server.runs);
        runs.map(|run| run.began).max().unwrap_or_default()
    }

    /// Moments at which something becomes true because nothing is heard.
    pub(crate) fn silences(&self) -> Vec<Ago> {
        let runs = self.servers.iter().flat_map(|server| server.runs.iter().map(|run| (server.every, run)));
        let deadlines = |(every, run): (Ago, &Run)| {
            let grace = (5 * MINUTE).max(every / 20) + 1;
            [run.heard - every - grace, run.heard - 2 * every - grace]
        };
        runs.flat_map(deadlines).filter(|ago| *ago > 0).collect()
    }
}

impl Server {
    /// The first event of a new run, which begins now.
    pub(crate) fn begins_again(&self, now: Timestamp) -> Event {
        let build = self.runs.last().map(|run| run.build.clone()).unwrap_or_default();
        let run = Run { build, began: 0, heard: 0, stopped: false };
        let number = self.runs.len() as u128 + 1;
        self.events_of(number, &run, now).remove(0)
    }

    fn events(&self, now: Timestamp) -> Vec<Event> {
        let runs = self.runs.iter().enumerate();
        runs.flat_map(|(number, run)| self.events_of(number as u128 + 1, run, now)).collect()
    }

    fn events_of(&self, number: u128, run: &Run, now: Timestamp) -> Vec<Event> {
        let update = self.reason.as_deref().unwrap_or("update");
        let mut sent = vec![(run.began, "begin")];
        let updates =
            (0..).map(|back| run.heard + back * self.every).take_while(|at| *at < run.began - MINUTE);
        sent.extend(updates.map(|at| (at, update)));
        if run.stopped {
            sent.push((run.heard - 1, "end"));
        }
        let changes = self.licenses.1.iter().map(|(at, _)| *at);
        let changes = changes.filter(|at| (run.heard..run.began).contains(at));
        sent.extend(changes.map(|at| (at, "license-state-change")));
        sent.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let run_id = Uuid::from_u128(self.id.as_u128().rotate_left(32) ^ number);
        let numbered = sent.into_iter().zip(1..);
        numbered
            .map(|((at, reason), sequence)| self.event(run, at, reason, &format!("{run_id}.{sequence}"), now))
            .collect()
    }

    fn event(&self, run: &Run, at: Ago, reason: &str, webhook_id: &str, now: Timestamp) -> Event {
        let arrival = before(now, at).as_second();
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("user-agent", self.product.clone()),
            ("telemetry-frequency", self.every.to_string()),
            ("webhook-timestamp", arrival.to_string()),
            ("webhook-id", webhook_id.to_owned()),
        ];
        let body = self.body(&run.build, self.license(at), reason, now);
        let is_news = matches!(reason, "begin" | "end" | "license-state-change");
        Event { at, key: self.key, instance: self.id, is_news, request: Request { headers, body } }
    }

    fn license(&self, at: Ago) -> &License {
        let changed =
            self.licenses.1.iter().filter(|(since, _)| *since >= at).min_by_key(|(since, _)| *since);
        changed.map_or(&self.licenses.0, |(_, license)| license)
    }

    fn body(&self, build: &Build, license: &License, reason: &str, now: Timestamp) -> Vec<u8> {
        let (key, is_valid) = match license {
            License::Valid(key) => (Some(key), true),
            License::Invalid(key) => (Some(key), false),
            License::None => (None, false),
        };
        let fields = json!({
            "build_version": build.version,
            "build_commit": build.commit,
            "build_time": before(now, build.age).to_string(),
            "build_mode": self.mode,
            "build_os": self.os,
            "build_arch": self.arch,
            "instance_id": self.id,
            "license_key_hash": key.map(|key| hex(&Sha256::digest(key))),
            "license_valid": is_valid,
            "reason": reason,
        });
        let Value::Object(mut fields) = fields else { unreachable!("it is an object") };
        fields.extend(self.name.as_deref().map(|name| ("custom_id".to_owned(), name.into())));
        sealed(fields)
    }
}

/// The moment so long before `now`.
pub(crate) fn before(now: Timestamp, ago: Ago) -> Timestamp {
    now.saturating_sub(SignedDuration::from_secs(ago)).expect("a duration can be subtracted")
}

/// A payload with its checksum.
pub(crate) fn sealed(mut fields: Map<String, Value>) -> Vec<u8> {
    let canonical = serde_json_canonicalizer::to_vec(&fields).expect("these values are canonical JSON");
    fields.insert("checksum".to_owned(), webhook::checksum(&canonical).into());
    serde_json::to_vec(&fields).expect("a map is JSON")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
