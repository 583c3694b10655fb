//! How a host that leaves the signals to actix stops, as a process of its own.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use actix_web::{App, HttpServer};
use deployment_telemetry::receiver::Receiver;
use test_support::{Signal, Spawned};

use crate::host::{LIMIT, sqlite};

/// Where it is set, the test is the host: the folder of its store.
const FOLDER: &str = "STOPPING_HOST";

const LISTENS: &str = "listening on ";

/// As the README shows it, without a login.
async fn serve(folder: &Path) {
    let receiver = Receiver::builder(sqlite(folder)).start().unwrap();
    let mounted = receiver.clone();
    let server = HttpServer::new(move || App::new().configure(mounted.webhooks()).configure(mounted.fleet()));
    let server = server.bind("127.0.0.1:0").unwrap();
    println!("\n{LISTENS}{}", server.addrs()[0]);
    server.shutdown_timeout(5).run().await.unwrap();
    receiver.stop().await;
}

/// A page that listens to what changes.
fn open_page(address: SocketAddr) -> TcpStream {
    let mut page = TcpStream::connect(address).unwrap();
    page.set_read_timeout(Some(LIMIT)).unwrap();
    write!(page, "GET /live HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
    let mut lines = BufReader::new(page.try_clone().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "event: pulse"));
    page
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it is about real time")]
fn an_open_page_holds_a_server_of_actix_up_for_its_limit_only() {
    if let Some(folder) = env::var_os(FOLDER) {
        return actix_web::rt::System::new().block_on(serve(folder.as_ref()));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env::current_exe().unwrap());
    let test = "stop::an_open_page_holds_a_server_of_actix_up_for_its_limit_only";
    command.args(["--exact", test, "--nocapture"]).env(FOLDER, folder.path());
    let mut host = Spawned::start(command);
    let line = host.wait_for_line(|line| line.starts_with(LISTENS), LIMIT);
    let page = open_page(line.trim_start_matches(LISTENS).parse().unwrap());
    let asked = Instant::now();
    host.signal(Signal::SIGTERM);
    assert!(host.wait_exit(LIMIT).success(), "{}", host.output().join("\n"));
    // The page by itself asks again after 30 seconds.
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
    drop(page);
}
