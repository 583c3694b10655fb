//! Runs scripts in the languages that the documentation gives examples in.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::{children, needed};

/// A language of which the tests run programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Run by `python3`.
    Python,
    /// Run by `node`.
    JavaScript,
}

impl Language {
    /// What `program` prints when `input` is its standard input.
    ///
    /// # Panics
    /// When the interpreter is missing and not installed ([`programs`](crate::programs)), or when the program fails.
    pub fn run(self, program: &str, input: &[u8]) -> String {
        let (interpreter, option) = match self {
            Language::Python => (needed::program("python3", "python3"), "-c"),
            Language::JavaScript => (needed::program("node", "nodejs"), "-e"),
        };
        let mut command = Command::new(&interpreter);
        command.args([option, program]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = children::spawn(&mut command)
            .unwrap_or_else(|error| panic!("{}: {error}", interpreter.display()));
        child.stdin.take().expect("it was asked for").write_all(input).expect("the program reads its input");
        let output = child.wait_with_output().expect("its end can be waited for");
        assert!(output.status.success(), "{self:?}: {}", output.status);
        String::from_utf8(output.stdout).expect("it prints text")
    }
}
