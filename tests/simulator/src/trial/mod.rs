//! A trial: the stories of some seeds, played against a receiver in this process in simulated time, as fast as it goes, and
//! what the receiver says of each instance compared with the truth.

mod compare;
mod report;

use std::collections::{BTreeSet, HashMap};

use actix_http::Request;
use actix_web::Error;
use actix_web::dev::{Service, ServiceResponse};
use deployment_telemetry::receiver::{CreatedKey, Keys, NewKey, Storage};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

pub use report::{Difference, Kind, Outcome};

use crate::host::{Clock, Host, start, start_with_alerts};
use crate::scenarios::{Action, EPOCH, Role, Second, Step, Story, Truth, stories};

/// Simulated time after which the receiver is stopped and started again. It prepares its store for some days ahead, by the
/// real time that passes.
const RESTARTED_AFTER: Second = 4 * 24 * 3600;

/// Number of new instances that one key may make in an hour.
const NEW_PER_HOUR: usize = 1000;

/// Something to be done with the story of this number.
enum Task {
    Do(usize, Step),
    Compare(usize),
}

/// The stories of a trial, the keys they use and what was found.
struct Trial<'a> {
    stories: &'a [Story],
    truths: Vec<Truth<'a>>,
    keys: HashMap<(u64, Role), CreatedKey>,
    outcome: Outcome,
}

/// Plays `stories` together, on a store that `open` opens and that is empty at first.
///
/// # Errors
/// The receiver does not start, or does not answer.
pub async fn play(open: impl Fn() -> Storage, stories: &[Story]) -> Result<Outcome, String> {
    let clock = Clock::at(EPOCH);
    let mut host = start_with_alerts(open(), clock.clone()).await?;
    let mut trial = Trial {
        stories,
        truths: stories.iter().map(Truth::of).collect(),
        keys: create_keys(&host.receiver.keys(), stories).await?,
        outcome: Outcome::default(),
    };
    for story in stories {
        *trial.outcome.instances.entry(story.scenario).or_default() += 1;
    }
    let mut started = 0;
    let tasks = trial.tasks();
    for tasks in tasks.chunk_by(|(one, _), (other, _)| one == other) {
        let now = tasks[0].0;
        clock.set(moment(now));
        if now - started > RESTARTED_AFTER {
            host.receiver.stop().await;
            host = start_with_alerts(open(), clock.clone()).await?;
            started = now;
        }
        trial.do_tasks(&host, now, tasks).await?;
    }
    host.receiver.stop().await;
    Ok(trial.outcome)
}

async fn create_keys(keys: &Keys, stories: &[Story]) -> Result<HashMap<(u64, Role), CreatedKey>, String> {
    let mut created = HashMap::new();
    for seed in stories.iter().map(|story| story.seed).collect::<BTreeSet<_>>() {
        for role in [Role::Fleet, Role::Retired, Role::Stranger] {
            created.insert((seed, role), create_key(keys, format!("{role:?} {seed}")).await?);
        }
    }
    Ok(created)
}

async fn create_key(keys: &Keys, name: String) -> Result<CreatedKey, String> {
    keys.create(NewKey::named(name)).await.map_err(|error| error.to_string())
}

