//! What `docs/networks.md` advises works.

use std::process::Command;

use test_support::{Behaviour, FakeDestination, programs};

use crate::authority::Credentials;
use crate::nginx::{Nginx, https};
use crate::proxies::behind;
use crate::proxy::Proxy;
use crate::server::{Server, assert_outcomes};

const PAGE: &str = include_str!("../../docs/networks.md");

/// Of the configuration that Debian's squid comes with.
const AS_INSTALLED: &str = "acl SSL_ports port 443
acl Safe_ports port 80
acl Safe_ports port 443
http_access deny !Safe_ports
http_access deny CONNECT !SSL_ports
http_access allow localhost
http_access deny all";

fn block(kind: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("```{kind}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

#[test]
fn squid_lets_a_tunnel_through_to_the_port_it_was_told() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let advice = block("text").replace("8080", &destination.address().port().to_string());
    let proxy = Proxy::squid(&format!("{advice}{AS_INSTALLED}"));
    assert_outcomes([(behind(&proxy, "", &destination.url()), "status=200")]);
}

#[test]
fn a_certificate_that_signs_itself_is_trusted_where_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    programs::debian("openssl", "openssl");
    let mut command = Command::new("sh");
    command.args(["-ec", &block("sh").replace("telemetry.internal", "localhost")]);
    let output = command.current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = |file: &str| folder.path().join(file);
    let credentials = Credentials { chain: path("certificate.pem"), key: path("key.pem") };
    let nginx = Nginx::start(&[("127.0.0.1:* ssl", https(&credentials))]);
    let server = Server::to(format!("https://localhost:{}/", nginx.port(0)));
    assert_outcomes([(server.trusting(&path("certificate.pem")), "status=200")]);
}
