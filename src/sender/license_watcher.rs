//! The LicenseWatcher keeps the state of the license and publishes each real change of it (spec §3).
//!
//! The host reports the license by [`Telemetry::license_changed`](crate::Telemetry::license_changed)
//! or by the message [`LicenseChanged`]. Both end in one [`LicenseInbox`], which keeps only the newest
//! state. The watcher hashes the key, forgets it, and publishes [`LicenseStateChanged`] to the
//! scheduler.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use actix::{Actor, AsyncContext, Context, Handler, Message, Recipient, Supervised};
use tokio::sync::Notify;

use super::heartbeat::{ONE_MINUTE, Tick};
use super::status::StatusBoard;
use crate::running::clock::Clock;
use crate::wire::license::{License, LicenseState};

/// Message with which an actor of the host reports the current license to
/// [`license_recipient`](crate::Telemetry::license_recipient).
///
/// A message equal to the previous one has no effect.
///
/// ```
/// use deployment_telemetry::{License, LicenseChanged, Recipient, Telemetry};
///
/// # let telemetry = Telemetry::disabled();
/// let license: Recipient<LicenseChanged> = telemetry.license_recipient();
/// license.do_send(LicenseChanged(License::valid("the license key")));
/// ```
#[derive(Clone, Debug, Default, Message)]
#[rtype(result = "()")]
pub struct LicenseChanged(pub License);

impl From<License> for LicenseChanged {
    fn from(license: License) -> Self {
        Self(license)
    }
}

/// Publication of the license state: when it is known for the first time, after each real change, and again
/// with each tick.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct LicenseStateChanged(pub(crate) LicenseState);

/// Request to process the message in the inbox.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Collect;

/// Inbox that holds the newest message of the host until the watcher collects it. The host never waits, and a
/// flood of messages takes no memory.
#[derive(Default)]
pub(crate) struct LicenseInbox {
    /// Rung by the handle; the supervisor waits for it.
    bell: Notify,
    newest: Mutex<Option<(License, Channel)>>,
    /// Number of messages that a newer one replaced before the watcher collected them.
    merged: AtomicU64,
}

/// Way by which a message arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// The handle, which puts the message into the inbox at once.
    Handle,
    /// The actor's mailbox, where the message may have waited while a newer one arrived by the handle.
    Mailbox,
}

impl LicenseInbox {
    /// Keeps `license` as the newest message. Returns whether the inbox was empty; the watcher must be notified then.
    ///
    /// A message from the mailbox does not replace one from the handle: where a host uses both ways at the same
    /// moment, the order of the two is unknown.
    pub(crate) fn put(&self, license: License, channel: Channel) -> bool {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match &*newest {
            Some((_, Channel::Handle)) if channel == Channel::Mailbox => Some((license, channel)),
            _ => newest.replace((license, channel)),
        };
        drop(newest);
        if before.is_some() {
            self.merged.fetch_add(1, Ordering::Relaxed);
        }
        before.is_none()
    }

    /// Notifies the telemetry thread. Waking the future on which that thread blocks costs the host less than
    /// waking an actor.
    pub(crate) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Resolves when the inbox was rung since the last call.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// Removes the newest message.
    fn take(&self) -> Option<License> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner).take();
        newest.map(|(license, _)| license)
    }

    /// Number of messages that a newer one replaced before the watcher collected them.
    pub(crate) fn merged(&self) -> u64 {
        self.merged.load(Ordering::Relaxed)
    }
}

/// Actor that keeps the state of the license.
pub(crate) struct LicenseWatcher {
    /// Whether there is an active destination. Without one, the watcher sets no timer.
    is_active: bool,
    inbox: Arc<LicenseInbox>,
    /// Recipient of the license state.
    subscriber: Recipient<LicenseStateChanged>,
    board: StatusBoard,
    clock: Clock,
    /// State that the host reported last.
    reported: LicenseState,
    /// State that was published last; `None` before the first time.
    published: Option<LicenseState>,
    /// Time of the timer for the end of the license. There is at most one timer, no matter how many messages
    /// the host sends.
    wakes_at: Option<SystemTime>,
}

impl LicenseWatcher {
    pub(crate) fn new(
        is_active: bool,
        inbox: Arc<LicenseInbox>,
        subscriber: Recipient<LicenseStateChanged>,
        board: StatusBoard,
        clock: Clock,
    ) -> Self {
        Self {
            is_active,
            inbox,
            subscriber,
            board,
            clock,
            reported: LicenseState::default(),
            published: None,
            wakes_at: None,
        }
    }
}

