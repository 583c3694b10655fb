//! The life of a key, created and revoked on the command line while the server runs.

use std::path::Path;

use simulator::Sender;
use tempfile::TempDir;
use test_support::{TestDatabase, wait_until};

use crate::program::{LIMIT, Server, files_in, instance_of_events, plain, program, run, text};

/// Value of a line such as `path    /webhooks/…`.
fn value(printed: &str, name: &str) -> Option<String> {
    let line = printed.lines().find_map(|line| line.strip_prefix(name));
    line.map(|rest| rest.trim().to_owned())
}

struct Operator<'a> {
    directory: &'a Path,
    database: Option<&'a TestDatabase>,
}

impl Operator<'_> {
    fn command(&self) -> std::process::Command {
        let mut command = program(self.directory);
        if let Some(database) = self.database {
            command.env("FLEET_DATABASE_URL", database.url());
        }
        command
    }

    #[track_caller]
    fn key(&self, arguments: &[&str]) -> String {
        let mut command = self.command();
        command.arg("key").args(arguments);
        let output = run(command);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        text(&output.stdout).to_owned()
    }

    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        let mut command = self.command();
        command.arg("key").args(arguments);
        let output = run(command);
        assert_ne!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        text(&output.stderr).to_owned()
    }
}

fn a_key_is_valid_from_its_creation_until_it_is_revoked(database: Option<&TestDatabase>) {
    let directory = TempDir::new().unwrap();
    let operator = Operator { directory: directory.path(), database };
    let server = Server::start(operator.command());

    let created = operator.key(&["create", "of the vendor"]);
    assert!(created.contains("cannot be shown again"), "{created}");
    let path = value(&created, "path").unwrap();
    wait_until("the key is known", LIMIT, || server.post_event(&path, &plain()) == 200);
    assert!(operator.refused(&["create", "of the vendor"]).contains("there is a key of this name"));

    let listed = operator.key(&["list"]);
    assert!(listed.contains("of the vendor") && listed.contains("LAST USED"), "{listed}");
    assert!(!listed.contains(path.trim_start_matches("/webhooks/")), "{listed}");

    operator.key(&["revoke", "of the vendor"]);
    wait_until("the key is refused", LIMIT, || server.post_event(&path, &plain()) == 404);
    assert!(operator.refused(&["revoke", "of the vendor"]).contains("no valid key"));
}

#[test]
fn a_key_is_valid_from_its_creation_until_it_is_revoked_on_sqlite() {
    a_key_is_valid_from_its_creation_until_it_is_revoked(None);
}

#[test]
fn a_key_is_valid_from_its_creation_until_it_is_revoked_on_postgresql() {
    a_key_is_valid_from_its_creation_until_it_is_revoked(Some(&TestDatabase::new()));
}

#[test]
fn a_secret_is_rotated_while_senders_still_use_the_old_one() {
    let directory = TempDir::new().unwrap();
    let operator = Operator { directory: directory.path(), database: None };
    let created = operator.key(&["create", "signed", "--signed", "--token", "--rate", "100"]);
    let (path, token) = (value(&created, "path").unwrap(), value(&created, "token").unwrap());
    let sender_with = |printed: &str| Sender {
        secret: Some(value(printed, "secret").unwrap().parse().unwrap()),
        token: Some(token.clone().into()),
        ..plain()
    };
    let server = Server::start(operator.command());
    let old = sender_with(&created);
    assert_eq!(server.post_event(&path, &old), 200);
    assert_eq!(server.post_event(&path, &plain()), 401);
    assert_eq!(server.post_event(&path, &Sender { token: None, ..sender_with(&created) }), 401);

    let new = sender_with(&operator.key(&["rotate", "signed"]));
    wait_until("the new secret is known", LIMIT, || server.post_event(&path, &new) == 200);
    assert_eq!(server.post_event(&path, &old), 200);
    assert!(operator.key(&["list"]).contains("2 secrets"));
    operator.refused(&["rotate", "signed"]);
    assert_eq!(server.post_event(&path, &old), 200);

    operator.key(&["rotate", "signed", "--finish"]);
    wait_until("the old secret is refused", LIMIT, || server.post_event(&path, &old) == 401);
    assert_eq!(server.post_event(&path, &new), 200);
}

#[test]
fn a_key_is_replaced_limited_and_given_an_instance() {
    let directory = TempDir::new().unwrap();
    let operator = Operator { directory: directory.path(), database: None };
    let server = Server::start(operator.command());
    let old = value(&operator.key(&["create", "mine", "--new-per-hour", "5"]), "path").unwrap();
    wait_until("the key is known", LIMIT, || server.post_event(&old, &plain()) == 200);

    let replaced = operator.key(&["replace", "mine", "--keep", "1"]);
    let new = value(&replaced, "path").unwrap();
    assert!(new != old && replaced.contains("stays valid for 1 hours"), "{replaced}");
    wait_until("the new key is known", LIMIT, || server.post_event(&new, &plain()) == 200);
    assert_eq!(server.post_event(&old, &plain()), 200);
    operator.key(&["replace", "mine", "--finish"]);
    wait_until("the old key is refused", LIMIT, || server.post_event(&old, &plain()) == 404);
    assert_eq!(server.post_event(&new, &plain()), 200);

    operator.refused(&["limit", "mine"]);
    operator.refused(&["limit", "mine", "--new-per-hour", "0"]);
    operator.key(&["limit", "mine", "--any-frequency", "true"]);
    let limit = |listed: &str| {
        let line = listed.lines().find(|line| line.starts_with("mine ")).unwrap().to_owned();
        line.split_whitespace().nth(3).unwrap().to_owned()
    };
    assert_eq!(limit(&operator.key(&["list"])), "5", "it stays");
    operator.key(&["limit", "mine", "--new-per-hour", "any"]);
    assert_eq!(limit(&operator.key(&["list"])), "any");

    let other = value(&operator.key(&["create", "other"]), "path").unwrap();
    wait_until("the other key is known", LIMIT, || server.post_event(&other, &plain()) == 403);
    operator.refused(&["move", "8a6e0804-2bd0-4672-b79d-d97027f9071a", "other"]);
    operator.key(&["move", &instance_of_events(), "other"]);
    assert_eq!(server.post_event(&other, &plain()), 200);
    assert_eq!(server.post_event(&new, &plain()), 403);
}

#[test]
fn a_command_with_an_unknown_key_is_refused() {
    let directory = TempDir::new().unwrap();
    let operator = Operator { directory: directory.path(), database: None };
    for arguments in [&["list"][..], &["revoke", "any"], &["rotate", "any"]] {
        // As in a folder other than the one that the receiver runs in.
        let message = operator.refused(arguments);
        assert!(
            message.contains("there is no database at /") && message.contains("FLEET_DATA_DIR"),
            "{message}"
        );
    }
    assert_eq!(files_in(directory.path()), [""; 0]);
    operator.refused(&["create", ""]);
    operator.refused(&["create", "a", "--rate", "0"]);
    operator.refused(&["rotate", "nobody"]);
    operator.key(&["create", "plain"]);
    operator.refused(&["rotate", "plain"]);
    operator.refused(&["rotate", "plain", "--finish"]);
    operator.refused(&["revoke", "8a6e0804-2bd0-4672-b79d-d97027f9071a"]);
}
