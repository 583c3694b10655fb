//! The server that everything is tried on: a small actix-web server with telemetry in it, a receiver, or both. This program
//! calls itself to be one, so each is a process of its own that can be killed and looked at from outside.
//!
//! Its settings are variables: the telemetry's own, and those named here.

pub(crate) mod flood;
mod leak;
mod log;
pub(crate) mod receiver;
mod store;

pub(crate) use store::MEMORY;

use std::env;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::parent_id;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_web::web::{self, Data, Json, Path};
use actix_web::{App, HttpServer};
use deployment_telemetry::{
    BuildInfo, License, LicenseChanged, LicenseKey, Product, Status, Telemetry, TelemetryBuilder,
};

use receiver::Hosted;

/// `memory`, the URL of a PostgreSQL database or an SQLite file; without it there is no telemetry.
pub(crate) const STORE: &str = "HOST_STORE";
/// The SQLite file of a receiver; without it there is none.
pub(crate) const RECEIVER: &str = "HOST_RECEIVER";
/// Where the receiver posts alerts.
pub(crate) const ALERTS: &str = "HOST_ALERTS";
/// The license key.
pub(crate) const LICENSE: &str = "HOST_LICENSE";
/// `trace` or `info`, for all targets.
pub(crate) const LOG: &str = "HOST_LOG";
/// A [`Sabotage`](log::Sabotage).
pub(crate) const SABOTAGE: &str = "HOST_SABOTAGE";
/// Set: it prints its secrets, in every way it can.
pub(crate) const LEAK: &str = "HOST_LEAK";

/// What it prints when it listens, before the address.
pub(crate) const LISTENING: &str = "listening on ";
/// What it prints when it has stopped its telemetry, before the microseconds that took.
pub(crate) const STOPPED: &str = "stopped within µs: ";
/// What it prints before its last status, as JSON.
pub(crate) const LAST_STATUS: &str = "last status: ";
/// What it prints before the error of a telemetry that did not start; it serves without.
pub(crate) const NOT_STARTED: &str = "not started: ";

/// Between two calls of a host that [bothers](bother) its telemetry.
const BOTHER_EVERY: Duration = Duration::from_secs(1);

/// Is the server until SIGTERM.
pub(crate) fn run() -> ExitCode {
    log::init();
    end_with(parent_id());
    if env::var_os(LEAK).is_some() {
        leak::everything();
    }
    match actix_web::rt::System::new().block_on(serve()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A host must not outlive the program that tries it, however that ends.
fn end_with(parent: u32) {
    std::thread::spawn(move || {
        while parent_id() == parent {
            std::thread::sleep(Duration::from_secs(1));
        }
        std::process::exit(1);
    });
}

async fn serve() -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let telemetry = start();
    let data = Data::new(telemetry.clone());
    let hosted = Hosted::start();
    let mounted = hosted.clone();
    let ended = hosted.clone().map(|hosted| actix_web::rt::spawn(hosted.tell_when_ended()));
    let bothers = Data::new(AtomicBool::new(false));
    bother(telemetry.clone(), bothers.clone().into_inner());
    let server = HttpServer::new(move || {
        let hosted = mounted.clone();
        App::new()
            .configure(move |config| {
                if let Some(hosted) = hosted {
                    hosted.mount(config);
                }
            })
            .app_data(data.clone())
            .app_data(bothers.clone())
            .route("/healthz", web::get().to(async || "well"))
            .route("/status", web::get().to(status))
            .route("/license/{valid}", web::post().to(license))
            .route("/license_message/{valid}", web::post().to(license_message))
            .route("/send_now", web::post().to(send_now))
            .route("/stop", web::post().to(stop_while_serving))
            .route("/bother/{on}", web::post().to(set_bother))
            .route("/flood/{way}/{calls}", web::post().to(flood::flood))
    });
    let server = server.workers(2).shutdown_timeout(1).listen(listener)?.run();
    println!("{LISTENING}{address}");
    server.await?;
    if let Some(hosted) = hosted {
        hosted.stop().await;
    }
    if let Some(ended) = ended {
        ended.await?;
    }
    if let Some(telemetry) = telemetry {
        stop(&telemetry).await;
        print_all(&telemetry).await;
    }
    Ok(())
}

fn start() -> Option<Telemetry> {
    let started = builder()?.start();
    started
        .inspect_err(|error| println!("{NOT_STARTED}{error}\n{error:?}\n{error:#?}"))
        .inspect(|telemetry| println!("{telemetry:?}"))
        .ok()
}

fn builder() -> Option<TelemetryBuilder> {
    let store = env::var(STORE).ok()?;
    let store = match store::open(&store) {
        Ok(store) => store,
        Err(error) => {
            println!("{NOT_STARTED}{error}\n{error:?}");
            return None;
        }
    };
    let build = BuildInfo::new("0.1.0")
        .with_commit("4379644")
        .with_time("2024-02-16T23:06:23+02:00")
        .with_mode("licenced");
    Some(Telemetry::builder(Product::new("Sirveo"), build, store).license(licensed(true)))
}

fn licensed(valid: bool) -> License {
    let key = env::var(LICENSE).ok().map(LicenseKey::new);
    License::new(key, valid)
}

type Handle = Data<Option<Telemetry>>;

async fn status(telemetry: Handle) -> Option<Json<Status>> {
    telemetry.as_ref().as_ref().map(|telemetry| Json(telemetry.status()))
}

async fn license(telemetry: Handle, valid: Path<bool>) -> &'static str {
    if let Some(telemetry) = telemetry.as_ref() {
        telemetry.license_changed(licensed(*valid));
    }
    "told"
}

