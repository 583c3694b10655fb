//! A clock that stands until a test moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deployment_telemetry::receiver::ReceiverBuilder;

#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_795_600_000)))
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.0.fetch_add(time.as_secs(), Ordering::SeqCst);
    }

    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }

    /// A receiver that goes by this clock.
    pub(crate) fn drive(&self, builder: ReceiverBuilder) -> ReceiverBuilder {
        let clock = self.clone();
        builder.clock(move || clock.now())
    }

    /// And for which its jumps are no outages.
    pub(crate) fn drive_without_outages(&self, builder: ReceiverBuilder) -> ReceiverBuilder {
        self.drive(builder).outage_after(Duration::from_secs(10 * 365 * 24 * 3600))
    }
}