impl Actor for LicenseWatcher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look(ctx);
    }
}

impl Supervised for LicenseWatcher {
    /// Keeps the published state, and forgets the timer, which the panic removed. Messages that arrived in the
    /// meantime are in the inbox.
    fn restarting(&mut self, _: &mut Self::Context) {
        self.wakes_at = None;
    }
}

impl Handler<LicenseChanged> for LicenseWatcher {
    type Result = ();

    fn handle(&mut self, LicenseChanged(license): LicenseChanged, ctx: &mut Self::Context) {
        // The message is stored first, so that a panic after this does not lose it.
        if self.inbox.put(license, Channel::Mailbox) {
            ctx.notify(Collect);
        }
        tracing::trace!("takes LicenseChanged");
    }
}

impl Handler<Collect> for LicenseWatcher {
    type Result = ();

    fn handle(&mut self, _: Collect, ctx: &mut Self::Context) {
        tracing::trace!("takes Collect");
        self.look(ctx);
    }
}

impl Handler<Tick> for LicenseWatcher {
    type Result = ();

    /// Publishes the state even if it did not change, because a panic may have lost the last publication.
    fn handle(&mut self, _: Tick, ctx: &mut Self::Context) {
        tracing::trace!("takes Tick");
        self.published = None;
        self.look(ctx);
    }
}

