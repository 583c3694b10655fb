//! Installs what the tests need and the machine has not.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use nix::unistd::Uid;

use crate::children;

/// Runs `work` while no other test process does, under a lock named `name`.
pub(crate) fn one_at_a_time<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let target = target_directory();
    fs::create_dir_all(&target).expect("the target directory can be made");
    let lock = File::create(target.join(format!("{name}.lock"))).expect("a lock file can be made");
    lock.lock().expect("the lock file can be locked");
    work()
}

pub(crate) fn package_is_possible() -> Result<(), String> {
    if !Uid::effective().is_root() {
        return Err("needs root".into());
    }
    if !Path::new("/etc/debian_version").exists() {
        return Err("this is not Debian".into());
    }
    Ok(())
}

/// Installs a package of Debian's.
pub(crate) fn package(name: &str) -> Result<(), String> {
    package_is_possible()?;
    let apt_get = || {
        let mut command = Command::new("apt-get");
        command.args(["-o", "DPkg::Lock::Timeout=300", "-y"]).env("DEBIAN_FRONTEND", "noninteractive");
        // The tests start what they need themselves; a package is not to start its service.
        command.env("RUNLEVEL", "1");
        command
    };
    run(apt_get().arg("update"))?;
    run(apt_get().args(["install", "--no-install-recommends", name]))
}

/// Unpacks a Python wheel into `directory`, which needs neither root nor a package manager.
pub(crate) fn wheel(specification: &str, directory: &Path) -> Result<(), String> {
    let partial = directory.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    run(Command::new("python3")
        .args(["-m", "pip", "install", "--no-deps", "--only-binary", ":all:"])
        .arg("--target")
        .arg(&partial)
        .arg(specification))?;
    fs::rename(&partial, directory).map_err(|error| error.to_string())
}

pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let output = children::output(command).map_err(|error| format!("{command:?}: {error}"))?;
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

pub(crate) fn target_directory() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from)
}
