//! The machine that the figures were measured on.

use std::fs;
use std::thread;

/// Cores, memory, kernel, kind of build and load of the machine.
pub(crate) fn describe() -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let processor = field("/proc/cpuinfo", "model name");
    let memory = field("/proc/meminfo", "MemTotal");
    let memory = memory.split(' ').next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default();
    let kernel = first_line("/proc/sys/kernel/osrelease");
    format!(
        "{cores} cores ({processor}), {:.0} GiB, Linux {kernel}, {}, load before {}; everything on this one machine",
        memory / f64::from(1 << 20),
        if cfg!(debug_assertions) { "DEBUG build" } else { "release build" },
        first_line("/proc/loadavg"),
    )
}

fn first_line(file: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}

fn field(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_once(':')).map_or("unknown", |(_, value)| value.trim()).to_owned()
}
