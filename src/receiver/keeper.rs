//! The KeeperActor: what has to be done from time to time. It reads the keys, tells when they were used, makes
//! partitions ahead of time and forgets what is too old.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Supervised, WrapFuture};

use super::keys::ring::KeyRing;
use super::metrics::Metrics;
use super::store::{FleetStore, within};
use crate::running::clock::Clock;

/// A key that is made or revoked by another process is known after this.
const KEYS: Duration = Duration::from_secs(2);

/// What is asked of the store about keys takes no longer, or is asked anew: on a connection that died without a word there
/// would never be an answer.
const KEYS_LIMIT: Duration = Duration::from_secs(5);

/// Partitions are made days ahead: this often is often enough also after failures.
const TIDY: Duration = Duration::from_secs(10 * 60);

pub(crate) struct KeeperActor {
    pub(crate) store: Arc<dyn FleetStore>,
    pub(crate) ring: Arc<KeyRing>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) retention: Duration,
}

impl Actor for KeeperActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.keep_keys(ctx);
        self.tidy(ctx);
    }
}

impl Supervised for KeeperActor {}

impl KeeperActor {
    fn keep_keys(&mut self, ctx: &mut Context<Self>) {
        let (store, ring) = (self.store.clone(), self.ring.clone());
        let work = async move {
            ring.load(&*store).await?;
            ring.tell(&*store).await
        };
        ctx.spawn(within(KEYS_LIMIT, work).into_actor(self).map(|outcome, actor, ctx| {
            if let Err(error) = outcome {
                actor.metrics.store_failed();
                tracing::debug!("[receiver] the keys cannot be read: {error}");
            }
            ctx.run_later(KEYS, |actor, ctx| actor.keep_keys(ctx));
        }));
    }

    fn tidy(&mut self, ctx: &mut Context<Self>) {
        let now = self.clock.timestamp();
        let (store, retention) = (self.store.clone(), self.retention);
        let work = async move {
            store.make_room(now).await?;
            store.tidy(now, retention).await
        };
        ctx.spawn(within(TIDY, work).into_actor(self).map(|outcome, actor, ctx| {
            if let Err(error) = outcome {
                actor.metrics.store_failed();
                tracing::warn!("[receiver] partitions cannot be made or dropped: {error}");
            }
            ctx.run_later(TIDY, |actor, ctx| actor.tidy(ctx));
        }));
    }
}
