//! Sirveo, an example host: an actix-web server with deployment telemetry embedded. Copy what you need.
//!
//! All there is to embedding is in `serve` below: build, start, stop. The other files are what a server has anyway,
//! and pages that show what the telemetry does.

#![forbid(unsafe_code)]

mod api;
mod arguments;
mod build;
mod cross_site;
mod inbound;
mod log;
mod loopback;
mod page;
mod refusal;
mod settings;
mod signals;

use std::fmt::Display;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use deployment_telemetry::{StartError, Telemetry, TelemetryBuilder};
use tracing_actix_web::TracingLogger;

use arguments::{Action, Arguments};
use cross_site::Names;
use inbound::InboundEvents;
use settings::Settings;
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
    let address = settings.listen;
    for request in telemetry(settings, address).preview().await? {
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

    let names = web::Data::new(if settings.allow_remote { Names::Any } else { Names::Own });
    let telemetry = telemetry(settings, address).start()?;

    let (handle, events) = (web::Data::new(telemetry.clone()), web::Data::new(InboundEvents::default()));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(handle.clone())
            .app_data(events.clone())
            .app_data(names.clone())
            .configure(api::routes)
            .configure(inbound::routes)
            .configure(page::routes)
            .wrap(from_fn(cross_site::refuse))
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
            return Err(Fault::Machine("the server ended by itself".to_owned()));
        }
    }
    // Telemetry first, the server second: the destination may be this very server, and its last event, `end`, must
    // find it listening. Where that does not matter, `run().await` followed by this line does as well.
    telemetry.stop().await;
    server_handle.stop(true).await;
    tracing::info!("stopped");
    Ok(())
}

/// What this server tells telemetry of itself.
fn telemetry(settings: Settings, address: SocketAddr) -> TelemetryBuilder {
    let mut telemetry =
        Telemetry::builder(build::product(), build::info(), settings.store).license(settings.license);
    if let Some(vendor) = settings.vendor {
        telemetry = telemetry.vendor(vendor);
    }
    if settings.loopback {
        telemetry = telemetry.default_config(loopback::defaults(address));
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