impl LicenseWatcher {
    /// Processes the message in the inbox, looks at the clock, and publishes the state if it changed.
    fn look(&mut self, ctx: &mut Context<Self>) {
        // The clock comes first: if reading it panics, the message stays in the inbox.
        let now = self.clock.now();
        if let Some(license) = self.inbox.take() {
            self.reported = license.state();
        }
        let state = self.reported.clone().at(now);

        self.board.update(|status| {
            status.license = state.clone();
            status.merged_license_changes = self.inbox.merged();
        });
        if self.published.as_ref().is_none_or(|before| !before.says_the_same(&state)) {
            self.subscriber.do_send(LicenseStateChanged(state.clone()));
        }
        let remaining = state.valid_until.and_then(|until| until.duration_since(now).ok());
        self.published = Some(state);
        // An end that is more than a minute away is left to the ticks, which also notice that the clock jumped.
        if let Some(remaining) = remaining.filter(|remaining| self.is_active && *remaining <= ONE_MINUTE) {
            let end = now + remaining;
            if self.wakes_at.is_none_or(|at| end < at || at < now) {
                self.wakes_at = Some(end);
                ctx.run_later(remaining, |watcher, ctx| {
                    watcher.wakes_at = None;
                    watcher.look(ctx);
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::time::Duration;

    use actix::Addr;

    use super::*;
    use crate::running::clock::fake::FakeClock;
    use crate::running::clock::fake::start_of_tests;
    use crate::running::containment::Containment;
    use crate::sender::simulation::fakes::settle;

    struct Subscriber(Rc<RefCell<Vec<LicenseState>>>);

    impl Actor for Subscriber {
        type Context = Context<Self>;
    }

    impl Handler<LicenseStateChanged> for Subscriber {
        type Result = ();

        fn handle(&mut self, LicenseStateChanged(state): LicenseStateChanged, _: &mut Self::Context) {
            self.0.borrow_mut().push(state);
        }
    }

    struct Scene {
        clock: FakeClock,
        inbox: Arc<LicenseInbox>,
        board: StatusBoard,
        heard: Rc<RefCell<Vec<LicenseState>>>,
        watcher: Addr<LicenseWatcher>,
    }

    impl Scene {
        async fn new(initial: License) -> Self {
            tokio::time::pause();
            let clock = FakeClock::at(start_of_tests());
            let inbox = Arc::new(LicenseInbox::default());
            inbox.put(initial, Channel::Handle);
            let (heard, board) = (Rc::default(), StatusBoard::new());
            let subscriber = Subscriber(Rc::clone(&heard)).start().recipient();
            let watcher = LicenseWatcher::new(true, inbox.clone(), subscriber, board.clone(), clock.clock());
            let watcher = Containment::new("telemetry", clock.clock(), board.incidents())
                .start("license watcher", watcher);
            settle().await;
            Self { clock, inbox, board, heard, watcher }
        }

        async fn tell(&self, license: License) {
            self.watcher.send(LicenseChanged(license)).await.unwrap();
            settle().await;
        }

        fn validities(&self) -> Vec<bool> {
            self.heard.borrow().iter().map(|state| state.valid).collect()
        }
    }

    fn licensed(key: &str) -> License {
        License::valid(key)
    }

    #[actix_rt::test]
    async fn the_first_state_is_published_even_without_a_license() {
        let scene = Scene::new(License::none()).await;
        assert_eq!(*scene.heard.borrow(), [LicenseState::default()]);
    }

    #[actix_rt::test]
    async fn the_key_is_published_as_its_sha256() {
        let scene = Scene::new(licensed("abc")).await;
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(scene.heard.borrow()[0].key_hash.as_deref(), Some(hash));
        assert!(!format!("{:?}", licensed("abc")).contains("abc"));
    }

    #[actix_rt::test]
    async fn an_equal_message_has_no_effect() {
        let scene = Scene::new(licensed("abc")).await;
        scene.tell(licensed("abc")).await;
        let later = scene.clock.now() + Duration::from_secs(1_000_000);
        scene.tell(licensed("abc").until(later)).await;
        assert_eq!(scene.heard.borrow().len(), 1);
        scene.tell(licensed("abd")).await;
        scene.tell(License::invalid("abd")).await;
        scene.tell(License::none()).await;
        assert_eq!(scene.validities(), [true, true, false, false]);
        assert_eq!(scene.heard.borrow().last().unwrap().key_hash, None);
    }

    #[actix_rt::test]
    async fn the_end_of_a_license_is_published_on_time_and_once() {
        let scene = Scene::new(License::none()).await;
        let until = scene.clock.now() + Duration::from_millis(90_500);
        scene.tell(licensed("abc").until(until)).await;
        tokio::time::sleep(ONE_MINUTE).await;
        scene.watcher.send(Tick).await.unwrap();
        tokio::time::sleep(Duration::from_millis(30_400)).await;
        // A tick makes the watcher publish the state again.
        assert_eq!(scene.validities(), [false, true, true]);
        tokio::time::sleep(Duration::from_millis(110)).await;
        assert_eq!(scene.validities(), [false, true, true, false]);
        scene.watcher.send(Tick).await.unwrap();
        tokio::time::sleep(ONE_MINUTE).await;
        assert_eq!(scene.validities(), [false, true, true, false, false]);
        assert!(!scene.board.read().license.valid);
    }

    #[actix_rt::test]
    async fn the_end_of_a_license_is_noticed_after_the_machine_slept() {
        let scene = Scene::new(License::none()).await;
        let until = scene.clock.now() + Duration::from_secs(3600);
        scene.tell(licensed("abc").until(until)).await;
        scene.clock.jump_forward(Duration::from_secs(7200));
        scene.watcher.send(Tick).await.unwrap();
        settle().await;
        assert_eq!(scene.validities(), [false, true, false]);
    }

    #[test]
    fn a_message_from_the_mailbox_does_not_replace_one_from_the_handle() {
        let inbox = LicenseInbox::default();
        assert!(inbox.put(licensed("by handle"), Channel::Handle));
        assert!(!inbox.put(licensed("by mailbox"), Channel::Mailbox));
        assert_eq!(inbox.take().unwrap().state(), licensed("by handle").state());
        assert_eq!(inbox.merged(), 1);
        assert!(inbox.put(licensed("by mailbox"), Channel::Mailbox));
        assert!(!inbox.put(licensed("by handle"), Channel::Handle));
        assert_eq!(inbox.take().unwrap().state(), licensed("by handle").state());
    }

    #[actix_rt::test]
    async fn a_panic_loses_no_message() {
        let scene = Scene::new(License::none()).await;
        scene.clock.panic_next(2);
        scene.watcher.do_send(LicenseChanged(licensed("abc")));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(scene.board.read().panics, 2);
        assert_eq!(scene.validities(), [false, true]);
        scene.tell(License::none()).await;
        assert_eq!(scene.validities(), [false, true, false]);
    }

    #[actix_rt::test]
    async fn a_flood_of_messages_is_merged_counted_and_its_last_state_is_published() {
        let scene = Scene::new(License::none()).await;
        for n in 0..1_000 {
            let license = License::new(Some(format!("key {n}").into()), n % 2 == 0);
            scene.watcher.do_send(LicenseChanged(license));
        }
        settle().await;
        let last = License::invalid("key 999").state();
        assert_eq!(scene.heard.borrow().last(), Some(&last));
        assert!(!scene.board.read().license.valid);
        let (published, merged) = (scene.heard.borrow().len() as u64 - 1, scene.inbox.merged());
        assert!(merged > 0 && published + merged >= 1_000, "published {published}, merged {merged}");
        assert_eq!(scene.board.read().merged_license_changes, merged);
    }
}
