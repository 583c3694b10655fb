//! What Linux says of a process.

use std::fs;

/// Memory that is resident, kibibytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    /// The most it ever was.
    pub(crate) peak: u64,
}

/// The memory of a process.
pub(crate) fn memory(process: u32) -> Result<Memory, String> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).map_err(|error| error.to_string())?;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    field("VmRSS:").zip(field("VmHWM:")).map(|(now, peak)| Memory { now, peak }).ok_or(status.clone())
}

/// The names of the threads of a process, sorted; none where it has ended.
pub(crate) fn threads(process: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task"));
    let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).ok();
    let mut names: Vec<String> = tasks
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(name)
        .map(|name| name.trim_end().to_owned())
        .collect();
    names.sort();
    names
}

/// Whether a process has a handler for SIGTERM: the mask `SigCgt` of proc(5) has its bit.
pub(crate) fn hears_sigterm(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask & (1 << (15 - 1)) != 0
}
