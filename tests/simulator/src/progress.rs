//! What the simulation shows while it runs, and at its end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::rc::Rc;
use std::time::Duration;

use program::print;
use simulator::scenarios::Scenario;
use simulator::{Fleet, Rules, Tally};
use tokio::time::sleep;

use crate::play::Time;

/// Interval at which progress is shown on a terminal.
const INTERVAL: Duration = Duration::from_secs(1);

/// Number of intervals between two lines of a log.
const INTERVALS_PER_LOG_LINE: u64 = 10;

/// What became of the events so far.
#[derive(Default)]
pub(crate) struct Results {
    /// Number of answers by status code.
    answers: BTreeMap<u16, u64>,
    /// Number of requests without an answer.
    errors: u64,
    last_error: Option<String>,
    /// Simulated time at which the next event is due.
    pub(crate) next: Duration,
}

impl Results {
    /// Adds the status of an answer, or why there is none.
    pub(crate) fn add(&mut self, answer: Result<u16, Box<dyn Error>>) {
        match answer {
            Ok(status) => *self.answers.entry(status).or_default() += 1,
            Err(error) => {
                self.errors += 1;
                self.last_error = Some(error.to_string());
            }
        }
    }

    fn sent(&self) -> u64 {
        self.answers.values().sum::<u64>() + self.errors
    }

    /// Real time since the next event was due.
    pub(crate) fn behind(&self, time: Time) -> Duration {
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

/// Shows the progress until the task is aborted: one line that is overwritten on a terminal, a line now and then in a log.
pub(crate) async fn show(fleet: Fleet, time: Time, results: Rc<RefCell<Results>>) {
    let is_terminal = std::io::stderr().is_terminal();
    let mut is_in_outage = false;
    let mut sent_before = 0;
    for interval in 1.. {
        sleep(INTERVAL).await;
        let results = results.borrow();
        let sent = results.sent();
        let now = time.now().min(results.next);
        if let Some(outage) = &fleet.outage
            && is_in_outage != outage.contains(&now)
        {
            is_in_outage = !is_in_outage;
            match is_in_outage {
                true => eprintln!("\nthe outage has begun: nothing is sent until {}", moment(outage.end)),
                false => eprintln!("\nthe outage is over"),
            }
        }
        if is_terminal || interval % INTERVALS_PER_LOG_LINE == 0 {
            let line = format!(
                "{} · {}/s · {:.0} s behind · {}",
                moment(now),
                sent - sent_before,
                results.behind(time).as_secs_f64(),
                results.describe()
            );
            // `\x1b[K` erases the rest of a longer line before.
            let _ = match is_terminal {
                true => write!(std::io::stderr(), "\r{line}\x1b[K"),
                false => writeln!(std::io::stderr(), "{line}"),
            };
        }
        sent_before = sent;
    }
}

/// Prints the results, and the truth at the simulated time `end`.
pub(crate) fn summarize(fleet: &Fleet, speed: f64, end: Duration, behind: Duration, results: &Results) {
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
    if behind > INTERVAL {
        eprintln!(
            "the simulation was {} s behind its time: choose fewer instances, a lower speed or more connections",
            behind.as_secs()
        );
    }
    print(&format!(
        "seed {}, {} instances, {speed} times as fast, until {} of simulated time\n{}\n\nthe truth at that time:\n",
        fleet.seed,
        fleet.instances,
        moment(end),
        results.describe(),
    ));
    let mut rules = Rules::at_speed(speed);
    print(&Tally::of(fleet, &rules, end).to_string());
    if fleet.outage.as_ref().is_some_and(|outage| outage.start < end) {
        rules.forgiven = fleet.outage.clone();
        print("\nthe truth if the receiver itself was down for all of the outage:\n");
        print(&Tally::of(fleet, &rules, end).to_string());
    }
}

/// Prints the results, and where to find the instances of each scenario.
pub(crate) fn summarize_scenarios(first: u64, seeds: u64, end: Duration, results: &Results) {
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
    print(&format!(
        "scenarios of {seeds} seeds from {first} on, until {} of simulated time\n{}\n\nsearch for the name of a scenario to see \
         its instances:\n",
        moment(end),
        results.describe(),
    ));
    for scenario in Scenario::ALL {
        print(&format!("  {}\n", scenario.as_str()));
    }
}

/// A simulated time, such as `3d 04:05`.
fn moment(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    format!("{}d {:02}:{:02}", minutes / 1440, minutes / 60 % 24, minutes % 60)
}
