//! The KeeperActor: does what has to be done from time to time. It reads the keys, notes when they were used, makes
//! partitions ahead of time, forgets what is too old, and takes the census. It speaks to itself alone.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, Supervised, WrapFuture};

use super::keys::ring::KeyRing;
use super::metrics::Metrics;
use super::store::{FleetStore, within};
use crate::running::clock::Clock;

/// Time between two looks at the keys: until a key that another process made or revoked is known.
const KEYS: Duration = Duration::from_secs(2);

/// Time limit of one look. On a connection that died without a word there would never be an answer.
const KEYS_LIMIT: Duration = Duration::from_secs(5);

/// Time between two tidyings. Partitions are made days ahead, so this suffices also after failures.
const TIDY: Duration = Duration::from_secs(10 * 60);

/// Time between two censuses. The last one of a day stays.
const CENSUS: Duration = Duration::from_secs(60 * 60);

/// Time limit of a census, and time until the next one where it failed. The first counts the past as well.
const CENSUS_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Read the keys. From the actor to itself.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ReadKeys;

/// Make partitions and forget what is too old. From the actor to itself.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Tidy;

/// Count the active instances. From the actor to itself.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct TakeCensus;

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
        ctx.notify(ReadKeys);
        ctx.notify(Tidy);
        ctx.notify(TakeCensus);
    }
}

impl Supervised for KeeperActor {
    /// Work under way is lost; `started` begins all kinds anew.
    fn restarting(&mut self, _: &mut Context<Self>) {}
}

impl Handler<ReadKeys> for KeeperActor {
    type Result = ();

    fn handle(&mut self, _: ReadKeys, ctx: &mut Context<Self>) {
        tracing::trace!("takes ReadKeys");
        let (store, ring) = (self.store.clone(), self.ring.clone());
        let work = async move {
            ring.load(&*store).await?;
            ring.note_use(&*store).await
        };
        ctx.spawn(within(KEYS_LIMIT, work).into_actor(self).map(|outcome, actor, ctx| {
            if let Err(error) = outcome {
                actor.metrics.store_failed();
                tracing::debug!("[receiver] the keys cannot be read: {error}");
            }
            ctx.notify_later(ReadKeys, KEYS);
        }));
    }
}

impl Handler<Tidy> for KeeperActor {
    type Result = ();

    fn handle(&mut self, _: Tidy, ctx: &mut Context<Self>) {
        tracing::trace!("takes Tidy");
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
            ctx.notify_later(Tidy, TIDY);
        }));
    }
}

impl Handler<TakeCensus> for KeeperActor {
    type Result = ();

    fn handle(&mut self, _: TakeCensus, ctx: &mut Context<Self>) {
        tracing::trace!("takes TakeCensus");
        let (store, now) = (self.store.clone(), self.clock.timestamp());
        let work = async move { store.take_census(now).await };
        ctx.spawn(within(CENSUS_LIMIT, work).into_actor(self).map(|outcome, actor, ctx| {
            let next = match outcome {
                Ok(()) => CENSUS,
                Err(error) => {
                    actor.metrics.store_failed();
                    tracing::warn!("[receiver] the census cannot be taken: {error}");
                    CENSUS_LIMIT
                }
            };
            ctx.notify_later(TakeCensus, next);
        }));
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;
    use crate::receiver::store::{Census, CensusFilter, Schema, SqliteFleetStore, day_of};

    #[actix_rt::test]
    async fn a_keeper_that_starts_takes_a_census() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteFleetStore::new(directory.path().join("fleet.db")));
        store.migrate().await.unwrap();
        let clock = Clock::system();
        let today = day_of(clock.timestamp());
        let keeper = KeeperActor {
            store: store.clone(),
            ring: Arc::new(KeyRing::new(std::iter::empty())),
            clock: clock.clone(),
            metrics: Metrics::default(),
            retention: Duration::from_secs(86_400),
        };
        let _keeper = keeper.start();
        let counted = async {
            let all = CensusFilter::default();
            // Midnight may have passed.
            while store.census_days(today, day_of(clock.timestamp()), &all).await?.is_empty() {}
            Ok(())
        };
        within(Duration::from_secs(60), counted).await.unwrap();
    }
}
