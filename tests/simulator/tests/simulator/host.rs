//! A receiver in a server of this process.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer};
use deployment_telemetry::receiver::{Receiver, ReceiverBuilder, WebhookKey};
use serde_json::Value;
use test_support::server::LIMIT;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use url::Url;

pub(crate) struct Host {
    receiver: Receiver,
    server: ServerHandle,
    address: SocketAddr,
    key: WebhookKey,
}

impl Host {
    /// Starts it with one key, and waits until it judges.
    pub(crate) async fn start(receiver: ReceiverBuilder, key: &WebhookKey) -> Self {
        let receiver = receiver.key(key).start().unwrap();
        let mounted = receiver.clone();
        let server =
            HttpServer::new(move || App::new().configure(mounted.webhooks()).configure(mounted.fleet()))
                .workers(1)
                .disable_signals()
                .bind("127.0.0.1:0")
                .unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        let host = Self { receiver, server: handle, address, key: key.clone() };
        wait_for("the receiver is ready", async || host.receiver.judge().await.is_ok()).await;
        host
    }

    pub(crate) fn webhook(&self) -> Url {
        format!("http://{}/webhooks/{}", self.address, self.key.expose()).parse().unwrap()
    }

    pub(crate) async fn judge(&self) {
        self.receiver.judge().await.unwrap();
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        serde_json::from_str(body).unwrap()
    }

    /// Stops the server, then the receiver.
    pub(crate) async fn stop(self) {
        self.server.stop(true).await;
        self.receiver.stop().await;
    }
}

/// Waits until a condition holds.
pub(crate) async fn wait_for(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let holds = async {
        while !condition().await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LIMIT, holds).await.unwrap_or_else(|_| panic!("{what}: not within {LIMIT:?}"));
}
