//! HTTP proxies, which the environment names.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use test_support::{Behaviour, FakeDestination, refused_url};

use crate::authority::Authority;
use crate::child::{in_a_child_with, is_child, print_outcome};
use crate::host::SOON;
use crate::tunnel::carry;

/// A proxy that answers `CONNECT` with `answer`; with 200 it carries one connection through.
fn proxy(answer: &'static str) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (heads, received) = channel();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let mut reader = BufReader::new(client.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap_or(0) > 0 {}
            let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let _ = heads.send(head);
            let mut client = client;
            let _ = client.write_all(answer.as_bytes());
            if answer.contains(" 200 ") {
                carry(client, TcpStream::connect(target).unwrap());
            }
        }
    });
    (address, received)
}

#[test]
fn an_http_destination_is_reached_through_a_proxy_with_a_password() {
    if is_child() {
        return print_outcome();
    }
    let destination = FakeDestination::start(Behaviour::Ok);
    let (proxy, heads) = proxy("HTTP/1.1 200 Connection established\r\nvia: test\r\n\r\n");
    in_a_child_with(
        &[
            ("SIRVEO_TELEMETRY_MODE", "custom"),
            ("SIRVEO_TELEMETRY_URL", &destination.url()),
            ("http_proxy", &format!("http://user:s%40cret@{proxy}")),
            ("EXPECTED", "Status(200)"),
        ],
        "http_proxies::an_http_destination_is_reached_through_a_proxy_with_a_password",
    );
    let head = heads.recv_timeout(SOON).unwrap();
    let authority = destination.address();
    assert_eq!(
        head,
        format!(
            "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nProxy-Authorization: Basic dXNlcjpzQGNyZXQ=\r\n\r\n"
        )
    );
    let begin = destination.wait_for_requests(1, SOON).remove(0);
    assert_eq!(begin.header("proxy-authorization"), None, "the destination does not learn the password");
}

#[test]
fn an_https_destination_is_reached_through_a_proxy_and_checked_by_its_own_name() {
    if is_child() {
        return print_outcome();
    }
    let authority = Authority::new();
    let port = authority.serve("localhost", false).port();
    let (proxy, heads) = proxy("HTTP/1.1 200 Connection established\r\n\r\n");
    in_a_child_with(
        &[
            ("SIRVEO_TELEMETRY_MODE", "custom"),
            ("SIRVEO_TELEMETRY_URL", &format!("https://localhost:{port}/")),
            ("SIRVEO_TELEMETRY_CA_FILE", authority.path()),
            ("HTTPS_PROXY", &proxy.to_string()),
            ("EXPECTED", "Status(200)"),
        ],
        "http_proxies::an_https_destination_is_reached_through_a_proxy_and_checked_by_its_own_name",
    );
    assert!(heads.recv_timeout(SOON).unwrap().starts_with(&format!("CONNECT localhost:{port} ")));
}

#[test]
fn a_proxy_that_refuses_is_told_with_what_to_do() {
    if is_child() {
        return print_outcome();
    }
    for (answer, says) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "it asks for a password (status 407); put user:password@ into the proxy's URL",
        ),
        (
            "HTTP/1.1 403 Forbidden\r\n\r\n",
            "its rules forbid a tunnel to 192.0.2.1:80 (status 403); they must allow CONNECT to that port",
        ),
        ("SSH-2.0-x\r\n\r\n", "its answer is not HTTP; check the proxy's address and port"),
    ] {
        let (proxy, _heads) = proxy(answer);
        let expected = format!("Failed(Failure {{ cause: Proxy, message: \"proxy {proxy}: {says}\" }})");
        in_a_child_with(
            &[
                ("SIRVEO_TELEMETRY_MODE", "custom"),
                ("SIRVEO_TELEMETRY_URL", "http://192.0.2.1/"),
                ("ALL_PROXY", &proxy.to_string()),
                ("EXPECTED", &expected),
            ],
            "http_proxies::a_proxy_that_refuses_is_told_with_what_to_do",
        );
    }
}

#[test]
fn a_proxy_that_is_not_there_is_told_and_no_proxy_goes_around_it() {
    if is_child() {
        return print_outcome();
    }
    let destination = FakeDestination::start(Behaviour::Ok);
    let nobody = refused_url();
    let nobody = nobody.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let refused = format!(
        "Failed(Failure {{ cause: Proxy, message: \"proxy {nobody}: connection refused by {nobody}: no program listens \
         there, or a firewall rejects the connection\" }})"
    );
    for (no_proxy, expected) in [("", refused.as_str()), ("127.0.0.0/8", "Status(200)")] {
        in_a_child_with(
            &[
                ("SIRVEO_TELEMETRY_MODE", "custom"),
                ("SIRVEO_TELEMETRY_URL", &destination.url()),
                ("http_proxy", &nobody),
                ("NO_PROXY", no_proxy),
                ("EXPECTED", expected),
            ],
            "http_proxies::a_proxy_that_is_not_there_is_told_and_no_proxy_goes_around_it",
        );
    }
}

#[test]
fn a_proxy_variable_that_cannot_be_used_fails_each_event_and_not_the_start() {
    if is_child() {
        return print_outcome();
    }
    let destination = FakeDestination::start(Behaviour::Ok);
    for (value, says) in [
        ("gopher://user:s3cret@proxy:1", "a proxy of an unknown scheme"),
        ("socks4://proxy:1", "a SOCKS 4 proxy, which is not supported"),
        ("http://proxy:port", "a malformed proxy URL"),
    ] {
        let expected = format!(
            "Failed(Failure {{ cause: Proxy, message: \"the proxy of this machine cannot be used: ALL_PROXY accepts \
             [http://|socks5://|socks5h://|socks://][user:password@]host[:port]; given: {says}; correct the variable \
             or add the host to NO_PROXY, and restart\" }})"
        );
        in_a_child_with(
            &[
                ("SIRVEO_TELEMETRY_MODE", "custom"),
                ("SIRVEO_TELEMETRY_URL", &destination.url()),
                ("ALL_PROXY", value),
                ("EXPECTED", &expected),
            ],
            "http_proxies::a_proxy_variable_that_cannot_be_used_fails_each_event_and_not_the_start",
        );
    }
    assert_eq!(destination.connections(), 0);
}
