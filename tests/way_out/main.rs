//! The way to a destination: TLS with a private CA, and proxies in between.

mod authority;
mod child;
#[path = "../host/mod.rs"]
mod host;
mod http_proxies;
mod socks_proxies;
mod tls;
mod tracking;
mod tunnel;
