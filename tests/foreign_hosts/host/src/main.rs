//! Serves HTTPS as the documentation of actix-web and rustls has it: with the provider that rustls
//! finds. Prints which one that is. With telemetry it reports to itself, and ends when that worked.

use std::net::TcpListener;

use actix_web::{App, HttpResponse, HttpServer, web};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

#[actix_web::main]
async fn main() {
    let mut files = std::env::args().skip(1);
    let (certificate, key) = (files.next().unwrap(), files.next().unwrap());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(&certificate).unwrap()],
            PrivateKeyDer::from_pem_file(key).unwrap(),
        )
        .unwrap();
    println!("{:?}", config.crypto_provider().secure_random);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let server = HttpServer::new(|| App::new().route("/", web::post().to(HttpResponse::Ok)))
        .workers(1)
        .disable_signals()
        .listen_rustls_0_23(listener, config)
        .unwrap()
        .run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    #[cfg(feature = "telemetry")]
    telemetry::report(_url, certificate).await;
    handle.stop(true).await;
}

#[cfg(feature = "telemetry")]
mod telemetry {
    use std::time::Duration;

    use deployment_telemetry::{BuildInfo, Config, MemoryStateStore, Outcome, Product, Telemetry};

    /// Sends `begin` and `end` to `url`.
    pub async fn report(url: String, ca_file: String) {
        let build = BuildInfo::new("0.1.0").with_time("2024-02-16T23:06:23+02:00");
        let config = Config::custom(url).ca_file(ca_file);
        let telemetry = Telemetry::builder(Product::new("Foreign"), build, MemoryStateStore::new())
            .config(config)
            .start()
            .unwrap();
        while telemetry.status().destinations[0].attempts.is_empty() {
            actix_web::rt::time::sleep(Duration::from_millis(5)).await;
        }
        telemetry.stop().await;
        for attempt in &telemetry.status().destinations[0].attempts {
            assert_eq!(attempt.outcome, Outcome::Status(200));
        }
    }
}
