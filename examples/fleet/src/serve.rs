//! `fleet serve`: the receiver on an actix-web server, from its first to its last moment.

use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web::{get, head, resource, scope};
use actix_web::{App, HttpResponse, HttpServer};
use deployment_telemetry::receiver::{Login, Receiver};

use crate::connections;
use crate::settings::Settings;
use crate::signals::Signals;
use crate::{Fault, machine};

/// The head of a request is a kilobyte: who takes longer only holds a connection.
const HEAD_LIMIT: Duration = Duration::from_secs(5);

/// Who does not take the end of the connection is cut off after this.
const DISCONNECT_LIMIT: Duration = Duration::from_secs(1);

/// Longer than the 60 seconds for which a proxy such as nginx keeps its connections: the proxy must be the one that
/// closes, or it sends a request into a connection that is just closed.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Requests that are under way at the stop get so many seconds; a sender gives up after five.
const STOP_LIMIT: u64 = 5;

pub(crate) async fn serve(settings: Settings) -> Result<(), Fault> {
    settings.unknown.iter().for_each(|name| {
        tracing::warn!("{name} is no setting of this program; `fleet --help` lists them");
    });
    let signals = Signals::listen().map_err(machine("signals cannot be received"))?;
    let listener = connections::listen(settings.listen)
        .map_err(machine(format!("FLEET_LISTEN={} cannot be listened on", settings.listen)))?;
    let address = listener.local_addr().map_err(machine("the listening address is not known"))?;
    settings.store.create_data_directory().map_err(Fault::Machine)?;
    tracing::info!("listening on http://{address}");
    if settings.login.is_none() {
        tracing::info!("no login is asked for, because FLEET_PASSWORD is not set");
    }
    tracing::info!(
        "kept in {}, events for {} days",
        settings.store.place,
        settings.retention.as_secs() / 86_400
    );
    if settings.alerts.is_none() {
        tracing::info!("nobody is told of instances that go down, because FLEET_ALERT_URL is not set");
    }

    let workers = available_parallelism().map_or(2, NonZero::get);
    let login = settings.login.unwrap_or_else(Login::without_password);
    let mut receiver = Receiver::builder(settings.store.store).retention(settings.retention);
    if let Some(alerts) = settings.alerts {
        receiver = receiver.alerts(alerts);
    }
    let receiver = receiver.start().map_err(|error| Fault::Machine(error.to_string()))?;

    let mounted = receiver.clone();
    let server = HttpServer::new(move || {
        let (webhooks, fleet) = (mounted.clone(), mounted.clone());
        App::new()
            .service(resource("/healthz").route(get().to(healthy)).route(head().to(healthy)))
            .configure(move |config| webhooks.webhooks(config))
            .service(scope("").wrap(login.guard()).configure(move |config| fleet.fleet(config)))
            .wrap(from_fn(connections::limit))
    })
    .on_connect(connections::accepted)
    .client_request_timeout(HEAD_LIMIT)
    .client_disconnect_timeout(DISCONNECT_LIMIT)
    .keep_alive(KEEP_ALIVE)
    .workers(workers)
    .max_connections(connections::most(workers))
    .listen(listener)
    .map_err(machine("the server cannot listen"))?
    .disable_signals()
    .shutdown_timeout(STOP_LIMIT)
    .run();
    tracing::info!("ready");
    serve_until_the_end(server, &receiver, signals).await
}

/// Serves until a signal, or until the server or the receiver ends by itself.
async fn serve_until_the_end(server: Server, receiver: &Receiver, mut signals: Signals) -> Result<(), Fault> {
    let server_handle = server.handle();
    let mut serving = actix_web::rt::spawn(server);
    let ended = tokio::select! {
        () = signals.next() => Ok(()),
        _ = &mut serving => Err("the server ended by itself".to_owned()),
        () = receiver.ended() => {
            let panics = receiver.health().panics;
            Err(format!("the receiver ended by itself, after {panics} panics; the log above has the reason"))
        }
    };
    signals.exit_at_the_next();
    tracing::info!("stopping");
    // The server first: the requests that it still has wait for the receiver's answer.
    server_handle.stop(true).await;
    receiver.stop().await;
    tracing::info!("stopped");
    ended.map_err(Fault::Machine)
}

/// The process serves. Whether the store does as well is told by the metrics: a restart would not mend it.
async fn healthy() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok")
}

#[cfg(test)]
mod tests {
    use deployment_telemetry::receiver::SqliteFleetStore;

    use super::*;

    #[actix_web::test]
    async fn a_receiver_that_ends_by_itself_ends_the_program() {
        let directory = tempfile::tempdir().unwrap();
        let receiver =
            Receiver::builder(SqliteFleetStore::new(directory.path().join("fleet.db"))).start().unwrap();
        let server = HttpServer::new(App::new).workers(1).bind("127.0.0.1:0").unwrap();
        let address = server.addrs()[0];
        let signals = Signals::listen().unwrap();
        receiver.stop().await;
        let ended = serve_until_the_end(server.disable_signals().run(), &receiver, signals).await;
        let Err(Fault::Machine(message)) = ended else { panic!("it must not look as if all were well") };
        assert!(message.starts_with("the receiver ended by itself"), "{message}");
        assert!(std::net::TcpStream::connect(address).is_err(), "the server has ended, too");
    }
}
