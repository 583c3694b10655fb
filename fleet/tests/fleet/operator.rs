//! The commands of the program.

use std::path::Path;

use test_support::TestDatabase;

use crate::program::{program, run, text};

/// Who runs the commands of the program, on SQLite or on this database.
pub(crate) struct Operator<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) database: Option<&'a TestDatabase>,
}

impl Operator<'_> {
    pub(crate) fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = program(self.directory);
        if let Some(database) = self.database {
            command.env("FLEET_DATABASE_URL", database.url());
        }
        command.args(arguments);
        command
    }

    /// Runs a command that succeeds, and returns what it printed.
    #[track_caller]
    pub(crate) fn does(&self, arguments: &[&str]) -> String {
        let output = run(self.command(arguments));
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        text(&output.stdout).to_owned()
    }

    /// Runs a command that ends with this exit code, and returns its errors.
    #[track_caller]
    pub(crate) fn refused(&self, arguments: &[&str], code: i32) -> String {
        let output = run(self.command(arguments));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        text(&output.stderr).to_owned()
    }
}
