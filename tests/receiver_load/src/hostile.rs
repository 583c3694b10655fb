//! Hostile requests, each with the answer that it must get.

mod bodies;
mod client;
mod heads;
mod slow;

pub(crate) use client::Client;
pub(crate) use slow::{Ending, Slow};

use serde_json::Value;
use uuid::{Builder, Uuid};

use crate::payload;

/// A request and its required outcome.
pub(crate) struct Case {
    pub(crate) bytes: Vec<u8>,
    pub(crate) must: Must,
}

/// Required outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Must {
    /// The request is answered with 200, and the event is stored.
    BeStored,
    /// The receiver refuses it with a problem document, which names a field or header if `field` is set.
    BeRefused { status: u16, field: Option<&'static str> },
    /// The server refuses it, because it is no HTTP, too large or for no route. The body of the answer does not matter.
    BeRefusedAsHttp { status: u16 },
    /// The same, but the server may also close the connection without an answer.
    BeRefusedOrCut { status: u16 },
    /// The sender is gone before the request is complete: nothing may be stored.
    ComeToNothing,
}

/// A kind of request.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    make: fn(&mut Maker) -> Case,
}

impl Kind {
    pub(crate) fn make(self, maker: &mut Maker) -> Case {
        (self.make)(maker)
    }
}

/// All kinds of requests.
pub(crate) fn kinds() -> Vec<Kind> {
    [bodies::KINDS, heads::KINDS].concat()
}

/// Makes random requests; the same seed gives the same requests.
pub(crate) struct Maker {
    pub(crate) random: fastrand::Rng,
    webhook: String,
    number: u64,
    run: Uuid,
}

/// Fields of a payload without the checksum.
type Fields = Vec<(&'static str, Value)>;

impl Maker {
    pub(crate) fn new(seed: u64, webhook: &str) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let run = random_id(&mut random);
        Self { random, webhook: webhook.to_owned(), number: 0, run }
    }

    fn fields(&mut self) -> Fields {
        let mut fields = payload::fields(random_id(&mut self.random), "update");
        if self.random.bool() {
            fields.retain(|(name, _)| *name != "custom_id");
        }
        fields
    }

    /// The same requests with another key.
    pub(crate) fn with_key(self, webhook: &str) -> Self {
        Self { webhook: webhook.to_owned(), ..self }
    }

    /// A request that tells whether the key is known.
    pub(crate) fn probe(&mut self) -> Case {
        self.refused(400, "no object")
    }

    /// An event of an instance as it should be, and its required outcome.
    pub(crate) fn event_of(&mut self, instance: u128, must: Must) -> Case {
        let fields = payload::fields(Uuid::from_u128(instance), "update");
        self.request(payload::text(&fields)).must(must)
    }

    fn payload(&mut self) -> String {
        payload::text(&self.fields())
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.random.usize(..of.len())]
    }

    /// A correct request.
    fn request(&mut self, body: impl Into<Vec<u8>>) -> Request {
        self.number += 1;
        Request {
            line: format!("POST {} HTTP/1.1", self.webhook),
            headers: vec![
                ("host".to_owned(), "127.0.0.1".to_owned()),
                ("content-type".to_owned(), "application/json".to_owned()),
                ("telemetry-frequency".to_owned(), "28800".to_owned()),
                ("webhook-id".to_owned(), format!("{}.{}", self.run, self.number)),
            ],
            has_length: true,
            body: body.into(),
        }
    }

    fn stored(&mut self, body: impl Into<Vec<u8>>) -> Case {
        self.request(body).must(Must::BeStored)
    }

    fn refused(&mut self, status: u16, body: impl Into<Vec<u8>>) -> Case {
        self.request(body).must(Must::BeRefused { status, field: None })
    }

    fn refused_for(&mut self, status: u16, field: &'static str, body: impl Into<Vec<u8>>) -> Case {
        self.request(body).must(Must::BeRefused { status, field: Some(field) })
    }
}

/// A request that is not written as bytes yet.
struct Request {
    line: String,
    headers: Vec<(String, String)>,
    has_length: bool,
    body: Vec<u8>,
}

impl Request {
    fn must(self, must: Must) -> Case {
        Case { bytes: self.bytes(), must }
    }

    fn line(mut self, line: impl Into<String>) -> Self {
        self.line = line.into();
        self
    }

    /// Replaces the header with this name.
    fn header(self, name: &str, value: impl Into<String>) -> Self {
        self.without(name).more(name, value)
    }

    /// Adds a header, also if there is one with this name.
    fn more(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    fn without_length(mut self) -> Self {
        self.has_length = false;
        self
    }

    fn bytes(mut self) -> Vec<u8> {
        if self.has_length {
            let length = self.body.len().to_string();
            self = self.more("content-length", length);
        }
        let mut text = self.line + "\r\n";
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += "\r\n";
        let mut bytes = text.into_bytes();
        bytes.extend(self.body);
        bytes
    }
}

fn random_id(random: &mut fastrand::Rng) -> Uuid {
    Builder::from_random_bytes(random.u128(..).to_be_bytes()).into_uuid()
}
