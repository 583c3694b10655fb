//! A destination with one fault that comes and goes.

use std::fs;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use test_support::{Behaviour, FakeDestination};

use crate::gate::{Gate, Mode};
use crate::secrets;
use crate::subject::Settings;

/// Resolved only where the host's own `/etc/hosts` has it.
const NAME: &str = "telemetry.invalid";

/// A name server that hears and says nothing.
const SILENT_RESOLVER: &str = "127.83.21.7";

/// What can be wrong on the way of an event.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Of the destination itself.
    Behaves(Behaviour),
    /// It redirects to another destination, which must not hear of it.
    Redirects,
    /// Nobody listens.
    Refuses,
    /// Packets get no answer.
    Swallows,
    /// Its name does not exist.
    NoName,
    /// Nobody answers who is asked for its name.
    SilentResolver,
    /// The proxy behaves so.
    Proxy(Behaviour),
}

/// A destination, what stands before it, and a fault that can be made and mended.
pub(crate) struct Scene {
    fault: Fault,
    pub(crate) destination: FakeDestination,
    /// Where a redirect leads to.
    elsewhere: FakeDestination,
    gate: Option<Gate>,
    folder: TempDir,
    _resolver: Option<UdpSocket>,
}

impl Scene {
    /// All is well to begin with.
    pub(crate) fn new(fault: &Fault) -> Self {
        let destination = FakeDestination::start(Behaviour::Ok);
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let gate = match fault {
            Fault::Refuses | Fault::Swallows => Some(Gate::before(destination.address(), None)),
            Fault::Behaves(Behaviour::BrokenTls) => {
                let tls = certificate(folder.path().join("ca.pem"));
                Some(Gate::before(destination.address(), Some(tls)))
            }
            _ => None,
        };
        // Shared by all scenes of this kind: whoever comes first has it.
        let resolver =
            matches!(fault, Fault::SilentResolver).then(|| UdpSocket::bind((SILENT_RESOLVER, 53)).ok());
        let scene = Self {
            fault: fault.clone(),
            destination,
            elsewhere: FakeDestination::start(Behaviour::Ok),
            gate,
            folder,
            _resolver: resolver.flatten(),
        };
        scene.mend();
        scene
    }

    /// What a host needs to send its events here.
    pub(crate) fn settings(&self, has_token: bool) -> Settings {
        let address = self.destination.address();
        let by_gate = || self.gate.as_ref().map_or_else(|| address.to_string(), Gate::authority);
        match &self.fault {
            Fault::Behaves(Behaviour::BrokenTls) => Settings::custom("https", &by_gate(), has_token)
                .with("SIRVEO_TELEMETRY_CA_FILE", self.folder.path().join("ca.pem").to_string_lossy()),
            Fault::NoName | Fault::SilentResolver => {
                Settings::custom("http", &format!("{NAME}:{}", address.port()), has_token)
                    .in_mounts(self.mounts())
            }
            Fault::Proxy(_) => {
                let (user, password) = (secrets::PROXY_USER.value, secrets::PROXY_PASSWORD.value);
                Settings::custom("http", NAME, has_token)
                    .with("http_proxy", format!("http://{user}:{password}@{address}"))
            }
            _ => Settings::custom("http", &by_gate(), has_token),
        }
    }

    /// The fault is there from now on.
    pub(crate) fn break_it(&self) {
        match &self.fault {
            Fault::Behaves(Behaviour::BrokenTls) => {
                self.destination.set_behaviour(Behaviour::BrokenTls);
                self.pass(Mode::Plain);
            }
            Fault::Behaves(behaviour) | Fault::Proxy(behaviour) => {
                self.destination.set_behaviour(behaviour.clone());
            }
            Fault::Redirects => self.destination.set_behaviour(Behaviour::Redirect(self.elsewhere.url())),
            Fault::Refuses => self.pass(Mode::Refusing),
            Fault::Swallows => self.pass(Mode::Swallowing),
            Fault::NoName | Fault::SilentResolver => self.write_names(false),
        }
    }

    /// All is well from now on.
    pub(crate) fn mend(&self) {
        self.destination.set_behaviour(Behaviour::Ok);
        match &self.fault {
            Fault::Behaves(Behaviour::BrokenTls) => self.pass(Mode::Tls),
            Fault::Refuses | Fault::Swallows => self.pass(Mode::Plain),
            Fault::NoName | Fault::SilentResolver => self.write_names(true),
            _ => {}
        }
    }

