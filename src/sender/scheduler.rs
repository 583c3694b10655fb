//! The SchedulerActor decides when an event is sent and why (spec §3).
//!
//! The scheduler receives the instance id ([`Identified`]) and the license state ([`LicenseStateChanged`]). Once
//! both are known, it hands each destination `begin`, then `update` in every slot, `license-state-change` after
//! each change of the license, and `end` at [`Finish`]. An event is handed over as [`Deliver`].
//!
//! Before an `update` and a `license-state-change`, the scheduler has the instance id read again. If it has
//! changed, the old id gets its `end` and the new one its `begin` first, in the same run.

mod slots;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, Recipient, ResponseActFuture,
    ResponseFuture, Supervised, WrapFuture,
};
use futures_util::future::join_all;
use tokio::time::Instant;
use uuid::Uuid;

use super::destination::Deliver;
use super::heartbeat::Tick;
use super::instance_id::{Identified, Identify};
use super::license_watcher::LicenseStateChanged;
use super::outcome::{Delivered, SendNowError};
use super::request::Event;
use super::scheduled::Scheduled;
use super::status::StatusBoard;
use crate::running::clock::Clock;
use crate::wire::license::LicenseState;
use crate::wire::payload::Reason;

/// Maximum number of license changes that wait for a reading of the instance id.
const MOST_UNSENT_CHANGES: usize = 64;

/// Introduction of the actors that the scheduler asks. They start later, because they publish to it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Introduce {
    pub(crate) identity: Recipient<Identify>,
    pub(crate) publishers: Vec<Recipient<Tick>>,
}

/// Request to send an `update` to each destination now, outside its slot.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Vec<Delivered>, SendNowError>")]
pub(crate) struct SendNow;

/// Outcome of an event, which the scheduler sends to itself.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
struct OutcomeKnown {
    /// Index of the destination.
    index: usize,
    sequence: u64,
    is_delivered: bool,
}

/// End of the run: each destination is handed its `end`, which has to be delivered by `deadline`.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<Delivered>")]
pub(crate) struct Finish {
    pub(crate) deadline: Instant,
}

/// Stage of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The instance id or the license state is not known yet.
    Waiting,
    /// `begin` was handed over.
    Begun,
    /// The run has ended; nothing is handed over any more.
    Finished,
}

/// Actor that schedules events.
pub(crate) struct SchedulerActor {
    destinations: Vec<Scheduled>,
    /// Reads the instance id again before each update; `None` until [`Introduce`].
    identity: Option<Recipient<Identify>>,
    /// Publish the instance id and the license state again, for each tick.
    publishers: Vec<Recipient<Tick>>,
    board: StatusBoard,
    clock: Clock,
    stage: Stage,
    instance_id: Option<Uuid>,
    license: Option<LicenseState>,
    /// License states whose event waits until the instance id was read again, oldest first.
    unsent_changes: Vec<LicenseState>,
    /// Number of the last event of the run.
    sequence: u64,
}

impl SchedulerActor {
    pub(crate) fn new(destinations: Vec<Scheduled>, board: StatusBoard, clock: Clock) -> Self {
        Self {
            destinations,
            identity: None,
            publishers: Vec::new(),
            board,
            clock,
            stage: Stage::Waiting,
            instance_id: None,
            license: None,
            unsent_changes: Vec::new(),
            sequence: 0,
        }
    }
}

impl Actor for SchedulerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look(ctx);
    }
}

impl Supervised for SchedulerActor {
    /// Keeps all fields, because a second `begin` would report a run that never existed. Asks the publishers to
    /// send the message again that the panic may have lost.
    fn restarting(&mut self, _: &mut Self::Context) {
        self.publishers.iter().for_each(|publisher| publisher.do_send(Tick));
    }
}

impl Handler<Introduce> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, Introduce { identity, publishers }: Introduce, _: &mut Self::Context) {
        self.identity = Some(identity);
        self.publishers = publishers;
        // The log line comes last: a log that panics must not lose the introduction.
        tracing::trace!("takes Introduce");
    }
}

