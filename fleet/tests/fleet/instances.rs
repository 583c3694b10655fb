//! Instances that are forgotten and muted on the command line while the server runs.

use simulator::Sender;
use tempfile::TempDir;
use test_support::{TestDatabase, wait_until};

use crate::operator::Operator;
use crate::program::{LIMIT, Server, plain};

fn get(server: &Server, path: &str) -> String {
    let answer = server.request("GET", path, &[], "");
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.body
}

fn is_judged(server: &Server) -> bool {
    get(server, "/api/instances?state=up").contains("instance_id")
}

/// The first id in a text.
#[track_caller]
fn id_in(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
    words.filter(|word| word.len() == 36).map(str::to_owned).next().unwrap_or_else(|| panic!("{text}"))
}

fn an_instance_is_muted_and_forgotten(database: Option<&TestDatabase>) {
    let directory = TempDir::new().unwrap();
    let operator = Operator { directory: directory.path(), database };
    let created = operator.does(&["key", "create", "mine", "--forget-after", "2d"]);
    let path = created.lines().find_map(|line| line.strip_prefix("path")).unwrap().trim().to_owned();
    assert!(operator.does(&["key", "list"]).contains("after 48h"));
    let server = Server::start(operator.command(&[]));
    let sender: Sender = plain();
    assert_eq!(server.post_event(&path, &sender), 200);
    wait_until("it is judged", LIMIT, || is_judged(&server));
    let id = id_in(&get(&server, "/api/instances"));

    assert_eq!(operator.does(&["mutes"]), "nothing is muted\n");
    let muted = operator.does(&["mute", &id, "--for", "2h", "--reason", "moves"]);
    assert!(muted.contains(&format!("of instance {id}: nobody is told until ")), "{muted}");
    operator.does(&["mute", "--key", "mine", "--for", "30m"]);
    operator.does(&["mute", "--filter", "state=up", "--for", "7d", "--reason", "holiday"]);
    assert!(get(&server, "/api/instances").contains("\"reason\":\"holiday\""));
    let listed = operator.does(&["mutes"]);
    assert_eq!(listed.lines().count(), 4, "{listed}");
    assert!(listed.contains("muted on the command line") && listed.contains("state=up"), "{listed}");
    let longest = id_in(listed.lines().nth(1).unwrap());
    operator.does(&["unmute", &longest]);
    assert!(get(&server, "/api/instances").contains("\"reason\":\"moves\""));
    assert!(operator.refused(&["unmute", &longest], 1).contains("there is no mute"));

    assert_eq!(operator.does(&["forget", "--state", "down"]), "0 instances are forgotten\n");
    let dry = operator.does(&["forget", "--state", "up", "--flag", "new", "--dry-run"]);
    assert_eq!(dry, "1 instance would be forgotten\n");
    let done = operator.does(&["forget", &id, "--with-events"]);
    assert!(done.starts_with("1 instance is forgotten\n") && done.contains("comes back as new"), "{done}");
    assert!(operator.refused(&["forget", &id], 1).contains("there is no instance"));
    assert!(!get(&server, "/api/instances").contains(&id));

    // It comes back, and goes with its key.
    assert_eq!(server.post_event(&path, &sender), 200);
    assert!(get(&server, "/api/instances").contains(&id));
    let revoked = operator.does(&["key", "revoke", "mine", "--forget"]);
    assert!(revoked.contains("is revoked") && revoked.contains("1 instance is forgotten"), "{revoked}");
}

#[test]
fn an_instance_is_muted_and_forgotten_on_sqlite() {
    an_instance_is_muted_and_forgotten(None);
}

#[test]
fn an_instance_is_muted_and_forgotten_on_postgresql() {
    an_instance_is_muted_and_forgotten(Some(&TestDatabase::new()));
}

#[test]
fn what_cannot_be_forgotten_or_muted_is_refused() {
    let directory = TempDir::new().unwrap();
    let operator = Operator { directory: directory.path(), database: None };
    assert!(operator.refused(&["forget", "--state", "down"], 1).contains("there is no database at /"));
    assert!(operator.refused(&["mutes"], 1).contains("there is no database at /"));
    operator.does(&["key", "create", "mine"]);
    for arguments in [
        &["forget"][..],
        &["forget", "--state", "dead"],
        &["forget", "--all", "--state", "up"],
        &["forget", "7"],
        &["mute", "--for", "2h", "--reason", "all"],
        &["mute", "--key", "mine", "--for", "2", "--reason", "a"],
        &["mute", "--key", "mine", "--for", "2h", "--reason", " "],
        &["mute", "--key", "mine", "--for", "367d", "--reason", "a"],
        &["mute", "--filter", "", "--for", "2h", "--reason", "a"],
        &["mute", "--filter", "statte=up", "--for", "2h", "--reason", "a"],
        &["unmute", "7"],
        &["key", "create", "other", "--forget-after", "90m"],
    ] {
        operator.refused(arguments, 2);
    }
    for arguments in
        [&["forget", "--key", "nobody"][..], &["mute", "--key", "x", "--for", "2h", "--reason", "a"]]
    {
        assert!(operator.refused(arguments, 1).contains("no key has the name or id"), "{arguments:?}");
    }
    assert_eq!(operator.does(&["forget", "--all"]), "0 instances are forgotten\n");
}
