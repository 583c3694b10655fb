//! What a test left behind in its process, which Linux tells. On other systems these checks pass, and say on stderr that
//! nothing was checked.

use std::{
    fs,
    io::{self, Write},
    sync::Once,
    time::Duration,
};

use crate::wait::becomes_true;

/// The kernel keeps this many bytes of a thread's name.
const NAME_LENGTH: usize = 15;

/// The threads of this process at one moment.
#[derive(Clone, Debug)]
pub struct Threads {
    names: Vec<String>,
}

impl Threads {
    /// The threads there are now.
    pub fn snapshot() -> Self {
        let names = listing("/proc/self/task")
            .map(|thread| fs::read_to_string(thread.join("comm")).unwrap_or_default())
            .map(|name| name.trim_end().to_owned())
            .collect();
        Self { names }
    }

    /// Their names, each cut to 15 bytes.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many have a name that begins with `prefix`, of which the first 15 bytes count.
    pub fn count_named(&self, prefix: &str) -> usize {
        let prefix = &prefix.as_bytes()[..prefix.len().min(NAME_LENGTH)];
        self.names.iter().filter(|name| name.as_bytes().starts_with(prefix)).count()
    }
}

/// Waits until no thread of this process has a name that begins with `prefix`, of which the first 15 bytes count.
///
/// # Panics
/// When there still is one after that time.
#[track_caller]
pub fn assert_no_thread_named(prefix: &str, within: Duration) {
    let gone = becomes_true(within, || Threads::snapshot().count_named(prefix) == 0);
    assert!(gone, "threads named {prefix}… after {within:?}: {:?}", Threads::snapshot().names());
}

/// How many sockets this process has open.
pub fn open_sockets() -> usize {
    listing("/proc/self/fd")
        .filter_map(|descriptor| fs::read_link(descriptor).ok())
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

fn listing(directory: &str) -> impl Iterator<Item = std::path::PathBuf> {
    static SAID: Once = Once::new();
    let entries = fs::read_dir(directory);
    if let Err(error) = &entries {
        // Not by a macro, whose output is shown for tests that fail alone.
        SAID.call_once(|| {
            let _ = writeln!(io::stderr(), "NOT CHECKED: leaks of threads and sockets: {directory}: {error}");
        });
    }
    entries.into_iter().flatten().flatten().map(|entry| entry.path())
}
