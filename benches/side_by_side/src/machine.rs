//! On what, and with what, it was measured.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::thread;

use crate::host::Host;
use crate::weight::dependencies;

/// A line for the machine, and one for the versions of what is compared.
pub(crate) fn describe() -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let kernel = first_line("/proc/sys/kernel/osrelease");
    let load = first_line("/proc/loadavg");
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor.lines().find(|line| line.starts_with("model name"));
    let processor = processor.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, name)| name);
    let rustc = Command::new("rustc").arg("--version").output().expect("rustc can be run");
    let rustc = String::from_utf8_lossy(&rustc.stdout);
    let used: BTreeSet<String> = [Host::Loop, Host::Sentry]
        .into_iter()
        .flat_map(|host| dependencies(host, "normal"))
        .filter(|package| ["actix-web ", "reqwest ", "sentry "].iter().any(|name| package.starts_with(name)))
        .collect();
    let used = Vec::from_iter(used).join(", ");
    format!("{cores} cores ({processor}), Linux {kernel}, load before {load}\n{}; {}", rustc.trim_end(), used)
}

fn first_line(file: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}
