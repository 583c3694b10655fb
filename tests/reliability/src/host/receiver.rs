//! The receiver of a host, where it has one.

use std::env;
use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::web::{self, Data, ServiceConfig};
use deployment_telemetry::receiver::{AlertDestination, Receiver, SqliteFleetStore, WebhookKey};
use serde_json::{Value, json};

use super::{ALERTS, RECEIVER};

/// What a host prints when its receiver has ended, before its health as JSON.
pub(crate) const ENDED: &str = "receiver ended: ";
/// What a host prints when it has stopped its receiver, before the microseconds that took.
pub(crate) const STOPPED: &str = "receiver stopped within µs: ";

/// A receiver and the key that events are sent with.
#[derive(Clone)]
pub(super) struct Hosted {
    receiver: Receiver,
    key: WebhookKey,
}

impl Hosted {
    /// Starts one on the SQLite file that a variable names.
    pub(super) fn start() -> Option<Self> {
        let store = SqliteFleetStore::new(env::var_os(RECEIVER)?);
        let key = WebhookKey::generate();
        let mut builder = Receiver::builder(store).key(&key);
        if let Ok(url) = env::var(ALERTS) {
            builder = builder.alerts(AlertDestination::new(url));
        }
        let receiver = builder.start().expect("the settings of the trial can be used");
        Some(Self { receiver, key })
    }

    pub(super) fn mount(&self, config: &mut ServiceConfig) {
        config
            .configure(self.receiver.webhooks())
            .app_data(Data::new(self.clone()))
            .route("/receiver", web::get().to(show))
            .service(web::scope("/fleet").configure(self.receiver.fleet()));
    }

    /// Prints its health when it has ended.
    pub(super) async fn tell_when_ended(self) {
        self.receiver.ended().await;
        println!("{ENDED}{}", health(&self.receiver));
    }

    pub(super) async fn stop(&self) {
        let began = Instant::now();
        self.receiver.stop().await;
        println!("{STOPPED}{}", began.elapsed().as_micros());
    }
}

/// The health as the handle has it, which needs no answer of the receiver, and where events go.
async fn show(hosted: Data<Hosted>) -> HttpResponse {
    let mut shown = health(&hosted.receiver);
    shown["webhook"] = format!("/webhooks/{}", hosted.key.expose()).into();
    HttpResponse::Ok().json(shown)
}

fn health(receiver: &Receiver) -> Value {
    let health = receiver.health();
    json!({ "state": health.state, "panics": health.panics })
}
