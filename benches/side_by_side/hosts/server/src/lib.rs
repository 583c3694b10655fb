//! The server that all hosts are.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

use actix_web::{App, HttpServer, web};

/// The build of the host, as those that report tell it.
pub const BUILD_TIME: &str = "2024-02-16T23:06:23+02:00";
/// As [`BUILD_TIME`].
pub const BUILD_COMMIT: &str = "4379644";
/// As [`BUILD_TIME`].
pub const BUILD_MODE: &str = "licenced";

/// A license key of a usual length.
pub const LICENSE_KEY: &str = "6e1fe3b8-9c52-4cf6-bd42-1d0a7a3e4a58";

/// Serves on a free port of the loopback, which it prints, until SIGINT or SIGTERM.
///
/// # Errors
/// When it cannot listen.
pub async fn run() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?);
    HttpServer::new(|| App::new().route("/healthz", web::get().to(async || "well")))
        .listen(listener)?
        .run()
        .await
}

/// A setting from the environment.
///
/// # Panics
/// When it is not there.
pub fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}
