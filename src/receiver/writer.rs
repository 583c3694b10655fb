//! The WriterActor: gathers the events of many requests into few transactions, and answers each after its commit. The
//! webhook's handlers speak to it; it tells the JudgeActor that there is news.
//!
//! An event that comes while nothing is being written is written at once, alone; while a transaction is under way, the
//! next batch gathers by itself. Nothing is held back by a timer to make a batch larger.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, Recipient, Supervised, WrapFuture,
};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::judge::News;
use super::metrics::Metrics;
use super::store::{FleetStore, NewEvent, StoreError};
use crate::clock::Clock;

/// So many events are written by one transaction.
const LARGEST_BATCH: usize = 512;

/// A further transaction beside those that are under way is worth its cost when so many events wait for it.
const WORTH_ANOTHER: usize = 64;

/// Beyond these, whoever comes is told to come again.
const MOST_WAITING: usize = 16 * 1024;
const MOST_WAITING_BYTES: usize = 32 * 1024 * 1024;

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
    /// When it arrived.
    pub(crate) since: Instant,
    pub(crate) answer: oneshot::Sender<Result<Stored, NotStored>>,
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
    /// There are too many, or the store does not answer.
    Busy,
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
    waiting_bytes: usize,
    /// For whoever wants to see how many there are.
    count: Arc<AtomicUsize>,
    at_work: usize,
    /// The store did not answer: until this is over, it is not tried.
    pausing: bool,
    /// After a batch was refused, so many of those waiting are written one by one, to find the one that is to blame.
    one_by_one: usize,
    draining: Vec<oneshot::Sender<()>>,
}

impl WriterActor {
    pub(crate) fn new(
        store: Arc<dyn FleetStore>,
        clock: Clock,
        metrics: Metrics,
        count: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            writers: store.writers(),
            store,
            clock,
            metrics,
            judge: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            count,
            at_work: 0,
            pausing: false,
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
    }
}

impl Supervised for WriterActor {
    /// What was being written is lost with its answers, and each sender is told so.
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.at_work = 0;
        self.pausing = false;
        self.one_by_one = 0;
    }
}

impl Handler<Append> for WriterActor {
    type Result = ();

    fn handle(&mut self, append: Append, ctx: &mut Context<Self>) {
        let bytes = append.event.data.len();
        if self.waiting.len() >= MOST_WAITING || self.waiting_bytes + bytes > MOST_WAITING_BYTES {
            let _ = append.answer.send(Err(NotStored::Busy));
            return;
        }
        self.waiting_bytes += bytes;
        self.waiting.push_back(append);
        self.write(ctx);
    }
}

impl Handler<Ready> for WriterActor {
    type Result = ();

    fn handle(&mut self, Ready { judge }: Ready, ctx: &mut Context<Self>) {
        self.judge = Some(judge);
        self.write(ctx);
    }
}

impl Handler<Drain> for WriterActor {
    type Result = ();

    fn handle(&mut self, Drain(answer): Drain, _: &mut Context<Self>) {
        if self.at_work == 0 && self.waiting.is_empty() {
            let _ = answer.send(());
        } else {
            self.draining.push(answer);
        }
    }
}

impl WriterActor {
    fn write(&mut self, ctx: &mut Context<Self>) {
        self.give_up_the_late();
        while self.may_begin() {
            self.begin(ctx);
        }
        self.count.store(self.waiting.len(), Ordering::Relaxed);
        if self.at_work == 0 && self.waiting.is_empty() {
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
        let mut events = Vec::with_capacity(size);
        let mut answers = Vec::with_capacity(size);
        for append in self.waiting.drain(..size) {
            self.waiting_bytes -= append.event.data.len();
            events.push(append.event);
            answers.push((append.since, append.answer));
        }
        self.at_work += 1;
        let store = self.store.clone();
        let age = self.clock.monotonic().duration_since(answers[0].0);
        let limit = BATCH_LIMIT.min((PATIENCE + LAST_MOMENT).saturating_sub(age));
        let work = async move {
            let outcome = tokio::time::timeout(limit, store.append(&events)).await;
            let late = || Err(StoreError::Unavailable("no answer in time".to_owned()));
            (events, answers, outcome.unwrap_or_else(|_| late()))
        };
        ctx.spawn(work.into_actor(self).map(|(events, answers, outcome), actor, ctx| {
            actor.at_work -= 1;
            actor.finish(events, answers, outcome, ctx);
            actor.write(ctx);
        }));
    }

    fn finish(
        &mut self,
        events: Vec<NewEvent>,
        answers: Vec<(Instant, oneshot::Sender<Result<Stored, NotStored>>)>,
        outcome: Result<Vec<bool>, StoreError>,
        ctx: &mut Context<Self>,
    ) {
        match outcome {
            Ok(new) => {
                for ((event, (_, answer)), is_new) in events.iter().zip(answers).zip(new) {
                    if is_new {
                        tracing::debug!(
                            "[events] <- telemetry.custom id={} kind=usr persist=true",
                            &event.id.simple().to_string()[..8]
                        );
                    }
                    let _ = answer.send(Ok(if is_new { Stored::New } else { Stored::Before }));
                }
                let _ = self.judge.as_ref().map(|judge| judge.try_send(News));
            }
            Err(StoreError::Refused(why)) if events.len() == 1 => {
                self.metrics.store_failed();
                tracing::error!("[receiver] an event cannot be stored: {why}");
                answers.into_iter().for_each(|(_, answer)| _ = answer.send(Err(NotStored::Refused)));
            }
            Err(error) => {
                self.metrics.store_failed();
                tracing::warn!("[receiver] {} events could not be stored yet: {error}", events.len());
                match error {
                    StoreError::Refused(_) => self.one_by_one += events.len(),
                    StoreError::Unavailable(_) => self.pause(ctx),
                }
                // Whether they were stored is not known where the connection broke at the commit; a second time does
                // no harm.
                for (event, (since, answer)) in events.into_iter().zip(answers).rev() {
                    self.waiting_bytes += event.data.len();
                    self.waiting.push_front(Append { event, since, answer });
                }
            }
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
        while let Some(first) = self.waiting.front() {
            if now.duration_since(first.since) < PATIENCE {
                break;
            }
            if let Some(late) = self.waiting.pop_front() {
                self.waiting_bytes -= late.event.data.len();
                let _ = late.answer.send(Err(NotStored::Busy));
            }
        }
    }
}
