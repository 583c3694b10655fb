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

#[test]
fn tables_are_made_before_a_receiver_does_and_made_again_changes_nothing() {
    let directory = tempfile::TempDir::new().unwrap();
    let database = TestDatabase::new();
    for database in [None, Some(&database)] {
        let operator = Operator { directory: directory.path(), database };
        for _ in 0..2 {
            let done = operator.does(&["migrate"]);
            assert!(done.ends_with(" are those of this version\n"), "{done}");
        }
    }
}

#[test]
fn tables_that_cannot_be_distributed_stay_as_they_are_and_it_is_said_what_to_do() {
    let directory = tempfile::TempDir::new().unwrap();
    let database = TestDatabase::new();
    for (database, expected) in
        [(None, "only a PostgreSQL with the extension citus"), (Some(&database), "create extension citus")]
    {
        let operator = Operator { directory: directory.path(), database };
        let refused = operator.refused(&["migrate", "--distributed", "--shards", "8"], 1);
        assert!(refused.contains(expected), "{refused}");
        assert!(operator.does(&["key", "create", "mine"]).contains("webhooks/"), "it works as before");
    }
}
