//! The InstanceIdActor keeps the identity of this instance (spec §6).
//!
//! The actor reads the instance id from the state store at start, and tries again with growing pauses while the
//! database is down. It reads the id again whenever the scheduler asks with [`Identify`], so that a change made
//! in SQL takes effect without a restart. It publishes the id to the scheduler as [`Identified`].

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, Recipient, ResponseFuture, Supervised,
    WrapFuture,
};
use futures_util::FutureExt;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::heartbeat::Tick;
use super::state::{AnyStateStore, StateError, StateStore};
use super::status::StatusBoard;
use crate::running::causes;
use crate::running::text::trimmed;

/// Key of the row in `server_state`.
pub(super) const KEY: &str = "instance_id";

/// Time limit of one reading, including the writing of a new id.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Pause before the second attempt to read the id. It doubles with each further attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Number of times that an invalid row is replaced. An attempt fails only if another process changed the row in
/// the meantime, which does not happen this often in a row.
const MOST_RACES: usize = 100;

/// Number of characters that the log shows of a stored value that was replaced.
const SHOWN_OF_REPLACED: usize = 12;

/// Publication of the instance id: when it is known for the first time, when it changed, and with each tick.
#[derive(Clone, Copy, Debug, Message, PartialEq, Eq)]
#[rtype(result = "()")]
pub(crate) struct Identified(pub(crate) Uuid);

/// Request to read the id again. The answer is the known id if the store does not answer; `None` if no id is
/// known.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<Uuid>")]
pub(crate) struct Identify;

/// Actor that keeps the instance id.
pub(crate) struct InstanceIdActor {
    store: AnyStateStore,
    /// Whether there is an active destination. Without one, the actor stores no id.
    is_active: bool,
    /// Recipient of the id.
    subscriber: Recipient<Identified>,
    board: StatusBoard,
    /// Id that was read last.
    known: Option<Uuid>,
    /// Whether a reading is under way. There is at most one at a time.
    is_reading: bool,
    /// Requests that wait for the reading.
    waiting: Vec<oneshot::Sender<Option<Uuid>>>,
    /// Pause before the next attempt.
    pause: Duration,
    /// Whether the last reading succeeded; `None` before the first.
    store_is_well: Option<bool>,
}

impl InstanceIdActor {
    pub(crate) fn new(
        store: AnyStateStore,
        is_active: bool,
        subscriber: Recipient<Identified>,
        board: StatusBoard,
    ) -> Self {
        Self {
            store,
            is_active,
            subscriber,
            board,
            known: None,
            is_reading: false,
            waiting: Vec::new(),
            pause: FIRST_PAUSE,
            store_is_well: None,
        }
    }
}

impl Actor for InstanceIdActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if self.known.is_none() {
            self.read(ctx);
        }
    }
}

impl Supervised for InstanceIdActor {
    /// Keeps the known id, with which the waiting requests are answered.
    fn restarting(&mut self, _: &mut Self::Context) {
        self.is_reading = false;
        self.waiting.clear();
    }
}

impl Handler<Identify> for InstanceIdActor {
    type Result = ResponseFuture<Option<Uuid>>;

    fn handle(&mut self, _: Identify, ctx: &mut Self::Context) -> Self::Result {
        tracing::trace!("takes Identify");
        let (answer, answered) = oneshot::channel();
        self.waiting.push(answer);
        let known = self.known;
        self.read(ctx);
        Box::pin(async move { answered.await.unwrap_or(known) })
    }
}

impl Handler<Tick> for InstanceIdActor {
    type Result = ();

    /// Publishes the known id again, because a panic may have lost the last publication.
    fn handle(&mut self, _: Tick, _: &mut Self::Context) {
        tracing::trace!("takes Tick");
        if let Some(id) = self.known {
            self.subscriber.do_send(Identified(id));
        }
    }
}

