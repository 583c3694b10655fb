//! SOCKS 5 proxies, which the environment names.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use test_support::{Behaviour, FakeDestination};

use crate::authority::Authority;
use crate::child::{in_a_child_with, is_child, print_outcome};
use crate::host::SOON;
use crate::tunnel::carry;

/// Requests that a SOCKS proxy was asked for: whether with a password, and the address as it was sent.
type SocksRequests = Receiver<(Option<String>, String)>;

/// A SOCKS 5 proxy that answers each request with `reply`. With 0 it carries one connection to `to`.
fn socks_proxy(login: Option<&'static str>, reply: u8, to: SocketAddr) -> (SocketAddr, SocksRequests) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (requests, received) = channel();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            // A client that is not content with an answer hangs up.
            let _ = serve_socks(&mut client, login, reply, to, &requests);
        }
    });
    (address, received)
}

fn read(client: &mut TcpStream, length: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    client.read_exact(&mut bytes).map(|()| bytes)
}

fn serve_socks(
    client: &mut TcpStream,
    login: Option<&str>,
    reply: u8,
    to: SocketAddr,
    requests: &std::sync::mpsc::Sender<(Option<String>, String)>,
) -> std::io::Result<()> {
    let methods = read(client, 2)?[1];
    let methods = read(client, methods.into())?;
    let method: u8 = if login.is_some() { 2 } else { 0 };
    let chosen = if methods.contains(&method) { method } else { 0xff };
    client.write_all(&[5, chosen])?;
    let mut given = None;
    if chosen == 2 {
        let length = read(client, 2)?[1];
        let user = String::from_utf8(read(client, length.into())?).unwrap();
        let length = read(client, 1)?[0];
        let pair = format!("{user}:{}", String::from_utf8(read(client, length.into())?).unwrap());
        let is_right = Some(pair.as_str()) == login;
        given = Some(pair);
        client.write_all(&[1, u8::from(!is_right)])?;
        if !is_right {
            return Ok(());
        }
    }
    let target = match read(client, 4)?[3] {
        1 => std::net::Ipv4Addr::from(<[u8; 4]>::try_from(read(client, 4)?).unwrap()).to_string(),
        3 => {
            let length = read(client, 1)?[0];
            String::from_utf8(read(client, length.into())?).unwrap()
        }
        4 => std::net::Ipv6Addr::from(<[u8; 16]>::try_from(read(client, 16)?).unwrap()).to_string(),
        other => panic!("no kind of address: {other}"),
    };
    read(client, 2)?;
    let _ = requests.send((given, target));
    client.write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0])?;
    if reply == 0 {
        carry(client.try_clone()?, TcpStream::connect(to)?);
    }
    Ok(())
}

#[test]
fn a_socks_proxy_carries_http_and_https_and_resolves_names_where_its_scheme_says_so() {
    if is_child() {
        return print_outcome();
    }
    let name =
        "socks_proxies::a_socks_proxy_carries_http_and_https_and_resolves_names_where_its_scheme_says_so";
    let authority = Authority::new();
    let destination = FakeDestination::start(Behaviour::Ok);
    let https = authority.serve("localhost", false);
    for (scheme, login, https_is_on, target) in [
        ("socks5h", None, false, "localhost"),
        ("socks", None, true, "localhost"),
        ("socks5h", Some("user:s@cret"), true, "localhost"),
        ("socks5", Some("user:s@cret"), false, "127.0.0.1"),
    ] {
        let to = if https_is_on { https } else { destination.address() };
        let (proxy, requests) = socks_proxy(login, 0, to);
        let user = if login.is_some() { "user:s%40cret@" } else { "" };
        let protocol = if https_is_on { "https" } else { "http" };
        in_a_child_with(
            &[
                ("SIRVEO_TELEMETRY_MODE", "custom"),
                ("SIRVEO_TELEMETRY_URL", &format!("{protocol}://localhost:{}/", to.port())),
                ("SIRVEO_TELEMETRY_CA_FILE", authority.path()),
                ("ALL_PROXY", &format!("{scheme}://{user}{proxy}/")),
                ("EXPECTED", "Status(200)"),
            ],
            name,
        );
        let (given, asked) = requests.recv_timeout(SOON).unwrap();
        assert_eq!(given.as_deref(), login, "{scheme}");
        // An address of the name, of either family.
        let is_expected = asked == target || (target == "127.0.0.1" && asked == "::1");
        assert!(is_expected, "{scheme}: {asked}");
    }
}

#[test]
fn a_socks_proxy_that_refuses_is_told_with_what_to_do() {
    if is_child() {
        return print_outcome();
    }
    let nowhere = "127.0.0.1:1".parse().unwrap();
    let http = TcpListener::bind("127.0.0.1:0").unwrap();
    let http_address = http.local_addr().unwrap();
    thread::spawn(move || {
        for mut client in http.incoming().flatten() {
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    for (login, user, reply, says) in [
        (Some("user:right"), "", 0, "it asks for a password; put user:password@ into the proxy's URL"),
        (Some("user:right"), "user:s3cret@", 0, "it does not accept the user and password of its URL"),
        (None, "", 1, "it could not reach e.test:80 (general socks server failure)"),
        (None, "", 2, "its rules forbid a connection to e.test:80; they must allow it"),
        (None, "", 4, "it could not reach e.test:80 (host unreachable)"),
    ] {
        let (proxy, _requests) = socks_proxy(login, reply, nowhere);
        let expected = format!("Failed(Failure {{ cause: Proxy, message: \"proxy {proxy}: {says}\" }})");
        in_a_child_with(
            &[
                ("SIRVEO_TELEMETRY_MODE", "custom"),
                ("SIRVEO_TELEMETRY_URL", "http://e.test/"),
                ("http_proxy", &format!("socks5h://{user}{proxy}")),
                ("EXPECTED", &expected),
            ],
            "socks_proxies::a_socks_proxy_that_refuses_is_told_with_what_to_do",
        );
    }
    let expected = format!(
        "Failed(Failure {{ cause: Proxy, message: \"proxy {http_address}: its answer is not SOCKS 5; if it is an HTTP proxy, its \
         URL begins with http://\" }})"
    );
    in_a_child_with(
        &[
            ("SIRVEO_TELEMETRY_MODE", "custom"),
            ("SIRVEO_TELEMETRY_URL", "http://e.test/"),
            ("http_proxy", &format!("socks5h://{http_address}")),
            ("EXPECTED", &expected),
        ],
        "socks_proxies::a_socks_proxy_that_refuses_is_told_with_what_to_do",
    );
}
