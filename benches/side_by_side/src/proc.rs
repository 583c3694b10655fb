//! What Linux says of a process.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// A process at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Usage {
    /// Resident memory, bytes.
    pub(crate) resident: u64,
    /// What of it is the process's own, and no page of a file.
    pub(crate) anonymous: u64,
    pub(crate) threads: Vec<Thread>,
}

/// A thread at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Thread {
    pub(crate) name: String,
    /// How often it went to sleep, so that something must have woken it.
    pub(crate) sleeps: u64,
    /// How long it has had a core.
    pub(crate) cpu: Duration,
}

/// What `process` uses.
pub(crate) fn usage(process: u32) -> Usage {
    let directory = Path::new("/proc").join(process.to_string());
    let status = read(&directory.join("status"));
    let threads = fs::read_dir(directory.join("task")).expect("the threads of a host can be listed");
    let threads = threads.map(|thread| thread.expect("the threads of a host can be listed").path());
    Usage {
        resident: field(&status, "VmRSS:") * 1024,
        anonymous: field(&status, "RssAnon:") * 1024,
        threads: threads.map(|directory| thread(&directory, process)).collect(),
    }
}

fn thread(directory: &Path, process: u32) -> Thread {
    // The main thread is named as its program is, which no two hosts share.
    let is_main = directory.ends_with(process.to_string());
    let name = if is_main { "main".to_owned() } else { read(&directory.join("comm")).trim_end().to_owned() };
    let on_cpu = read(&directory.join("schedstat"));
    let nanoseconds = on_cpu.split(' ').next().and_then(|number| number.parse().ok());
    Thread {
        name,
        sleeps: field(&read(&directory.join("status")), "voluntary_ctxt_switches:"),
        cpu: Duration::from_nanos(nanoseconds.expect("the time on a core comes first")),
    }
}

/// Whether `process` waits for a connection to a port of 127.0.0.1 from which no answer comes.
pub(crate) fn knocks_at(process: u32, port: u16) -> bool {
    const LOOPBACK: u32 = u32::from_ne_bytes([127, 0, 0, 1]);
    const SYN_SENT: &str = "02";
    let address = format!("{LOOPBACK:08X}:{port:04X}");
    let connections = read(&Path::new("/proc").join(process.to_string()).join("net/tcp"));
    connections.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(2);
        fields.next() == Some(&address) && fields.next() == Some(SYN_SENT)
    })
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {status}"))
}
