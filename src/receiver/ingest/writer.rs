//! The WriterActor: gathers the events of many requests into few transactions, and answers each after its commit. The
//! webhook's handlers speak to it; it tells the JudgeActor that there is news.
//!
//! An event that comes while nothing is being written is written at once, alone; while a transaction is under way, the
//! next batch gathers by itself. Nothing is held back by a timer to make a batch larger.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, Recipient, Supervised, WrapFuture,
};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::backlog::Place;
use crate::receiver::judging::judge::News;
use crate::receiver::metrics::Metrics;
use crate::receiver::store::{FleetStore, NewEvent, StoreError, within};
use crate::running::clock::Clock;

/// So many events are written by one transaction.
const LARGEST_BATCH: usize = 512;

/// A further transaction beside those that are under way is worth its cost when so many events wait for it.
const WORTH_ANOTHER: usize = 64;

/// An event that waited for so long is given up: a sender waits for 5 seconds, the way included.
const PATIENCE: Duration = Duration::from_secs(4);

/// One transaction takes no longer, or is abandoned.
const BATCH_LIMIT: Duration = Duration::from_secs(3);

/// What is left of a sender's patience for the transaction that its event is in.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// How often it is looked whether somebody has waited for too long.
const LOOK: Duration = Duration::from_millis(250);

/// After a store that did not answer, until it is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// Store this event and answer when it is durable.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Append {
    pub(crate) event: NewEvent,
    pub(crate) sender: Sender,
}

/// Who waits for the answer.
#[derive(Debug)]
pub(crate) struct Sender {
    /// When the event arrived.
    pub(crate) since: Instant,
    pub(crate) answer: oneshot::Sender<Result<Stored, NotStored>>,
    pub(crate) place: Place,
}

impl Sender {
    fn answer(self, answer: Result<Stored, NotStored>) {
        // Its place is free before it can come again.
        drop(self.place);
        let _ = self.answer.send(answer);
    }
}

/// The store is there: write what waits, and tell the judge of it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Ready {
    pub(crate) judge: Recipient<News>,
}

/// It is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    New,
    /// It had been there before.
    Before,
}

/// It is not stored, or nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotStored {
    /// Not in time, or not before somebody has mended something.
    Late,
    /// The store does not take it.
    Refused,
}

/// Answer when nothing is waiting and nothing is being written.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Drain(pub(crate) oneshot::Sender<()>);

pub(crate) struct WriterActor {
    store: Arc<dyn FleetStore>,
    clock: Clock,
    metrics: Metrics,
    /// `None` before the store is ready: until then it is not tried.
    judge: Option<Recipient<News>>,
    /// Transactions at a time, at the most.
    writers: usize,
    waiting: VecDeque<Append>,
    /// Transactions that are under way.
    at_work: usize,
    /// Batches that are stored and whose senders are just told.
    answering: usize,
    /// The store did not answer: until this is over, it is not tried.
    pausing: bool,
    /// The last transaction failed.
    failing: bool,
    /// After a batch was refused, so many of those waiting are written one by one, to find the one that is to blame.
    one_by_one: usize,
    draining: Vec<oneshot::Sender<()>>,
}

impl WriterActor {
    pub(crate) fn new(store: Arc<dyn FleetStore>, clock: Clock, metrics: Metrics) -> Self {
        Self {
            writers: store.writers(),
            store,
            clock,
            metrics,
            judge: None,
            waiting: VecDeque::new(),
            at_work: 0,
            answering: 0,
            pausing: false,
            failing: false,
            one_by_one: 0,
            draining: Vec::new(),
        }
    }
}

impl Actor for WriterActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(LOOK, |actor, ctx| {
            if !actor.waiting.is_empty() {
                actor.write(ctx);
            }
        });
        // After a restart there may be work, and somebody who waits for its end.
        self.write(ctx);
    }
}

impl Supervised for WriterActor {
    /// What was being written is dropped with its answers and its places in the backlog, so its senders get 503; whether
    /// it was stored is not known. What waits is kept, and written next.
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.at_work = 0;
        self.answering = 0;
        self.pausing = false;
        self.one_by_one = 0;
    }
}

impl Handler<Append> for WriterActor {
    type Result = ();

    fn handle(&mut self, append: Append, ctx: &mut Context<Self>) {
        tracing::trace!("takes Append");
        self.waiting.push_back(append);
        self.write(ctx);
    }
}

impl Handler<Ready> for WriterActor {
    type Result = ();

    fn handle(&mut self, Ready { judge }: Ready, ctx: &mut Context<Self>) {
        tracing::trace!("takes Ready");
        self.judge = Some(judge);
        self.write(ctx);
    }
}

impl Handler<Drain> for WriterActor {
    type Result = ();

    fn handle(&mut self, Drain(answer): Drain, _: &mut Context<Self>) {
        tracing::trace!("takes Drain");
        self.draining.push(answer);
        self.tell_if_drained();
    }
}

impl WriterActor {
    fn write(&mut self, ctx: &mut Context<Self>) {
        self.give_up_the_late();
        while self.may_begin() {
            self.begin(ctx);
        }
        self.tell_if_drained();
    }

    fn tell_if_drained(&mut self) {
        if self.at_work + self.answering == 0 && self.waiting.is_empty() {
            self.draining.drain(..).for_each(|answer| _ = answer.send(()));
        }
    }

    fn may_begin(&self) -> bool {
        let enough = if self.at_work == 0 { 1 } else { WORTH_ANOTHER };
        self.judge.is_some() && !self.pausing && self.at_work < self.writers && self.waiting.len() >= enough
    }

