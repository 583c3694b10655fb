//! What a host's own users notice of telemetry in trouble.
//!
//! Hosts of one binary are asked in turns of short windows, in an order that chance gives, so that what else
//! the machine does meets all of them alike, and are started anew after some turns. A second host without
//! telemetry shows how much two equal hosts differ.

use std::time::Duration;

use test_support::{Behaviour, FakeDestination, TestCluster, refused_url};

use crate::host::{LOG, STORE};
use crate::load::Load;
use crate::report::Report;
use crate::sections::kills::with_password;
use crate::subject::{Settings, Subject};
use crate::trial::{Context, Outcome, attempt, ensure};

/// A figure of a host in trouble against that of one without telemetry.
const LIMIT: f64 = 1.05;

/// Well below what such a host answers on one processor.
const RATE: u32 = 500;

const HEAD: [&str; 8] = [
    "host",
    "how often",
    "expected",
    "p50",
    "p99",
    "p99 against the host without",
    "p99 of the middle window",
    "that against the host without",
];

/// Names of the kinds of host. The first two are equal.
const KINDS: [&str; 5] = [
    "without telemetry",
    "without telemetry again: the noise",
    "every event hangs",
    "every event is refused",
    "the database is down",
];

/// All answers of a kind of host, by window.
struct Kind {
    name: &'static str,
    windows: Vec<Vec<Duration>>,
}

/// Measures by both kinds of load.
pub(crate) fn run(context: &Context, report: &mut Report) {
    for load in [Load::Open(RATE), Load::Closed].into_iter().take(context.times(2, 1)) {
        let how = match load {
            Load::Open(rate) => format!("{rate} requests a second, answered or not"),
            Load::Closed => "as many requests as are answered".to_owned(),
        };
        report.begin(&format!("Answers of a host while telemetry is in trouble: {how}"), &HEAD);
        if let Err(wrong) = attempt(|| measure(context, load, report)) {
            let wrong = report.cell(&how, Err(wrong));
            report.cells(&[wrong]);
        }
    }
}

fn measure(context: &Context, load: Load, report: &mut Report) -> Outcome<()> {
    // Two processes of one program differ, each for as long as it lives, so that all are started several times.
    let (starts, rounds, window) = match context.is_reduced {
        true => (1, 2, Duration::from_millis(100)),
        false => (5, 4, Duration::from_secs(2)),
    };
    let hanging = FakeDestination::start(Behaviour::HangBeforeHead);
    let mut cluster = TestCluster::start();
    let database = with_password(&cluster.url("postgres"));
    cluster.kill();
    let refused = refused_url();
    let authority = refused.trim_start_matches("http://").trim_end_matches('/');
    let to = |authority: &str| Settings::custom("http", authority, true);
    let mut kinds = KINDS.map(|name| Kind { name, windows: Vec::new() });
    let mut random = fastrand::Rng::with_seed(context.seed);
    for start in 1..=starts {
        let hosts = [
            Settings::bare(),
            Settings::bare(),
            to(&hanging.address().to_string()),
            to(authority),
            to(&hanging.address().to_string()).with(STORE, database.clone()),
        ]
        .map(|settings| settings.with(LOG, "info").start(context));
        for _ in 0..rounds {
            take_turns(load, window, &mut random, &hosts, &mut kinds)?;
        }
        // What hangs is not what is measured here, and a stop would wait for it.
        hanging.set_behaviour(Behaviour::Ok);
        for (host, kind) in hosts.into_iter().zip(&kinds) {
            let (is_well, _) = host.end_without_telemetry()?;
            ensure(is_well, || format!("{}: it did not exit with 0", kind.name))?;
        }
        hanging.set_behaviour(Behaviour::HangBeforeHead);
        eprintln!("  {start} of {starts}");
    }
    judge(context, load, report, &kinds, window);
    Ok(())
}

/// Asks each host for one window, in an order that chance gives.
fn take_turns(
    load: Load,
    window: Duration,
    random: &mut fastrand::Rng,
    hosts: &[Subject<'_>; 5],
    kinds: &mut [Kind; 5],
) -> Outcome<()> {
    let mut order: Vec<usize> = (0..KINDS.len()).collect();
    random.shuffle(&mut order);
    for index in order {
        let (host, kind) = (&hosts[index], &mut kinds[index]);
        host.order("/bother/true")?;
        let took = load.run(host.address, window);
        host.order("/bother/false")?;
        kind.windows.push(took.map_err(|error| format!("{}: {error}", kind.name))?);
    }
    Ok(())
}

fn judge(context: &Context, load: Load, report: &mut Report, kinds: &[Kind; 5], window: Duration) {
    let (bare, bare_window) = (kinds[0].quantile(99), kinds[0].middle_window());
    // What two equal hosts differ by says nothing of telemetry.
    let noise = (ratio(kinds[1].middle_window(), bare_window) - 1.0).abs();
    for (number, kind) in kinds.iter().enumerate() {
        let against = ratio(kind.middle_window(), bare_window);
        // Two windows are no figure: the reduced form sees that all hosts answer.
        let is_met = number < 2 || against <= LIMIT + noise || context.is_reduced;
        let should = match number {
            0 | 1 => String::new(),
            _ => format!("the last figure at most {LIMIT}, and the noise"),
        };
        let outcome = ensure(is_met, || format!("{against:.3}")).map(|()| format!("{against:.3}"));
        let verdict = report.cell(&format!("{load:?}, {}", kind.name), outcome);
        let (windows, answers) = (kind.windows.len(), kind.pooled().len());
        report.cells(&[
            kind.name.to_owned(),
            format!("{windows} windows of {} s, {answers} answers", window.as_secs_f64()),
            should,
            micros(kind.quantile(50)),
            micros(kind.quantile(99)),
            format!("{:.3}", ratio(kind.quantile(99), bare)),
            micros(kind.middle_window()),
            verdict,
        ]);
    }
}

impl Kind {
    fn pooled(&self) -> Vec<Duration> {
        let mut all = self.windows.concat();
        all.sort_unstable();
        all
    }

    fn quantile(&self, percent: usize) -> Duration {
        let all = self.pooled();
        all.get(all.len() * percent / 100).copied().unwrap_or_default()
    }

    /// The p99 of the window in the middle: one in which the machine did something else does not decide it.
    fn middle_window(&self) -> Duration {
        let p99 = |window: &Vec<Duration>| {
            let mut window = window.clone();
            window.sort_unstable();
            window.get(window.len() * 99 / 100).copied().unwrap_or_default()
        };
        let mut all: Vec<Duration> = self.windows.iter().map(p99).collect();
        all.sort_unstable();
        all[all.len() / 2]
    }
}

fn ratio(this: Duration, that: Duration) -> f64 {
    this.as_secs_f64() / that.as_secs_f64()
}

fn micros(duration: Duration) -> String {
    format!("{} µs", duration.as_micros())
}
