//! What a careful developer writes who takes no crate for it: the same events, by a loop over reqwest.

use std::fs;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use server::{BUILD_COMMIT, BUILD_MODE, BUILD_TIME, LICENSE_KEY};
use sha2::{Digest, Sha256};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

const FREQUENCY: Duration = Duration::from_secs(8 * 60 * 60);
const TIME_LIMIT: Duration = Duration::from_secs(5);

struct Reporter {
    client: reqwest::Client,
    url: String,
    instance_id: Uuid,
    license_key_hash: String,
}

impl Reporter {
    fn new(url: String, state_file: &str) -> io::Result<Self> {
        let client = reqwest::Client::builder().user_agent("Sirveo").timeout(TIME_LIMIT).build();
        let hash = Sha256::digest(LICENSE_KEY);
        Ok(Self {
            client: client.map_err(io::Error::other)?,
            url,
            instance_id: instance_id(state_file)?,
            license_key_hash: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    async fn keep_reporting(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(FREQUENCY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        self.report("begin").await;
        loop {
            ticks.tick().await;
            self.report("update").await;
        }
    }

    async fn report(&self, reason: &str) {
        let event = json!({
            "build_version": env!("CARGO_PKG_VERSION"),
            "build_commit": BUILD_COMMIT,
            "build_time": BUILD_TIME,
            "build_mode": BUILD_MODE,
            "build_os": std::env::consts::OS,
            "build_arch": std::env::consts::ARCH,
            "instance_id": self.instance_id.to_string(),
            "license_key_hash": self.license_key_hash,
            "license_valid": true,
            "reason": reason,
        });
        let sent = self.client.post(&self.url).json(&event).send().await;
        if let Err(error) = sent.and_then(reqwest::Response::error_for_status) {
            eprintln!("telemetry: {reason} was not sent: {error}");
        }
    }
}

fn instance_id(state_file: &str) -> io::Result<Uuid> {
    match fs::read_to_string(state_file) {
        Ok(text) => text.trim().parse().map_err(io::Error::other),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let id = Uuid::new_v4();
            fs::write(state_file, id.to_string())?;
            Ok(id)
        }
        Err(error) => Err(error),
    }
}

#[actix_web::main]
async fn main() -> io::Result<()> {
    let reporter = Reporter::new(server::setting("TELEMETRY_URL"), &server::setting("STATE_FILE"))?;
    let reporter = Arc::new(reporter);
    let reporting = actix_web::rt::spawn(reporter.clone().keep_reporting());
    server::run().await?;
    reporting.abort();
    reporter.report("end").await;
    Ok(())
}
