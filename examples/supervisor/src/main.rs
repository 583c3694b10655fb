//! Sirveo, an example host: an actix-web server with deployment telemetry embedded, and with a receiver of it, whose
//! pages show what the telemetry does. Copy what you need.
//!
//! All there is to embedding is in `serve` below: build, start, mount, stop. The other files are what a server has
//! anyway.

#![forbid(unsafe_code)]

mod api;
mod arguments;
mod build;
mod log;
mod loopback;
mod refusal;
mod settings;
mod signals;

use std::fmt::Display;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use actix_web::web::{Data, get, scope};
use actix_web::{App, HttpServer};
use deployment_telemetry::receiver::Receiver;
use deployment_telemetry::{StartError, Telemetry, TelemetryBuilder};
use tracing_actix_web::TracingLogger;

use arguments::{Action, Arguments};
use settings::{Settings, TelemetrySettings};
use signals::Signals;

/// Why the server did not run to its regular end.
enum Fault {
    /// The command line or the settings: for the operator to mend.
    Usage(String),
    /// The machine did not let it.
    Machine(String),
}

#[actix_web::main]
async fn main() -> ExitCode {
    let (message, code) = match run().await {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Fault::Usage(message)) => (message, 2),
        Err(Fault::Machine(message)) => (message, 1),
    };
    eprintln!("sirveo: {message}");
    ExitCode::from(code)
}

async fn run() -> Result<(), Fault> {
    let arguments = Arguments::parse(std::env::args_os().skip(1)).map_err(Fault::Usage)?;
    match arguments.action {
        Action::Help => print(arguments::HELP),
        Action::Version => print(&build::describe()),
        Action::Preview => preview(prepare(&arguments)?).await?,
        Action::Serve => serve(prepare(&arguments)?).await?,
    }
    Ok(())
}

/// Settings that can be used, and a log.
fn prepare(arguments: &Arguments) -> Result<Settings, Fault> {
    let settings = Settings::read(arguments.loopback).map_err(Fault::Usage)?;
    log::start(settings.log_level);
    Ok(settings)
}

async fn preview(settings: Settings) -> Result<(), Fault> {
    for request in telemetry(settings.telemetry, settings.listen).preview().await? {
        print(&(serde_json::to_string(&request).expect("a request is plain data") + "\n"));
    }
    Ok(())
}

/// Everything from the first to the last moment of the server.
async fn serve(settings: Settings) -> Result<(), Fault> {
    let mut signals = Signals::listen().map_err(machine("signals cannot be received"))?;
    let listener = TcpListener::bind(settings.listen)
        .map_err(machine(format!("SIRVEO_LISTEN={} cannot be listened on", settings.listen)))?;
    let address = listener.local_addr().map_err(machine("the listening address is not known"))?;
    settings.create_data_directory().map_err(machine("SIRVEO_DATA_DIR cannot be created"))?;
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
            return Err(Fault::Machine(error.to_string()));
        }
    };

    let (handle, mounted, login) = (Data::new(telemetry.clone()), receiver.clone(), settings.login);
    let server = HttpServer::new(move || {
        let (webhooks, fleet) = (mounted.clone(), mounted.clone());
        App::new()
            .app_data(handle.clone())
            .route("/healthz", get().to(async || "ok"))
            // Beside the login: who sends events has a key.
            .configure(move |config| webhooks.webhooks(config))
            .service(
                scope("")
                    .wrap(login.guard())
                    .configure(api::routes)
                    .configure(move |config| fleet.fleet(config)),
            )
            .wrap(TracingLogger::<log::RequestSpan>::new())
    })
    .listen(listener)
    .map_err(machine("the server cannot listen"))?
    .disable_signals()
    .shutdown_timeout(1)
    .run();
    let server_handle = server.handle();
    let mut serving = actix_web::rt::spawn(server);
    tracing::info!("ready to flow 🟢");

    tokio::select! {
        () = signals.next() => signals.exit_at_the_next(),
        _ = &mut serving => {
            telemetry.stop().await;
            receiver.stop().await;
            return Err(Fault::Machine("the server ended by itself".to_owned()));
        }
    }
    // Telemetry first, the server second: the destination may be this very server, and its last event, `end`, must
    // find it listening. Where that does not matter, `run().await` followed by this line does as well. The receiver
    // last: requests that the server still has wait for its answer.
    telemetry.stop().await;
    server_handle.stop(true).await;
    receiver.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// What this server tells telemetry of itself.
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

/// A reader that has seen enough, such as `head`, is no fault.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

impl From<StartError> for Fault {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Config(_) => Fault::Usage(error.to_string()),
            _ => Fault::Machine(error.to_string()),
        }
    }
}

fn machine(what: impl Display) -> impl FnOnce(io::Error) -> Fault {
    move |error| Fault::Machine(format!("{what}: {error}"))
}
