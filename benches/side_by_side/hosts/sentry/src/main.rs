//! Sentry's client, as its documentation sets it up in a server: its default transport, its panic handler, and a session
//! for the life of the process. The destination comes from `SENTRY_DSN`.
//!
//! A session that is well is told at its end alone, so the beginning and the updates are messages.

use std::io;
use std::time::Duration;

use sentry::{ClientOptions, Level};
use tokio::time::MissedTickBehavior;

const FREQUENCY: Duration = Duration::from_secs(8 * 60 * 60);

fn main() -> io::Result<()> {
    let options = ClientOptions::new().maybe_release(sentry::release_name!()).auto_session_tracking(true);
    let _ends_the_session = sentry::init(options);
    sentry::capture_message("begin", Level::Info);
    actix_web::rt::System::new().block_on(async {
        actix_web::rt::spawn(keep_reporting());
        server::run().await
    })
}

async fn keep_reporting() {
    let mut ticks = tokio::time::interval(FREQUENCY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        sentry::capture_message("update", Level::Info);
    }
}