    /// The reasons of all events that arrived, in their order.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let events = self.destination.requests().into_iter().filter(|request| !request.body.is_empty());
        events.map(|request| reason(&request.body)).collect()
    }

    /// Whether anything came to where a redirect leads.
    pub(crate) fn was_redirect_followed(&self) -> bool {
        !self.elsewhere.requests().is_empty()
    }

    fn pass(&self, mode: Mode) {
        self.gate.as_ref().expect("this fault has a gate").set(mode);
    }

    /// Replaces what says to the host which names there are.
    fn mounts(&self) -> String {
        let folder = self.folder.path();
        let sources = match self.fault {
            Fault::SilentResolver => "hosts: files dns\n",
            _ => "hosts: files\n",
        };
        fs::write(folder.join("nsswitch.conf"), sources).expect("a temporary file can be written");
        fs::write(folder.join("resolv.conf"), format!("nameserver {SILENT_RESOLVER}\n"))
            .expect("a temporary file can be written");
        ["hosts", "nsswitch.conf", "resolv.conf"]
            .map(|file| format!("mount --bind {0}/{file} /etc/{file}\n", folder.display()))
            .concat()
    }

    /// In place, for the host sees this very file.
    fn write_names(&self, has_name: bool) {
        let name = if has_name { NAME } else { "another.invalid" };
        fs::write(self.folder.path().join("hosts"), format!("127.0.0.1 localhost\n127.0.0.1 {name}\n"))
            .expect("a temporary file can be written");
    }
}

/// The reason in an event's body.
pub(crate) fn reason(body: &[u8]) -> String {
    field(body, "reason")
}

/// A text field of an event's body.
pub(crate) fn field(body: &[u8], name: &str) -> String {
    let event: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    event[name].as_str().unwrap_or_default().to_owned()
}

/// TLS for 127.0.0.1, by a certificate that is its own CA and lies in `file`.
fn certificate(file: PathBuf) -> Arc<ServerConfig> {
    let made =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate can be made");
    fs::write(file, made.cert.pem()).expect("a temporary file can be written");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has the usual versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key);
    Arc::new(config.expect("the certificate and its key belong together"))
}

impl Fault {
    /// What it is in words.
    pub(crate) fn name(&self) -> String {
        match self {
            Fault::Behaves(behaviour) => name(behaviour),
            Fault::Redirects => "redirects".into(),
            Fault::Refuses => "refuses connections".into(),
            Fault::Swallows => "swallows packets".into(),
            Fault::NoName => "its name does not exist".into(),
            Fault::SilentResolver => "the name server is silent".into(),
            Fault::Proxy(behaviour) => format!("the proxy {}", name(behaviour)),
        }
    }

    /// What the log is to say of an event that meets it.
    pub(crate) fn outcome(&self) -> String {
        match self {
            Fault::Redirects => "status=307".into(),
            Fault::Refuses => "cause=refused".into(),
            Fault::Swallows | Fault::SilentResolver => "cause=timed_out".into(),
            Fault::NoName => "cause=dns".into(),
            Fault::Proxy(Behaviour::Status(_)) => "cause=proxy".into(),
            Fault::Behaves(behaviour) | Fault::Proxy(behaviour) => outcome(behaviour),
        }
    }
}

fn name(behaviour: &Behaviour) -> String {
    match behaviour {
        Behaviour::Ok => "is well".into(),
        Behaviour::Status(status) => format!("answers {status}"),
        Behaviour::Reset => "resets the connection".into(),
        Behaviour::HangBeforeHead => "never answers".into(),
        Behaviour::HangAfterHead => "sends a head and then nothing".into(),
        Behaviour::EndlessBody => "sends a body without end".into(),
        Behaviour::Redirect(_) => "redirects".into(),
        Behaviour::BrokenTls => "breaks the TLS handshake".into(),
        Behaviour::Slow(by) => format!("answers after {} s", by.as_secs_f64()),
        Behaviour::Garbage(_) => "answers nonsense".into(),
        Behaviour::EarlyClose => "closes without an answer".into(),
    }
}

fn outcome(behaviour: &Behaviour) -> String {
    match behaviour {
        Behaviour::Ok | Behaviour::HangAfterHead | Behaviour::EndlessBody => "status=200".into(),
        Behaviour::Status(status) => format!("status={status}"),
        Behaviour::Reset | Behaviour::EarlyClose => "cause=disconnected".into(),
        Behaviour::HangBeforeHead => "cause=timed_out".into(),
        Behaviour::Redirect(_) => "status=307".into(),
        Behaviour::BrokenTls => "cause=tls".into(),
        Behaviour::Slow(by) if *by < Duration::from_secs(4) => "status=200".into(),
        Behaviour::Slow(_) => "cause=timed_out".into(),
        Behaviour::Garbage(_) => "cause=invalid_response".into(),
    }
}
