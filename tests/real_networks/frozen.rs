//! Programs that freeze: the system still accepts connections for them, and nothing answers.

use test_support::{Behaviour, FakeDestination, Signal};

use crate::authority::{Authority, Key, LOCALHOST};
use crate::host::SOON;
use crate::nginx::{Nginx, https};
use crate::proxies::behind;
use crate::proxy::{Proxy, SQUID_OPEN};
use crate::server::Server;

/// All in one, for each takes the time limit twice.
#[test]
fn nothing_that_freezes_costs_more_than_the_time_limit() {
    let slow = FakeDestination::start(Behaviour::HangBeforeHead);
    let company = Authority::new("Company CA", Key::Ec);
    let mut nginx = Nginx::start(&[
        ("127.0.0.1:* ssl", https(&company.sign(LOCALHOST))),
        ("127.0.0.1:*", "location / { return 200; }".to_owned()),
    ]);
    let mut proxies = [Proxy::tinyproxy(""), Proxy::squid(SQUID_OPEN)];
    let through = |proxy: &Proxy| behind(proxy, "", &slow.url()).start();

    let proxy_names = proxies.each_ref().map(|proxy| format!("proxy {}", proxy.address()));

    let within_tunnel = proxies.each_ref().map(through);
    slow.wait_for_requests(2, SOON);
    proxies.iter_mut().for_each(|proxy| proxy.signal(Signal::SIGSTOP));
    let before_tunnel = proxies.each_ref().map(through);
    nginx.freeze();
    let direct = [("https", 0), ("http", 1)].map(|(scheme, site)| {
        let authority = format!("localhost:{}", nginx.port(site));
        (Server::to(format!("{scheme}://{authority}/")).start(), authority)
    });

    let waiting = "while waiting for its answer";
    let look = "the destination's log may say why";
    let told = |who: &str, during: &str| format!("{who} timed out after 5.0 s {during}");
    let expected = [
        proxy_names
            .each_ref()
            .map(|proxy| told(&slow.address().to_string(), &format!("{waiting}, through {proxy}; {look}"))),
        proxy_names.each_ref().map(|proxy| {
            told(
                proxy,
                "while opening a tunnel; check the proxy's log, and whether it reaches the destination",
            )
        }),
        [
            told(&direct[0].1, "during the TLS handshake; does the port of the URL speak TLS?"),
            told(&direct[1].1, &format!("{waiting}; {look}")),
        ],
    ];
    let servers = [within_tunnel, before_tunnel, direct.map(|(server, _)| server)];
    for (server, words) in servers.into_iter().flatten().zip(expected.into_iter().flatten()) {
        assert_eq!(server.finish().outcome, format!("cause=timed_out error=\"{words}\""));
    }
}
