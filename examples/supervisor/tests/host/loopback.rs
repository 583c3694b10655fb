//! The first thing a newcomer tries.

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
    // The identity is read meanwhile.
    let output: Vec<&str> =
        output.iter().map(String::as_str).filter(|line| !line.starts_with("DBG [telemetry] ")).collect();
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
fn what_was_received_is_on_the_page_and_what_was_sent_in_the_status() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command
        .arg("--loopback")
        .env("SIRVEO_TELEMETRY_IDENTIFIER", "<b>mine</b> & yours")
        .env("SIRVEO_TELEMETRY_FREQUENCY", "90m")
        .env("SIRVEO_TELEMETRY_AUTH", "s3cret");
    let server = Server::start(command);
    server.wait_for_line(|line| line.contains("sent reason=begin status=200"), LIMIT);
    wait_until("the status knows of begin", LIMIT, || server.destination()["sent"] == 1);

    let status = server.get("/api/telemetry").json();
    let destination = &status["destinations"][0];
    assert_eq!(destination["url"], format!("http://{}/webhooks/inbound-telemetry", server.address()));
    assert_eq!(destination["frequency_seconds"], 5400);
    assert_eq!(destination["attempts"][0]["reason"], "begin");
    assert_eq!(destination["attempts"][0]["outcome"]["status"], 200);

    let page = server.get("/");
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-security-policy: default-src 'none'"), "{page:?}");
    assert!(page.body.contains(status["instance_id"].as_str().unwrap()), "{page:?}");
    assert!(page.body.contains("<b>begin</b>"), "{page:?}");
    assert!(page.body.contains("&#60;b&#62;mine&#60;/b&#62; &#38; yours"), "{page:?}");
    assert!(!page.body.contains("<b>mine") && !page.body.contains("s3cret"), "{page:?}");
    assert!(!page.body.contains("http") || !page.body.contains("src="), "{page:?}");
    assert_eq!(server.get("/server.css").status, 200);
}

#[test]
fn a_proxy_does_not_catch_what_goes_to_the_server_itself() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.arg("--loopback").env("HTTP_PROXY", refused_url()).env("http_proxy", refused_url());
    let server = Server::start(command);
    server.wait_for_line(|line| line.contains("reason=begin status=200"), LIMIT);
}

#[test]
fn what_the_operator_sets_goes_before_it() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.arg("--loopback").env("SIRVEO_TELEMETRY_MODE", "disabled");
    let server = Server::start(command);
    assert_eq!(server.get("/api/telemetry").json()["mode"], "disabled");
}