async fn license_message(telemetry: Handle, valid: Path<bool>) -> &'static str {
    if let Some(telemetry) = telemetry.as_ref() {
        telemetry.license_recipient().do_send(LicenseChanged(licensed(*valid)));
    }
    "told"
}

/// What becomes of it is seen in the status.
async fn send_now(telemetry: Handle) -> &'static str {
    actix_web::rt::spawn(async move {
        if let Some(telemetry) = telemetry.as_ref() {
            println!("send_now: {:?}", telemetry.send_now().await);
        }
    });
    "told"
}

async fn stop_while_serving(telemetry: Handle) -> &'static str {
    if let Some(telemetry) = telemetry.as_ref() {
        stop(telemetry).await;
    }
    "stopped"
}

async fn stop(telemetry: &Telemetry) {
    let began = Instant::now();
    let report = telemetry.stop().await;
    println!("{STOPPED}{}", began.elapsed().as_micros());
    println!("{report} {report:?}");
}

/// All that a host can get to see of its telemetry.
async fn print_all(telemetry: &Telemetry) {
    let status = telemetry.status();
    println!("{LAST_STATUS}{}", serde_json::to_string(&status).unwrap_or_default());
    println!("{status:#?}\n{telemetry:#?}\n{:?}", licensed(true));
    let previews = telemetry.preview();
    println!("{previews:?}\n{}", serde_json::to_string(&previews).unwrap_or_default());
    if let Some(builder) = builder() {
        println!("{:?}", builder.preview().await);
    }
}

/// While told so, a thread calls the telemetry every second, thousands of times as often as a host does.
fn bother(telemetry: Option<Telemetry>, on: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        for round in 0u64.. {
            std::thread::sleep(BOTHER_EVERY);
            let Some(telemetry) = telemetry.as_ref().filter(|_| on.load(Ordering::Relaxed)) else { continue };
            telemetry.license_changed(licensed(round % 2 == 0));
            // Dropped before its answer: the update is on its way all the same.
            let mut call = std::pin::pin!(telemetry.send_now());
            let _ = call.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        }
    });
}

async fn set_bother(on: Path<bool>, bothers: Data<AtomicBool>) -> &'static str {
    bothers.store(*on, Ordering::Relaxed);
    "told"
}
