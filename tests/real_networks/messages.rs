//! The table of messages in `docs/networks.md`: each is what a server says of a network that is like that.

use std::net::TcpListener;

use test_support::{Behaviour, FakeDestination, refused_url};

use crate::host::SOON;
use crate::network::{Apart, First, NO_RESOLVER, SILENT_RESOLVER};
use crate::server::{RunningServer, Server};

const PAGE: &str = include_str!("../../docs/networks.md");

/// Of a machine whose clock is decades behind.
const LATER: &[u8] =
    b"HTTP/1.1 401 Unauthorized\r\nDate: Fri, 01 Jan 2100 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n";

/// Waits for what a server says.
type Say = Box<dyn FnOnce() -> String>;

/// The messages of the table, with `…` for what differs.
fn messages() -> Vec<&'static str> {
    let (_, rows) = PAGE.split_once("| message | meaning |\n|---|---|\n").unwrap();
    let (rows, _) = rows.split_once("\n\n").unwrap();
    rows.lines().map(|row| row.split('`').nth(1).unwrap()).collect()
}

fn reads(text: &str, message: &str) -> bool {
    let mut rest = text;
    message.split('…').all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// What the outcome says beside its cause.
fn error(outcome: &str) -> String {
    outcome.split_once("error=\"").map_or(outcome, |(_, error)| error).to_owned()
}

/// A server in a network of its own.
fn apart(host: &str, resolver: &str) -> Say {
    let server = Apart::start(host, 80, First::Ipv4, resolver);
    Box::new(move || error(&server.finish().outcome))
}

fn here(server: Server) -> Say {
    let server = server.start();
    Box::new(move || error(&server.finish().outcome))
}

/// What its log says of the clock.
fn of_clock(server: RunningServer) -> Say {
    Box::new(move || {
        let said = server.process().wait_for_line(|line| line.contains("the clock of this machine is"), SOON);
        server.finish();
        said
    })
}

#[test]
fn the_page_shows_what_is_said_of_each_network() {
    // The system accepts connections for them, and nothing answers.
    let silent = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [tls, plain] = silent.each_ref().map(|listener| listener.local_addr().unwrap());
    let later = FakeDestination::start(Behaviour::Garbage(LATER.to_vec()));
    let to_nobody = || Server::to("http://example.test/");
    let said: [Say; 10] = [
        apart("unanswered.test", NO_RESOLVER),
        here(Server::to(refused_url())),
        apart("192.0.2.2", SILENT_RESOLVER),
        apart("unanswered.test", SILENT_RESOLVER),
        here(Server::to(format!("https://{tls}/"))),
        here(Server::to(format!("http://{plain}/"))),
        apart("filtered.test", NO_RESOLVER),
        here(to_nobody().with("ALL_PROXY", refused_url())),
        here(to_nobody().with("ALL_PROXY", "gopher://proxy.test:70")),
        of_clock(Server::to(later.url()).start()),
    ];
    let messages = messages();
    assert_eq!(messages.len(), said.len(), "{messages:#?}");
    for (message, say) in messages.into_iter().zip(said) {
        let said = say();
        println!("{message}: {said}");
        assert!(reads(&said, message), "docs/networks.md has\n  {message}\nbut a server says\n  {said}");
    }
}
