//! The log of a host: every target to stderr. And the fault that lies in it: a log that panics or blocks.

use std::env;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::{LOG, SABOTAGE};

pub(super) fn init() {
    let level = env::var(LOG).ok().and_then(|level| LevelFilter::from_str(&level).ok());
    let sabotage = env::var(SABOTAGE).ok().map(|order| Sabotage::from_order(&order));
    tracing_subscriber::registry()
        .with(level.unwrap_or(LevelFilter::TRACE))
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false))
        .with(sabotage)
        .init();
}

/// Strikes when an actor takes a message, which each of them says at TRACE: `<what> <target> <message>`,
/// where what is `panic` for the first such message, `panic-always`, `stall` or a number of seconds to stall.
pub(super) struct Sabotage {
    what: What,
    target: String,
    text: String,
    was_done: AtomicBool,
}

enum What {
    Panic,
    PanicAlways,
    /// `None` for ever.
    Stall(Option<Duration>),
}

impl Sabotage {
    fn from_order(order: &str) -> Self {
        let [what, target, message] = order.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{SABOTAGE}={order}");
        };
        let what = match what {
            "panic" => What::Panic,
            "panic-always" => What::PanicAlways,
            "stall" => What::Stall(None),
            seconds => What::Stall(Some(Duration::from_secs(seconds.parse().expect("a number of seconds")))),
        };
        Self {
            what,
            target: target.to_owned(),
            text: format!("takes {message}"),
            was_done: AtomicBool::new(false),
        }
    }
}

impl<S: Subscriber> Layer<S> for Sabotage {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != self.target {
            return;
        }
        let mut message = Message::default();
        event.record(&mut message);
        if message.0 != self.text {
            return;
        }
        let is_first = !self.was_done.swap(true, Ordering::Relaxed);
        match self.what {
            What::Panic if is_first => panic!("the log was told to panic at {}", self.text),
            What::PanicAlways => panic!("the log was told to panic at {}", self.text),
            What::Stall(limit) if is_first => match limit {
                Some(limit) => std::thread::sleep(limit),
                None => loop {
                    std::thread::park();
                },
            },
            What::Panic | What::Stall(_) => {}
        }
    }
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