impl InstanceIdActor {
    /// Reads the id, and tries again while the store fails and no id is known.
    fn read(&mut self, ctx: &mut Context<Self>) {
        if self.is_reading {
            return;
        }
        self.is_reading = true;
        let read = read_or_create(self.store.clone(), self.known, self.is_active).into_actor(self);
        ctx.spawn(read.map(|result, actor, ctx| {
            actor.is_reading = false;
            let has_failed = result.is_err();
            actor.learn(result);
            for waiting in actor.waiting.drain(..) {
                let _ = waiting.send(actor.known);
            }
            if has_failed && actor.known.is_none() {
                let pause = actor.pause;
                actor.pause = (pause * 2).min(LONGEST_PAUSE);
                ctx.run_later(pause, Self::read);
            }
        }));
    }

    /// Takes over the result of a reading, and publishes an id that is new.
    fn learn(&mut self, result: Result<Option<Uuid>, StateError>) {
        match result {
            Ok(id) => {
                if self.store_is_well.replace(true) == Some(false) {
                    tracing::info!("[telemetry] the instance id can be read again");
                }
                self.board.update(|status| {
                    status.instance_id = id;
                    status.state_store_error = None;
                });
                if let Some(id) = id
                    && self.known.replace(id) != Some(id)
                {
                    tracing::debug!("[telemetry] instance_id={id}");
                    self.subscriber.do_send(Identified(id));
                }
            }
            Err(error) => {
                let error = causes::in_one_line(&*error);
                let consequence = match self.known {
                    Some(_) => "the known one stays in use",
                    None => "nothing is sent until it can be",
                };
                if self.store_is_well.replace(false) == Some(false) {
                    tracing::debug!(
                        "[telemetry] the instance id cannot be read or stored; {consequence}: {error}"
                    );
                } else {
                    tracing::warn!(
                        "[telemetry] the instance id cannot be read or stored; {consequence}: {error}"
                    );
                }
                self.board.update(|status| status.state_store_error = Some(error));
            }
        }
    }
}

/// Reads the id within [`TIME_LIMIT`]. A store that holds none gets the known id or a random one if telemetry
/// is active, and stays as it is otherwise.
async fn read_or_create(
    store: AnyStateStore,
    known: Option<Uuid>,
    is_active: bool,
) -> Result<Option<Uuid>, StateError> {
    let id = async {
        match is_active {
            true => establish(&store, known.unwrap_or_else(Uuid::new_v4)).await.map(Some),
            false => stored(&store).await,
        }
    };
    tokio::time::timeout(TIME_LIMIT, id).await.map_err(|_| NoAnswer)?
}

/// The store did not answer in time.
#[derive(Debug, thiserror::Error)]
#[error("the state store did not answer within {} s; check the database or the disk", TIME_LIMIT.as_secs())]
struct NoAnswer;

/// Returns the id in the store if it holds a valid one.
async fn stored(store: &AnyStateStore) -> Result<Option<Uuid>, StateError> {
    Ok(store.read(KEY).await?.as_deref().and_then(parse))
}

/// Writes an id as it is stored: a JSON string.
pub(super) fn to_json(id: Uuid) -> String {
    serde_json::Value::from(id.to_string()).to_string()
}

/// Returns the id in the store. If the store holds no valid id, stores and returns `candidate`, unless another
/// process stored an id first: then that id is returned, so that all processes agree.
async fn establish(store: &AnyStateStore, candidate: Uuid) -> Result<Uuid, StateError> {
    for _ in 0..MOST_RACES {
        let stored = store.read(KEY).await?;
        if let Some(id) = stored.as_deref().and_then(parse) {
            return Ok(id);
        }
        if store.replace(KEY, stored.as_deref(), &to_json(candidate)).await? {
            if let Some(replaced) = stored {
                warn_of_replacement(&replaced, candidate);
            }
            return Ok(candidate);
        }
    }
    Err(format!(
        "the stored instance id changes faster than it can be read; look for another program that writes the row {KEY}"
    )
    .into())
}

/// Reads the id for a preview, without storing one. It runs on a thread of the host, so it catches a panic of
/// the store.
pub(crate) async fn peek(store: &AnyStateStore) -> Result<Option<Uuid>, StateError> {
    let read = AssertUnwindSafe(stored(store)).catch_unwind();
    match tokio::time::timeout(TIME_LIMIT, read).await {
        Ok(Ok(stored)) => stored,
        Ok(Err(_)) => Err("the state store panicked".into()),
        Err(_) => Err(NoAnswer.into()),
    }
}

