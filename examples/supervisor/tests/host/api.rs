//! Status, preview and *send now*, in the API and on the pages.

use serde_json::Value;
use tempfile::TempDir;
use test_support::{Behaviour, FakeDestination, refused_url};

use crate::program::{LIMIT, Server, program, reasons};

#[test]
fn send_now_answers_with_its_outcome() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let (server, _directory) = Server::reporting_to(&destination.url());
    destination.wait_for_requests(1, LIMIT);
    let sent = server.post("/api/server/send");
    assert_eq!(sent.status, 200);
    let sent = sent.json();
    assert_eq!((&sent[0]["destination"], &sent[0]["reason"]), (&"custom".into(), &"update".into()));
    assert_eq!(sent[0]["outcome"]["status"], 200);

    let pressed = server.request("POST", "/server/send", &["Sec-Fetch-Site: same-origin"], "");
    assert!(pressed.status == 303 && pressed.head.contains("location: ../server"), "{pressed:?}");
    for path in ["/server/send", "/api/server/send"] {
        for foreign in ["Sec-Fetch-Site: cross-site", "Origin: http://evil.example"] {
            assert_eq!(server.request("POST", path, &[foreign], "").status, 403, "{path} {foreign}");
        }
    }
    assert_eq!(reasons(&destination.requests()), ["begin", "update", "update"]);
}

#[test]
fn send_now_without_an_active_destination_is_refused() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(program(directory.path()));
    let refused = server.post("/api/server/send");
    assert_eq!(refused.status, 409);
    assert!(refused.json()["detail"].as_str().unwrap().contains("no active destination"), "{refused:?}");
    let page = server.post("/server/send");
    assert!(
        page.status == 409
            && page.body.contains("The telemetry has no destination")
            && page.body.contains("no active destination"),
        "{page:?}"
    );
    assert_eq!(server.get("/api/server/preview").body, "[]");
    assert!(!server.get("/server").body.contains("server/send"));
}

#[test]
fn without_its_database_the_server_runs_and_reports_the_problem() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command
        .env("SIRVEO_DATABASE_URL", refused_url().replace("http://", "postgresql://user:s3cret@") + "sirveo")
        .env("SIRVEO_TELEMETRY_MODE", "custom")
        .env("SIRVEO_TELEMETRY_URL", refused_url());
    let server = Server::start(command);
    server.wait_for_line(|line| line.starts_with("WRN [telemetry] the instance id cannot be read"), LIMIT);
    let refused = server.post("/api/server/send");
    assert_eq!(refused.status, 503);
    assert!(refused.json()["detail"].as_str().unwrap().contains("has not begun"), "{refused:?}");
    let page = server.get("/server");
    assert_eq!(page.status, 200);
    for said in ["not known yet", "The instance id cannot be read", "The store does not answer"] {
        assert!(page.body.contains(said), "{said}: {page:?}");
    }
    let told = server.get("/api/server");
    assert_eq!((told.status, &told.json()["waiting_alerts"]), (200, &Value::Null), "{told:?}");
    assert_eq!(told.json()["telemetry"]["mode"], "custom");
    let fleet = server.get("/");
    assert!(fleet.status == 503 && fleet.body.contains("<h1>The store is not available</h1>"), "{fleet:?}");
    assert_eq!(server.get("/healthz").body, "ok");
    for shown in [page.body, told.body, fleet.body, server.output().join("\n")] {
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

#[test]
fn the_preview_equals_what_this_run_sends() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let (server, _directory) = Server::reporting_to(&format!("{}?key=s3cret", destination.url()));
    let begin = destination.wait_for_requests(1, LIMIT).remove(0);
    let preview = server.get("/api/server/preview");
    assert!(!preview.body.contains("s3cret"), "{preview:?}");
    let body: Value = serde_json::from_slice(&begin.body).unwrap();
    assert_eq!(preview.json()[0]["body"], body);
    assert_eq!(destination.requests().len(), 1);
}