impl Trial<'_> {
    /// All that is to be done, in the order of time; comparisons after everything else of their second.
    fn tasks(&self) -> Vec<(Second, Task)> {
        let mut tasks = Vec::new();
        for (number, story) in self.stories.iter().enumerate() {
            tasks.extend(story.steps.iter().map(|step| (step.at, Task::Do(number, *step))));
            let moments = self.truths[number].moments();
            tasks.extend(moments.into_iter().map(|at| (at, Task::Compare(number))));
        }
        tasks.sort_by_key(|(at, task)| (*at, matches!(task, Task::Compare(_))));
        tasks
    }

    /// Does what is due in one second.
    async fn do_tasks<S>(
        &mut self,
        host: &Host<S>,
        now: Second,
        tasks: &[(Second, Task)],
    ) -> Result<(), String>
    where
        S: Service<Request, Response = ServiceResponse, Error = Error>,
    {
        for (_, task) in tasks {
            if let Task::Do(number, step) = task {
                self.take(host, *number, step).await?;
            }
        }
        host.judge().await?;
        for (_, task) in tasks {
            if let Task::Compare(number) = task {
                self.compare(host, *number, now).await?;
            }
        }
        Ok(())
    }

    async fn take<S>(&mut self, host: &Host<S>, number: usize, step: &Step) -> Result<(), String>
    where
        S: Service<Request, Response = ServiceResponse, Error = Error>,
    {
        let story = &self.stories[number];
        match step.action {
            Action::Revoke(role) => {
                let id = self.keys[&(story.seed, role)].id;
                let is_revoked = host.receiver.keys().revoke(id).await.map_err(|error| error.to_string())?;
                is_revoked.then_some(()).ok_or("a key was revoked already".to_owned())
            }
            Action::Post { delivery, key, answer, .. } => {
                let key = self.keys[&(story.seed, key)].key.expose();
                let (status, body) = host.post(&delivery, key).await?;
                self.outcome.events += 1;
                if status != answer {
                    let text =
                        format!("{} is answered {status} instead of {answer}: {body}", delivery.reason);
                    self.found(number, step.at, Kind::WrongAnswer, text);
                }
                Ok(())
            }
        }
    }

    async fn compare<S>(&mut self, host: &Host<S>, number: usize, now: Second) -> Result<(), String>
    where
        S: Service<Request, Response = ServiceResponse, Error = Error>,
    {
        let (story, truth) = (&self.stories[number], &self.truths[number]);
        let said = host.get(&format!("/api/instances/{}", story.instance_id)).await?;
        self.outcome.comparisons += 1;
        let found = match (truth.at(now), said) {
            (None, None) => Vec::new(),
            (None, Some(_)) => vec![(Kind::WrongState, "it is known before it was heard".to_owned())],
            (Some(_), None) => vec![(Kind::WrongState, "it is not known".to_owned())],
            (Some(expected), Some(said)) => {
                let mut found = compare::now(&expected, &said);
                if now == story.horizon {
                    found.extend(compare::history(story, truth, &said));
                }
                found
            }
        };
        found.into_iter().for_each(|(kind, text)| self.found(number, now, kind, text));
        Ok(())
    }

    fn found(&mut self, number: usize, at: Second, kind: Kind, text: String) {
        let Story { seed, scenario, instance_id, .. } = self.stories[number];
        self.outcome.differences.push(Difference { seed, scenario, instance_id, at, kind, text });
    }
}

/// The real time of a second of the simulation.
fn moment(now: Second) -> Timestamp {
    let since = SignedDuration::from_secs(i64::try_from(now).unwrap_or(i64::MAX));
    EPOCH.saturating_add(since).unwrap_or(Timestamp::MAX)
}

/// Posts more new instances with one key than it may make in an hour. Says what is wrong with the answers, if anything is.
///
/// # Errors
/// The receiver does not start, or does not answer.
pub async fn flood(storage: Storage, seed: u64) -> Result<Option<String>, String> {
    let host = start(storage, Clock::at(EPOCH)).await?;
    let keys = host.receiver.keys();
    let (hostile, other) =
        (create_key(&keys, "flood".into()).await?, create_key(&keys, "other".into()).await?);
    let stories = stories(seed);
    let first = stories[0].steps.iter().find_map(|step| match step.action {
        Action::Post { delivery, .. } => Some(delivery),
        Action::Revoke(_) => None,
    });
    let template = first.ok_or("a story without events")?;
    let mut answers = Vec::new();
    for number in 1..=NEW_PER_HOUR as u128 + 1 {
        let (instance_id, run_id) = (Uuid::from_u128(number << 64), Uuid::from_u128(number + 1));
        let delivery = crate::Delivery { instance_id, run_id, ..template };
        answers.push(host.post(&delivery, hostile.key.expose()).await?.0);
    }
    let of_other = host.post(&template, other.key.expose()).await?.0;
    host.receiver.stop().await;
    let (last, allowed) = answers.split_last().ok_or("no answers")?;
    let is_right = allowed.iter().all(|status| *status == 200) && *last == 429 && of_other == 200;
    Ok((!is_right).then(|| {
        let refused = allowed.iter().filter(|status| **status != 200).count();
        format!("of {NEW_PER_HOUR} new instances {refused} are refused, the next is answered {last}, another key {of_other}")
    }))
}
