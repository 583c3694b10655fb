//! The login.

use tempfile::TempDir;
use test_support::Signal;

use crate::program::{LIMIT, Server, program};

/// Methods and paths behind the login.
const INSIDE: [(&str, &str); 8] = [
    ("GET", "/"),
    ("GET", "/server"),
    ("GET", "/api/server"),
    ("GET", "/api/events"),
    ("GET", "/api/license"),
    ("PUT", "/api/license"),
    ("GET", "/metrics"),
    ("GET", "/nowhere"),
];

#[test]
fn with_a_password_any_address_may_be_listened_on_and_a_login_is_required() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.arg("--loopback").env("SIRVEO_LISTEN", "0.0.0.0:0").env("SIRVEO_PASSWORD", "a long password");
    let mut server = Server::start(command);
    // Its own events require no login.
    server.wait_for_line(|line| line.contains("sent reason=begin status=200"), LIMIT);
    let right = "Authorization: Basic c2lydmVvOmEgbG9uZyBwYXNzd29yZA==";
    for (method, path) in INSIDE {
        let refused = server.request(method, path, &[], "");
        assert_eq!(refused.status, 401, "{path}");
        assert!(refused.head.contains("www-authenticate: basic realm="), "{refused:?}");
        let answer = server.request(method, path, &[right, "Host: sirveo.example"], "");
        assert_ne!(answer.status, 401, "{path}");
        assert!(!answer.body.contains("a long password"), "{answer:?}");
    }
    // sirveo:a wrong password
    let wrong = "Authorization: Basic c2lydmVvOmEgd3JvbmcgcGFzc3dvcmQ=";
    assert_eq!(server.request("GET", "/", &[wrong], "").status, 401);
    let foreign = [right, "Sec-Fetch-Site: cross-site"];
    assert_eq!(server.request("PUT", "/api/license", &foreign, "{}").status, 403);
    assert_eq!(server.get("/healthz").body, "ok");
    assert_eq!(server.post("/webhooks/unknown").status, 404);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit(LIMIT).code(), Some(0));
    let log = server.output().join("\n");
    assert!(log.contains("sent reason=end status=200"), "{log}");
    assert!(!log.contains("a long password") && !log.contains("a wrong password"), "{log}");
}

#[test]
fn without_a_password_a_request_by_another_host_name_is_refused() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(program(directory.path()));
    server.wait_for_store();
    for (method, path) in INSIDE {
        // A site may let its name resolve to this machine; to a browser, requests of its pages are same-origin then.
        let rebound = ["Host: evil.example:8080", "Sec-Fetch-Site: same-origin"];
        assert_eq!(server.request(method, path, &rebound, "").status, 421, "{path}");
        let own = server.request(method, path, &["Host: localhost:8080"], "");
        let expected = match (method, path) {
            ("PUT", _) => 400,
            (_, "/nowhere") => 404,
            _ => 200,
        };
        assert_eq!(own.status, expected, "{path}");
    }
    let foreign = ["Host: localhost:8080", "Origin: http://evil.example"];
    assert_eq!(server.request("PUT", "/api/license", &foreign, "{}").status, 403);
    assert_eq!(server.request("GET", "/healthz", &["Host: evil.example"], "").body, "ok");
}
