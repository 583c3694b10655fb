//! `fleet simulate`: plays a made-up fleet against a receiver, in a time that runs faster than the real one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::rt::spawn;
use fleet::simulate::{Connection, Delivery, Fleet, Rules, Sender, Tally, Webhook};
use jiff::Timestamp;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::arguments::Simulate;
use crate::signals::Signals;
use crate::{Fault, machine, print};

/// So many events may wait for each connection; beyond it the simulation falls behind its time instead of growing.
const WAITING: usize = 64;

/// How often progress is told on a terminal, and how often in a log.
const PROGRESS: Duration = Duration::from_secs(1);
const PROGRESS_IN_A_LOG: u64 = 10;

/// Simulated time, by the real one.
#[derive(Clone, Copy)]
struct Time {
    began: Instant,
    speed: f64,
}

impl Time {
    fn now(&self) -> Duration {
        self.began.elapsed().mul_f64(self.speed)
    }

    /// How long it is until `moment` in real time.
    fn until(&self, moment: Duration) -> Duration {
        moment.div_f64(self.speed).saturating_sub(self.began.elapsed())
    }
}

/// What came of it so far.
#[derive(Default)]
struct Results {
    answers: BTreeMap<u16, u64>,
    errors: u64,
    last_error: Option<String>,
    /// When the event is due that is handed over next.
    next: Duration,
}

impl Results {
    fn sent(&self) -> u64 {
        self.answers.values().sum::<u64>() + self.errors
    }

    /// How long ago, in real time, the next event was due.
    fn behind(&self, time: Time) -> Duration {
        time.now().saturating_sub(self.next).div_f64(time.speed)
    }

    fn describe(&self) -> String {
        let mut text = format!("{} sent", self.sent());
        for (status, count) in &self.answers {
            let _ = write!(text, " · {status}: {count}");
        }
        let _ = write!(text, " · errors: {}", self.errors);
        if let Some(error) = &self.last_error {
            let _ = write!(text, " (the last: {error})");
        }
        text
    }
}

pub(crate) async fn play(arguments: Simulate) -> Result<(), Fault> {
    let webhook = Webhook::new(&arguments.url)
        .map_err(|fault| Fault::Usage(format!("--url cannot be used: {fault}")))?;
    let mut signals = Signals::listen().map_err(machine("signals cannot be received"))?;
    // Who is not there at the start is a wrong URL rather than a test of errors.
    TcpStream::connect(webhook.address()).await.map_err(machine("the receiver cannot be reached"))?;
    let outage = arguments.outage_at.zip(arguments.outage_length).map(|(at, length)| at..at + length);
    let fleet = Fleet { seed: arguments.seed, instances: arguments.instances, outage };
    let sender = Sender {
        speed: arguments.speed,
        token: arguments.token.map(|token| token.0),
        secret: arguments.secret.map(|secret| secret.0),
    };

    let results = Rc::new(RefCell::new(Results::default()));
    let mut plan = fleet.plan();
    let time = Time { began: Instant::now(), speed: arguments.speed };
    let (queues, connections): (Vec<_>, Vec<_>) = (0..arguments.connections)
        .map(|_| {
            let (queue, queued) = mpsc::channel(WAITING);
            let connection = Connection::new(webhook.clone());
            (queue, spawn(post_all(connection, sender.clone(), queued, results.clone())))
        })
        .unzip();
    let progress = spawn(tell_progress(fleet.clone(), time, results.clone()));

    let playing = async {
        loop {
            let next = plan.next();
            let at = next.map_or(Duration::MAX, |delivery| delivery.at);
            if let Some(end) = arguments.duration.filter(|end| *end <= at) {
                sleep(time.until(end)).await;
                return end;
            }
            let Some(delivery) = next else { return time.now() };
            results.borrow_mut().next = at;
            sleep(time.until(at)).await;
            // Those of one instance one after another.
            let queue = &queues[delivery.instance as usize % queues.len()];
            if queue.send(delivery).await.is_err() {
                return at;
            }
        }
    };
    let end = tokio::select! {
        end = playing => end,
        () = signals.next() => {
            // Where the simulation is behind, what was due since was not sent.
            let before_next = results.borrow().next.saturating_sub(Duration::from_millis(1));
            time.now().min(before_next)
        }
    };
    let behind = results.borrow().behind(time);
    signals.exit_at_the_next();
    drop(queues);
    for connection in connections {
        let _ = connection.await;
    }
    progress.abort();
    if behind > PROGRESS {
        eprintln!(
            "\nthe simulation was {} s behind its time: choose fewer instances, a lower speed or more connections",
            behind.as_secs()
        );
    }
    summarize(&fleet, arguments.speed, end, &results.borrow());
    Ok(())
}

/// Posts what comes, one after another; the sender does not try again either.
async fn post_all(
    mut connection: Connection,
    sender: Sender,
    mut queued: mpsc::Receiver<Delivery>,
    results: Rc<RefCell<Results>>,
) {
    while let Some(delivery) = queued.recv().await {
        let answer = connection.post(&sender.request(&delivery, Timestamp::now())).await;
        let mut results = results.borrow_mut();
        match answer {
            Ok(answer) => *results.answers.entry(answer.status).or_default() += 1,
            Err(error) => {
                results.errors += 1;
                results.last_error = Some(error.to_string());
            }
        }
    }
}

/// One line that is written over on a terminal, and now and then a line of its own elsewhere.
async fn tell_progress(fleet: Fleet, time: Time, results: Rc<RefCell<Results>>) {
    let is_terminal = std::io::stderr().is_terminal();
    let mut told_outage = None;
    let mut sent_before = 0;
    for second in 1.. {
        sleep(PROGRESS).await;
        let results = results.borrow();
        let sent = results.sent();
        let now = time.now().min(results.next);
        let behind = results.behind(time);
        if let Some(outage) = &fleet.outage
            && told_outage != Some(outage.contains(&now))
        {
            told_outage = Some(outage.contains(&now));
            match outage.contains(&now) {
                true => eprintln!("\nthe outage has begun: nothing is sent until {}", moment(outage.end)),
                false if now >= outage.end => eprintln!("\nthe outage is over"),
                false => {}
            }
        }
        if is_terminal || second % PROGRESS_IN_A_LOG == 0 {
            let line = format!(
                "{} · {}/s · {:.0} s behind · {}",
                moment(now),
                sent - sent_before,
                behind.as_secs_f64(),
                results.describe()
            );
            // To the end of the line, where the one before was longer.
            let _ = match is_terminal {
                true => write!(std::io::stderr(), "\r{line}\x1b[K"),
                false => writeln!(std::io::stderr(), "{line}"),
            };
        }
        sent_before = sent;
    }
}

fn summarize(fleet: &Fleet, speed: f64, end: Duration, results: &Results) {
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
    print(&format!(
        "seed {}, {} instances, {speed} times as fast, until {} of simulated time\n{}\n\nthe truth then:\n",
        fleet.seed,
        fleet.instances,
        moment(end),
        results.describe(),
    ));
    let mut rules = Rules::at_speed(speed);
    print(&Tally::of(fleet, &rules, end).to_string());
    if fleet.outage.as_ref().is_some_and(|outage| outage.start < end) {
        rules.forgiven = fleet.outage.clone();
        print("\nthe truth where the receiver itself was down for all of the outage:\n");
        print(&Tally::of(fleet, &rules, end).to_string());
    }
}

/// `3d 04:05`.
fn moment(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    format!("{}d {:02}:{:02}", minutes / 1440, minutes / 60 % 24, minutes % 60)
}
