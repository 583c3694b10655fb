//! `fleet serve`: runs the receiver in an actix-web server until a signal arrives.

use std::io;
use std::net::TcpListener;
use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web::{get, head, resource, scope};
use actix_web::{App, HttpResponse, HttpServer};
use deployment_telemetry::receiver::{Login, Receiver, strict_headers};
use program::{Failure, Signals};

use crate::connections;
use crate::settings::Settings;

/// Time that a client has to send the head of a request, which is about a kilobyte.
const HEAD_LIMIT: Duration = Duration::from_secs(5);

/// Time that a client has to close its side of a connection.
const DISCONNECT_LIMIT: Duration = Duration::from_secs(1);

/// Time that an idle connection is kept. Longer than the 60 seconds of a proxy such as nginx, so that the proxy closes
/// first: otherwise it may send a request into a connection that is being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Seconds that requests under way have at the stop. A sender gives up after five.
const STOP_LIMIT: u64 = 5;

/// Why the program stops.
enum Stop {
    Signal,
    ServerEnded,
    /// The receiver gave up, after this many panics.
    ReceiverEnded(u64),
}

pub(crate) async fn serve(settings: Settings) -> Result<(), Failure> {
    let signals = Signals::listen().map_err(Failure::system("signals cannot be received"))?;
    let listener = connections::listen(settings.listen)
        .map_err(Failure::system(format!("FLEET_LISTEN={} cannot be listened on", settings.listen)))?;
    let address = listener.local_addr().map_err(Failure::system("the listening address is not known"))?;
    settings.store.create_data_directory()?;
    tracing::info!("listening on http://{address}");
    log_settings(&settings);
    settings.login.log(address);

    let login = settings.login.open()?;
    let mut receiver = Receiver::builder(settings.store.store).retention(settings.retention);
    if let Some(alerts) = settings.alerts {
        receiver = receiver.alerts(alerts);
    }
    let receiver = receiver.start()?;
    let server = server(listener, &receiver, login)
        .map_err(Failure::system(format!("{address} cannot be listened on")))?;
    tracing::info!("ready");
    serve_until_the_end(server, &receiver, signals).await
}

/// Serves until a signal arrives, or until the server or the receiver ends by itself.
async fn serve_until_the_end(
    server: Server,
    receiver: &Receiver,
    mut signals: Signals,
) -> Result<(), Failure> {
    let server_handle = server.handle();
    let serving = actix_web::rt::spawn(server);
    let stop = tokio::select! {
        () = signals.next() => Stop::Signal,
        _ = serving => Stop::ServerEnded,
        () = receiver.ended() => Stop::ReceiverEnded(receiver.health().panics),
    };
    signals.exit_at_the_next();
    tracing::info!("stopping");
    // Open pages would hold the stop up.
    receiver.close_live();
    // The server stops first: its last requests wait for the receiver's answer.
    server_handle.stop(true).await;
    receiver.stop().await;
    tracing::info!("stopped");
    match stop {
        Stop::Signal => Ok(()),
        Stop::ServerEnded => Err(Failure::System("the server ended unexpectedly".to_owned())),
        Stop::ReceiverEnded(panics) => Err(Failure::System(format!(
            "the receiver ended by itself, after {panics} panics; the log above has the reason"
        ))),
    }
}

/// Logs what an operator should know of the settings.
fn log_settings(settings: &Settings) {
    for name in &settings.unknown {
        tracing::warn!("{name} is not a setting of this program; `fleet --help` lists all settings");
    }
    let days = settings.retention.as_secs() / 86_400;
    tracing::info!("events are stored in {} for {days} days", settings.store.place);
    if settings.alerts.is_none() {
        tracing::info!("no alerts are sent, because FLEET_ALERT_URL is not set");
    }
}

/// Server of everything: the webhooks without the login, because senders have a key, and the rest behind it.
fn server(listener: TcpListener, receiver: &Receiver, login: Login) -> io::Result<Server> {
    let workers = available_parallelism().map_or(2, NonZero::get);
    let receiver = receiver.clone();
    let app = move || {
        App::new()
            .service(resource("/healthz").route(get().to(healthy)).route(head().to(healthy)))
            .configure(receiver.webhooks())
            .service(scope("").wrap(login.guard()).configure(receiver.fleet()))
            .wrap(strict_headers())
            .wrap(from_fn(connections::limit))
    };
    let server = HttpServer::new(app)
        .on_connect(connections::accepted)
        .client_request_timeout(HEAD_LIMIT)
        .client_disconnect_timeout(DISCONNECT_LIMIT)
        .keep_alive(KEEP_ALIVE)
        .workers(workers)
        .max_connections(connections::max_per_worker(workers))
        .listen(listener)?
        .disable_signals()
        .shutdown_timeout(STOP_LIMIT);
    Ok(server.run())
}

/// The process serves. Whether its store is available is in the metrics: a restart would not repair a store.
async fn healthy() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok")
}

#[cfg(test)]
mod tests {
    use deployment_telemetry::receiver::SqliteFleetStore;

    use super::*;

    #[actix_web::test]
    async fn a_receiver_that_ends_by_itself_ends_the_program_with_a_failure() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteFleetStore::new(directory.path().join("fleet.db"));
        let receiver = Receiver::builder(store).start().unwrap();
        let server = HttpServer::new(App::new).workers(1).bind("127.0.0.1:0").unwrap();
        let address = server.addrs()[0];
        let signals = Signals::listen().unwrap();
        receiver.stop().await;
        let ended = serve_until_the_end(server.disable_signals().run(), &receiver, signals).await;
        let Err(Failure::System(message)) = ended else {
            panic!("the program must not end as if all were well")
        };
        assert!(message.starts_with("the receiver ended by itself"), "{message}");
        assert!(std::net::TcpStream::connect(address).is_err(), "the server has ended, too");
    }
}
