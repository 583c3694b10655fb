//! The way out through real programs: proxies, TLS servers, names and networks as a company has them. Each test
//! installs what it needs and asserts what an operator reads in the log.

#![expect(clippy::disallowed_methods, reason = "the clock is the real one")]

mod answers;
mod authority;
mod documentation;
mod frozen;
#[path = "../host/mod.rs"]
mod host;
mod messages;
mod network;
mod nginx;
mod proxies;
mod proxy;
mod resigning_proxy;
mod server;
mod statuses;
mod tls;
