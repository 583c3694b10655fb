//! The server from start to stop, with the telemetry and the receiver in it.

use std::io;
use std::net::{SocketAddr, TcpListener};

use actix_web::dev::Server;
use actix_web::web::{Data, get, scope};
use actix_web::{App, HttpServer};
use deployment_telemetry::receiver::{Login, Receiver, strict_headers};
use deployment_telemetry::{Telemetry, TelemetryBuilder};
use program::{Failure, Signals, print};
use tracing_actix_web::TracingLogger;

use crate::request_span::RequestSpan;
use crate::settings::{Settings, TelemetrySettings};
use crate::{api, build, loopback};

/// Seconds that requests under way have at the stop.
const STOP_LIMIT: u64 = 1;

/// Why the server stops.
enum Stop {
    Signal,
    ServerEnded,
}

/// Runs the server until a signal arrives.
pub(crate) async fn serve(settings: Settings) -> Result<(), Failure> {
    let mut signals = Signals::listen().map_err(Failure::system("signals cannot be received"))?;
    let listener = TcpListener::bind(settings.listen)
        .map_err(Failure::system(format!("SIRVEO_LISTEN={} cannot be listened on", settings.listen)))?;
    let address = listener.local_addr().map_err(Failure::system("the listening address is not known"))?;
    settings.create_data_directory().map_err(Failure::system("SIRVEO_DATA_DIR cannot be created"))?;
    tracing::info!("listening on http://{address}");

    let mut receiver = Receiver::builder(settings.fleet);
    if let Some(key) = &settings.telemetry.loopback {
        receiver = receiver.key(key);
    }
    let telemetry = telemetry(settings.telemetry, address).start()?;
    let receiver = match receiver.telemetry(telemetry.clone()).start() {
        Ok(receiver) => receiver,
        Err(error) => {
            telemetry.stop().await;
            return Err(error.into());
        }
    };
    let server = server(listener, &telemetry, &receiver, settings.login)
        .map_err(Failure::system(format!("{address} cannot be listened on")))?;
    let server_handle = server.handle();
    let serving = actix_web::rt::spawn(server);
    tracing::info!("ready to flow 🟢");

    let stop = tokio::select! {
        () = signals.next() => Stop::Signal,
        _ = serving => Stop::ServerEnded,
    };
    signals.exit_at_the_next();
    // Telemetry stops before the server, because its destination may be this very server, which must still take the
    // last event, `end`. For any other destination, `run().await` followed by this line is enough. Open pages would
    // hold the server up until its `shutdown_timeout`. The receiver stops last: the last requests of the server wait
    // for its answer.
    telemetry.stop().await;
    receiver.close_live();
    server_handle.stop(true).await;
    receiver.stop().await;
    tracing::info!("stopped");
    match stop {
        Stop::Signal => Ok(()),
        Stop::ServerEnded => Err(Failure::System("the server ended unexpectedly".to_owned())),
    }
}

/// Prints the requests that would be sent.
pub(crate) async fn preview(settings: Settings) -> Result<(), Failure> {
    for request in telemetry(settings.telemetry, settings.listen).preview().await? {
        print(&(serde_json::to_string(&request).expect("a request is plain data") + "\n"));
    }
    Ok(())
}

/// Telemetry of this server, not started.
fn telemetry(settings: TelemetrySettings, address: SocketAddr) -> TelemetryBuilder {
    let mut telemetry =
        Telemetry::builder(build::product(), build::info(), settings.store).license(settings.license);
    if let Some(vendor) = settings.vendor {
        telemetry = telemetry.vendor(vendor);
    }
    if let Some(key) = &settings.loopback {
        telemetry = telemetry.default_config(loopback::defaults(address, key));
    }
    telemetry
}

/// Server of everything: the webhooks without the login, because senders have a key, and the rest behind it.
fn server(
    listener: TcpListener,
    telemetry: &Telemetry,
    receiver: &Receiver,
    login: Login,
) -> io::Result<Server> {
    let (telemetry, receiver) = (Data::new(telemetry.clone()), receiver.clone());
    let app = move || {
        App::new()
            .app_data(telemetry.clone())
            .route("/healthz", get().to(async || "ok"))
            .configure(receiver.webhooks())
            .service(scope("").wrap(login.guard()).configure(api::routes).configure(receiver.fleet()))
            .wrap(strict_headers())
            .wrap(TracingLogger::<RequestSpan>::new())
    };
    let server = HttpServer::new(app).listen(listener)?.disable_signals().shutdown_timeout(STOP_LIMIT);
    Ok(server.run())
}
