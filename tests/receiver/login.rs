//! The login over real connections, from several addresses, with clients that hang up.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use actix_web::web::scope;
use deployment_telemetry::receiver::Login;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;
use test_support::server::Response;

use crate::host::{Host, LIMIT, sqlite};

/// `fleet:a long password`.
const RIGHT: &str = "authorization: Basic ZmxlZXQ6YSBsb25nIHBhc3N3b3Jk";

/// `fleet:wrong`.
const WRONG: &str = "authorization: Basic ZmxlZXQ6d3Jvbmc=";

/// What a browser sends with a link.
const PAGE: &str = "accept: text/html";

const FORM: &str = "content-type: application/x-www-form-urlencoded";

/// A server with the pages at `/tele/fleet`, behind a login.
struct Server {
    host: Host,
    _directory: TempDir,
}

impl Server {
    fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let login = Login::new("fleet", "a long password").unwrap();
        let host = Host::start_with(
            sqlite(directory.path()),
            |builder| builder,
            move |receiver, config| {
                config.service(scope("/tele/fleet").wrap(login.guard()).configure(receiver.fleet()));
            },
        );
        Self { host, _directory: directory }
    }

    /// A connection from an address of this machine. Linux has all that begin with 127.
    fn connect(&self, from: [u8; 4]) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        socket.connect(&self.host.address.into()).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        socket.into()
    }

    /// Sends a request and returns the whole answer.
    #[track_caller]
    fn send(&self, from: [u8; 4], method: &str, path: &str, headers: &[&str], body: &str) -> String {
        let mut stream = self.connect(from);
        let headers = headers.iter().fold(String::new(), |all, header| all + header + "\r\n");
        let (host, length) = (self.host.address, body.len());
        let common = format!("host: {host}\r\ncontent-length: {length}\r\nconnection: close\r\n");
        write!(stream, "{method} {path} HTTP/1.1\r\n{common}{headers}\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[track_caller]
    fn ask(&self, from: [u8; 4], method: &str, path: &str, headers: &[&str], body: &str) -> Response {
        Response::parse(&self.send(from, method, path, headers, body))
    }

    #[track_caller]
    fn get(&self, from: [u8; 4], path: &str, header: &str) -> Response {
        self.ask(from, "GET", &format!("/tele/fleet/{path}"), &[header], "")
    }

    /// Logs in, and returns the cookie as a browser sends it.
    #[track_caller]
    fn log_in(&self, from: [u8; 4]) -> String {
        let form = "user=fleet&password=a+long+password";
        let answer = self.send(from, "POST", "/tele/fleet/login", &[FORM], form);
        assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
        let cookie = answer.split("set-cookie: ").nth(1).and_then(|rest| rest.split(';').next());
        format!("cookie: {}", cookie.unwrap())
    }

    /// Sends a wrong password and resets the connection once the server is at work on it.
    fn try_and_reset(&self, from: [u8; 4]) {
        let mut stream = self.connect(from);
        // The server answers `100 Continue` when it has read the head and takes the request on.
        write!(
            stream,
            "GET /tele/fleet/metrics HTTP/1.1\r\nhost: {}\r\n{WRONG}\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n",
            self.host.address
        )
        .unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 100") || line.starts_with("HTTP/1.1 429"), "{line}");
        let socket = Socket::from(stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
}

const OPERATOR: [u8; 4] = [127, 0, 0, 1];

#[test]
fn a_browser_logs_in_and_out_at_a_mount_below_others() {
    let server = Server::start();
    let led = server.get(OPERATOR, "instances/7/forget?x=1", PAGE);
    assert_eq!(led.status, 303);
    assert!(led.head.contains("location: ../../login?next=instances%2f7%2fforget%3fx%3d1\r\n"), "{led:?}");
    let page = server.get(OPERATOR, "login", PAGE);
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<form class=\"box\" method=\"post\" action=\"login\">"), "{page:?}");
    let cookie = server.log_in(OPERATOR);
    assert_eq!(server.get(OPERATOR, "", &cookie).status, 200);
    // Another mount of the same server, and the webhooks, ask for no session.
    let page = server.ask(OPERATOR, "GET", "/nowhere", &[&cookie], "");
    assert_eq!(page.status, 404);
    assert!(page.head.contains("cross-origin-resource-policy: same-origin"), "{page:?}");
    let unknown = server.ask(OPERATOR, "POST", "/webhooks/unknown", &[], "");
    assert_eq!(unknown.status, 404);
    let other = server.ask(OPERATOR, "GET", "/webhooks/unknown", &[], "");
    assert_eq!(other.status, 405);
    for answer in [&led, &page, &unknown, &other] {
        for header in ["nosniff", "cache-control: no-store", "cross-origin-opener-policy: same-origin"] {
            assert!(answer.head.contains(header), "{header}: {answer:?}");
        }
    }
    let without_token = server.ask(OPERATOR, "POST", "/tele/fleet/logout", &[&cookie, FORM], "");
    assert_eq!(without_token.status, 403);
    assert_eq!(server.get(OPERATOR, "metrics", &cookie).status, 200);
    assert_eq!(server.get(OPERATOR, "metrics", RIGHT).status, 200);
}

#[test]
fn clients_that_reset_their_connections_can_guess_no_faster() {
    let server = Server::start();
    let (attacker, known) = ([127, 0, 1, 1], [127, 0, 1, 2]);
    let cookie = server.log_in(known);
    // Each is forgotten by its client at once, and goes on: after some, the right password is not looked at either.
    for _ in 0..50 {
        server.try_and_reset(attacker);
    }
    let refused = server.get(attacker, "metrics", RIGHT);
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(refused.head.contains("retry-after: "), "{refused:?}");
    assert_eq!(server.get(attacker, "metrics", &cookie).status, 200, "a session waits for nobody");
    assert_eq!(server.get(known, "metrics", RIGHT).status, 200);
    assert_eq!(server.get([127, 0, 1, 3], "metrics", RIGHT).status, 200);
}

#[test]
fn many_addresses_that_guess_keep_nobody_out() {
    let server = Server::start();
    let known = [127, 0, 2, 1];
    let cookie = server.log_in(known);
    // More than may wait at a time: all turns are taken.
    let guesses: Vec<_> = (0..120_u8).map(|number| [127, 0, 3, number + 1]).collect();
    thread::scope(|scope| {
        let guessing: Vec<_> =
            guesses.iter().map(|from| scope.spawn(|| server.get(*from, "metrics", WRONG).status)).collect();
        for _ in 0..20 {
            assert_eq!(server.get([127, 0, 2, 9], "metrics", &cookie).status, 200);
            assert_eq!(server.get(known, "metrics", RIGHT).status, 200);
            server.log_in(known);
        }
        let statuses: Vec<_> = guessing.into_iter().map(|guess| guess.join().unwrap()).collect();
        assert!(statuses.iter().all(|status| matches!(status, 401 | 429)), "{statuses:?}");
        let looked_at = statuses.iter().filter(|status| **status == 401).count();
        assert!((1..=72).contains(&looked_at), "{looked_at}");
    });
    // A stranger with the right password has a turn again.
    assert_eq!(server.get([127, 0, 2, 2], "metrics", RIGHT).status, 200);
}

#[test]
fn a_wrong_user_and_a_wrong_password_are_refused_alike() {
    let server = Server::start();
    let refused = |credentials: &str| {
        let answer = server.get(OPERATOR, "metrics", credentials);
        (answer.status, answer.body)
    };
    // fleet:wrong and nobody:a long password
    assert_eq!(refused(WRONG), refused("authorization: Basic bm9ib2R5OmEgbG9uZyBwYXNzd29yZA=="));
}
