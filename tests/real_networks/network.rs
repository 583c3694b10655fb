//! Names and addresses behind which nobody answers, in a network of the test's own, with an nginx in it.
//!
//! It has `127.0.0.1`, where port 80 is served, `::1`, where port 81 is, and a link that leads nowhere: what is sent to
//! `192.0.2.2` or `2001:db8::2` is neither answered nor refused.

use std::env;
use std::fs;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use test_support::programs;

use crate::host::SOON;
use crate::nginx;
use crate::server::{Begin, RunningServer, Server};

const SITES: &str = "server { listen 127.0.0.1:80; return 200; } server { listen [::1]:81; return 200; }";

/// A resolver that refuses at once.
pub(crate) const NO_RESOLVER: &str = "127.0.0.1";

/// One that swallows every question.
pub(crate) const SILENT_RESOLVER: &str = "192.0.2.2";

/// What a delivery may take where the first address swallows packets: a quarter of a second, and what a busy machine adds.
/// The figure is printed.
const DELIVERED_WITHIN: Duration = Duration::from_secs(2);

/// The time limit of a delivery, and what a busy machine adds.
const GIVEN_UP_WITHIN: Duration = Duration::from_millis(5200);

/// The `/etc` of the network, for names must not be looked up as this machine does it.
const ETC: [(&str, &str); 5] = [
    ("host.conf", "multi on\n"),
    ("nsswitch.conf", "hosts: files dns\n"),
    ("passwd", "root:x:0:0::/:/bin/sh\n"),
    ("group", "root:x:0:\n"),
    (
        "hosts",
        "127.0.0.1 localhost\n::1 localhost\n\
         2001:db8::2 ipv6-swallows.test\n127.0.0.1 ipv6-swallows.test\n\
         192.0.2.2 ipv4-swallows.test\n::1 ipv4-swallows.test\n\
         192.0.2.2 both-swallow.test\n2001:db8::2 both-swallow.test\n\
         ::1 ipv6-refuses.test\n127.0.0.1 ipv6-refuses.test\n\
         0.0.0.0 filtered.test\n:: filtered-6.test\n0.0.0.0 half-filtered.test\n::1 half-filtered.test\n",
    ),
];

/// Packets to a neighbour that is known leave without a question that could fail.
const ENTER: &str = r#"
mount --bind "$FOLDER/etc" /etc
ip link set lo up
ip link add nowhere type veth peer name beyond
ip link set nowhere up
ip link set beyond up
ip address add 192.0.2.1/24 dev nowhere
ip address add 2001:db8::1/64 dev nowhere nodad
ip neighbour add 192.0.2.2 lladdr 02:00:00:00:00:02 dev nowhere nud permanent
ip neighbour add 2001:db8::2 lladdr 02:00:00:00:00:02 dev nowhere nud permanent
nginx -e stderr -c configuration -p "$FOLDER"
getent -s files ahosts "$NAME" || true
exec "$@"
"#;

/// The family that a name's addresses are to begin with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum First {
    Ipv4,
    Ipv6,
}

/// A server in a network of its own.
pub(crate) struct Apart {
    server: RunningServer,
    _folder: TempDir,
}

impl Apart {
    /// One that reports to `host:port`, asks `resolver` where no file says, and takes the addresses in this order.
    pub(crate) fn start(host: &str, port: u16, first: First, resolver: &str) -> Self {
        Self::start_with(Server::to(format!("http://{host}:{port}/")), host, first, resolver)
    }

    /// Any server, of whose network `host` matters.
    fn start_with(server: Server, host: &str, first: First, resolver: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let etc = folder.path().join("etc");
        fs::create_dir(&etc).unwrap();
        // Without a word about it, getaddrinfo puts IPv6 first.
        let order = match first {
            First::Ipv4 => "precedence ::ffff:0:0/96 100\n",
            First::Ipv6 => "",
        };
        let resolver = format!("nameserver {resolver}\n");
        for (file, text) in ETC.into_iter().chain([("gai.conf", order), ("resolv.conf", &resolver)]) {
            fs::write(etc.join(file), text).unwrap();
        }
        nginx::configure(&folder, SITES);
        programs::debian("nginx", "nginx");
        programs::debian("ip", "iproute2");
        let mut command = Command::new(programs::debian("unshare", "util-linux"));
        command
            .args(["--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child", "--"])
            .args(["sh", "-ec", ENTER, "sh"])
            .arg(env::current_exe().unwrap())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("FOLDER", folder.path())
            .env("NAME", host);
        Self { server: server.start_by(command), _folder: folder }
    }

    /// The first address that `getaddrinfo` gives.
    fn first_address(&self) -> String {
        let line = self.server.process().wait_for_line(|line| line.contains("STREAM"), SOON);
        line.split_whitespace().next().unwrap().to_owned()
    }

    pub(crate) fn finish(self) -> Begin {
        self.server.finish()
    }
}

