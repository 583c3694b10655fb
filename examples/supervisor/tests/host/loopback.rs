//! `--loopback`, the first thing that a newcomer tries.

use serde_json::json;
use tempfile::TempDir;
use test_support::{Signal, refused_url, wait_until};

use crate::program::{LIMIT, Server, program};

#[test]
fn the_log_shows_begin_and_end_as_the_reference_page_does() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.arg("--loopback").env_remove("SIRVEO_LOG_LEVEL");
    let mut server = Server::start(command);
    server.wait_for_line(|line| line == "DBG [telemetry:custom] sent reason=begin status=200", LIMIT);
    let address = server.address();
    server.signal(Signal::SIGINT);
    assert_eq!(server.wait_exit(LIMIT).code(), Some(0));

    let known = |line: &str| -> String {
        let is_id = |id: &str| id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit());
        match line.strip_prefix("DBG [events] <- telemetry.custom id=").and_then(|rest| rest.split_once(' '))
        {
            Some((id, rest)) if is_id(id) => format!("DBG [events] <- telemetry.custom id=… {rest}"),
            _ => line.to_owned(),
        }
    };
    let output: Vec<String> = server.output().iter().map(|line| known(line)).collect();
    // The identity is read at the same time.
    let mut output: Vec<&str> =
        output.iter().map(String::as_str).filter(|line| !line.starts_with("DBG [telemetry] ")).collect();
    // So is the store opened, but always before the first event, which waits for it.
    let opened = output
        .iter()
        .position(|line| *line == "INF [receiver] ready on SQLite")
        .expect("the store is opened");
    assert!((2..=3).contains(&opened), "{output:#?}");
    output.remove(opened);
    assert_eq!(
        output,
        [
            &format!("INF listening on http://{address}"),
            "INF [telemetry] mode=custom custom=127.0.0.1 frequency=8h",
            "INF ready to flow 🟢",
            "DBG [events] <- telemetry.custom id=… kind=usr persist=true",
            "DBG [telemetry:custom] sent reason=begin status=200",
            "DBG [events] <- telemetry.custom id=… kind=usr persist=true",
            "DBG [telemetry:custom] sent reason=end status=200",
            "INF stopped",
        ]
    );
}

#[test]
fn received_events_are_listed_and_sent_ones_are_in_the_status() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command
        .arg("--loopback")
        .env("SIRVEO_TELEMETRY_IDENTIFIER", "<b>mine</b> & yours")
        .env("SIRVEO_TELEMETRY_FREQUENCY", "90m")
        .env("SIRVEO_TELEMETRY_AUTH", "s3cret");
    let server = Server::start(command);
    server.wait_for_line(|line| line.contains("sent reason=begin status=200"), LIMIT);
    wait_until("the status has begin", LIMIT, || server.destination()["sent"] == 1);

    let status = server.telemetry();
    let destination = &status["destinations"][0];
    assert_eq!(destination["url"], format!("http://{}/webhooks/…", server.address()));
    assert_eq!(destination["frequency_seconds"], 5400);
    assert_eq!(destination["attempts"][0]["reason"], "begin");
    assert_eq!(destination["attempts"][0]["outcome"]["status"], 200);

    let events = server.events();
    let [event] = events.as_slice() else { panic!("{events:#?}") };
    assert_eq!((&event["kind"], &event["type"]), (&json!("usr"), &json!("telemetry.custom")));
    assert_eq!((&event["persistent"], &event["reason"]), (&json!(true), &json!("begin")));
    assert_eq!(event["instance_id"], status["instance_id"]);
    assert_eq!(event["data"]["custom_id"], "<b>mine</b> & yours");

    wait_until("it is judged", LIMIT, || server.get("/api/fleet").json()["states"]["up"] == 1);
    let instance = status["instance_id"].as_str().unwrap();
    for path in ["/", "/events", "/server", &format!("/instances/{instance}")] {
        let page = server.get(path);
        assert_eq!(page.status, 200, "{path}");
        assert!(page.head.contains("content-security-policy: default-src 'none'"), "{page:?}");
        assert!(page.body.contains(instance), "{page:?}");
        assert!(!page.body.contains("<b>mine") && !page.body.contains("s3cret"), "{page:?}");
        assert!(!page.body.contains("src=\"http") && !page.body.contains("href=\"http"), "{page:?}");
    }
    assert!(server.get("/").body.contains("&#60;b&#62;mine&#60;/b&#62; &#38; yours"));
    assert_eq!(server.get("/pages.css").status, 200);
}

#[test]
fn a_proxy_is_not_used_for_requests_to_the_server_itself() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.arg("--loopback").env("HTTP_PROXY", refused_url()).env("http_proxy", refused_url());
    let server = Server::start(command);
    server.wait_for_line(|line| line.contains("reason=begin status=200"), LIMIT);
}

#[test]
fn settings_of_the_operator_override_those_of_loopback() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.arg("--loopback").env("SIRVEO_TELEMETRY_MODE", "disabled");
    let server = Server::start(command);
    assert_eq!(server.telemetry()["mode"], "disabled");
}
