//! A server on tokio and axum: telemetry needs nothing of actix. What it adds stands between two comments, and in
//! `build.rs`.

use std::io;

use axum::Router;
use axum::extract::State;
use axum::routing::put;
use deployment_telemetry::{FileStateStore, License, Product, Telemetry, build_info};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> io::Result<()> {
    tracing_subscriber::fmt().with_ansi(false).init();
    let listener =
        TcpListener::bind(std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8000".into())).await?;
    let address = listener.local_addr()?;

    // Telemetry, from here
    let store = FileStateStore::new("telemetry.json");
    let telemetry =
        Telemetry::builder(Product::new("Relay"), build_info!("community"), store).start_or_disabled();
    // to here.

    let app = Router::new().route("/license", put(change_license)).with_state(telemetry.clone());
    tracing::info!("listening on http://{address}");
    telemetry.during(axum::serve(listener, app).with_graceful_shutdown(asked_to_stop())).await
}

async fn asked_to_stop() {
    #[cfg(unix)]
    let terminated = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => _ = terminate.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

async fn change_license(State(telemetry): State<Telemetry>, key: String) {
    telemetry.license_changed(License::valid(key));
}
