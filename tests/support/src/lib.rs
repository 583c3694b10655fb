//! What the tests share: a throw-away PostgreSQL ([`TestDatabase`], [`TestCluster`]), a destination that fails in every
//! known way ([`FakeDestination`]), programs under observation ([`Spawned`], [`server`]) and checks that nothing was left behind
//! ([`leaks`]).
//!
//! Everything here blocks and runs on threads of its own, so it serves a plain `#[test]`, a test with an actix `System`
//! and a test on paused tokio time alike. A wait is always for a condition and always bounded.
//!
//! ```
//! use std::{io::Write, net::TcpStream, time::Duration};
//! use test_support::{Behaviour, FakeDestination};
//!
//! let destination = FakeDestination::start(Behaviour::Status(503));
//! let mut stream = TcpStream::connect(destination.address()).unwrap();
//! stream.write_all(b"POST /events HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}").unwrap();
//! let requests = destination.wait_for_requests(1, Duration::from_secs(5));
//! assert_eq!(requests[0].body, b"{}");
//! ```

#![forbid(unsafe_code)]

mod black_hole;
pub mod children;
pub mod destination;
pub mod environment;
mod install;
pub mod interpreter;
pub mod leaks;
mod needed;
mod pooler;
pub mod postgres;
pub mod process;
pub mod programs;
pub mod server;
mod wait;
pub mod webhook;

pub use black_hole::BlackHole;
pub use destination::{Behaviour, FakeDestination, ReceivedRequest, refused_url};
pub use interpreter::Language;
pub use leaks::{Threads, assert_no_thread_named, open_sockets};
pub use pooler::Pooler;
pub use postgres::{TestCluster, TestDatabase};
pub use process::{Signal, Spawned};
pub use wait::{becomes_true, wait_until};
