//! The way to a destination: TLS with a private CA, a proxy in between, addresses that swallow packets.

mod host;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use deployment_telemetry::{Cause, Config, Outcome, Telemetry};
use host::{MemoryStore, SOON, block_on, custom, on, wait_for_attempts};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use test_support::{Behaviour, FakeDestination, refused_url};

/// A company's own certificate authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: tempfile::NamedTempFile,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(parameters.self_signed(&key).unwrap().pem().as_bytes()).unwrap();
        Self { issuer: Issuer::new(parameters, key), file }
    }

    fn path(&self) -> &str {
        self.file.path().to_str().unwrap()
    }

    /// An HTTPS server for one name that answers 200 to every request.
    fn serve(&self, name: &str, is_expired: bool) -> SocketAddr {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if is_expired {
            parameters.not_after = date_time_ymd(2020, 1, 1);
        }
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let config = Arc::new(config);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let session = rustls::ServerConnection::new(config.clone()).unwrap();
                let mut stream = rustls::StreamOwned::new(session, stream);
                // A client that does not trust us ends the handshake.
                if stream.read(&mut [0; 4096]).is_ok() {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                }
            }
        });
        address
    }
}

fn outcome_of_begin(config: Config) -> Outcome {
    let telemetry = on(MemoryStore::new()).config(config).start().unwrap();
    let outcome = wait_for_attempts(&telemetry, 1).attempts.pop_back().unwrap().outcome;
    block_on(telemetry.stop());
    outcome
}

#[track_caller]
fn assert_failure(outcome: Outcome, cause: Cause, words: &str) {
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.cause, cause, "{failure}");
    assert!(failure.message.contains(words), "{failure}");
}

#[test]
fn a_private_ca_is_trusted_where_it_is_named() {
    let authority = Authority::new();
    let url = format!("https://localhost:{}/", authority.serve("localhost", false).port());
    let config = custom(&url).ca_file(authority.path());
    assert_eq!(outcome_of_begin(config), Outcome::Status(200));
    assert_failure(
        outcome_of_begin(custom(&url)),
        Cause::Tls,
        "unknown CA; name the CA's file in the CA_FILE setting",
    );
}

#[test]
fn a_certificate_for_another_name_is_refused_and_told() {
    let authority = Authority::new();
    let url = format!("https://localhost:{}/", authority.serve("other.example", false).port());
    let config = custom(&url).ca_file(authority.path());
    assert_failure(outcome_of_begin(config), Cause::Tls, "its certificate is for another name");
}

#[test]
fn an_expired_certificate_is_refused_and_told() {
    let authority = Authority::new();
    let url = format!("https://localhost:{}/", authority.serve("localhost", true).port());
    let config = custom(&url).ca_file(authority.path());
    assert_failure(outcome_of_begin(config), Cause::Tls, "has expired");
}

#[test]
fn https_to_a_server_without_tls_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = format!("https://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    assert_failure(outcome_of_begin(custom(&plain)), Cause::Tls, "is the URL meant to be http?");
}

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

fn carry(client: TcpStream, server: TcpStream) {
    for (mut from, mut to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)] {
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Write);
        });
    }
}

/// The environment is not a test's to change, so a child process is this very test with another one.
fn in_a_child_with(variables: &[(&str, &str)], test: &str) {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--nocapture"]).env("WAY_OUT_CHILD", "1");
    test_support::environment::clean(&mut child, "SIRVEO_");
    let output = test_support::children::output(child.envs(variables.iter().copied())).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{errors}");
}

fn is_child() -> bool {
    std::env::var_os("WAY_OUT_CHILD").is_some()
}

fn from_environment() -> Telemetry {
    let product = deployment_telemetry::Product::new("Sirveo");
    Telemetry::builder(product, host::build_info(), MemoryStore::new()).start().unwrap()
}

/// What became of `begin`, as a child prints it.
fn print_outcome() {
    let telemetry = from_environment();
    let outcome = wait_for_attempts(&telemetry, 1).attempts.pop_back().unwrap().outcome;
    block_on(telemetry.stop());
    assert_eq!(format!("{outcome:?}"), std::env::var("EXPECTED").unwrap());
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
        "an_http_destination_is_reached_through_a_proxy_with_a_password",
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
        "an_https_destination_is_reached_through_a_proxy_and_checked_by_its_own_name",
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
        ("SSH-2.0-x\r\n\r\n", "its answer is not HTTP"),
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
            "a_proxy_that_refuses_is_told_with_what_to_do",
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
        "Failed(Failure {{ cause: Proxy, message: \"proxy {nobody}: connection refused by {nobody}: nothing listens there\" }})"
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
            "a_proxy_that_is_not_there_is_told_and_no_proxy_goes_around_it",
        );
    }
}

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
    let name = "a_socks_proxy_carries_http_and_https_and_resolves_names_where_its_scheme_says_so";
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
        (None, "", 2, "its rules forbid a connection to e.test:80"),
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
            "a_socks_proxy_that_refuses_is_told_with_what_to_do",
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
        "a_socks_proxy_that_refuses_is_told_with_what_to_do",
    );
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
             [http://|socks5://|socks5h://|socks://][user:password@]host[:port]; given: {says}\" }})"
        );
        in_a_child_with(
            &[
                ("SIRVEO_TELEMETRY_MODE", "custom"),
                ("SIRVEO_TELEMETRY_URL", &destination.url()),
                ("ALL_PROXY", value),
                ("EXPECTED", &expected),
            ],
            "a_proxy_variable_that_cannot_be_used_fails_each_event_and_not_the_start",
        );
    }
    assert_eq!(destination.connections(), 0);
}

#[test]
fn do_not_track_keeps_a_real_run_from_the_vendor() {
    if is_child() {
        let vendor = deployment_telemetry::Vendor::new(std::env::var("VENDOR").unwrap());
        let product = deployment_telemetry::Product::new("Sirveo");
        let builder = Telemetry::builder(product, host::build_info(), MemoryStore::new()).vendor(vendor);
        let telemetry = builder.start().unwrap();
        assert_eq!(telemetry.status().destinations.len(), 1);
        assert!(telemetry.status().do_not_track);
        wait_for_attempts(&telemetry, 1);
        block_on(telemetry.stop());
        return;
    }
    let (operator, vendor) = (FakeDestination::start(Behaviour::Ok), FakeDestination::start(Behaviour::Ok));
    in_a_child_with(
        &[
            ("SIRVEO_TELEMETRY_MODE", "both"),
            ("SIRVEO_TELEMETRY_URL", &operator.url()),
            ("DO_NOT_TRACK", "1"),
            ("VENDOR", &vendor.url()),
        ],
        "do_not_track_keeps_a_real_run_from_the_vendor",
    );
    assert_eq!((operator.requests().len(), vendor.connections()), (2, 0));
}
