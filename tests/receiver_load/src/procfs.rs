//! Figures that Linux has about a process.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Resident memory in KiB; `None` if the process has ended.
pub(crate) fn resident(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Processor time used so far by all threads of a process.
pub(crate) fn processor_time(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 =
        after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Samples the memory of a process.
pub(crate) struct MemoryWatch {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<(Duration, u64)>>,
}

impl MemoryWatch {
    pub(crate) fn start(process: u32) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let thread = thread::spawn(move || {
            let began = Instant::now();
            let mut looks = Vec::new();
            while !over.load(Ordering::Relaxed) {
                looks.extend(resident(process).map(|memory| (began.elapsed(), memory)));
                thread::sleep(BETWEEN_LOOKS);
            }
            looks
        });
        Self { is_over, thread }
    }

    pub(crate) fn stop(self) -> Memory {
        self.is_over.store(true, Ordering::Relaxed);
        Memory { looks: self.thread.join().expect("the watch does not panic") }
    }
}

/// Memory of a process over time.
pub(crate) struct Memory {
    looks: Vec<(Duration, u64)>,
}

impl Memory {
    /// Maximum of the first third and of the last third, in KiB. Bounded memory reaches its bound early.
    pub(crate) fn first_and_last(&self) -> (u64, u64) {
        let end = self.looks.last().map_or(Duration::ZERO, |(at, _)| *at);
        let most = |from: Duration, to: Duration| {
            let within = self.looks.iter().filter(|(at, _)| *at >= from && *at <= to);
            within.map(|(_, memory)| *memory).max().unwrap_or_default()
        };
        (most(Duration::ZERO, end / 3), most(end * 2 / 3, end))
    }

    /// Maximum at any time, in KiB.
    pub(crate) fn peak(&self) -> u64 {
        self.looks.iter().map(|(_, memory)| *memory).max().unwrap_or_default()
    }
}

/// KiB as text in MiB, without the unit.
pub(crate) fn mib(kibibytes: u64) -> String {
    format!("{:.1}", kibibytes as f64 / 1024.0)
}
