//! mitmproxy as the proxy of a company that reads what its servers send: it signs TLS anew, with a CA of its own.

use test_support::wait_until;

use crate::authority::{Authority, Key, LOCALHOST};
use crate::host::SOON;
use crate::nginx::{Nginx, https};
use crate::proxy::Proxy;
use crate::server::{Server, assert_outcomes};

#[test]
fn the_ca_of_a_proxy_that_signs_anew_is_trusted_where_it_is_named() {
    let (known, unknown) = (Authority::new("Company CA", Key::Ec), Authority::new("Other CA", Key::Ec));
    let nginx = Nginx::start(&[
        ("127.0.0.1:* ssl", https(&known.sign(LOCALHOST))),
        ("127.0.0.1:* ssl", https(&unknown.sign(LOCALHOST))),
    ]);
    let trusts = format!("ssl_verify_upstream_trusted_ca={}", known.file().display());
    let proxy = Proxy::mitmproxy(&["--set", &trusts, "--proxyauth", "user:p@ss"]);
    let to = |port: u16, user: &str| {
        Server::to(format!("https://localhost:{port}/events")).with("HTTPS_PROXY", proxy.url(user))
    };
    let (well, badly) = (nginx.port(0), nginx.port(1));
    let refused = |says: &str| format!("cause=proxy error=\"proxy {}: {says}\"", proxy.address());
    let password = "it asks for a password (status 407); put user:password@ into the proxy's URL";
    assert_outcomes([
        (to(well, "user:p%40ss@").trusting(&proxy.authority()), "status=200".to_owned()),
        (
            to(well, "user:p%40ss@").trusting(&known.file()),
            "cause=tls error=\"its certificate is signed by a CA that neither this machine nor the file in CA_FILE contains; \
             add the CA's certificate to that file; the server has to send the intermediate ones (invalid peer \
             certificate: UnknownIssuer)\""
                .to_owned(),
        ),
        (to(well, "").trusting(&proxy.authority()), refused(password)),
        (
            to(well, "user:wrong@").trusting(&proxy.authority()),
            refused("it does not accept the user and password of its URL (status 407)"),
        ),
        // The tunnel and TLS are well by then, so the proxy answers in the destination's place.
        (to(badly, "user:p%40ss@").trusting(&proxy.authority()), "status=502".to_owned()),
        (
            to(1, "user:p%40ss@").trusting(&proxy.authority()),
            refused("it could not reach localhost:1 (status 502)"),
        ),
    ]);
    let url = format!("https://localhost:{well}/events\n");
    let flows = |log: &str| -> Vec<String> {
        let requests = log.split("POST ").filter(|request| request.starts_with(&url));
        requests.filter_map(|request| Some(request.split_once(" << 200 OK")?.0.to_owned())).collect()
    };
    wait_until("it has logged `begin` and `end`", SOON, || flows(&proxy.log()).len() == 2);
    for (request, reason) in flows(&proxy.log()).iter().zip(["begin", "end"]) {
        for line in [
            &format!("    host: localhost:{well}\n"),
            "    user-agent: Sirveo\n",
            "    content-type: application/json\n",
            "    telemetry-frequency: 28800\n",
            &format!("        \"reason\": \"{reason}\",\n"),
        ] {
            assert!(request.contains(line), "{line:?} in {request}");
        }
        assert!(!request.contains("authorization"), "the password is the proxy's alone: {request}");
    }
}
