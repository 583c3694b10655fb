//! A PostgreSQL server of a test's own.

use std::{
    collections::hash_map::RandomState,
    env,
    fs::{self, File},
    hash::{BuildHasher, Hasher},
    net::{Ipv4Addr, TcpListener},
    os::unix::{
        fs::{MetadataExt, chown},
        process::{CommandExt, ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid, User},
};

use super::{admin, binaries, guard::Guard};
use crate::{children, needed, wait::becomes_true};

mod standby;

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How long the sessions of a killed server may take to notice; until then another one refuses to start.
const ORPHANS_LIMIT: Duration = Duration::from_secs(10);
const TRIES: usize = 5;

/// A throw-away PostgreSQL server, listening on a port of 127.0.0.1 alone. Unless it is to be durable, it speeds up by
/// promising nothing about crashes of the machine. It disappears with its directory when it is dropped, or when this process ends in any way.
///
/// Its superuser is `postgres`, without a password.
pub struct TestCluster {
    programs: PathBuf,
    directory: PathBuf,
    owner: Option<User>,
    port: u16,
    is_durable: bool,
    server: Option<Child>,
    paused: Vec<Pid>,
    guard: Guard,
}

impl TestCluster {
    /// Creates a cluster and starts it.
    ///
    /// # Panics
    /// When PostgreSQL is missing and not installed, or does not start; the message says what to do.
    pub fn start() -> Self {
        Self::start_with(false)
    }

    /// The same, but as a server in production: what is committed is on the disk.
    ///
    /// # Panics
    /// When PostgreSQL is missing and not installed, or does not start; the message says what to do.
    pub fn start_durable() -> Self {
        Self::start_with(true)
    }

    fn start_with(is_durable: bool) -> Self {
        let cluster = Self::in_new_directory(is_durable);
        cluster.create();
        cluster.launched()
    }

    fn in_new_directory(is_durable: bool) -> Self {
        let programs = binaries::directory();
        let directory = tempfile::Builder::new()
            .prefix("test-postgres-")
            .tempdir_in(temporary_directory())
            .and_then(|directory| fs::canonicalize(directory.keep()))
            .expect("a temporary directory can be made");
        Self {
            programs,
            owner: owner(&directory),
            guard: Guard::of(&directory),
            directory,
            port: 0,
            is_durable,
            server: None,
            paused: Vec::new(),
        }
    }

    fn launched(mut self) -> Self {
        let mut failure = String::new();
        for _ in 0..TRIES {
            self.port = free_port();
            match self.launch() {
                Ok(()) => return self,
                Err(reason) => failure = reason,
            }
        }
        panic!("PostgreSQL did not start: {failure}");
    }

    /// The URL of one of its databases; `postgres` is always there.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The port it listens on, the same after every start.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory that holds all it has on disk.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// One of PostgreSQL's own programs, such as `pgbench`, for this cluster: by the same user, in its directory.
    ///
    /// # Panics
    /// When it is missing and not installed; the message says how to get it.
    pub fn program(&self, name: &str) -> Command {
        let beside = self.programs.join(name);
        let program = if beside.is_file() { beside } else { needed::program(name, "postgresql") };
        self.command(program)
    }

    /// The process id of the running server.
    pub fn process_id(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// Stops it as an administrator would (a fast shutdown): sessions are told and ended.
    ///
    /// # Panics
    /// When it does not stop.
    pub fn stop(&mut self) {
        self.end(Signal::SIGINT);
    }

    /// Stops it without a word to anybody (an immediate shutdown): the next start has to recover.
    ///
    /// # Panics
    /// When it does not stop.
    pub fn stop_at_once(&mut self) {
        self.end(Signal::SIGQUIT);
    }

    /// Kills it with SIGKILL: sessions end without a word, and the next start has to recover.
    ///
    /// # Panics
    /// When it does not end.
    pub fn kill(&mut self) {
        self.end(Signal::SIGKILL);
    }

    /// Stops the clock for it: the port still accepts connections, but nothing on it answers any more.
    ///
    /// # Panics
    /// When its processes cannot be listed.
    pub fn pause(&mut self) {
        let others = "select string_agg(pid::text, ' ') from pg_stat_activity where pid <> pg_backend_pid()";
        let others = admin::query(&self.url("postgres"), others)
            .unwrap_or_else(|error| panic!("cannot pause: {error}"))
            .unwrap_or_default();
        self.paused = self.server_pid().into_iter().collect();
        self.paused.extend(others.split(' ').filter_map(|pid| pid.parse().ok()).map(Pid::from_raw));
        self.signal_paused(Signal::SIGSTOP);
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&mut self) {
        self.signal_paused(Signal::SIGCONT);
        self.paused.clear();
    }

    /// Starts it again after [`stop`](Self::stop) or [`kill`](Self::kill): same port, same data.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        assert!(self.server.is_none(), "the server is running");
        let mut outcome = Ok(());
        becomes_true(ORPHANS_LIMIT, || {
            outcome = self.launch();
            outcome.is_ok()
        });
        if let Err(reason) = outcome {
            panic!("PostgreSQL did not start again: {reason}");
        }
    }

    fn create(&self) {
        let mut command = self.command(self.programs.join("initdb"));
        command.args(["--no-sync", "--locale=C", "--auth=trust", "-E", "UTF8", "-U", "postgres", "-D"]);
        let output = children::output(command.arg(self.data()))
            .unwrap_or_else(|error| panic!("initdb in {}: {error}", self.programs.display()));
        assert!(
            output.status.success(),
            "initdb in {}: {}\n{}{}",
            self.programs.display(),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn launch(&mut self) -> Result<(), String> {
        let log_path = self.directory.join("log");
        let log = File::create(&log_path).expect("a log can be made");
        let mut command = self.command(self.programs.join("postgres"));
        command
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string()])
            .args(self.settings().flat_map(|setting| ["-c", setting]))
            .stderr(log)
            .process_group(0);
        let child = children::spawn(&mut command)
            .map_err(|error| format!("postgres in {}: {error}", self.programs.display()))?;
        self.guard.watch(Some(child.id()));
        self.server = Some(child);

        let mut exited = None;
        let settled = becomes_true(START_LIMIT, || {
            exited = self.exit_status();
            exited.is_some() || self.answers()
        });
        if settled && exited.is_none() {
            return Ok(());
        }
        if exited.is_none() {
            self.end(Signal::SIGQUIT);
        }
        self.forget();
        let outcome = exited.map_or("not ready in time".into(), |status| status.to_string());
        let log = fs::read_to_string(log_path).unwrap_or_default();
        Err(format!("{outcome}\n{log}"))
    }

    /// Whether this very server answers: another one could have the port.
    fn answers(&self) -> bool {
        let directory = admin::query(&self.url("postgres"), "show data_directory");
        directory.is_ok_and(|directory| directory.as_deref() == self.data().to_str())
    }

    fn command(&self, program: PathBuf) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.directory).env_remove("PGDATA").stdin(Stdio::null()).stdout(Stdio::null());
        if let Some(owner) = &self.owner {
            command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
        }
        command
    }

    /// Shared memory goes to files in the directory, so that a killed server leaves none behind.
    fn settings(&self) -> impl Iterator<Item = &'static str> {
        let durability = match self.is_durable {
            true => ["fsync=on", "synchronous_commit=on", "full_page_writes=on"],
            false => ["fsync=off", "synchronous_commit=off", "full_page_writes=off"],
        };
        let others = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=200",
            "dynamic_shared_memory_type=mmap",
        ];
        durability.into_iter().chain(others)
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn end(&mut self, signal: Signal) {
        let server = self.server_pid().expect("the server is running");
        kill(server, signal).expect("the server can be signalled");
        let ended = becomes_true(STOP_LIMIT, || self.exit_status().is_some());
        assert!(ended, "PostgreSQL still runs {STOP_LIMIT:?} after {signal}");
        self.forget();
    }

    fn forget(&mut self) {
        self.server = None;
        self.guard.watch(None);
    }

    fn exit_status(&mut self) -> Option<ExitStatus> {
        match &mut self.server {
            Some(server) => server.try_wait().expect("a child can be waited for"),
            None => Some(ExitStatus::from_raw(0)),
        }
    }

    fn server_pid(&self) -> Option<Pid> {
        let id = self.process_id()?;
        Some(Pid::from_raw(id.try_into().expect("a process id is positive")))
    }

    fn signal_paused(&self, signal: Signal) {
        for process in &self.paused {
            // A process that has ended meanwhile needs no signal.
            let _ = kill(*process, signal);
        }
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        self.resume();
        self.guard.release();
        if let Some(server) = &mut self.server {
            let _ = server.wait();
        }
    }
}