    fn begin(&mut self, ctx: &mut Context<Self>) {
        let size = if self.one_by_one > 0 { 1 } else { LARGEST_BATCH.min(self.waiting.len()) };
        self.one_by_one = self.one_by_one.saturating_sub(1);
        let (events, senders): (Vec<NewEvent>, Vec<Sender>) =
            self.waiting.drain(..size).map(|append| (append.event, append.sender)).unzip();
        self.at_work += 1;
        let store = self.store.clone();
        let age = self.clock.monotonic().duration_since(senders[0].since);
        let limit = BATCH_LIMIT.min((PATIENCE + LAST_MOMENT).saturating_sub(age));
        let work = async move {
            let outcome = within(limit, store.append(&events)).await;
            (events, senders, outcome)
        };
        ctx.spawn(work.into_actor(self).map(|(events, senders, outcome), actor, ctx| {
            actor.at_work -= 1;
            match outcome {
                Ok(new) => actor.stored(events, senders, new, ctx),
                Err(error) => actor.not_stored(events, senders, error, ctx),
            }
            actor.write(ctx);
        }));
    }

    fn stored(
        &mut self,
        events: Vec<NewEvent>,
        senders: Vec<Sender>,
        new: Vec<bool>,
        ctx: &mut Context<Self>,
    ) {
        if std::mem::take(&mut self.failing) {
            tracing::info!("[receiver] events are stored again");
        }
        let answer = async move {
            // What waits goes to the store first, which works while these are answered.
            tokio::task::yield_now().await;
            for ((event, sender), is_new) in events.iter().zip(senders).zip(new) {
                if is_new {
                    tracing::debug!(
                        "[events] <- telemetry.custom id={} kind=usr persist=true",
                        &event.id.simple().to_string()[..8]
                    );
                }
                sender.answer(Ok(if is_new { Stored::New } else { Stored::Before }));
            }
        };
        self.answering += 1;
        ctx.spawn(answer.into_actor(self).map(|(), actor, _| {
            actor.answering -= 1;
            actor.tell_if_drained();
        }));
        let _ = self.judge.as_ref().map(|judge| judge.try_send(News));
    }

    fn not_stored(
        &mut self,
        events: Vec<NewEvent>,
        senders: Vec<Sender>,
        error: StoreError,
        ctx: &mut Context<Self>,
    ) {
        self.metrics.store_failed();
        match error {
            StoreError::Refused(why) if events.len() == 1 => {
                tracing::error!("[receiver] an event cannot be stored: {why}");
                senders.into_iter().for_each(|sender| sender.answer(Err(NotStored::Refused)));
                return;
            }
            StoreError::NotYet(why) if events.len() == 1 => {
                tracing::warn!("[receiver] an event cannot be stored yet: {why}");
                senders.into_iter().for_each(|sender| sender.answer(Err(NotStored::Late)));
                return;
            }
            StoreError::Refused(_) | StoreError::NotYet(_) => self.one_by_one += events.len(),
            StoreError::Unavailable(_) => {
                self.say_once(events.len(), &error);
                self.pause(ctx);
            }
        }
        // Whether they were stored is not known where the connection broke at the commit; a second time does no harm.
        for (event, sender) in events.into_iter().zip(senders).rev() {
            self.waiting.push_front(Append { event, sender });
        }
    }

    /// A store that is gone would fill the log.
    fn say_once(&mut self, count: usize, error: &StoreError) {
        if std::mem::replace(&mut self.failing, true) {
            tracing::debug!("[receiver] {count} events could not be stored: {error}");
        } else {
            tracing::warn!(
                "[receiver] events cannot be stored, and are turned away with 503 until they can: {error}"
            );
        }
    }

    fn pause(&mut self, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.pausing, true) {
            ctx.run_later(PAUSE, |actor, ctx| {
                actor.pausing = false;
                actor.write(ctx);
            });
        }
    }

    /// The oldest are in front.
    fn give_up_the_late(&mut self) {
        let now = self.clock.monotonic();
        let late =
            self.waiting.iter().take_while(|append| now.duration_since(append.sender.since) >= PATIENCE);
        for late in self.waiting.drain(..late.count()) {
            late.sender.answer(Err(NotStored::Late));
        }
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;
    use crate::receiver::fixture;
    use crate::receiver::ingest::backlog::Backlog;
    use crate::receiver::store::{Schema, SqliteFleetStore};

    struct NoJudge;

    impl Actor for NoJudge {
        type Context = Context<Self>;
    }

    impl Handler<News> for NoJudge {
        type Result = ();

        fn handle(&mut self, _: News, _: &mut Context<Self>) {}
    }

    #[actix_web::test]
    async fn when_it_is_drained_everybody_was_answered() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteFleetStore::new(directory.path().join("fleet.db")));
        store.migrate().await.unwrap();
        let clock = Clock::system();
        let writer = WriterActor::new(store, clock.clone(), Metrics::default()).start();
        writer.do_send(Ready { judge: NoJudge.start().recipient() });
        let (answer, mut answered) = oneshot::channel();
        let sender = Sender { since: clock.monotonic(), answer, place: Backlog::new().enter().unwrap() };
        writer.do_send(Append { event: fixture::event(1, clock.timestamp()), sender });
        let (drained, drain) = oneshot::channel();
        writer.do_send(Drain(drained));
        drain.await.unwrap();
        assert_eq!(answered.try_recv(), Ok(Ok(Stored::New)));
    }
}
