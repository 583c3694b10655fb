//! The simulation: posts each event of the plan when it is due.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::rt::spawn;
use actix_web::rt::task::JoinHandle;
use jiff::Timestamp;
use program::{Failure, Signals};
use simulator::{Delivery, Fleet, Sender, Webhook, scenarios};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::arguments::PlayArguments;
use crate::progress::{self, Results};

/// Number of events that may wait per connection. When the queues are full, the simulation falls behind its time and does
/// not grow.
const QUEUE_LENGTH: usize = 64;

/// Simulated time, computed from the real one.
#[derive(Clone, Copy)]
pub(crate) struct Time {
    began: Instant,
    began_at: Timestamp,
    pub(crate) speed: f64,
}

impl Time {
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed().mul_f64(self.speed)
    }

    /// The real time of a simulated `moment`. It does not depend on when it is asked for, so that a repetition is the same
    /// request again.
    fn at(&self, moment: Duration) -> Timestamp {
        self.began_at.checked_add(moment.div_f64(self.speed)).unwrap_or(Timestamp::MAX)
    }

    /// Real time until the simulated `moment`.
    fn until(&self, moment: Duration) -> Duration {
        moment.div_f64(self.speed).saturating_sub(self.began.elapsed())
    }
}

/// Plays a fleet until the end that was asked for, or a signal, and prints the truth about it.
pub(crate) async fn play(arguments: PlayArguments) -> Result<(), Failure> {
    let url = arguments.url.ok_or_else(|| Failure::Usage("--url is required".to_owned()))?;
    let webhook = Webhook::new(url, arguments.connections.into())
        .map_err(|problem| Failure::Usage(format!("--url cannot be used: {problem}")))?;
    let mut signals = Signals::listen().map_err(Failure::system("signals cannot be received"))?;
    // A receiver that does not listen at the start is a wrong URL, not an error to simulate.
    TcpStream::connect(webhook.address()).await.map_err(Failure::system("the receiver cannot be reached"))?;
    let outage = arguments.outage_at.zip(arguments.outage_length).map(|(at, length)| at..at + length);
    let fleet = Fleet { seed: arguments.seed, instances: arguments.instances, outage };
    let sender = Sender {
        speed: arguments.speed,
        token: arguments.token.map(|token| token.0),
        secret: arguments.secret.map(|secret| secret.0),
    };

    let results = Rc::new(RefCell::new(Results::default()));
    let time = Time { began: Instant::now(), began_at: Timestamp::now(), speed: arguments.speed };
    let (queues, posting) = start_posting(arguments.connections, &webhook, &sender, time, &results);
    let mut plan: Box<dyn Iterator<Item = Delivery>> = match arguments.scenarios {
        Some(seeds) => Box::new(of_scenarios(fleet.seed, seeds)),
        None => Box::new(fleet.plan()),
    };
    let progress = spawn(progress::show(fleet.clone(), time, results.clone()));
    let end = tokio::select! {
        end = queue_events(&mut plan, time, arguments.duration, &queues, &results) => end,
        () = signals.next() => {
            // A simulation that is behind has not sent what was due since.
            let before_next = results.borrow().next.saturating_sub(Duration::from_millis(1));
            time.now().min(before_next)
        }
    };
    let behind = results.borrow().behind(time);
    signals.exit_at_the_next();
    drop(queues);
    for task in posting {
        let _ = task.await;
    }
    progress.abort();
    match arguments.scenarios {
        Some(seeds) => progress::summarize_scenarios(fleet.seed, seeds, end, &results.borrow()),
        None => progress::summarize(&fleet, arguments.speed, end, behind, &results.borrow()),
    }
    Ok(())
}

/// What arrives from the instances of all scenarios with the key of the fleet. Events with other keys are not sent: there is
/// one webhook only.
fn of_scenarios(first: u64, seeds: u64) -> impl Iterator<Item = Delivery> {
    let stories = (first..first.saturating_add(seeds)).flat_map(scenarios::stories);
    let mut all: Vec<Delivery> = stories.flat_map(|story| story.deliveries(scenarios::Role::Fleet)).collect();
    all.sort_by_key(|delivery| delivery.at);
    all.into_iter()
}

type Queue = mpsc::Sender<Delivery>;

/// Starts as many tasks as there are connections, each with a queue. Tasks end when their queue is dropped and empty.
fn start_posting(
    connections: u16,
    webhook: &Webhook,
    sender: &Sender,
    time: Time,
    results: &Rc<RefCell<Results>>,
) -> (Vec<Queue>, Vec<JoinHandle<()>>) {
    (0..connections)
        .map(|_| {
            let (queue, queued) = mpsc::channel(QUEUE_LENGTH);
            (queue, spawn(post_all(webhook.clone(), sender.clone(), time, queued, results.clone())))
        })
        .unzip()
}

/// Queues each event when it is due, until `stop_at` or the last event. Returns the simulated time of the end.
async fn queue_events(
    plan: &mut dyn Iterator<Item = Delivery>,
    time: Time,
    stop_at: Option<Duration>,
    queues: &[Queue],
    results: &RefCell<Results>,
) -> Duration {
    loop {
        let next = plan.next();
        let at = next.map_or(Duration::MAX, |delivery| delivery.at);
        if let Some(end) = stop_at.filter(|end| *end <= at) {
            sleep(time.until(end)).await;
            return end;
        }
        let Some(delivery) = next else { return time.now() };
        results.borrow_mut().next = at;
        sleep(time.until(at)).await;
        // Events of one instance share a queue, so they are posted one after another.
        let queue = &queues[delivery.instance as usize % queues.len()];
        if queue.send(delivery).await.is_err() {
            return at;
        }
    }
}

/// Posts what is queued, one event after another. The real sender does not retry either.
async fn post_all(
    webhook: Webhook,
    sender: Sender,
    time: Time,
    mut queued: mpsc::Receiver<Delivery>,
    results: Rc<RefCell<Results>>,
) {
    while let Some(delivery) = queued.recv().await {
        let answer = webhook.post(&sender.request(&delivery, time.at(delivery.at))).await;
        results.borrow_mut().add(answer.map(|answer| answer.status));
    }
}
