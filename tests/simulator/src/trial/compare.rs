//! What a receiver says of an instance, compared with the truth.

use serde_json::Value;

use super::report::Kind;
use crate::scenarios::{Expected, Story, Truth};
use crate::truth::State;

/// Number of transitions that the API shows at most.
const SHOWN_TRANSITIONS: usize = 100;

/// A difference, and what it is in words.
pub(super) type Found = (Kind, String);

/// Compares what is said now.
pub(super) fn now(expected: &Expected, said: &Value) -> Vec<Found> {
    let Expected { heard, least_losses, cloned, restarting } = expected;
    let mut found = Vec::new();
    if said["state"] != heard.state.as_str() {
        let kind = match heard.state {
            State::Down => Kind::MissedDeath,
            _ => Kind::WrongState,
        };
        found.push((kind, format!("it is {}, and not {}", heard.state.as_str(), said["state"])));
    }
    for (name, flag) in [
        ("crashed", Some(heard.losses > 0)),
        ("several_runs", Some(heard.several_runs)),
        ("cloned", Some(*cloned)),
        ("restarting", *restarting),
        ("new", Some(heard.new)),
    ] {
        found.extend(flag.and_then(|flag| compare_flag(name, flag, &said["flags"][name])));
    }
    found.extend(compare_losses(*least_losses, heard.losses, &said["losses"]));
    if said["build_version"] != *heard.version {
        let text = format!("its version is {}, and not {}", heard.version, said["build_version"]);
        found.push((Kind::WrongFacts, text));
    }
    if said["license"] != heard.license.as_str() {
        found.push((Kind::WrongFacts, format!("its license is {}", heard.license.as_str())));
    }
    found
}

fn compare_flag(name: &str, expected: bool, said: &Value) -> Option<Found> {
    match said.as_bool() {
        None => Some((Kind::MissedFlag, format!("the flag {name} is missing"))),
        Some(said) if said == expected => None,
        Some(true) => Some((Kind::FalseFlag, format!("{name} is said"))),
        Some(false) => Some((Kind::MissedFlag, format!("{name} is not said"))),
    }
}

/// The losses are a number, or an object with the number as `count`.
fn compare_losses(least: usize, most: usize, said: &Value) -> Option<Found> {
    let said = said.get("count").unwrap_or(said).as_u64();
    match said.and_then(|said| usize::try_from(said).ok()) {
        None => Some((Kind::MissedLoss, "the field losses is missing".to_owned())),
        Some(said) if said < least => Some((Kind::MissedLoss, format!("{said} losses instead of {least}"))),
        Some(said) if said > most => Some((Kind::FalseFlag, format!("{said} losses instead of {most}"))),
        Some(_) => None,
    }
}

/// Compares all that was told in the course of a story.
pub(super) fn history(story: &Story, truth: &Truth<'_>, said: &Value) -> Vec<Found> {
    let empty = Vec::new();
    let transitions = said["transitions"].as_array().unwrap_or(&empty);
    if transitions.len() >= SHOWN_TRANSITIONS {
        return vec![(Kind::ToldTwice, format!("{} transitions", transitions.len()))];
    }
    // The API shows the latest first.
    let told = |change: &str| -> Vec<&str> {
        let told = transitions.iter().rev().filter(|transition| transition["change"] == change);
        told.filter_map(|transition| transition["to"].as_str()).collect()
    };
    let mut found = Vec::new();
    let states: Vec<&str> = truth.states().into_iter().map(State::as_str).collect();
    found.extend(compare_states(&states, &told("state")));
    let licenses = truth.licenses().into_iter().skip(1).map(|valid| if valid { "valid" } else { "invalid" });
    found.extend(compare_list("license", &licenses.collect::<Vec<_>>(), &told("license")));
    let versions = truth.versions();
    let versions: Vec<&str> = versions.iter().skip(1).map(String::as_str).collect();
    found.extend(compare_list("version", &versions, &told("version")));
    if told("key").len() != story.key_changes {
        found.push((Kind::WrongFacts, format!("{} changes of the key were told", told("key").len())));
    }
    found.extend(compare_told_losses(truth, told("run-lost")));
    found
}

fn compare_states(expected: &[&str], told: &[&str]) -> Option<Found> {
    let deaths = |states: &[&str]| states.iter().filter(|state| **state == "down").count();
    let kind = match deaths(told).cmp(&deaths(expected)) {
        std::cmp::Ordering::Less => Kind::MissedDeath,
        std::cmp::Ordering::Greater => Kind::FalseDeath,
        std::cmp::Ordering::Equal => Kind::WrongState,
    };
    (told != expected).then(|| (kind, format!("the states are {expected:?}, and {told:?} were told")))
}

fn compare_list(what: &str, expected: &[&str], told: &[&str]) -> Option<Found> {
    let text = || format!("the changes of {what} are {expected:?}, and {told:?} were told");
    (told != expected).then(|| (Kind::WrongFacts, text()))
}

fn compare_told_losses(truth: &Truth<'_>, told: Vec<&str>) -> Vec<Found> {
    let mut expected: Vec<String> = truth.losses().iter().map(ToString::to_string).collect();
    let all = expected.clone();
    let mut found = Vec::new();
    let none_was_told = told.is_empty();
    for run in told {
        match expected.iter().position(|lost| lost == run) {
            Some(index) => drop(expected.swap_remove(index)),
            None if all.iter().any(|lost| lost == run) => {
                found.push((Kind::ToldTwice, format!("the loss of {run} was told again")));
            }
            None => found.push((Kind::FalseFlag, format!("the loss of {run} was told"))),
        }
    }
    if truth.is_bounded() || none_was_told {
        found
            .extend(expected.iter().map(|run| (Kind::MissedLoss, format!("the loss of {run} was not told"))));
    }
    found
}
