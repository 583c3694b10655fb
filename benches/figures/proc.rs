//! What Linux says of a process.

use std::fs;
use std::path::Path;

/// Memory that is resident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Memory {
    /// All of it, kibibytes.
    pub(crate) resident: i64,
    /// What of it is the process's own, kibibytes.
    pub(crate) anonymous: i64,
}

/// One thread at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Thread {
    pub(crate) id: u64,
    pub(crate) name: String,
    /// How often it went to sleep.
    pub(crate) sleeps: u64,
}

/// The memory of a process; `None` where the system does not say.
pub(crate) fn memory(process: u32) -> Option<Memory> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    Some(Memory { resident: field(&status, "VmRSS:")?, anonymous: field(&status, "RssAnon:")? })
}

/// The threads of a process; none where the system does not say.
pub(crate) fn threads(process: u32) -> Vec<Thread> {
    let tasks = fs::read_dir(format!("/proc/{process}/task"));
    tasks.into_iter().flatten().flatten().filter_map(|task| thread(&task.path())).collect()
}

fn thread(task: &Path) -> Option<Thread> {
    let status = fs::read_to_string(task.join("status")).ok()?;
    Some(Thread {
        id: task.file_name()?.to_str()?.parse().ok()?,
        name: status.lines().next()?.split_once('\t')?.1.to_owned(),
        sleeps: field(&status, "voluntary_ctxt_switches:")?.try_into().ok()?,
    })
}

fn field(status: &str, name: &str) -> Option<i64> {
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
