//! Status, preview and *send now*, for programs and for people.

use tempfile::TempDir;
use test_support::{Behaviour, FakeDestination, refused_url};

use crate::program::{LIMIT, Server, program, reasons};

#[test]
fn send_now_answers_with_what_became_of_it() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let (server, _directory) = Server::reporting_to(&destination.url());
    destination.wait_for_requests(1, LIMIT);
    let sent = server.post("/api/telemetry/send");
    assert_eq!(sent.status, 200);
    let sent = sent.json();
    assert_eq!((&sent[0]["destination"], &sent[0]["reason"]), (&"custom".into(), &"update".into()));
    assert_eq!(sent[0]["outcome"]["status"], 200);

    let pressed = server.request("POST", "/send", &["Sec-Fetch-Site: same-origin"], "");
    assert!(pressed.status == 303 && pressed.head.contains("location: /"), "{pressed:?}");
    for path in ["/send", "/api/telemetry/send"] {
        for foreign in ["Sec-Fetch-Site: cross-site", "Origin: http://evil.example"] {
            assert_eq!(server.request("POST", path, &[foreign], "").status, 403, "{path} {foreign}");
        }
    }
    assert_eq!(reasons(&destination.requests()), ["begin", "update", "update"]);
}

#[test]
fn where_there_is_nobody_to_send_to_it_says_so() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(program(directory.path()));
    let refused = server.post("/api/telemetry/send");
    assert_eq!(refused.status, 409);
    assert!(refused.json()["error"].as_str().unwrap().contains("no active destination"), "{refused:?}");
    let page = server.post("/send");
    assert!(page.status == 409 && page.body.contains("Nothing was sent: "), "{page:?}");
    assert_eq!(server.get("/api/telemetry/preview").body, "[]");
    assert!(!server.get("/").body.contains("<form"));
}

#[test]
fn without_the_database_it_says_so_and_the_server_is_well() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command
        .env("SIRVEO_DATABASE_URL", refused_url().replace("http://", "postgresql://user:s3cret@") + "sirveo")
        .env("SIRVEO_TELEMETRY_MODE", "custom")
        .env("SIRVEO_TELEMETRY_URL", refused_url());
    let server = Server::start(command);
    server.wait_for_line(|line| line.starts_with("WRN [telemetry] the instance id cannot be read"), LIMIT);
    let refused = server.post("/api/telemetry/send");
    assert_eq!(refused.status, 503);
    assert!(refused.json()["error"].as_str().unwrap().contains("has not begun"), "{refused:?}");
    let page = server.get("/");
    assert!(
        page.body.contains("not known yet") && page.body.contains("The instance id cannot be read"),
        "{page:?}"
    );
    assert_eq!(server.get("/healthz").body, "ok");
    assert!(!page.body.contains("s3cret") && !server.output().join("\n").contains("s3cret"));
}

#[test]
fn the_preview_is_that_of_this_run() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let (server, _directory) = Server::reporting_to(&format!("{}?key=s3cret", destination.url()));
    let begin = destination.wait_for_requests(1, LIMIT).remove(0);
    let preview = server.get("/api/telemetry/preview");
    assert!(!preview.body.contains("s3cret"), "{preview:?}");
    let body: serde_json::Value = serde_json::from_slice(&begin.body).unwrap();
    assert_eq!(preview.json()[0]["body"], body);
    assert_eq!(destination.requests().len(), 1);
}
