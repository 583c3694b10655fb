//! What nginx answers besides 200, and what it says to the wrong protocol.

use crate::authority::{Authority, Key, LOCALHOST};
use crate::nginx::{Nginx, https};
use crate::server::{Server, assert_outcomes};

const HTTP: &str = "127.0.0.1:*";

#[test]
fn what_nginx_answers_is_the_outcome() {
    let sites = [
        ("location / { return 301 https://telemetry.example/; }", 301),
        ("location / { return 307 http://127.0.0.1:1/; }", 307),
        ("auth_basic telemetry; auth_basic_user_file /dev/null;", 401),
        ("client_max_body_size 10; location / { return 200; }", 413),
        ("location / { return 500; }", 500),
        ("location / { proxy_pass http://127.0.0.1:1; }", 502),
    ];
    let nginx = Nginx::start(&sites.map(|(site, _)| (HTTP, site.to_owned())));
    assert_outcomes(sites.iter().enumerate().map(|(site, (_, status))| {
        (Server::to(format!("http://127.0.0.1:{}/events", nginx.port(site))), format!("status={status}"))
    }));
    let expected = 2 * sites.len();
    let requests = nginx.wait_for_requests(expected, |line| line.starts_with("POST /events HTTP/1.1 "));
    assert_eq!(requests, expected, "`begin` and `end` at each site, and nothing tried again");
}

#[test]
fn the_wrong_protocol_is_told() {
    let company = Authority::new("Company CA", Key::Ec);
    let nginx = Nginx::start(&[
        ("127.0.0.1:* ssl", https(&company.sign(LOCALHOST))),
        (HTTP, "location / { return 200; }".to_owned()),
    ]);
    assert_outcomes([
        (Server::to(format!("http://localhost:{}/", nginx.port(0))), "status=400"),
        (
            Server::to(format!("https://localhost:{}/", nginx.port(1))),
            r#"cause=tls error="it does not speak TLS; is the URL meant to be http? ("#,
        ),
    ]);
}
