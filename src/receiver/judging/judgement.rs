//! What the runs of an instance mean at a moment: its state, its flags, and what changed (receiver §3).
//!
//! A pure function of what is stored and of the moment: the same runs, outages and moment give the
//! same answer, in whatever order the events arrived.

use jiff::{SignedDuration, Timestamp};

use crate::receiver::store::{Flags, Instance, JUDGED_RUNS, Judgement, Loss, Losses, Outage, Run};

mod judged;
mod restarting;
mod silence;
mod standing;
mod transitions;

use judged::{Judged, by_last_sight};
use restarting::Loop;
use silence::later;
pub(crate) use silence::{deadlines_after, grace};
use standing::{Standing, standing};

/// Time for which a loss and the evidence of a clone are shown.
pub(crate) const REMEMBERED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Judges `instance` by its `runs` at `now`, from what was last judged of it.
///
/// Events may have been received after `now` was read. They are judged as well, because no news of
/// them will follow: the moment that is judged is the later of `now` and the last event.
///
/// `outages` are those of the receivers, oldest first and without overlaps. A deadline moves by the
/// part of them that lies within the silence, because nobody could have been heard then. The part of
/// an outage that lies in the future does not count.
pub(crate) fn decide(instance: &Instance, runs: &[Run], outages: &[Outage], now: Timestamp) -> Judgement {
    let Some(last_seen_at) = runs.iter().map(|run| run.last_seen_at).max() else {
        return unchanged(instance, now);
    };
    let now = now.max(last_seen_at);
    let runs = Judged::all(runs, last_seen_at, outages, now);

    let standing = standing(&runs, now);
    let lost = lost(&runs, now);
    let losses = losses(&runs, now);
    let forked_at = runs.iter().filter_map(|run| run.run.forked_at).max();
    let restarts = restarting::find(instance, &runs, now);
    let flags = Flags {
        crashed: losses.count > 0,
        several_runs: has_several_runs(&runs, now),
        cloned: forked_at.is_some_and(|at| now < later(at, REMEMBERED)),
        restarting: restarts.is_some_and(|restarts| restarts.is_loop && now < restarts.until),
    };
    let speaker = speaker(&runs, now);
    let restarted = transitions::restarts(instance, &runs, now);
    let transitions =
        transitions::since_last_judgement(instance, &runs, &standing, &lost, &restarted, speaker, now);
    let alerts = transitions::alerts(standing.state, &transitions, &runs);
    let is_same = instance.judged_at.is_some() && instance.state == standing.state;
    Judgement {
        run_id: speaker.run_id,
        last_seen_at,
        state: standing.state,
        state_since: match restarted.last() {
            Some((_, begun_at)) if is_same => *begun_at,
            None if is_same => instance.state_since,
            _ => standing.since,
        },
        flags,
        losses,
        begins_since: restarts.map(|restarts| restarts.since),
        untold: instance.untold,
        frequency: silence::frequency(speaker),
        facts: speaker.facts.clone(),
        // Where as many are lost as are looked for at once, there may be more of them.
        check_at: match i64::try_from(lost.len()) {
            Ok(count) if count < JUDGED_RUNS => check_at(&runs, &standing, losses, forked_at, restarts, now),
            _ => later(now, SignedDuration::from_secs(1)),
        },
        lost,
        transitions,
        alerts,
    }
}

/// An instance of which no run is known: there is nothing to judge.
fn unchanged(instance: &Instance, now: Timestamp) -> Judgement {
    Judgement {
        run_id: uuid::Uuid::nil(),
        last_seen_at: instance.last_seen_at,
        state: instance.state,
        state_since: instance.state_since,
        flags: instance.flags,
        losses: instance.losses,
        begins_since: instance.begins_since,
        untold: instance.untold,
        lost: Vec::new(),
        frequency: instance.frequency,
        facts: instance.facts.clone(),
        check_at: later(now, SignedDuration::from_hours(1)),
        transitions: Vec::new(),
        alerts: Vec::new(),
    }
}

/// The run that speaks for the instance: of those that are alive, else of all, the one that began
/// last. So a rolling update changes the release once, and a canary that is rolled back changes it
/// back.
fn speaker<'a>(runs: &[Judged<'a>], now: Timestamp) -> &'a Run {
    let by_begin = |run: &&Judged<'_>| (run.run.first_seen_at, run.run.run_id);
    let alive = runs.iter().filter(|run| run.is_alive(now)).max_by_key(by_begin);
    let open = || runs.iter().filter(|run| run.is_open() && run.superseded_at.is_none()).max_by_key(by_begin);
    alive
        .or_else(open)
        .or_else(|| runs.iter().max_by_key(|run| by_last_sight(run)))
        .expect("there are runs")
        .run
}

/// The runs that are lost and were not known to be. A run that was heard again after it was lost can
/// be lost again.
fn lost(runs: &[Judged<'_>], now: Timestamp) -> Vec<Loss> {
    let is_known = |run: &Run| run.lost_at.is_some_and(|lost_at| lost_at > run.last_seen_at);
    let mut lost: Vec<Loss> = runs
        .iter()
        .filter(|run| !is_known(run.run))
        .filter_map(|run| Some(Loss { run_id: run.run.run_id, at: run.lost_at(now)? }))
        .collect();
    lost.sort_unstable_by_key(|loss| (loss.at, loss.run_id));
    lost
}

/// The losses that are remembered.
fn losses(runs: &[Judged<'_>], now: Timestamp) -> Losses {
    let recent = |at: &Timestamp| now < later(*at, REMEMBERED);
    let lost: Vec<Timestamp> = runs.iter().filter_map(|run| run.lost_at(now)).filter(recent).collect();
    Losses { count: i32::try_from(lost.len()).unwrap_or(i32::MAX), last_at: lost.into_iter().max() }
}

/// Whether two runs are alive, each of which was heard after the other began: replicas, or a clone.
fn has_several_runs(runs: &[Judged<'_>], now: Timestamp) -> bool {
    let alive: Vec<&Run> = runs.iter().filter(|run| run.is_alive(now)).map(|run| run.run).collect();
    let heard_after = |one: &Run, other: &Run| one.last_seen_at > other.first_seen_at;
    alive.iter().enumerate().any(|(index, one)| {
        alive[..index].iter().any(|other| heard_after(one, other) && heard_after(other, one))
    })
}

/// When to judge again although nothing is heard.
fn check_at(
    runs: &[Judged<'_>],
    standing: &Standing,
    losses: Losses,
    forked_at: Option<Timestamp>,
    restarts: Option<Loop>,
    now: Timestamp,
) -> Timestamp {
    let clears = |at: Timestamp| later(at, REMEMBERED);
    // A run that falls silent may be lost, and may end what is said of several.
    let silent_at = runs.iter().filter(|run| run.is_open()).map(|run| run.deadlines.late);
    let oldest_loss_clears =
        runs.iter().filter_map(|run| run.lost_at(now)).map(clears).filter(|at| *at > now).min();
    silent_at
        .chain(standing.next)
        .chain(losses.last_at.and(oldest_loss_clears))
        .chain(forked_at.map(clears))
        .chain(restarts.filter(|restarts| restarts.is_loop).map(|restarts| restarts.until))
        .filter(|at| *at > now)
        .min()
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod cases;
#[cfg(test)]
mod example;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod imported;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod told;