#[test]
fn localhost_is_reached_where_it_is_served_by_one_family_alone() {
    for (port, first) in [(80, First::Ipv6), (80, First::Ipv4), (81, First::Ipv6), (81, First::Ipv4)] {
        let begin = Apart::start("localhost", port, first, NO_RESOLVER).finish();
        assert_eq!(begin.outcome, "status=200", "port {port}, {first:?} first");
    }
}

#[test]
fn an_address_that_swallows_packets_costs_little_where_another_one_is_well() {
    for (host, port, first, address) in [
        ("ipv6-swallows.test", 80, First::Ipv6, "2001:db8::2"),
        ("ipv6-swallows.test", 80, First::Ipv4, "127.0.0.1"),
        ("ipv4-swallows.test", 81, First::Ipv6, "::1"),
        ("ipv4-swallows.test", 81, First::Ipv4, "192.0.2.2"),
        ("ipv6-refuses.test", 80, First::Ipv6, "::1"),
        ("ipv6-refuses.test", 80, First::Ipv4, "127.0.0.1"),
    ] {
        let server = Apart::start(host, port, first, NO_RESOLVER);
        assert_eq!(server.first_address(), address, "{host}, {first:?} first");
        let begin = server.finish();
        println!("{host}, {first:?} first: {:?}", begin.duration);
        assert_eq!(begin.outcome, "status=200", "{host}, {first:?} first");
        assert!(begin.duration < DELIVERED_WITHIN, "{host}, {first:?} first: {:?}", begin.duration);
    }
}

#[test]
fn silence_is_told_and_costs_no_more_than_the_time_limit() {
    let (connecting, resolving) = (
        "while connecting; is a firewall between?",
        "while its name was resolved; check the DNS of this machine",
    );
    let direct = [
        ("both-swallow.test", First::Ipv6, connecting),
        ("both-swallow.test", First::Ipv4, connecting),
        ("192.0.2.2", First::Ipv4, connecting),
        ("unanswered.test", First::Ipv6, resolving),
    ]
    .map(|(host, first, during)| (Apart::start(host, 80, first, SILENT_RESOLVER), host.to_owned(), during));
    let by_proxy = [("192.0.2.2:3128", connecting), ("proxy.test:3128", resolving)].map(|(proxy, during)| {
        let server = Server::to("http://localhost/").with("HTTP_PROXY", proxy);
        (
            Apart::start_with(server, "localhost", First::Ipv6, SILENT_RESOLVER),
            format!("proxy {proxy}"),
            during,
        )
    });
    for (server, host, during) in direct.into_iter().chain(by_proxy) {
        let begin = server.finish();
        let words = format!("cause=timed_out error=\"{host} timed out after 5.0 s {during}\"");
        assert_eq!(begin.outcome, words, "after {:?}", begin.duration);
        assert!(begin.duration <= GIVEN_UP_WITHIN, "{host}: {:?}", begin.duration);
    }
}

#[test]
fn a_name_that_a_dns_filter_blocks_is_told_and_never_connected() {
    // Port 80 is served on 127.0.0.1, which 0.0.0.0 would reach, and port 81 on ::1.
    for (host, port, shown) in [("filtered.test", 80, "0.0.0.0"), ("filtered-6.test", 81, "::")] {
        let begin = Apart::start(host, port, First::Ipv6, NO_RESOLVER).finish();
        let words = format!(
            "cause=dns error=\"the name {host} is blocked by a DNS filter (it resolves to {shown}); allow it in the filter \
             that this machine uses, such as Pi-hole or AdGuard\""
        );
        assert_eq!(begin.outcome, words);
    }
    let begin = Apart::start("half-filtered.test", 81, First::Ipv4, NO_RESOLVER).finish();
    assert_eq!(begin.outcome, "status=200", "the unspecified address is left out");
}

#[test]
fn what_the_network_refuses_at_once_is_told() {
    let refused = [
        (
            "198.51.100.1",
            80,
            "cause=unreachable error=\"198.51.100.1:80 cannot be reached: Network is unreachable (os error 101); check the \
             routes of this machine, and the firewalls on the way\"",
        ),
        (
            "192.0.2.3",
            80,
            "cause=unreachable error=\"192.0.2.3:80 cannot be reached: No route to host (os error 113); check the routes \
             of this machine, and the firewalls on the way\"",
        ),
        (
            "ipv6-refuses.test",
            82,
            "cause=refused error=\"connection refused by 127.0.0.1:82: no program listens there, or a firewall rejects \
             the connection\"",
        ),
        (
            "unanswered.test",
            80,
            "cause=dns error=\"the name unanswered.test cannot be resolved: failed to lookup address information: \
             Temporary failure in name resolution; check it, and the DNS of this machine\"",
        ),
    ];
    let running = refused.map(|(host, port, _)| Apart::start(host, port, First::Ipv6, NO_RESOLVER));
    for (server, (_, _, words)) in running.into_iter().zip(refused) {
        assert_eq!(server.finish().outcome, words);
    }
}
