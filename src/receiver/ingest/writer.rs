//! The WriterActor: gathers the events of many requests into few transactions, and answers each after its commit. The
//! webhook's handler sends it events; it tells the JudgeActor that there is news.
//!
//! An event that comes while nothing is being written is written at once, alone; while a transaction is under way, the
//! next batch gathers by itself. Nothing is held back by a timer to make a batch larger. Where the store has shards, all
//! of this holds for each of them.

use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, Recipient, Supervised, WrapFuture,
};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::backlog::Slot;
use super::queues::Queues;
use crate::receiver::judging::judge::News;
use crate::receiver::metrics::Metrics;
use crate::receiver::store::{Appended, FleetStore, NewEvent, StoreError, within};
use crate::running::causes;
use crate::running::clock::Clock;

/// How long an event may wait before it is given up. A sender waits for 5 seconds, the way included.
const PATIENCE: Duration = Duration::from_secs(4);

/// Time limit of one transaction; one that takes longer is abandoned.
const BATCH_LIMIT: Duration = Duration::from_secs(3);

/// What is left of a sender's patience for the transaction of its event.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// Time between two looks for events that have waited for too long.
const LOOK: Duration = Duration::from_millis(250);

/// Pause after a store did not answer, until it is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// Store this event and answer when it is durable.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Append {
    pub(crate) event: NewEvent,
    pub(crate) waiter: Waiter,
}

/// The request that waits for the answer.
#[derive(Debug)]
pub(crate) struct Waiter {
    /// When the event arrived.
    pub(crate) since: Instant,
    pub(crate) answer: oneshot::Sender<Result<Appended, NotStored>>,
    pub(crate) slot: Slot,
}

impl Waiter {
    fn answer(self, answer: Result<Appended, NotStored>) {
        // The slot is free before the sender can come again.
        drop(self.slot);
        let _ = self.answer.send(answer);
    }
}

/// The store is ready: write what waits, and tell the judge of it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Ready {
    pub(crate) judge: Recipient<News>,
}

/// The event is not stored, or that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotStored {
    /// It was not stored in time, or cannot be before an operator has mended something.
    Late,
    /// The store never takes it.
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
    /// Most transactions at a time.
    writers: usize,
    /// What waits, and the transactions that are under way.
    queues: Queues<Append>,
    /// Batches that are stored and whose waiters are being answered.
    answering: usize,
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
            queues: Queues::default(),
            answering: 0,
            draining: Vec::new(),
        }
    }
}

impl Actor for WriterActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(LOOK, |actor, ctx| {
            if !actor.queues.is_empty() {
                actor.write(ctx);
            }
        });
        // After a restart events may wait, and a drain for their end.
        self.write(ctx);
    }
}

impl Supervised for WriterActor {
    /// What was being written is dropped with its answers and its slots in the backlog, so its waiters get 503; whether
    /// it was stored is not known. What waits is kept, and written next.
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.queues.restart();
        self.answering = 0;
    }
}

impl Handler<Append> for WriterActor {
    type Result = ();

    fn handle(&mut self, append: Append, ctx: &mut Context<Self>) {
        tracing::trace!("takes Append");
        self.queues.push(self.store.shard_of(append.event.instance_id), append);
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
        self.answer_if_drained();
    }
}

impl WriterActor {
    fn write(&mut self, ctx: &mut Context<Self>) {
        self.give_up_the_late();
        while self.judge.is_some()
            && let Some((shard, batch)) = self.queues.begin(self.writers)
        {
            self.begin(shard, batch, ctx);
        }
        self.answer_if_drained();
    }

    fn answer_if_drained(&mut self) {
        if self.queues.at_work() + self.answering == 0 && self.queues.is_empty() {
            self.draining.drain(..).for_each(|answer| _ = answer.send(()));
        }
    }

    fn begin(&mut self, shard: usize, batch: Vec<Append>, ctx: &mut Context<Self>) {
        let (events, waiters): (Vec<NewEvent>, Vec<Waiter>) =
            batch.into_iter().map(|append| (append.event, append.waiter)).unzip();
        let store = self.store.clone();
        let age = self.clock.monotonic().duration_since(waiters[0].since);
        let limit = BATCH_LIMIT.min((PATIENCE + LAST_MOMENT).saturating_sub(age));
        let work = async move {
            let outcome = within(limit, store.append(&events)).await;
            (events, waiters, outcome)
        };
        ctx.spawn(work.into_actor(self).map(move |(events, waiters, outcome), actor, ctx| {
            match outcome {
                Ok(answers) => actor.stored(shard, events, waiters, answers, ctx),
                Err(error) => {
                    let batch = events.into_iter().zip(waiters);
                    let batch = batch.map(|(event, waiter)| Append { event, waiter }).collect();
                    actor.not_stored(shard, batch, error, ctx);
                }
            }
            actor.write(ctx);
        }));
    }