/// Reads a JSON string that holds a UUID as people paste it: with blanks or a newline around it, in braces, with
/// `urn:uuid:`, in capitals. The nil and the max UUID identify no instance.
fn parse(json: &str) -> Option<Uuid> {
    let text: String = serde_json::from_str(json).ok()?;
    let text = trimmed(&text).to_ascii_lowercase();
    let text = text.strip_prefix("urn:uuid:").unwrap_or(&text);
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    Uuid::parse_str(trimmed(inner)).ok().filter(|id| !id.is_nil() && !id.is_max())
}

/// Logs that the stored value was replaced. Shows the beginning of the value, by which an operator recognizes it.
fn warn_of_replacement(replaced: &str, by: Uuid) {
    let length = replaced.chars().count();
    let shown: String = replaced.chars().take(SHOWN_OF_REPLACED).collect();
    let dots = if length > SHOWN_OF_REPLACED { "…" } else { "" };
    tracing::warn!(
        "[telemetry] the row {KEY:?} of the table server_state held no UUID as a JSON string, but {shown:?}{dots} \
         ({length} characters); the row was replaced, and the instance id is {by}. Correct the row to use another id"
    );
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use actix::Addr;

    use super::*;
    use crate::running::log::Log;
    use crate::sender::simulation::fakes::{FakeStore, Fault, ID, settle};

    struct Subscriber(Rc<RefCell<Vec<Uuid>>>);

    impl Actor for Subscriber {
        type Context = Context<Self>;
    }

    impl Handler<Identified> for Subscriber {
        type Result = ();

        fn handle(&mut self, Identified(id): Identified, _: &mut Self::Context) {
            self.0.borrow_mut().push(id);
        }
    }

    fn quoted(id: Uuid) -> String {
        format!("\"{id}\"")
    }

    fn start(store: &FakeStore) -> (Addr<InstanceIdActor>, Rc<RefCell<Vec<Uuid>>>, StatusBoard) {
        tokio::time::pause();
        let heard = Rc::default();
        let board = StatusBoard::new();
        let subscriber = Subscriber(Rc::clone(&heard)).start().recipient();
        let actor =
            InstanceIdActor::new(AnyStateStore::new(store.clone()), true, subscriber, board.clone()).start();
        (actor, heard, board)
    }

    #[actix_rt::test]
    async fn a_disabled_telemetry_reads_the_id_and_stores_none() {
        tokio::time::pause();
        for (row, id) in [(None, None), (Some("7".to_owned()), None), (Some(quoted(ID)), Some(ID))] {
            let (store, board) = (FakeStore::new(row.as_deref()), StatusBoard::new());
            store.set(Fault::Fail);
            let heard = Rc::default();
            let subscriber = Subscriber(Rc::clone(&heard)).start().recipient();
            InstanceIdActor::new(AnyStateStore::new(store.clone()), false, subscriber, board.clone()).start();
            settle().await;
            assert!(board.read().state_store_error.is_some());
            store.set(Fault::None);
            tokio::time::sleep(Duration::from_secs(300)).await;
            assert_eq!(board.read().instance_id, id, "{row:?}");
            assert_eq!(board.read().state_store_error, None, "{row:?}");
            assert_eq!(*store.row.lock().unwrap(), row);
            assert_eq!(store.reads.lock().unwrap().len(), 2, "an answer is not asked for again");
        }
    }

    #[actix_rt::test]
    async fn a_stored_id_is_used_unchanged_and_logged_at_debug() {
        let log = Log::collect();
        let store = FakeStore::new(Some(&quoted(ID)));
        let (_, heard, board) = start(&store);
        settle().await;
        assert_eq!(*heard.borrow(), [ID]);
        assert_eq!(board.read().instance_id, Some(ID));
        assert_eq!(log.lines(), [format!("DEBUG [telemetry] instance_id={ID}")]);
    }

    #[actix_rt::test]
    async fn a_row_that_holds_no_uuid_is_replaced_by_a_random_one() {
        tokio::time::pause();
        let nil = quoted(Uuid::nil());
        for row in [
            None,
            Some("null"),
            Some("{}"),
            Some("7"),
            Some("\"\""),
            Some("\"x\""),
            Some("garbage"),
            Some(nil.as_str()),
        ] {
            let store = FakeStore::new(row);
            let id = establish(&AnyStateStore::new(store.clone()), Uuid::new_v4()).await.unwrap();
            assert_eq!(id.get_version_num(), 4, "{row:?}");
            assert_eq!(store.row.lock().unwrap().as_deref(), Some(quoted(id).as_str()), "{row:?}");
        }
    }

    #[actix_rt::test]
    async fn an_id_is_read_as_people_paste_it_and_left_as_it_is() {
        tokio::time::pause();
        let log = Log::collect();
        let (hyphenated, capitals, simple) = (ID.to_string(), ID.to_string().to_uppercase(), ID.simple());
        for text in [
            format!("{hyphenated}\n"),
            format!(" \t{hyphenated}\r\n"),
            format!("\u{feff}{hyphenated}"),
            capitals.clone(),
            format!("{{{capitals}}}"),
            format!(" {{ {hyphenated} }} "),
            format!("urn:uuid:{hyphenated}"),
            format!("URN:UUID:{capitals}\n"),
            format!("{simple}"),
        ] {
            let row = serde_json::Value::from(text.as_str()).to_string();
            let store = FakeStore::new(Some(&row));
            assert_eq!(
                establish(&AnyStateStore::new(store.clone()), Uuid::new_v4()).await.unwrap(),
                ID,
                "{text:?}"
            );
            assert_eq!(store.row.lock().unwrap().as_deref(), Some(row.as_str()), "{text:?}");
        }
        assert_eq!(log.count("WARN"), 0);
    }

    #[actix_rt::test]
    async fn a_value_that_is_replaced_is_warned_of_at_start_and_while_running() {
        let log = Log::collect();
        let store = FakeStore::new(Some("{\"id\":\"4915a241-ba4e-4d2c-8f6e-0123456789ab\"}"));
        let (actor, heard, _) = start(&store);
        settle().await;
        let id = heard.borrow()[0];
        let warning = format!(
            "WARN [telemetry] the row \"instance_id\" of the table server_state held no UUID as a JSON string, but \
             \"{{\\\"id\\\":\\\"4915a\"… (45 characters); the row was replaced, and the instance id is {id}. Correct the \
             row to use another id"
        );
        assert_eq!(log.lines()[0], warning);

        *store.row.lock().unwrap() = Some("\"4915a241-ba4e-4d2c-8f6e-0123456789a\"".to_owned());
        assert_eq!(actor.send(Identify).await.unwrap(), Some(id));
        assert_eq!(
            log.count("\"\\\"4915a241-ba\"… (37 characters); the row was replaced, and the instance id"),
            1
        );
        assert_eq!(log.count("WARN"), 2);

        *store.row.lock().unwrap() = None;
        assert_eq!(actor.send(Identify).await.unwrap(), Some(id));
        assert_eq!(log.count("WARN"), 2, "an empty store is no mistake of anybody");
    }

    #[actix_rt::test]
    async fn the_id_of_a_faster_process_is_used() {
        let store = FakeStore::new(Some("\"invalid\""));
        *store.rival.lock().unwrap() = Some(quoted(ID));
        assert_eq!(establish(&AnyStateStore::new(store.clone()), Uuid::new_v4()).await.unwrap(), ID);
    }

    #[actix_rt::test]
    async fn a_database_that_is_down_is_read_again_with_growing_pauses() {
        let log = Log::collect();
        let store = FakeStore::new(Some(&quoted(ID)));
        store.set(Fault::Fail);
        let (_, heard, board) = start(&store);
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert!(heard.borrow().is_empty());
        assert_eq!(board.read().state_store_error.as_deref(), Some("the database is down"));
        let reads = store.reads.lock().unwrap().clone();
        let pauses: Vec<u64> =
            reads.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64().round() as u64).collect();
        assert_eq!(pauses, [1, 1, 2, 4, 8, 16, 32, 60, 60, 60], "0.5 s rounds to 1");
        assert_eq!((log.count("WARN"), log.count("DEBUG")), (1, reads.len() - 1));

        store.set(Fault::None);
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert_eq!(*heard.borrow(), [ID]);
        assert_eq!(board.read().state_store_error, None);
        assert_eq!(log.count("INFO [telemetry] the instance id can be read again"), 1);
    }

    #[actix_rt::test]
    async fn a_store_that_never_answers_is_given_up_and_read_again() {
        let store = FakeStore::new(Some(&quoted(ID)));
        store.set(Fault::Hang);
        let (_, heard, board) = start(&store);
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert!(board.read().state_store_error.unwrap().contains("did not answer within 5 s"));
        store.set(Fault::None);
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(*heard.borrow(), [ID]);
    }

    #[actix_rt::test]
    async fn a_changed_row_is_read_on_request_and_published() {
        let store = FakeStore::new(Some(&quoted(ID)));
        let (actor, heard, _) = start(&store);
        settle().await;
        let other = Uuid::new_v4();
        *store.row.lock().unwrap() = Some(quoted(other));
        assert_eq!(actor.send(Identify).await.unwrap(), Some(other));
        settle().await;
        assert_eq!(*heard.borrow(), [ID, other]);
    }

    #[actix_rt::test]
    async fn the_known_id_stays_in_use_without_the_database_and_replaces_a_deleted_row() {
        let store = FakeStore::new(Some(&quoted(ID)));
        let (actor, _, _) = start(&store);
        settle().await;
        for fault in [Fault::Fail, Fault::Hang] {
            store.set(fault);
            assert_eq!(actor.send(Identify).await.unwrap(), Some(ID));
        }
        store.set(Fault::None);
        *store.row.lock().unwrap() = None;
        assert_eq!(actor.send(Identify).await.unwrap(), Some(ID));
        assert_eq!(store.row.lock().unwrap().clone(), Some(quoted(ID)));
    }

    #[actix_rt::test]
    async fn many_requests_at_once_cause_one_reading() {
        let store = FakeStore::new(Some(&quoted(ID)));
        let (actor, _, _) = start(&store);
        settle().await;
        store.set(Fault::Hang);
        let before = store.reads.lock().unwrap().len();
        let questions = futures_util::future::join_all((0..100).map(|_| actor.send(Identify)));
        assert!(questions.await.iter().all(|answer| *answer == Ok(Some(ID))));
        assert_eq!(store.reads.lock().unwrap().len(), before + 1);
    }

    #[actix_rt::test]
    async fn a_store_that_panics_is_read_again() {
        let store = FakeStore::new(Some(&quoted(ID)));
        store.set(Fault::Panic);
        tokio::time::pause();
        let board = StatusBoard::new();
        let heard: Rc<RefCell<Vec<Uuid>>> = Rc::default();
        let subscriber = Subscriber(Rc::clone(&heard)).start().recipient();
        let actor = InstanceIdActor::new(AnyStateStore::new(store.clone()), true, subscriber, board.clone());
        let containment = crate::running::containment::Containment::new(
            "telemetry",
            crate::running::clock::Clock::system(),
            board.incidents(),
        );
        let actor = containment.start("instance id", actor);
        settle().await;
        store.set(Fault::None);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(*heard.borrow(), [ID]);
        store.set(Fault::Panic);
        assert_eq!(actor.send(Identify).await, Ok(Some(ID)), "the known id stays in use");
        assert_eq!(board.read().panics, 2);
        store.set(Fault::None);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(actor.send(Identify).await, Ok(Some(ID)));
    }

    #[actix_rt::test]
    async fn peeking_stores_nothing_and_contains_panics() {
        tokio::time::pause();
        let store = FakeStore::new(None);
        assert_eq!(peek(&AnyStateStore::new(store.clone())).await.unwrap(), None);
        assert_eq!(*store.row.lock().unwrap(), None);
        for fault in [Fault::Fail, Fault::Hang, Fault::Panic] {
            store.set(fault);
            assert!(peek(&AnyStateStore::new(store.clone())).await.is_err(), "{fault:?}");
        }
    }
}
