//! The KeeperActor: does what has to be done from time to time. It reads the keys, notes when they were used, makes
//! partitions ahead of time, forgets what is too old, and takes the census. It speaks to itself alone.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, Supervised, WrapFuture};
use tokio::sync::watch;

use super::clock::ReceiverClock;
use super::forgetting;
use super::judging::judge::Judged;
use super::keys::ring::KeyRing;
use super::metrics::Metrics;
use super::store::{FleetStore, may_forget, within};
use super::store_handle::StoreHandle;
use crate::running::causes;

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

/// Time between two looks at what keys say is to be forgotten, which they say in hours.
const RULES: Duration = Duration::from_secs(60);

/// Forget what keys say is to be forgotten. From the actor to itself.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ForgetByRules;

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
    pub(crate) clock: ReceiverClock,
    pub(crate) metrics: Metrics,
    pub(crate) retention: Duration,
    /// The outages, after one of which nothing is forgotten for a while.
    pub(crate) judged: watch::Receiver<Judged>,
}

impl Actor for KeeperActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.notify(ReadKeys);
        ctx.notify(Tidy);
        ctx.notify(ForgetByRules);
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
                tracing::debug!("[receiver] the keys cannot be read: {}", causes::in_one_line(&error));
            }
            ctx.notify_later(ReadKeys, KEYS);
        }));
    }
}

impl Handler<Tidy> for KeeperActor {
    type Result = ();

    fn handle(&mut self, _: Tidy, ctx: &mut Context<Self>) {
        tracing::trace!("takes Tidy");
        let (store, retention) = (self.store.clone(), self.retention);
        let (clock, mut judged) = (self.clock.clone(), self.judged.clone());
        let work = async move {
            store.make_room(clock.timestamp()).await?;
            // What the first mark told of the outages and of the clock.
            let _ = judged.wait_for(|judged| judged.at.is_some()).await;
            let now = clock.timestamp();
            let may_forget = may_forget(&judged.borrow().outages, now) && clock.set_or_not().is_ok();
            if may_forget { store.tidy(now, retention).await } else { Ok(()) }
        };
        ctx.spawn(within(TIDY, work).into_actor(self).map(|outcome, actor, ctx| {
            if let Err(error) = outcome {
                actor.metrics.store_failed();
                tracing::warn!(
                    "[receiver] partitions cannot be made or dropped: {}",
                    causes::in_one_line(&error)
                );
            }
            ctx.notify_later(Tidy, TIDY);
        }));
    }
}

impl Handler<ForgetByRules> for KeeperActor {
    type Result = ();

    fn handle(&mut self, _: ForgetByRules, ctx: &mut Context<Self>) {
        tracing::trace!("takes ForgetByRules");
        let (store, clock) = (StoreHandle::alone(self.store.clone()), self.clock.clone());
        let work = async move { forgetting::by_rules(&store, &clock).await };
        ctx.spawn(work.into_actor(self).map(|outcome, actor, ctx| {
            match outcome {
                Ok(0) => {}
                Ok(count) => tracing::info!("[receiver] {count} instances are forgotten, as their keys say"),
                Err(error) => {
                    actor.metrics.store_failed();
                    tracing::warn!(
                        "[receiver] instances cannot be forgotten: {}",
                        causes::in_one_line(&error)
                    );
                }
            }
            ctx.notify_later(ForgetByRules, RULES);
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
                    tracing::warn!("[receiver] the census cannot be taken: {}", causes::in_one_line(&error));
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
        let clock = ReceiverClock::of_receiver(false);
        let today = day_of(clock.timestamp());
        let keeper = KeeperActor {
            store: store.clone(),
            ring: Arc::new(KeyRing::new(std::iter::empty())),
            clock: clock.clone(),
            metrics: Metrics::default(),
            judged: watch::Sender::<Judged>::default().subscribe(),
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
