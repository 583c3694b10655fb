//! PgBouncer in front of a PostgreSQL server.

use std::{env, fs, net::Ipv4Addr, net::TcpStream, path::PathBuf, process::Command, time::Duration};

use nix::unistd::{Uid, User};
use url::Url;

use crate::{Spawned, becomes_true, children, needed, programs::Port};

/// Names the program where it is not the system's, for example to try another version.
const VARIABLE: &str = "TEST_PGBOUNCER";

const LISTENS_WITHIN: Duration = Duration::from_secs(30);

/// A running PgBouncer, killed when dropped. It has to be dropped before the databases that it has connections to.
pub struct Pooler {
    directory: tempfile::TempDir,
    server: Url,
    port: Port,
    process: Option<Spawned>,
}

impl Pooler {
    /// Starts a pooler for all databases of the server of `url`. `settings` are lines of its configuration, such as
    /// `pool_mode = session`.
    ///
    /// # Panics
    /// When PgBouncer is missing and not installed, or does not start; the message says what to do.
    pub fn start(url: &str, settings: &[&str]) -> Self {
        let server = Url::parse(url).expect("the server's URL is one");
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let mut pooler = Self { directory, server, port: Port::reserve(), process: None };
        fs::write(pooler.configuration(), pooler.text(settings)).expect("a file can be written");
        pooler.launch();
        pooler
    }

    /// Whether the PgBouncer in use carries prepared statements where it hands out connections by transaction.
    ///
    /// # Panics
    /// When PgBouncer is missing and not installed, or does not say which version it is.
    pub fn carries_prepared_statements() -> bool {
        let output = children::output(Command::new(program()).arg("--version")).expect("PgBouncer starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.split_whitespace().nth(1).and_then(|version| {
            let (major, rest) = version.split_once('.')?;
            Some((major.parse().ok()?, rest.split('.').next()?.parse().ok()?))
        });
        let version: (u32, u32) = version.unwrap_or_else(|| panic!("no version of PgBouncer: {text}"));
        version >= (1, 21)
    }

    /// The URL of the server's database that [`start`](Self::start) named, through the pooler.
    pub fn url(&self) -> String {
        let mut url = self.server.clone();
        url.set_host(Some("127.0.0.1")).expect("a URL with a host has one");
        url.set_port(Some(self.port.number())).expect("a URL with a host has a port");
        url.into()
    }

    /// Kills the pooler and starts it again on the same port: whatever its clients were about ends without a word.
    ///
    /// # Panics
    /// When it does not start again.
    pub fn restart(&mut self) {
        self.process = None;
        self.launch();
    }

    fn launch(&mut self) {
        let mut command = Command::new(program());
        command.arg("-q").arg(self.configuration());
        let mut process = Spawned::start(command);
        let mut listens = false;
        becomes_true(LISTENS_WITHIN, || {
            listens = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port.number())).is_ok();
            listens || process.has_ended()
        });
        // Another server could have the port.
        assert!(
            listens && !process.has_ended(),
            "PgBouncer does not listen; its output:\n{}",
            process.output().join("\n")
        );
        self.process = Some(process);
    }

    fn configuration(&self) -> PathBuf {
        self.directory.path().join("pgbouncer.ini")
    }

    fn text(&self, settings: &[&str]) -> String {
        let host = self.server.host_str().unwrap_or("127.0.0.1");
        let (port, user) = (self.server.port().unwrap_or(5432), self.server.username());
        let password =
            self.server.password().map_or_else(String::new, |password| format!(" password={password}"));
        // PgBouncer refuses to run as root.
        let runs_as = ["postgres", "nobody"].iter().find_map(|name| User::from_name(name).ok().flatten());
        let runs_as = runs_as.filter(|_| Uid::effective().is_root());
        let runs_as = runs_as.map_or_else(String::new, |user| format!("user = {}\n", user.name));
        format!(
            "[databases]\n* = host={host} port={port} user={user}{password}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {}\nunix_socket_dir =\nauth_type = any\n{runs_as}{}\n",
            self.port.number(),
            settings.join("\n")
        )
    }
}

fn program() -> PathBuf {
    env::var_os(VARIABLE).map_or_else(|| needed::program("pgbouncer", "pgbouncer"), PathBuf::from)
}
