//! Many instances, with their requests as bytes that lack only the number of the event.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::{Builder, Uuid};

use crate::payload;

/// Identity of an event: the instance, and the number within the only run of the instance, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Event {
    pub(crate) instance: u32,
    pub(crate) sequence: u32,
}

/// Instances, each with one run.
pub(crate) struct Fleet {
    seed: u64,
    instances: Vec<Instance>,
}

struct Instance {
    begin: Request,
    update: Request,
}

struct Request {
    before_number: Vec<u8>,
    after_number: Vec<u8>,
}

impl Fleet {
    /// A fleet that sends to the path `webhook`, which has the key. Each `seed` gives another fleet.
    pub(crate) fn new(count: u32, seed: u64, address: SocketAddr, webhook: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let request = |instance, run, reason| {
            let body = payload::text(&payload::fields(instance, reason));
            let length = body.len();
            Request {
                before_number: format!(
                    "POST {webhook} HTTP/1.1\r\nhost: {address}\r\nuser-agent: Sirveo\r\n\
                     content-type: application/json\r\ncontent-length: {length}\r\ntelemetry-frequency: 28800\r\n\
                     webhook-timestamp: {now}\r\nwebhook-id: {run}."
                )
                .into_bytes(),
                after_number: format!("\r\n\r\n{body}").into_bytes(),
            }
        };
        let instance = |index| {
            let (instance, run) = (instance_id(seed, index), run_id(seed, index));
            Instance { begin: request(instance, run, "begin"), update: request(instance, run, "update") }
        };
        Self { seed, instances: (0..count).map(instance).collect() }
    }

    pub(crate) fn count(&self) -> u32 {
        self.instances.len() as u32
    }

    /// Appends the request of an event to `out`.
    pub(crate) fn write(&self, event: Event, out: &mut Vec<u8>) {
        use std::io::Write;
        let instance = &self.instances[event.instance as usize];
        let request = if event.sequence == 1 { &instance.begin } else { &instance.update };
        out.extend_from_slice(&request.before_number);
        write!(out, "{}", event.sequence).expect("a vector can be written to");
        out.extend_from_slice(&request.after_number);
    }

    /// The event that is stored under these ids; `None` if it is not of this fleet.
    pub(crate) fn event(&self, instance: Uuid, run: Uuid, sequence: i64) -> Option<Event> {
        let index = u32::from_be_bytes(instance.as_bytes()[12..].try_into().ok()?);
        let is_known = index < self.count()
            && instance == instance_id(self.seed, index)
            && run == run_id(self.seed, index);
        is_known.then_some(Event { instance: index, sequence: sequence.try_into().ok()? })
    }
}

/// Id with the index in its last bytes.
fn instance_id(seed: u64, index: u32) -> Uuid {
    id(seed, index)
}

fn run_id(seed: u64, index: u32) -> Uuid {
    id(!seed, index)
}

fn id(seed: u64, index: u32) -> Uuid {
    let mut bytes = [0; 16];
    fastrand::Rng::with_seed(seed ^ (u64::from(index) << 32)).fill(&mut bytes[..12]);
    bytes[12..].copy_from_slice(&index.to_be_bytes());
    Builder::from_random_bytes(bytes).into_uuid()
}
