//! A host with a receiver, on a free port, and events as senders send them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer, dev::ServerHandle};
use deployment_telemetry::receiver::{
    PostgresFleetStore, Receiver, ReceiverBuilder, SqliteFleetStore, Storage, WebhookKey, strict_headers,
};
use deployment_telemetry::{BuildInfo, LicenseState, Payload, Reason};
use test_support::TestDatabase;
pub(crate) use test_support::server::Response;
use uuid::Uuid;

/// More than enough for whatever does not wait on purpose.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn sqlite(directory: &Path) -> SqliteFleetStore {
    SqliteFleetStore::new(directory.join("fleet.sqlite"))
}

pub(crate) fn postgres(database: &TestDatabase) -> PostgresFleetStore {
    PostgresFleetStore::from_url(database.url()).unwrap()
}

/// An actix-web server on a thread of its own, with nothing but a receiver.
pub(crate) struct Host {
    pub(crate) receiver: Receiver,
    pub(crate) key: WebhookKey,
    pub(crate) address: SocketAddr,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    /// With a store in a file of `directory`.
    pub(crate) fn on_sqlite(directory: &Path) -> Self {
        Self::start(sqlite(directory), |builder| builder)
    }

    pub(crate) fn start(
        store: impl Into<Storage>,
        configure: impl FnOnce(ReceiverBuilder) -> ReceiverBuilder,
    ) -> Self {
        Self::start_with(store, configure, |receiver, config| {
            config.configure(receiver.fleet());
        })
    }

    /// With its pages as `mount` mounts them.
    pub(crate) fn start_with(
        store: impl Into<Storage>,
        configure: impl FnOnce(ReceiverBuilder) -> ReceiverBuilder,
        mount: impl Fn(&Receiver, &mut ServiceConfig) + Clone + Send + 'static,
    ) -> Self {
        // What it warns of is shown where a test fails.
        let _ = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_writer(std::io::stderr)
            .try_init();
        let key = WebhookKey::generate();
        let receiver = configure(Receiver::builder(store).key(&key)).start().unwrap();
        let (started, start) = mpsc::channel();
        let mounted = receiver.clone();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    let (mounted, mount) = (mounted.clone(), mount.clone());
                    App::new()
                        .configure(mounted.webhooks())
                        .configure(move |config| mount(&mounted, config))
                        .wrap(strict_headers())
                })
                .workers(1)
                .disable_signals()
                .bind("127.0.0.1:0")
                .unwrap();
                let address = server.addrs()[0];
                let server = server.run();
                started.send((address, server.handle())).unwrap();
                server.await.unwrap();
            });
        });
        let (address, server) = start.recv_timeout(LIMIT).unwrap();
        Self { receiver, key, address, server, thread: Some(thread) }
    }

    pub(crate) fn webhook(&self) -> String {
        format!("/webhooks/{}", self.key.expose())
    }

    /// Sends `event` to the key of this run.
    pub(crate) fn send(&self, event: &Event) -> Response {
        self.request("POST", &self.webhook(), &event.headers(), &event.body)
    }

    #[track_caller]
    pub(crate) fn request(&self, method: &str, path: &str, headers: &[String], body: &[u8]) -> Response {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address);
        headers.iter().for_each(|header| head += &format!("{header}\r\n"));
        if !headers
            .iter()
            .any(|header| header.starts_with("content-length") || header.starts_with("transfer"))
        {
            head += &format!("content-length: {}\r\n", body.len());
        }
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(b"\r\n").unwrap();
        // Who answers early may close before everything is written.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answer) {
            assert!(!answer.is_empty(), "{method}: {error}");
        }
        Response::parse(&String::from_utf8(answer).expect("it answers text"))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let (receiver, server) = (self.receiver.clone(), self.server.clone());
        futures_executor::block_on(async move {
            server.stop(true).await;
            receiver.stop().await;
        });
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(std::thread::panicking() || ended.is_ok(), "the server panicked");
        }
    }
}

/// An event as a sender sends it, to be bent by tests.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

pub(crate) const INSTANCE: Uuid = Uuid::from_u128(0x4915a241_ba4e_4d2c_8f6e_0123456789ab);
pub(crate) const RUN: Uuid = Uuid::from_u128(0x7229a017_0000_4000_8000_000000000001);

impl Event {
    pub(crate) fn new(instance: Uuid, run: Uuid, sequence: u64, reason: Reason) -> Self {
        let build = BuildInfo::new("0.1.0")
            .with_commit("4379644")
            .with_time("2024-02-16T23:06:23+02:00")
            .with_mode("licenced");
        let license = LicenseState::new(None, true);
        let body = Payload::new(&build, instance, &license, reason, Some("mine")).to_json();
        Self {
            headers: vec![
                ("content-type", "application/json".to_owned()),
                ("user-agent", "Sirveo".to_owned()),
                ("webhook-id", format!("{run}.{sequence}")),
                ("webhook-timestamp", jiff::Timestamp::now().as_second().to_string()),
                ("telemetry-frequency", "28800".to_owned()),
            ],
            body,
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    /// The same with another body, whose checksum is right where it is a payload.
    pub(crate) fn with_body(
        self,
        change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>),
    ) -> Self {
        let mut fields: serde_json::Map<_, _> = serde_json::from_slice(&self.body).unwrap();
        change(&mut fields);
        if fields.remove("checksum").is_some() {
            let canonical = serde_json_canonicalizer::to_vec(&fields).unwrap();
            fields.insert("checksum".to_owned(), test_support::webhook::checksum(&canonical).into());
        }
        Self { body: serde_json::to_vec(&fields).unwrap(), ..self }
    }

    pub(crate) fn headers(&self) -> Vec<String> {
        self.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect()
    }
}