impl Handler<Identified> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, Identified(id): Identified, ctx: &mut Self::Context) {
        tracing::trace!("takes Identified");
        self.learn(Some(id), ctx);
    }
}

impl Handler<LicenseStateChanged> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, LicenseStateChanged(license): LicenseStateChanged, ctx: &mut Self::Context) {
        tracing::trace!("takes LicenseStateChanged");
        if self.license.replace(license.clone()).is_some_and(|before| before.says_the_same(&license)) {
            return;
        }
        match self.stage {
            Stage::Waiting => self.begin_if_known(ctx),
            Stage::Begun => self.change_license(license, ctx),
            Stage::Finished => {}
        }
    }
}

impl Handler<Tick> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Self::Context) {
        tracing::trace!("takes Tick");
        self.look(ctx);
    }
}

impl Handler<OutcomeKnown> for SchedulerActor {
    type Result = ();

    /// Uses an open slot if the last event failed. An outcome that a panic loses leaves the slot unused.
    fn handle(&mut self, known: OutcomeKnown, ctx: &mut Self::Context) {
        tracing::trace!("takes OutcomeKnown");
        if self.destinations[known.index].learn_outcome(known.sequence, known.is_delivered) {
            self.use_slots(&[known.index], ctx);
        }
    }
}

impl Handler<SendNow> for SchedulerActor {
    type Result = ResponseActFuture<Self, Result<Vec<Delivered>, SendNowError>>;

    fn handle(&mut self, _: SendNow, _: &mut Self::Context) -> Self::Result {
        tracing::trace!("takes SendNow");
        let refusal = match self.stage {
            _ if self.destinations.is_empty() => Some(SendNowError::Disabled),
            Stage::Waiting => Some(SendNowError::NotBegun),
            Stage::Finished => Some(SendNowError::NotRunning),
            Stage::Begun => None,
        };
        if let Some(refusal) = refusal {
            return Box::pin(async move { Err(refusal) }.into_actor(self));
        }
        let identified = self.identify().into_actor(self);
        Box::pin(identified.then(|id, actor, ctx| {
            actor.learn(id, ctx);
            let still_begun = actor.stage == Stage::Begun;
            let answers: Vec<_> = (0..actor.destinations.len())
                .filter(|_| still_begun)
                .filter_map(|index| actor.hand_over(index, Reason::Update, ctx))
                .collect();
            async move {
                match answers.is_empty() {
                    true => Err(SendNowError::NotRunning),
                    false => Ok(join_all(answers).await.into_iter().flatten().collect()),
                }
            }
            .into_actor(actor)
        }))
    }
}

impl Handler<Finish> for SchedulerActor {
    type Result = ResponseFuture<Vec<Delivered>>;

    fn handle(&mut self, Finish { deadline }: Finish, ctx: &mut Self::Context) -> Self::Result {
        tracing::trace!("takes Finish");
        let has_begun = self.stage == Stage::Begun;
        self.send_license_changes(ctx);
        self.stage = Stage::Finished;
        let mut answers = Vec::new();
        for index in 0..self.destinations.len() {
            let name = self.destinations[index].name;
            self.board.update_destination(name, |status| status.next_slot = None);
            if let Some(end) = self.event(index, Reason::End).filter(|_| has_begun) {
                let end = Deliver { deadline: Some(deadline), ..end };
                answers.push(send_end(self.destinations[index].actor.clone(), end));
            }
        }
        Box::pin(async move { join_all(answers).await.into_iter().flatten().collect() })
    }
}

impl SchedulerActor {
    /// Begins the run once the instance id and the license state are known.
    fn begin_if_known(&mut self, ctx: &mut Context<Self>) {
        if self.stage == Stage::Waiting && self.instance_id.is_some() && self.license.is_some() {
            self.stage = Stage::Begun;
            self.deliver_to_all(Reason::Begin, ctx);
            self.plan(ctx);
        }
    }

