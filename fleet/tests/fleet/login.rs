//! The login.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use test_support::{Signal, TestDatabase};

use crate::program::{LIMIT, Response, Server, files_in, plain, program, run, text};

const PASSWORD: &str = "a long:password";

fn server() -> (Server, TempDir) {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.env("FLEET_PASSWORD", PASSWORD);
    (Server::start(command), directory)
}

#[track_caller]
fn get(server: &Server, path: &str, user: &str, password: &str) -> Response {
    let credentials = STANDARD.encode(format!("{user}:{password}"));
    server.request("GET", path, &[&format!("authorization: Basic {credentials}")], "")
}

#[test]
fn everything_except_health_and_webhooks_requires_the_login() {
    let (server, _directory) = server();
    for path in ["/", "/api/fleet", "/api/keys", "/api/openapi.json", "/metrics", "/events", "/nowhere"] {
        let refused = server.get(path);
        assert_eq!(refused.status, 401, "{path}");
        assert!(refused.head.contains("www-authenticate: basic realm="), "{refused:?}");
        let led = server.request("GET", path, &["accept: text/html"], "");
        assert_eq!(led.status, 303, "{path}");
        assert!(led.head.contains("\r\nlocation: ") && led.head.contains("login"), "{led:?}");
        let expected = if path == "/nowhere" { 404 } else { 200 };
        assert_eq!(get(&server, path, "fleet", PASSWORD).status, expected, "{path}");
    }
    assert_eq!(server.get("/login").status, 200);
    let healthy = server.get("/healthz");
    assert_eq!(healthy.body, "ok");
    for header in ["nosniff", "no-store", "cross-origin-opener-policy", "cross-origin-resource-policy"] {
        assert!(healthy.head.contains(header), "{header}: {healthy:?}");
    }
    assert_eq!(server.post_event("/webhooks/unknown", &plain()), 404);
    // Another method on the path of a webhook does not bypass the login either.
    assert_ne!(server.get("/webhooks/unknown").status, 200);
}

#[test]
fn a_wrong_login_is_refused_after_a_delay_and_logged_once() {
    let (server, _directory) = server();
    for (user, password) in [("fleet", "a long password"), ("flee", PASSWORD), ("fleet", ""), ("", "")] {
        let asked = Instant::now();
        assert_eq!(get(&server, "/api/fleet", user, password).status, 401, "{user}:{password}");
        assert!(asked.elapsed() >= Duration::from_secs(1));
    }
    let log = server.output().join("\n");
    assert_eq!(log.matches("WRN [login] a wrong user or password from 127.0.0.1").count(), 1, "{log}");
    assert!(!log.contains("a long"), "{log}");
}

#[test]
fn too_many_attempts_at_once_are_refused_with_429() {
    let (server, _directory) = server();
    let guess = || {
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let attempts: Vec<_> = (0..80)
                .map(|n| {
                    let server = &server;
                    scope.spawn(move || get(server, "/", "fleet", &n.to_string()).status)
                })
                .collect();
            attempts.into_iter().map(|attempt| attempt.join().unwrap()).collect()
        });
        assert!(statuses.iter().all(|status| matches!(status, 401 | 429)), "{statuses:?}");
        assert!(statuses.contains(&429), "{statuses:?}");
    };
    // The right password came from here before.
    assert_eq!(get(&server, "/api/fleet", "fleet", PASSWORD).status, 200);
    guess();
    assert_eq!(get(&server, "/api/fleet", "fleet", PASSWORD).status, 200);
}

#[test]
fn without_a_login_the_server_says_so() {
    let (server, _directory) = Server::alone();
    assert_eq!(server.get("/api/fleet").status, 200);
    let line = "INF no login is required, because FLEET_PASSWORD is none";
    assert!(server.output().iter().any(|shown| shown == line));
    assert_eq!(server.get("/login").status, 404);
}

/// Starts the program without the variable.
fn without_variable(directory: &TempDir) -> Server {
    let mut command = program(directory.path());
    command.env_remove("FLEET_PASSWORD");
    Server::start(command)
}

const SHOWN: &str = "The password of the user fleet is ";

/// The password that it shows.
fn shown(server: &Server) -> String {
    server.wait_for_line(|line| line.starts_with(SHOWN), LIMIT)[SHOWN.len()..].to_owned()
}

#[test]
fn a_password_is_made_at_the_first_start_and_shown_once() {
    let directory = TempDir::new().unwrap();
    let mut server = without_variable(&directory);
    let password = shown(&server);
    assert_eq!(get(&server, "/api/fleet", "fleet", &password).status, 200);
    assert_eq!(server.get("/api/fleet").status, 401);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit(LIMIT).code(), Some(0));
    let file = directory.path().join("fleet-data/password");
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(kept.starts_with("$argon2id$") && !kept.contains(&password), "{kept}");

    let mut again = without_variable(&directory);
    assert_eq!(get(&again, "/api/fleet", "fleet", &password).status, 200);
    again.signal(Signal::SIGTERM);
    assert_eq!(again.wait_exit(LIMIT).code(), Some(0));
    assert!(again.output().iter().all(|line| !line.starts_with(SHOWN) && !line.contains(&password)));

    std::fs::remove_file(&file).unwrap();
    let renewed = without_variable(&directory);
    assert_ne!(shown(&renewed), password);
    assert_eq!(get(&renewed, "/api/fleet", "fleet", &password).status, 401);
}

#[test]
fn a_file_that_has_no_hash_is_reported() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("fleet-data/password");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "a long password\n").unwrap();
    let mut command = program(directory.path());
    command.env_remove("FLEET_PASSWORD");
    let output = run(command);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let message = text(&output.stderr);
    assert!(message.contains("password does not hold the hash") && !message.contains("a long"), "{message}");
    assert_eq!(files_in(file.parent().unwrap()), ["password"]);
}

#[test]
fn with_postgresql_a_password_or_none_is_required() {
    let (database, directory) = (TestDatabase::new(), TempDir::new().unwrap());
    let mut command = program(directory.path());
    command.env_remove("FLEET_PASSWORD").env("FLEET_DATABASE_URL", database.url());
    let output = run(command);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("FLEET_PASSWORD accepts 12 characters or more, or none; required"));
}

#[test]
fn beyond_the_machine_a_way_that_can_be_read_is_reported() {
    for (https, is_reported) in [(None, true), (Some("false"), true), (Some("true"), false)] {
        let directory = TempDir::new().unwrap();
        let mut command = program(directory.path());
        command.env("FLEET_LISTEN", "0.0.0.0:0").env("FLEET_PASSWORD", PASSWORD);
        command.envs(https.map(|https| ("FLEET_HTTPS", https)));
        let server = Server::start(command);
        let log = server.output().join("\n");
        let is_warned = log.contains("WRN passwords and sessions cross the network readable");
        assert_eq!(is_warned, is_reported, "{log}");
        let form = "user=fleet&password=a+long%3Apassword";
        let headers = ["content-type: application/x-www-form-urlencoded", "Host: fleet.example"];
        let begun = server.request("POST", "/login", &headers, form);
        assert_eq!(begun.status, 303, "{begun:?}");
        assert_eq!(begun.head.contains("set-cookie: __host-telemetry="), !is_reported, "{begun:?}");
    }
}
