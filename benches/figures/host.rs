//! A tiny actix-web server, with telemetry or without: this program calls itself to be it, so that
//! both are the same binary in a process of their own.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use actix_web::{App, HttpServer, web};
use deployment_telemetry::{PostgresStateStore, SqliteStateStore, Telemetry};
use test_support::{Behaviour, FakeDestination, Spawned, TestDatabase};

use crate::{HOST, subject};

/// What is said when the server listens, before the address.
const LISTENING: &str = "listening on ";

/// Is the server until it is killed. With the place of a store there is telemetry in it; its
/// settings are the environment's.
pub(crate) fn run(store: Option<&str>) {
    let served = actix_web::rt::System::new().block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let _telemetry = store.map(start_telemetry);
        let server = HttpServer::new(|| App::new().route("/healthz", web::get().to(async || "well")));
        let server = server.listen(listener)?.run();
        println!("{LISTENING}{address}");
        server.await
    });
    served.expect("the server runs until it is killed");
}

fn start_telemetry(store: &str) -> Telemetry {
    let builder = if store.starts_with("postgres") {
        subject::telemetry(PostgresStateStore::from_url(store).expect("it is the URL of a database"))
    } else {
        subject::telemetry(SqliteStateStore::new(store))
    };
    builder.start().expect("the settings are good")
}

/// The kinds of host that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Without telemetry.
    Bare,
    /// PostgreSQL, mode `disabled`.
    Disabled,
    /// PostgreSQL, an `http` destination.
    Postgres,
    /// SQLite, an `http` destination.
    Sqlite,
    /// PostgreSQL, an `https` destination: the TLS roots are loaded, the handshake fails.
    Https,
}

/// A running host and all it speaks to.
pub(crate) struct RunningHost {
    pub(crate) kind: Kind,
    pub(crate) process: Spawned,
    pub(crate) destination: FakeDestination,
    _database: Option<TestDatabase>,
    _folder: tempfile::TempDir,
}

impl RunningHost {
    /// Starts a host, which is a copy of this program, and waits until it has answered a request.
    pub(crate) fn start(kind: Kind, program: &Path) -> Self {
        let behaviour = if kind == Kind::Https { Behaviour::BrokenTls } else { Behaviour::Ok };
        let destination = FakeDestination::start(behaviour);
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let database = match kind {
            Kind::Bare | Kind::Sqlite => None,
            Kind::Disabled | Kind::Postgres | Kind::Https => Some(TestDatabase::new()),
        };
        let mut command = Command::new(program);
        command.arg(HOST);
        match &database {
            Some(database) => _ = command.arg(database.url()),
            None if kind == Kind::Sqlite => _ = command.arg(folder.path().join("state.db")),
            None => {}
        }
        command.env("SIRVEO_TELEMETRY_MODE", if kind == Kind::Disabled { "disabled" } else { "custom" });
        command.env("SIRVEO_TELEMETRY_URL", destination.url());
        let process = start(command);
        Self { kind, process, destination, _database: database, _folder: folder }
    }

    /// Whether it has telemetry that sends.
    pub(crate) fn sends(&self) -> bool {
        !matches!(self.kind, Kind::Bare | Kind::Disabled)
    }
}

/// Starts a host and waits until it has answered a request.
pub(crate) fn start(command: Command) -> Spawned {
    let process = Spawned::start(command);
    let line = process.wait_for_line(|line| line.starts_with(LISTENING), subject::PATIENCE);
    let address = line[LISTENING.len()..].parse().expect("the host says its address");
    assert!(ask(address).is_ok_and(|answer| answer.contains("200 OK")), "the host answers");
    process
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
