//! A server of static files that handles signals itself and has no database. What telemetry adds stands between two
//! comments, and in `build.rs`.

use std::io;
use std::net::TcpListener;

use actix_files::Files;
use actix_web::web::{Data, put};
use actix_web::{App, HttpResponse, HttpServer};
use deployment_telemetry::{FileStateStore, License, Product, Telemetry, build_info};

#[actix_web::main]
async fn main() -> io::Result<()> {
    tracing_subscriber::fmt().with_ansi(false).init();
    let listener = TcpListener::bind(std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8000".into()))?;
    let address = listener.local_addr()?;

    // Telemetry, from here
    let store = FileStateStore::new("telemetry.json");
    let telemetry = Telemetry::builder(Product::new("Pages"), build_info!("free"), store).start_or_disabled();
    // to here.

    let handle = Data::new(telemetry.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(handle.clone())
            .route("/license", put().to(change_license))
            .service(Files::new("/", ".").index_file("index.html"))
    })
    .listen(listener)?
    .disable_signals()
    .run();
    let stopping = server.handle();
    actix_web::rt::spawn(async move {
        if let Err(error) = asked_to_stop().await {
            tracing::error!("signals cannot be received: {error}");
        }
        stopping.stop(true).await;
    });
    tracing::info!("listening on http://{address}");
    telemetry.during(server).await
}

#[cfg(unix)]
async fn asked_to_stop() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
async fn asked_to_stop() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}

async fn change_license(telemetry: Data<Telemetry>, key: String) -> HttpResponse {
    telemetry.license_changed(License::valid(key));
    HttpResponse::NoContent().finish()
}
