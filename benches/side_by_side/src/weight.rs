//! What a host weighs before it runs: crates to trust and to compile, and the size of its program.

use std::collections::BTreeSet;
use std::fs;

use crate::host::{Host, cargo};
use crate::table::{Table, count, megabytes};

pub(crate) fn measure(table: &mut Table) {
    let crates = |edges: &str| Host::ALL.map(|host| dependencies(host, edges).len() as f64);
    table.compare("crates it depends on", crates("normal"), count);
    table.compare("crates to compile, those of build scripts too", crates("normal,build"), count);
    let size = |host: Host| fs::metadata(host.program()).expect("a program was built").len() as f64;
    table.compare("program, stripped", Host::ALL.map(size), megabytes);
}

/// Names and versions of the packages that `host` depends on, on this system.
pub(crate) fn dependencies(host: Host, edges: &str) -> BTreeSet<String> {
    let mut command = cargo("tree");
    command.args(["--package", host.package(), "--edges", edges, "--prefix", "none", "--format", "{p}"]);
    let output = command.output().expect("cargo can be run");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    let packages = text.lines().filter_map(|line| {
        let (name, rest) = line.split_once(' ')?;
        Some(format!("{name} {}", rest.split(' ').next()?))
    });
    // The first is the host itself.
    packages.skip(1).collect()
}
