//! The outbox of alerts.

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::error::StoreError;
use super::instance::Transition;

/// An alert that waits to be delivered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Alert {
    pub(crate) id: Uuid,
    pub(crate) instance_id: Uuid,
    pub(crate) transition: Transition,
    /// Facts of the instance when it was judged.
    pub(crate) custom_id: Option<String>,
    pub(crate) build_version: String,
}

/// Alerts that one request delivers. Every try delivers the same ones, so that the same id has the same
/// content.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Digest {
    pub(crate) id: Uuid,
    /// Number of deliveries that were begun, including this one.
    pub(crate) tries: i32,
    pub(crate) alerts: Vec<Alert>,
}

/// A digest that waits to be delivered, or alerts that belong to none yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WaitingDigest {
    /// `None` for the alerts that belong to no digest yet.
    pub(crate) id: Option<Uuid>,
    /// Number of its alerts.
    pub(crate) alerts: i64,
    /// Time of the earliest change of them.
    pub(crate) since: Timestamp,
    /// Number of deliveries that were begun.
    pub(crate) tries: i32,
    pub(crate) next_try_at: Option<Timestamp>,
    /// When a delivery last failed, and why.
    pub(crate) failure: Option<(Timestamp, String)>,
}

/// The latest alert of an instance.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LatestAlert {
    pub(crate) transition: Transition,
    pub(crate) delivered_at: Option<Timestamp>,
    /// When its delivery last failed, and why.
    pub(crate) failure: Option<(Timestamp, String)>,
}

/// Keeps alerts until they are delivered.
#[async_trait]
pub(crate) trait Outbox: Send + Sync {
    /// Takes a digest that is due at `now`: one that was taken before and not delivered, or else a new one of
    /// up to `limit` alerts that belong to none yet. Unless it is delivered, the digest is due again at
    /// `next_try`, which is given the number of tries; until then no other receiver takes it.
    async fn take_digest(
        &self,
        now: Timestamp,
        next_try: &(dyn Fn(i32) -> Timestamp + Send + Sync),
        limit: i64,
    ) -> Result<Option<Digest>, StoreError>;

    /// Notes that a digest was delivered.
    async fn digest_delivered(&self, id: Uuid, now: Timestamp) -> Result<(), StoreError>;

    /// Notes that a digest could not be delivered, and why.
    async fn digest_failed(&self, id: Uuid, now: Timestamp, why: &str) -> Result<(), StoreError>;

    /// Gives up a digest that is not delivered. Returns `false` if there is no such digest.
    async fn give_up_digest(&self, id: Uuid) -> Result<bool, StoreError>;

    /// Number of alerts that are not delivered yet.
    async fn waiting_alerts(&self) -> Result<i64, StoreError>;

    /// Up to `limit` digests that are not delivered, and the alerts that belong to none yet, the oldest first.
    async fn waiting_digests(&self, limit: i64) -> Result<Vec<WaitingDigest>, StoreError>;

    /// When an alert was last delivered.
    async fn last_delivery(&self) -> Result<Option<Timestamp>, StoreError>;

    /// The alert of the latest change of an instance that there was one of.
    async fn latest_alert(&self, instance_id: Uuid) -> Result<Option<LatestAlert>, StoreError>;
}