    fn stored(
        &mut self,
        shard: usize,
        events: Vec<NewEvent>,
        waiters: Vec<Waiter>,
        answers: Vec<Appended>,
        ctx: &mut Context<Self>,
    ) {
        if self.queues.stored(shard) {
            tracing::info!("[receiver] {} are stored again", self.events());
        }
        let answer = async move {
            // What waits goes to the store first, which works while these are answered.
            tokio::task::yield_now().await;
            for ((event, waiter), appended) in events.iter().zip(waiters).zip(answers) {
                if appended == Appended::New {
                    tracing::debug!(
                        "[events] <- telemetry.custom id={} kind=usr persist=true",
                        &event.id.simple().to_string()[..8]
                    );
                }
                waiter.answer(Ok(appended));
            }
        };
        self.answering += 1;
        ctx.spawn(answer.into_actor(self).map(|(), actor, _| {
            actor.answering -= 1;
            actor.answer_if_drained();
        }));
        let _ = self.judge.as_ref().map(|judge| judge.try_send(News));
    }

    fn not_stored(&mut self, shard: usize, batch: Vec<Append>, error: StoreError, ctx: &mut Context<Self>) {
        self.metrics.store_failed();
        // Whether they were stored is not known where the connection broke at the commit; a second time does no harm.
        match error {
            StoreError::Unavailable(_) => {
                let count = batch.len();
                let was_failing = self.queues.failed(shard, batch);
                self.log_once(was_failing, count, &error);
                self.pause(shard, ctx);
            }
            StoreError::Refused(_) | StoreError::NotYet(_) if batch.len() > 1 => {
                self.queues.refused(shard, batch);
            }
            StoreError::Refused(_) | StoreError::NotYet(_) => {
                self.queues.given_up(shard);
                let answer = log_given_up(&error);
                batch.into_iter().for_each(|append| append.waiter.answer(Err(answer)));
            }
        }
    }

    /// What is stored, or not, where one shard is or is not, in words.
    fn events(&self) -> &'static str {
        if self.queues.are_several() { "events of some servers" } else { "events" }
    }

    /// Logs a failure once: a store that is down would fill the log.
    fn log_once(&self, was_failing: bool, count: usize, error: &StoreError) {
        let error = causes::in_one_line(error);
        if was_failing {
            tracing::debug!("[receiver] {count} events could not be stored: {error}");
        } else {
            tracing::warn!(
                "[receiver] {} cannot be stored, and are turned away with 503 until they can: {error}",
                self.events()
            );
        }
    }

    fn pause(&mut self, shard: usize, ctx: &mut Context<Self>) {
        ctx.run_later(PAUSE, move |actor, ctx| {
            actor.queues.resume(shard);
            actor.write(ctx);
        });
    }

    /// Answers events that have waited for too long.
    fn give_up_the_late(&mut self) {
        let now = self.clock.monotonic();
        let is_late = |append: &Append| now.duration_since(append.waiter.since) >= PATIENCE;
        for late in self.queues.take_late(is_late) {
            late.waiter.answer(Err(NotStored::Late));
        }
    }
}

/// Logs why an event is given up, and returns the answer.
fn log_given_up(error: &StoreError) -> NotStored {
    let cause = causes::in_one_line(error);
    if let StoreError::NotYet(_) = error {
        tracing::warn!("[receiver] an event cannot be stored yet: {cause}");
        return NotStored::Late;
    }
    tracing::error!("[receiver] an event cannot be stored: {cause}");
    NotStored::Refused
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
    async fn a_drained_writer_has_answered_everybody() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteFleetStore::new(directory.path().join("fleet.db")));
        store.migrate().await.unwrap();
        let clock = Clock::system();
        let writer = WriterActor::new(store, clock.clone(), Metrics::default()).start();
        writer.do_send(Ready { judge: NoJudge.start().recipient() });
        let (answer, mut answered) = oneshot::channel();
        let waiter = Waiter { since: clock.monotonic(), answer, slot: Backlog::new().enter().unwrap() };
        writer.do_send(Append { event: fixture::event(1, clock.timestamp()), waiter });
        let (drained, drain) = oneshot::channel();
        writer.do_send(Drain(drained));
        drain.await.unwrap();
        assert_eq!(answered.try_recv(), Ok(Ok(Appended::New)));
    }
}
