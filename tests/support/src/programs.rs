//! Real programs: installed where the machine has none and `TEST_INSTALL=1` asks for it, started, awaited, ended.

use std::{
    env,
    fs::{self, File},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use nix::unistd::Uid;

use crate::{Signal, Spawned, install, needed, wait::becomes_true, webhook};

/// A program that has to install nothing listens within a second; Node-RED on a busy machine takes many.
const LISTENS_WITHIN: Duration = Duration::from_secs(60);

/// Below the ports that a system hands out by itself, so that no connection takes one meanwhile.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// The program `name`, from Debian's `package` where the machine has none.
///
/// # Panics
/// When it is missing and not installed; the message says how to get it.
pub fn debian(name: &str, package: &str) -> PathBuf {
    needed::program(name, package)
}

/// The program `name` of a package of Python's, such as `httpbin==0.10.2`, in an environment of its own.
///
/// # Panics
/// When it is missing and not installed; the message says how to get it.
pub fn python(requirements: &[&str], name: &str) -> PathBuf {
    let directory = place("test-python", &requirements.join("_"));
    installed(&directory, |partial| {
        let python = needed::program("python3", "python3");
        let environment = || install::run(Command::new(&python).args(["-m", "venv"]).arg(partial));
        // Debian has it in a package of its own.
        environment().or_else(|error| {
            install::package("python3-venv")
                .map_err(|why| format!("{error}\n{why}"))
                .and_then(|()| environment())
        })?;
        install::run(
            Command::new(partial.join("bin/python"))
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(requirements),
        )
    });
    directory.join("bin").join(name)
}

/// Sees that there are the fonts that pages are shown in, Inter and DejaVu Sans Mono, so that texts are as wide on every
/// machine.
///
/// # Panics
/// When they are missing and not installed; the message says how to get them.
pub fn fonts() {
    needed::program(needed::INTER, "fonts-inter");
    needed::program(needed::DEJAVU, "fonts-dejavu-core");
}

/// The folder with the `node_modules` of a package of npm's, such as `node-red@4.1.1`.
///
/// # Panics
/// When it is missing and not installed; the message says how to get it.
pub fn npm(requirements: &[&str]) -> PathBuf {
    let directory = place("test-npm", &requirements.join("_"));
    installed(&directory, |partial| {
        let npm = needed::program("npm", "npm");
        install::run(
            Command::new(npm)
                .args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"])
                .arg(partial)
                .args(requirements),
        )
    });
    directory
}

/// `node`, to run what [`npm`] installed.
///
/// # Panics
/// When it is missing and not installed; the message says how to get it.
pub fn node() -> PathBuf {
    needed::program("node", "nodejs")
}

/// The folder with the `node_modules` that the lock file in `folder` names, to the byte.
///
/// # Panics
/// When they are missing and not installed; the message says how to get them.
pub fn npm_locked(folder: &Path) -> PathBuf {
    let (package, lock) = (folder.join("package.json"), folder.join("package-lock.json"));
    let locked = fs::read(&lock).unwrap_or_else(|error| panic!("{}: {error}", lock.display()));
    let directory = place("test-npm", &webhook::checksum(&locked));
    installed(&directory, |partial| {
        let npm = needed::program("npm", "npm");
        for file in [&package, &lock] {
            let name = file.file_name().unwrap_or_default();
            fs::copy(file, partial.join(name)).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        install::run(
            Command::new(npm)
                .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"])
                .arg(partial),
        )
    });
    directory
}

/// The program `name` of the package of that name in this workspace, built with the profile of the tests.
///
/// # Errors
/// It cannot be built, and why.
pub fn of_workspace(name: &str) -> Result<PathBuf, String> {
    let cargo = env::var_os("CARGO").unwrap_or("cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--bin", name]);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let profile = match cfg!(debug_assertions) {
        true => {
            // With the features that crates have in the tests of the workspace, so that none is compiled once more.
            command.args(["--workspace", "--all-features"]);
            "debug"
        }
        false => {
            command.args(["--package", name, "--release"]);
            "release"
        }
    };
    install::run(&mut command)?;
    Ok(install::target_directory().join(profile).join(name))
}

/// A `node` of at least this version, to run what [`npm_locked`] installed.
///
/// # Panics
/// When it is missing and not installed; the message says how to get it.
pub fn node_since(version: u32) -> PathBuf {
    needed::node_since(version)
}

fn place(kind: &str, requirements: &str) -> PathBuf {
    let name: String =
        requirements.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let target = install::target_directory().join(kind);
    fs::create_dir_all(&target).expect("the target directory can be made");
    target.canonicalize().expect("it has just been made").join(name)
}

/// Installs at the final place, for scripts carry their path; a mark beside it tells a whole installation from a broken one.
fn installed(directory: &Path, install: impl FnOnce(&Path) -> Result<(), String>) {
    let mark = directory.join(".complete");
    if mark.exists() {
        return;
    }
    needed::assert_asked_for(&directory.display().to_string());
    let lock = format!("install-{}", directory.file_name().unwrap_or_default().to_string_lossy());
    install::one_at_a_time(&lock, || {
        if mark.exists() {
            return;
        }
        let _ = fs::remove_dir_all(directory);
        fs::create_dir_all(directory).expect("a directory can be made");
        install(directory)
            .unwrap_or_else(|error| panic!("{} cannot be installed: {error}", directory.display()));
        File::create(&mark).expect("a file can be made");
    });
}

/// A port of 127.0.0.1 that no other test takes while this lives.
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Reserves a free one.
    ///
    /// # Panics
    /// When there is none.
    pub fn reserve() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let directory = env::temp_dir().join(format!("test-ports-{}", Uid::effective()));
        fs::create_dir_all(&directory).expect("a directory can be made");
        let count = PORTS.end - PORTS.start;
        let first = (std::process::id() % u32::from(count)) as u16;
        for _ in 0..count {
            let number = PORTS.start + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % count;
            let lock = File::create(directory.join(number.to_string())).expect("a lock file can be made");
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Self { number, _lock: lock };
            }
        }
        panic!("no port of {PORTS:?} is free");
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

/// A running server, killed when dropped.
pub struct Service {
    process: Spawned,
    port: Port,
}

impl Service {
    /// Starts `command`, which is to listen on `port`, and waits until it does.
    ///
    /// # Panics
    /// When it does not come to listen.
    pub fn start(command: Command, port: Port) -> Self {
        let mut process = Spawned::start(command);
        let mut listens = false;
        becomes_true(LISTENS_WITHIN, || {
            listens = TcpStream::connect((Ipv4Addr::LOCALHOST, port.number)).is_ok();
            listens || process.has_ended()
        });
        assert!(listens, "nothing listens on {}; its output:\n{}", port.number, process.output().join("\n"));
        Self { process, port }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port.number
    }

    /// The process, for its output.
    pub fn process(&self) -> &Spawned {
        &self.process
    }

    /// Sends it a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }
}
