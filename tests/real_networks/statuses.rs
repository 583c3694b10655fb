//! The table of statuses in `docs/networks.md`, made anew from what each proxy answers.

use crate::authority::{Authority, Key, LOCALHOST};
use crate::nginx::{Nginx, https};
use crate::proxies::behind;
use crate::proxy::{Proxy, SQUID_OPEN, SQUID_PASSWORD};
use crate::server::Server;

const PAGE: &str = include_str!("../../docs/networks.md");

/// A kind of proxy, and two of that kind: one that asks for a password, and one whose rules forbid the destination.
struct Kind {
    name: &'static str,
    strict: Proxy,
    /// What its URL needs, and the same with another password.
    users: [&'static str; 2],
    forbidding: Proxy,
}

impl Kind {
    fn all() -> [Self; 3] {
        let forbidding = "acl here dst 127.0.0.0/8\nhttp_access deny here";
        [
            Self {
                name: "tinyproxy",
                strict: Proxy::tinyproxy("BasicAuth user pass"),
                users: ["user:pass@", "user:wrong@"],
                forbidding: Proxy::tinyproxy("ConnectPort 443"),
            },
            Self {
                name: "Squid",
                strict: Proxy::squid(SQUID_PASSWORD),
                users: ["user:p%40ss@", "user:wrong@"],
                forbidding: Proxy::squid(&format!("{forbidding}\n{SQUID_OPEN}")),
            },
            Self {
                name: "mitmproxy",
                strict: Proxy::mitmproxy(&["--proxyauth", "user:p@ss"]),
                users: ["user:p%40ss@", "user:wrong@"],
                forbidding: Proxy::mitmproxy(&["--set", "block_list=/~d localhost/403"]),
            },
        ]
    }

    /// Servers that this kind of proxy keeps from their destination, one in each of these ways. At `url` somebody answers.
    fn servers(&self, url: &str) -> [(&'static str, Server); 4] {
        let [right, wrong] = self.users;
        [
            ("the password is missing", behind(&self.strict, "", url)),
            ("the password is wrong", behind(&self.strict, wrong, url)),
            ("its rules forbid the host or the port", behind(&self.forbidding, "", url)),
            ("it cannot reach the destination", behind(&self.strict, right, "https://localhost:1/")),
        ]
    }
}

/// The status in the words of an outcome, and whether it came after the tunnel was opened.
fn status(outcome: &str) -> String {
    let number = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
    match outcome.split_once("(status ") {
        Some((before, rest)) if before.starts_with("cause=proxy ") => number(rest),
        _ => match outcome.strip_prefix("status=") {
            Some(rest) => format!("{}, through the tunnel", number(rest)),
            None => outcome.to_owned(),
        },
    }
}

#[test]
fn the_page_shows_what_each_proxy_answers() {
    let company = Authority::new("Company CA", Key::Ec);
    let nginx = Nginx::start(&[("127.0.0.1:* ssl", https(&company.sign(LOCALHOST)))]);
    let url = format!("https://localhost:{}/", nginx.port(0));
    let kinds = Kind::all();
    // The one that reads what is sent shows a certificate of its own.
    let started: Vec<_> = kinds
        .iter()
        .map(|kind| {
            let own = kind.forbidding.authority();
            kind.servers(&url).map(|(way, server)| {
                let server = if own.exists() { server.trusting(&own) } else { server };
                (way, server.start())
            })
        })
        .collect();
    let mut table = String::from("| what stands in the way |");
    kinds.iter().for_each(|kind| table += &format!(" {} |", kind.name));
    table += &format!("\n|{}\n", "---|".repeat(kinds.len() + 1));
    let mut rows: [(&str, String); 4] = Default::default();
    for servers in started {
        for (row, (way, server)) in rows.iter_mut().zip(servers) {
            row.0 = way;
            row.1 += &format!(" {} |", status(&server.finish().outcome));
        }
    }
    rows.iter().for_each(|(way, cells)| table += &format!("| {way} |{cells}\n"));
    assert!(PAGE.contains(&table), "docs/networks.md has to have this table:\n\n{table}");
}
