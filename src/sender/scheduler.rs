//! The SchedulerActor decides when an event is sent and why (spec §3).
//!
//! The scheduler receives the instance id ([`Identified`]) and the license state ([`LicenseStateChanged`]). Once
//! both are known, it hands each destination `begin`, then `update` in every slot, `license-state-change` after
//! each change of the license, and `end` at [`Finish`]. An event is handed over as [`Deliver`].

use std::time::{Duration, SystemTime};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, Recipient, ResponseActFuture,
    ResponseFuture, Supervised, WrapFuture,
};
use futures_util::future::join_all;
use tokio::time::Instant;
use uuid::Uuid;

use super::config::DestinationName;
use super::destination::Deliver;
use super::heartbeat::{ONE_MINUTE, Tick};
use super::instance_id::{Identified, Identify};
use super::license_watcher::LicenseStateChanged;
use super::outcome::{Delivered, SendNowError};
use super::request::Event;
use super::slot::{SlotState, next_slot, slot_state};
use super::status::StatusBoard;
use crate::running::clock::Clock;
use crate::wire::license::LicenseState;
use crate::wire::payload::Reason;

/// Time after an event within which a slot is skipped, because the event already carried the whole state.
const QUIET: Duration = Duration::from_secs(60);

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

/// End of the run: each destination is handed its `end`, which has to be delivered by `deadline`.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<Delivered>")]
pub(crate) struct Finish {
    pub(crate) deadline: Instant,
}

/// Destination from the scheduler's point of view.
pub(crate) struct Scheduled {
    name: DestinationName,
    frequency: Duration,
    actor: Recipient<Deliver>,
    /// Time of the next update; `None` before `begin`.
    next_slot: Option<SystemTime>,
    /// Time at which the last event was handed over.
    last_event: Option<Instant>,
}

impl Scheduled {
    pub(crate) fn new(name: DestinationName, frequency: Duration, actor: Recipient<Deliver>) -> Self {
        Self { name, frequency, actor, next_slot: None, last_event: None }
    }
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
            Stage::Begun => self.deliver_to_all(Reason::LicenseStateChange),
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
                .filter_map(|index| {
                    let deliver = actor.event(index, Reason::Update)?;
                    Some(actor.destinations[index].actor.send(deliver))
                })
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

    fn handle(&mut self, Finish { deadline }: Finish, _: &mut Self::Context) -> Self::Result {
        tracing::trace!("takes Finish");
        let has_begun = self.stage == Stage::Begun;
        self.stage = Stage::Finished;
        let mut answers = Vec::new();
        for index in 0..self.destinations.len() {
            let name = self.destinations[index].name;
            self.board.update_destination(name, |status| status.next_slot = None);
            if let Some(end) = self.event(index, Reason::End).filter(|_| has_begun) {
                let end = Deliver { deadline: Some(deadline), ..end };
                answers.push(hand_over(self.destinations[index].actor.clone(), end));
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
            self.deliver_to_all(Reason::Begin);
            self.plan(ctx);
        }
    }

    /// Hands an event to every destination.
    fn deliver_to_all(&mut self, reason: Reason) {
        for index in 0..self.destinations.len() {
            if let Some(deliver) = self.event(index, reason) {
                self.destinations[index].actor.do_send(deliver);
            }
        }
    }

    /// Creates the next event for a destination; `None` before the id and the license are known.
    fn event(&mut self, index: usize, reason: Reason) -> Option<Deliver> {
        let (instance_id, license) = (self.instance_id?, self.license.clone()?);
        self.sequence += 1;
        self.destinations[index].last_event = Some(self.clock.monotonic());
        let event = Event { reason, instance_id, license, sequence: self.sequence };
        Some(Deliver { event, deadline: None })
    }

    /// Computes the next slot of each destination, and sets a timer for the first.
    fn plan(&mut self, ctx: &mut Context<Self>) {
        let Some(instance_id) = self.instance_id.filter(|_| self.stage == Stage::Begun) else { return };
        let now = self.clock.now();
        for destination in &mut self.destinations {
            let slot = next_slot(now, instance_id, destination.frequency);
            destination.next_slot = Some(slot);
            self.board.update_destination(destination.name, |status| status.next_slot = Some(slot));
        }
        self.wake_in_time(ctx);
    }

    /// Sets a timer for a slot that comes before the next tick.
    fn wake_in_time(&self, ctx: &mut Context<Self>) {
        let now = self.clock.now();
        let soonest = self.destinations.iter().filter_map(|destination| destination.next_slot).min();
        let remaining = soonest.map(|slot| slot.duration_since(now).unwrap_or_default());
        if let Some(remaining) = remaining.filter(|remaining| *remaining <= ONE_MINUTE) {
            ctx.run_later(remaining, |actor, ctx| actor.look(ctx));
        }
    }

    /// Looks at the clock: sends what is due, and computes the slots again after a jump of the clock.
    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.stage != Stage::Begun {
            return;
        }
        let now = self.clock.now();
        let states: Vec<SlotState> = self
            .destinations
            .iter()
            .map(|destination| slot_state(now, destination.next_slot, destination.frequency))
            .collect();
        match states.iter().all(|state| *state == SlotState::Ahead) {
            true => self.wake_in_time(ctx),
            false => self.plan(ctx),
        }
        let due: Vec<usize> = (0..states.len()).filter(|index| states[*index] == SlotState::Due).collect();
        if !due.is_empty() {
            let identified = self.identify().into_actor(self);
            ctx.spawn(identified.map(move |id, actor, ctx| {
                actor.learn(id, ctx);
                actor.update(&due);
            }));
        }
    }

    /// Hands the destinations that are `due` an `update`, except those that got another event within [`QUIET`].
    fn update(&mut self, due: &[usize]) {
        if self.stage != Stage::Begun {
            return;
        }
        let now = self.clock.monotonic();
        for &index in due {
            let last = self.destinations[index].last_event;
            if last.is_some_and(|last| now.duration_since(last) < QUIET) {
                continue;
            }
            if let Some(deliver) = self.event(index, Reason::Update) {
                self.destinations[index].actor.do_send(deliver);
            }
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

    /// Takes over an instance id that is new.
    fn learn(&mut self, id: Option<Uuid>, ctx: &mut Context<Self>) {
        if id.is_some() && id != self.instance_id {
            self.instance_id = id;
            self.begin_if_known(ctx);
            self.plan(ctx);
        }
    }
}

/// Hands over `end`, a second time if a panic lost the message or its answer, and returns the outcome.
async fn hand_over(destination: Recipient<Deliver>, end: Deliver) -> Option<Delivered> {
    match destination.send(end.clone()).await {
        Ok(delivered) => Some(delivered),
        Err(_) => destination.send(end).await.ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use actix::Addr;

    use super::*;
    use crate::running::clock::fake::FakeClock;
    use crate::running::clock::fake::start_of_tests;
    use crate::running::containment::Containment;
    use crate::sender::simulation::fakes::{ID, Recorder, settle};

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
            tokio::time::pause();
            let clock = FakeClock::at(start_of_tests());
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

    #[actix_rt::test]
    async fn an_id_changed_in_the_database_is_in_the_next_update() {
        let scene = Scene::begun().await;
        let other = Uuid::from_u128(7 << 64 | 7);
        scene.stored_id.set(Some(other));
        tokio::time::sleep(HOUR).await;
        assert_eq!(scene.custom.heard.borrow().last().unwrap().1.instance_id, other);
        let next = scene.board.read().destinations[0].next_slot.unwrap();
        assert_eq!(next, next_slot(scene.clock.now(), other, HOUR), "the slots are the new id's");
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
