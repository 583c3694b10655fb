//! Through tinyproxy and squid, and what is told where one of them stands in the way.

use test_support::{Behaviour, FakeDestination, wait_until};

use crate::authority::{Authority, Key, LOCALHOST};
use crate::host::SOON;
use crate::nginx::{Nginx, https};
use crate::proxy::{Proxy, SQUID_OPEN, SQUID_PASSWORD};
use crate::server::{Server, assert_outcomes};

/// A server behind `proxy`, known to it as `user`.
pub(crate) fn behind(proxy: &Proxy, user: &str, url: &str) -> Server {
    Server::to(url).with("ALL_PROXY", proxy.url(user))
}

/// The words where `proxy` does not open a tunnel.
fn refused(proxy: &Proxy, says: &str) -> String {
    format!("cause=proxy error=\"proxy {}: {says}\"", proxy.address())
}

#[test]
fn http_and_https_go_through_without_and_with_a_password() {
    let company = Authority::new("Company CA", Key::Ec);
    let nginx = Nginx::start(&[("127.0.0.1:* ssl", https(&company.sign(LOCALHOST)))]);
    let destination = FakeDestination::start(Behaviour::Ok);
    let proxies = [
        (Proxy::tinyproxy(""), ""),
        (Proxy::tinyproxy("BasicAuth user pass"), "user:pass@"),
        (Proxy::squid(SQUID_OPEN), ""),
        (Proxy::squid(SQUID_PASSWORD), "user:p%40ss@"),
    ];
    let https = format!("localhost:{}", nginx.port(0));
    assert_outcomes(proxies.iter().flat_map(|(proxy, user)| {
        let to_https = behind(proxy, user, &format!("https://{https}/")).trusting(&company.file());
        [(to_https, "status=200"), (behind(proxy, user, &destination.url()), "status=200")]
    }));
    for (proxy, _) in &proxies {
        for authority in [https.clone(), destination.address().to_string()] {
            let line = format!("CONNECT {authority}");
            wait_until(&format!("the proxy logs {line}"), SOON, || proxy.log().contains(&line));
        }
    }
}

#[test]
fn a_password_that_is_missing_or_wrong_is_told() {
    let (tinyproxy, squid) = (Proxy::tinyproxy("BasicAuth user pass"), Proxy::squid(SQUID_PASSWORD));
    let missing = "it asks for a password (status 407); put user:password@ into the proxy's URL";
    let url = "http://127.0.0.1:1/";
    assert_outcomes([
        (behind(&tinyproxy, "", url), refused(&tinyproxy, missing)),
        (behind(&squid, "", url), refused(&squid, missing)),
        (
            behind(&tinyproxy, "user:wrong@", url),
            refused(&tinyproxy, "it does not accept the user and password of its URL (status 401)"),
        ),
        (
            behind(&squid, "user:wrong@", url),
            refused(&squid, "it does not accept the user and password of its URL (status 407)"),
        ),
    ]);
}

#[test]
fn what_the_rules_of_a_proxy_forbid_is_told() {
    let only_443 = Proxy::tinyproxy("ConnectPort 443");
    // Of the configuration that Debian's squid comes with.
    let as_installed =
        Proxy::squid(&format!("acl SSL_ports port 443\nhttp_access deny CONNECT !SSL_ports\n{SQUID_OPEN}"));
    let not_this_host =
        Proxy::squid(&format!("acl here dst 127.0.0.0/8\nhttp_access deny here\n{SQUID_OPEN}"));
    let url = "http://127.0.0.1:1/";
    let words = "its rules forbid a tunnel to 127.0.0.1:1 (status 403); they must allow CONNECT to that port";
    let proxies = [only_443, as_installed, not_this_host];
    assert_outcomes(proxies.each_ref().map(|proxy| (behind(proxy, "", url), refused(proxy, words))));
}

#[test]
fn a_destination_that_the_proxy_does_not_reach_is_told() {
    let (tinyproxy, squid) = (Proxy::tinyproxy(""), Proxy::squid(SQUID_OPEN));
    let (nobody, unknown) = ("http://127.0.0.1:1/", "http://no-such-host.invalid/");
    assert_outcomes([
        (behind(&tinyproxy, "", nobody), refused(&tinyproxy, "it could not reach 127.0.0.1:1 (status 500)")),
        (
            behind(&tinyproxy, "", unknown),
            refused(&tinyproxy, "it could not reach no-such-host.invalid:80 (status 500)"),
        ),
        (behind(&squid, "", nobody), refused(&squid, "it could not reach 127.0.0.1:1 (status 503)")),
    ]);
}

#[test]
fn a_proxy_that_is_gone_is_told_and_no_proxy_goes_around_it() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let mut proxy = Proxy::tinyproxy("");
    proxy.kill();
    let address = proxy.address();
    let words = "no program listens there, or a firewall rejects the connection";
    let gone = refused(&proxy, &format!("connection refused by {address}: {words}"));
    let around = |exempt: &str| behind(&proxy, "", &destination.url()).with("NO_PROXY", exempt);
    assert_outcomes([
        (around(""), gone.as_str()),
        (around("localhost,.example"), &gone),
        (around("127.0.0.0/8"), "status=200"),
        (around("example.com, 127.0.0.1"), "status=200"),
    ]);
}

#[test]
fn a_proxy_that_dies_ends_the_attempt() {
    let company = Authority::new("Company CA", Key::Ec);
    for mut proxy in [Proxy::tinyproxy(""), Proxy::squid(SQUID_OPEN)] {
        let slow = FakeDestination::start(Behaviour::HangBeforeHead);
        let site = format!(
            "{} location /slow {{ proxy_pass http://{}; }}",
            https(&company.sign(LOCALHOST)),
            slow.address()
        );
        let nginx = Nginx::start(&[("127.0.0.1:* ssl", site)]);
        let https = format!("https://localhost:{}/slow", nginx.port(0));
        let servers = [behind(&proxy, "", &slow.url()), behind(&proxy, "", &https).trusting(&company.file())]
            .map(|server| server.start());
        slow.wait_for_requests(2, SOON);
        proxy.kill();
        for server in servers {
            let words = format!(
                "cause=disconnected error=\"the connection was closed before an answer came, through proxy {}; the log \
                 of the destination, or of a load balancer in between, may say why\"",
                proxy.address()
            );
            assert_eq!(server.finish().outcome, words);
        }
    }
}
