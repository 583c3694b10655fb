//! Removes a cluster however the process that started it ends.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::children;

/// Reads the server's process id, or an empty line while there is none. Its input ends when the test process does,
/// even by SIGKILL; then it shuts the server down at once and removes the directory. A server that was killed could
/// not remove its System V segment, named on line 7 of its pid file. `initdb` may still be writing: hence the retries.
const SCRIPT: &str = r#"
directory=$1
server=
while read -r line; do server=$line; done
if [ -n "$server" ]; then
    kill -QUIT "$server"
    kill -CONT "$server"
    looks=0
    while kill -0 "$server" && [ $looks -lt 100 ]; do
        sleep 0.1
        looks=$((looks + 1))
    done
    kill -KILL "$server"
else
    segment=$(sed -n '7s/.* //p' "$directory/data/postmaster.pid")
    [ -n "$segment" ] && ipcrm -m "$segment"
fi
looks=0
until rm -rf -- "$directory" || [ $looks -ge 50 ]; do
    sleep 0.1
    looks=$((looks + 1))
done
"#;

/// A small process that outlives this one for as long as the clean-up takes.
pub(super) struct Guard(Child);

impl Guard {
    /// Watches over `directory`, which is removed when the guard is dropped or this process ends.
    ///
    /// In a process group of its own, so that Ctrl-C at a terminal does not reach it.
    pub(super) fn of(directory: &Path) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "guard"]).arg(directory).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(children::spawn(&mut command).expect("sh starts"))
    }

    /// Names the server to shut down, `None` when there is none to.
    pub(super) fn watch(&mut self, server: Option<u32>) {
        let line = server.map_or_else(String::new, |id| id.to_string());
        let input = self.0.stdin.as_mut().expect("stdin is piped");
        writeln!(input, "{line}").expect("the guard reads");
    }

    /// Tells the guard to do its work.
    pub(super) fn release(&mut self) {
        drop(self.0.stdin.take());
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.release();
        let _ = self.0.wait();
    }
}