    /// Hands an event to every destination.
    fn deliver_to_all(&mut self, reason: Reason, ctx: &mut Context<Self>) {
        for index in 0..self.destinations.len() {
            self.deliver(index, reason, ctx);
        }
    }

    /// Hands an event to a destination.
    fn deliver(&mut self, index: usize, reason: Reason, ctx: &mut Context<Self>) {
        if let Some(delivered) = self.hand_over(index, reason, ctx) {
            ctx.spawn(delivered.into_actor(self).map(|_, _, _| ()));
        }
    }

    /// Hands an event to a destination, and learns its outcome when the returned future resolves.
    fn hand_over(
        &mut self,
        index: usize,
        reason: Reason,
        ctx: &mut Context<Self>,
    ) -> Option<impl Future<Output = Option<Delivered>> + use<>> {
        let deliver = self.event(index, reason)?;
        let sequence = deliver.event.sequence;
        let (actor, scheduler) = (&self.destinations[index].actor, ctx.address());
        let answered = actor.send(deliver);
        Some(async move {
            let delivered = answered.await.ok();
            let is_delivered = delivered.as_ref().is_some_and(|delivered| delivered.outcome.is_success());
            scheduler.do_send(OutcomeKnown { index, sequence, is_delivered });
            delivered
        })
    }

    /// Creates the next event for a destination; `None` before the id and the license are known.
    fn event(&mut self, index: usize, reason: Reason) -> Option<Deliver> {
        let (instance_id, license) = (self.instance_id?, self.license.clone()?);
        self.sequence += 1;
        let now = (self.clock.now(), self.clock.monotonic());
        self.destinations[index].remember_event(self.sequence, now);
        let event = Event { reason, instance_id, license, sequence: self.sequence };
        Some(Deliver { event, deadline: None })
    }

    /// Hands every destination the event of a license change, once the instance id was read again.
    fn change_license(&mut self, license: LicenseState, ctx: &mut Context<Self>) {
        self.unsent_changes.push(license);
        if self.unsent_changes.len() > MOST_UNSENT_CHANGES {
            // The store takes its time, and memory is bounded.
            return self.send_license_changes(ctx);
        }
        let identified = self.identify().into_actor(self);
        ctx.spawn(identified.map(|id, actor, ctx| {
            actor.learn(id, ctx);
            actor.send_license_changes(ctx);
        }));
    }

    /// Hands every destination the events of the license changes that wait.
    fn send_license_changes(&mut self, ctx: &mut Context<Self>) {
        for changed in std::mem::take(&mut self.unsent_changes) {
            let newest = self.license.replace(changed);
            self.deliver_to_all(Reason::LicenseStateChange, ctx);
            self.license = newest;
        }
    }

    /// Reads the instance id again. Resolves to the known id if that fails.
    fn identify(&self) -> impl Future<Output = Option<Uuid>> + 'static {
        let (identity, known) = (self.identity.clone(), self.instance_id);
        async move {
            match identity {
                Some(identity) => identity.send(Identify).await.ok().flatten().or(known),
                None => known,
            }
        }
    }

    /// Takes over an instance id that is new. The old one gets its `end`, and the new one its `begin`.
    fn learn(&mut self, id: Option<Uuid>, ctx: &mut Context<Self>) {
        if id.is_none() || id == self.instance_id {
            return;
        }
        let has_begun = self.stage == Stage::Begun;
        if has_begun {
            self.deliver_to_all(Reason::End, ctx);
        }
        self.instance_id = id;
        if has_begun {
            self.deliver_to_all(Reason::Begin, ctx);
        }
        self.begin_if_known(ctx);
        self.plan(ctx);
    }
}