/// The system's where the lesser user that runs root's server cannot enter the configured one.
fn temporary_directory() -> PathBuf {
    let configured = env::temp_dir();
    let anybody_enters = |folder: &Path| fs::metadata(folder).is_ok_and(|data| data.mode() & 0o001 != 0);
    let is_usable = !Uid::effective().is_root()
        || fs::canonicalize(&configured).is_ok_and(|path| path.ancestors().all(anybody_enters));
    if is_usable { configured } else { PathBuf::from("/tmp") }
}

/// PostgreSQL refuses to run as root: then a lesser user owns `directory` and runs the server.
fn owner(directory: &Path) -> Option<User> {
    if !Uid::effective().is_root() {
        return None;
    }
    let owner = ["postgres", "nobody"]
        .iter()
        .find_map(|name| User::from_name(name).ok().flatten())
        .expect("root needs a user postgres or nobody to run PostgreSQL as");
    chown(directory, Some(owner.uid.as_raw()), Some(owner.gid.as_raw()))
        .expect("root can give a directory away");
    Some(owner)
}

/// A port below those that the system hands out by itself: nobody is given it while the server is down.
fn free_port() -> u16 {
    let random = RandomState::new().build_hasher().finish();
    (0..)
        .map(|step| 16_384 + (random.wrapping_add(step) % 16_384) as u16)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("some port is free")
}
