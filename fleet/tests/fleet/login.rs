//! The login.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use crate::program::{Response, Server, plain, program};

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
        let expected = if path == "/nowhere" { 404 } else { 200 };
        assert_eq!(get(&server, path, "fleet", PASSWORD).status, expected, "{path}");
    }
    assert_eq!(server.get("/healthz").body, "ok");
    assert_eq!(server.post_event("/webhooks/unknown", &plain()), 404);
    // Another method on the path of a webhook does not bypass the login either.
    assert_ne!(server.get("/webhooks/unknown").status, 200);
}

#[test]
fn a_wrong_login_is_refused_after_a_delay() {
    let (server, _directory) = server();
    for (user, password) in [("fleet", "a long password"), ("flee", PASSWORD), ("fleet", ""), ("", "")] {
        let asked = Instant::now();
        assert_eq!(get(&server, "/api/fleet", user, password).status, 401, "{user}:{password}");
        assert!(asked.elapsed() >= Duration::from_secs(1));
    }
    let log = server.output().join("\n");
    assert!(log.contains("WRN [login]") && !log.contains("a long"), "{log}");
}

#[test]
fn too_many_attempts_at_once_are_refused_with_429() {
    let (server, _directory) = server();
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
    assert_eq!(get(&server, "/api/fleet", "fleet", PASSWORD).status, 200);
}

#[test]
fn a_server_on_a_loopback_address_requires_no_login() {
    let (server, _directory) = Server::alone();
    assert_eq!(server.get("/api/fleet").status, 200);
    assert!(
        server
            .output()
            .iter()
            .any(|line| line == "INF no login is required, because FLEET_PASSWORD is not set")
    );
}