/// Hands over `end`, a second time if a panic lost the message or its answer, and returns the outcome.
async fn send_end(destination: Recipient<Deliver>, end: Deliver) -> Option<Delivered> {
    match destination.send(end.clone()).await {
        Ok(delivered) => Some(delivered),
        Err(_) => destination.send(end).await.ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::time::{Duration, SystemTime};

    use actix::Addr;

    use super::*;
    use crate::running::clock::fake::FakeClock;
    use crate::running::clock::fake::start_of_tests;
    use crate::running::containment::Containment;
    use crate::sender::config::DestinationName;
    use crate::sender::heartbeat::ONE_MINUTE;
    use crate::sender::simulation::fakes::{ID, Recorder, settle};
    use crate::sender::slot::next_slot;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Actor that answers with an id that a test can change.
    struct Identity(Rc<Cell<Option<Uuid>>>);

    impl Actor for Identity {
        type Context = Context<Self>;
    }

    impl Handler<Identify> for Identity {
        type Result = Option<Uuid>;

        fn handle(&mut self, _: Identify, _: &mut Self::Context) -> Option<Uuid> {
            self.0.get()
        }
    }

    /// Actor that never answers.
    struct Silent;

    impl Actor for Silent {
        type Context = Context<Self>;
    }

    impl Handler<Identify> for Silent {
        type Result = actix::ResponseFuture<Option<Uuid>>;

        fn handle(&mut self, _: Identify, _: &mut Self::Context) -> Self::Result {
            Box::pin(std::future::pending())
        }
    }

    struct Scene {
        clock: FakeClock,
        custom: Recorder,
        default: Recorder,
        stored_id: Rc<Cell<Option<Uuid>>>,
        board: StatusBoard,
        scheduler: Addr<SchedulerActor>,
    }

    impl Scene {
        /// Starts a scheduler with one destination of 1 h and one of 8 h, and ticks it once a minute.
        fn new() -> Self {
            Self::starting_at(start_of_tests())
        }

        fn starting_at(now: SystemTime) -> Self {
            tokio::time::pause();
            let clock = FakeClock::at(now);
            let custom = Recorder::new(DestinationName::Custom, clock.clock());
            let default = Recorder::new(DestinationName::Default, clock.clock());
            let board = StatusBoard::new();
            board.show(&crate::sender::simulation::fakes::settings());
            let scheduled = vec![
                Scheduled::new(DestinationName::Custom, HOUR, custom.clone().start().recipient()),
                Scheduled::new(DestinationName::Default, 8 * HOUR, default.clone().start().recipient()),
            ];
            let scheduler = SchedulerActor::new(scheduled, board.clone(), clock.clock());
            let scheduler =
                Containment::new("telemetry", clock.clock(), board.incidents()).start("scheduler", scheduler);
            let stored_id = Rc::new(Cell::new(Some(ID)));
            let identity = Identity(stored_id.clone()).start().recipient();
            scheduler.do_send(Introduce { identity, publishers: Vec::new() });
            let ticked = scheduler.clone();
            actix_rt::spawn(async move {
                while ticked.connected() {
                    tokio::time::sleep(ONE_MINUTE).await;
                    ticked.do_send(Tick);
                }
            });
            Self { clock, custom, default, stored_id, board, scheduler }
        }

        async fn begun() -> Self {
            let scene = Self::new();
            scene.scheduler.do_send(Identified(ID));
            scene.scheduler.do_send(LicenseStateChanged(LicenseState::default()));
            settle().await;
            scene
        }

        async fn finish(&self) -> Vec<Delivered> {
            let deadline = Clock::system().monotonic() + Duration::from_secs(5);
            self.scheduler.send(Finish { deadline }).await.unwrap()
        }
    }

    #[actix_rt::test]
    async fn begin_waits_for_the_license() {
        let scene = Scene::new();
        scene.scheduler.do_send(Identified(ID));
        settle().await;
        assert_eq!(scene.custom.reasons(), []);
        scene.scheduler.do_send(LicenseStateChanged(LicenseState::default()));
        settle().await;
        assert_eq!(scene.custom.reasons(), [Reason::Begin]);
        assert_eq!(scene.default.reasons(), [Reason::Begin]);
    }

    #[actix_rt::test]
    async fn begin_waits_for_the_id() {
        let scene = Scene::new();
        scene.scheduler.do_send(LicenseStateChanged(LicenseState::default()));
        settle().await;
        assert_eq!(scene.custom.reasons(), []);
        scene.scheduler.do_send(Identified(ID));
        settle().await;
        assert_eq!(scene.custom.reasons(), [Reason::Begin]);
        assert_eq!(scene.default.reasons(), [Reason::Begin]);
    }

    #[actix_rt::test]
    async fn a_day_of_both_frequencies_has_each_slot_once() {
        let scene = Scene::begun().await;
        tokio::time::sleep(24 * HOUR).await;
        assert_eq!(scene.custom.count(Reason::Update), 24);
        assert_eq!(scene.default.count(Reason::Update), 3);
        for (recorder, frequency) in [(&scene.custom, HOUR), (&scene.default, 8 * HOUR)] {
            let heard = recorder.heard.borrow();
            for (at, event) in heard.iter().filter(|(_, event)| event.reason == Reason::Update) {
                let slot = next_slot(*at - Duration::from_secs(1), ID, frequency);
                let late = at.duration_since(slot).unwrap();
                assert!(late < Duration::from_millis(10), "{event:?} came {late:?} after its slot");
            }
        }
        let mut sequences: Vec<u64> = [&scene.custom, &scene.default]
            .iter()
            .flat_map(|r| r.heard.borrow().iter().map(|(_, event)| event.sequence).collect::<Vec<_>>())
            .collect();
        sequences.sort_unstable();
        assert_eq!(sequences, (1..=29).collect::<Vec<_>>(), "no two requests of a run share a number");
    }

    #[actix_rt::test]
    async fn one_update_is_sent_after_the_machine_slept() {
        let scene = Scene::begun().await;
        scene.clock.jump_forward(20 * HOUR);
        tokio::time::sleep(3 * ONE_MINUTE).await;
        assert_eq!(scene.custom.count(Reason::Update), 1);
        assert_eq!(scene.default.count(Reason::Update), 1);
        tokio::time::sleep(HOUR).await;
        assert_eq!(scene.custom.count(Reason::Update), 2, "and goes on in its slots");
    }

    #[actix_rt::test]
    async fn a_clock_set_back_by_a_year_does_not_stop_the_updates_for_a_year() {
        let scene = Scene::begun().await;
        scene.clock.jump_back(365 * 24 * HOUR);
        tokio::time::sleep(8 * HOUR + 2 * ONE_MINUTE).await;
        assert_eq!(scene.custom.count(Reason::Update), 8);
        assert_eq!(scene.default.count(Reason::Update), 1);
    }

    #[actix_rt::test]
    async fn a_slot_within_a_minute_after_another_event_is_skipped() {
        let scene = Scene::begun().await;
        let slot = scene.board.read().destinations[0].next_slot.unwrap();
        let until_slot = slot.duration_since(scene.clock.now()).unwrap();
        tokio::time::sleep(until_slot - Duration::from_secs(59)).await;
        scene.scheduler.do_send(LicenseStateChanged(LicenseState { valid: true, ..LicenseState::default() }));
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(scene.custom.reasons(), [Reason::Begin, Reason::LicenseStateChange]);
        tokio::time::sleep(HOUR).await;
        assert_eq!(scene.custom.count(Reason::Update), 1);
    }

    #[actix_rt::test]
    async fn a_slot_after_an_event_that_failed_is_used() {
        let scene = Scene::begun().await;
        let slot = scene.board.read().destinations[0].next_slot.unwrap();
        let until_slot = slot.duration_since(scene.clock.now()).unwrap();
        tokio::time::sleep(until_slot - Duration::from_secs(59)).await;
        scene.custom.status.set(503);
        scene.scheduler.do_send(LicenseStateChanged(LicenseState { valid: true, ..LicenseState::default() }));
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(scene.custom.reasons(), [Reason::Begin, Reason::LicenseStateChange, Reason::Update]);
        tokio::time::sleep(HOUR).await;
        assert_eq!(scene.custom.count(Reason::Update), 2, "a slot is used once");
    }

    /// Number of updates after a slot that came while an event was under way, which was answered with `status`.
    async fn updates_after_an_event_under_way(status: u16) -> usize {
        let scene = Scene::begun().await;
        let slot = scene.board.read().destinations[0].next_slot.unwrap();
        let until_slot = slot.duration_since(scene.clock.now()).unwrap();
        tokio::time::sleep(until_slot - Duration::from_secs(2)).await;
        scene.custom.status.set(status);
        scene.custom.takes.set(Duration::from_secs(4));
        scene.scheduler.do_send(LicenseStateChanged(LicenseState { valid: true, ..LicenseState::default() }));
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(scene.custom.count(Reason::Update), 0, "the outcome is not known yet");
        tokio::time::sleep(ONE_MINUTE).await;
        scene.custom.count(Reason::Update)
    }

    #[actix_rt::test]
    async fn a_slot_that_comes_while_an_event_is_under_way_is_skipped_if_that_is_delivered() {
        assert_eq!(updates_after_an_event_under_way(200).await, 0);
    }

    #[actix_rt::test]
    async fn a_slot_that_comes_while_an_event_is_under_way_is_used_if_that_fails() {
        assert_eq!(updates_after_an_event_under_way(503).await, 1);
    }

    /// Boots in 1970, has `begin` answered with `status`, and sets the clock 12 seconds later.
    async fn events_around_a_jump_of_the_clock(status: u16) -> Vec<Reason> {
        let scene = Scene::starting_at(SystemTime::UNIX_EPOCH + ONE_MINUTE);
        scene.custom.status.set(status);
        scene.scheduler.do_send(Identified(ID));
        scene.scheduler.do_send(LicenseStateChanged(LicenseState::default()));
        tokio::time::sleep(Duration::from_secs(12)).await;
        assert_eq!(scene.custom.reasons(), [Reason::Begin]);
        scene.custom.status.set(200);
        scene.clock.jump_forward(start_of_tests().duration_since(SystemTime::UNIX_EPOCH).unwrap());
        tokio::time::sleep(ONE_MINUTE).await;
        scene.custom.reasons()
    }

    #[actix_rt::test]
    async fn a_slot_that_falls_due_by_a_jump_of_the_clock_is_used_within_a_minute_after_a_failure() {
        assert_eq!(events_around_a_jump_of_the_clock(503).await, [Reason::Begin, Reason::Update]);
    }

    #[actix_rt::test]
    async fn a_slot_that_falls_due_by_a_jump_of_the_clock_is_used_within_a_minute_after_a_success() {
        assert_eq!(events_around_a_jump_of_the_clock(200).await, [Reason::Begin, Reason::Update]);
    }

    #[actix_rt::test]
    async fn a_license_change_is_sent_to_all_destinations_with_the_new_state() {
        let scene = Scene::begun().await;
        let changed = LicenseState { valid: true, key_hash: Some("e8".into()), valid_until: None };
        scene.scheduler.do_send(LicenseStateChanged(changed.clone()));
        settle().await;
        for recorder in [&scene.custom, &scene.default] {
            assert_eq!(recorder.reasons(), [Reason::Begin, Reason::LicenseStateChange]);
            assert_eq!(recorder.heard.borrow()[1].1.license, changed);
        }
    }

    /// Reasons and ids of all events that a destination heard, with `true` for the new id.
    fn ids(recorder: &Recorder, new: Uuid) -> Vec<(Reason, bool)> {
        recorder.heard.borrow().iter().map(|(_, event)| (event.reason, event.instance_id == new)).collect()
    }

    #[actix_rt::test]
    async fn a_changed_id_ends_the_old_instance_and_begins_the_new_one_at_the_next_slot() {
        let scene = Scene::begun().await;
        let other = Uuid::from_u128(7 << 64 | 7);
        scene.stored_id.set(Some(other));
        tokio::time::sleep(HOUR).await;
        for recorder in [&scene.custom, &scene.default] {
            let expected = [(Reason::Begin, false), (Reason::End, false), (Reason::Begin, true)];
            assert_eq!(ids(recorder, other)[..3], expected);
        }
        let next = scene.board.read().destinations[0].next_slot.unwrap();
        assert_eq!(next, next_slot(scene.clock.now(), other, HOUR), "the slots are the new id's");
        let mut sequences: Vec<u64> = [&scene.custom, &scene.default]
            .iter()
            .flat_map(|r| r.heard.borrow().iter().map(|(_, event)| event.sequence).collect::<Vec<_>>())
            .collect();
        sequences.sort_unstable();
        assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<_>>(), "the numbers go on");
        assert!(scene.finish().await.iter().all(|end| end.outcome.is_success()));
        assert_eq!(ids(&scene.custom, other).last(), Some(&(Reason::End, true)));
    }

    #[actix_rt::test]
    async fn two_changes_of_the_id_end_each_instance_once() {
        let scene = Scene::begun().await;
        let (second, third) = (Uuid::from_u128(2), Uuid::from_u128(3));
        scene.stored_id.set(Some(second));
        scene.scheduler.send(SendNow).await.unwrap().unwrap();
        scene.stored_id.set(Some(third));
        scene.scheduler.send(SendNow).await.unwrap().unwrap();
        let heard: Vec<_> =
            scene.default.heard.borrow().iter().map(|(_, event)| (event.reason, event.instance_id)).collect();
        let expected = [
            (Reason::Begin, ID),
            (Reason::End, ID),
            (Reason::Begin, second),
            (Reason::Update, second),
            (Reason::End, second),
            (Reason::Begin, third),
            (Reason::Update, third),
        ];
        assert_eq!(heard, expected);
    }

    #[actix_rt::test]
    async fn a_license_change_reads_the_id_first_and_is_sent_for_the_new_one() {
        let scene = Scene::begun().await;
        let other = Uuid::from_u128(7);
        scene.stored_id.set(Some(other));
        let changed = LicenseState { valid: true, ..LicenseState::default() };
        scene.scheduler.do_send(LicenseStateChanged(changed));
        settle().await;
        let expected = [
            (Reason::Begin, false),
            (Reason::End, false),
            (Reason::Begin, true),
            (Reason::LicenseStateChange, true),
        ];
        assert_eq!(ids(&scene.custom, other), expected);
        assert_eq!(ids(&scene.default, other), expected);
    }

    #[actix_rt::test]
    async fn a_change_of_the_id_after_a_begin_that_failed_ends_and_begins_as_well() {
        let scene = Scene::new();
        scene.custom.status.set(503);
        scene.scheduler.do_send(Identified(ID));
        scene.scheduler.do_send(LicenseStateChanged(LicenseState::default()));
        settle().await;
        let other = Uuid::from_u128(7);
        scene.scheduler.do_send(Identified(other));
        settle().await;
        let expected = [(Reason::Begin, false), (Reason::End, false), (Reason::Begin, true)];
        assert_eq!(ids(&scene.custom, other), expected);
    }

    #[actix_rt::test]
    async fn an_id_that_changes_before_begin_is_no_change() {
        let scene = Scene::new();
        let other = Uuid::from_u128(7);
        scene.scheduler.do_send(Identified(ID));
        scene.scheduler.do_send(Identified(other));
        scene.scheduler.do_send(LicenseStateChanged(LicenseState::default()));
        settle().await;
        assert_eq!(ids(&scene.custom, other), [(Reason::Begin, true)]);
    }

    #[actix_rt::test]
    async fn a_license_change_that_waits_for_the_id_is_sent_before_the_end() {
        let scene = Scene::begun().await;
        scene.scheduler.do_send(Introduce { identity: Silent.start().recipient(), publishers: Vec::new() });
        for valid in [true, false].into_iter().cycle().take(MOST_UNSENT_CHANGES + 3) {
            let changed = LicenseState { valid, ..LicenseState::default() };
            scene.scheduler.do_send(LicenseStateChanged(changed));
        }
        scene.finish().await;
        assert_eq!(scene.custom.count(Reason::LicenseStateChange), MOST_UNSENT_CHANGES + 3);
        assert_eq!(scene.custom.reasons().last(), Some(&Reason::End));
    }

    #[actix_rt::test]
    async fn the_known_id_stays_in_use_while_the_database_is_down() {
        let scene = Scene::begun().await;
        scene.stored_id.set(None);
        tokio::time::sleep(HOUR).await;
        assert_eq!(scene.custom.heard.borrow().last().unwrap().1.instance_id, ID);
    }

    #[actix_rt::test]
    async fn send_now_is_an_update_outside_the_slot() {
        let scene = Scene::begun().await;
        let delivered = scene.scheduler.send(SendNow).await.unwrap().unwrap();
        assert_eq!(delivered.len(), 2);
        assert_eq!(scene.custom.reasons(), [Reason::Begin, Reason::Update]);
        assert_eq!(scene.default.reasons(), [Reason::Begin, Reason::Update]);
    }

    #[actix_rt::test]
    async fn send_now_before_begin_returns_the_reason() {
        let scene = Scene::new();
        assert_eq!(scene.scheduler.send(SendNow).await.unwrap(), Err(SendNowError::NotBegun));
    }

    #[actix_rt::test]
    async fn a_panic_neither_begins_a_second_run_nor_stops_the_schedule() {
        let scene = Scene::begun().await;
        scene.clock.panic_next(2);
        scene.scheduler.do_send(Tick);
        tokio::time::sleep(2 * HOUR).await;
        assert_eq!(scene.board.read().panics, 2);
        assert_eq!((scene.custom.count(Reason::Begin), scene.custom.count(Reason::Update)), (1, 2));
        assert_eq!(scene.finish().await.len(), 2);
    }

    /// Actor that counts its ticks.
    struct Publisher(Rc<Cell<u32>>);

    impl Actor for Publisher {
        type Context = Context<Self>;
    }

    impl Handler<Tick> for Publisher {
        type Result = ();

        fn handle(&mut self, _: Tick, _: &mut Self::Context) {
            self.0.set(self.0.get() + 1);
        }
    }

    #[actix_rt::test]
    async fn after_a_panic_the_publishers_are_asked_again_and_known_values_have_no_effect() {
        let scene = Scene::begun().await;
        let ticks = Rc::new(Cell::new(0));
        let identity = Identity(scene.stored_id.clone()).start().recipient();
        let publishers = vec![Publisher(ticks.clone()).start().recipient()];
        scene.scheduler.do_send(Introduce { identity, publishers });
        settle().await;
        assert_eq!(ticks.get(), 0);
        scene.clock.panic_next(1);
        scene.scheduler.do_send(Tick);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!((scene.board.read().panics, ticks.get()), (1, 1));
        scene.scheduler.do_send(Identified(ID));
        scene.scheduler.do_send(LicenseStateChanged(LicenseState::default()));
        settle().await;
        assert_eq!(scene.custom.reasons(), [Reason::Begin]);
    }

    #[actix_rt::test]
    async fn end_is_the_last_event_and_is_sent_once() {
        let scene = Scene::begun().await;
        assert_eq!(scene.finish().await.len(), 2);
        assert_eq!(scene.finish().await.len(), 0);
        scene.scheduler.do_send(LicenseStateChanged(LicenseState { valid: true, ..LicenseState::default() }));
        tokio::time::sleep(9 * HOUR).await;
        assert_eq!(scene.custom.reasons(), [Reason::Begin, Reason::End]);
        assert_eq!(scene.default.reasons(), [Reason::Begin, Reason::End]);
        assert_eq!(scene.scheduler.send(SendNow).await.unwrap(), Err(SendNowError::NotRunning));
    }

    #[actix_rt::test]
    async fn without_a_begin_there_is_no_end() {
        let scene = Scene::new();
        scene.scheduler.do_send(Identified(ID));
        assert_eq!(scene.finish().await, []);
        scene.scheduler.do_send(LicenseStateChanged(LicenseState::default()));
        settle().await;
        assert_eq!(scene.custom.reasons(), []);
    }
}
