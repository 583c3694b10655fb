//! The webhook that receives events.

use tempfile::TempDir;

use crate::program::{LIMIT, Server, program};

const WEBHOOK: &str = "/webhooks/inbound-telemetry";

fn server() -> (Server, TempDir) {
    let directory = TempDir::new().unwrap();
    (Server::start(program(directory.path())), directory)
}

#[test]
fn an_event_is_kept_logged_and_answered_with_nothing() {
    let (server, _directory) = server();
    let json = &["Content-Type: application/json"];
    let answer = server.request("POST", WEBHOOK, json, r#"{"reason":"</b><script>alert(1)</script>"}"#);
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    server.wait_for_line(|line| line.starts_with("DBG [events] <- telemetry.custom id="), LIMIT);
    let page = server.get("/").body;
    assert!(page.contains("&#60;script&#62;alert(1)") && !page.contains("<script"), "{page}");
}

#[test]
fn what_is_too_long_or_no_json_is_refused() {
    let (server, _directory) = server();
    let body = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    assert_eq!(server.request("POST", WEBHOOK, &[], &body(16 * 1024)).status, 200);
    assert_eq!(server.request("POST", WEBHOOK, &[], &body(16 * 1024 + 1)).status, 413);
    for text in ["", "{", "reason=begin", "{} {}"] {
        let refused = server.request("POST", WEBHOOK, &[], text);
        assert_eq!(refused.status, 400, "{text}");
        assert!(refused.json()["error"].as_str().unwrap().contains("JSON"), "{refused:?}");
    }
    assert_eq!(server.get("/").body.matches("<details>").count(), 1);
}

#[test]
fn the_last_hundred_are_kept() {
    let (server, _directory) = server();
    for number in 0..103 {
        assert_eq!(
            server.request("POST", WEBHOOK, &[], &format!(r#"{{"reason":"event-{number}"}}"#)).status,
            200
        );
    }
    let page = server.get("/").body;
    assert_eq!(page.matches("<details>").count(), 100);
    assert!(
        page.contains("<b>event-102</b>")
            && page.contains("<b>event-3</b>")
            && !page.contains("<b>event-2</b>")
    );
}
