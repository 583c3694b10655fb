//! What the log is told of failed logins: the first, and what came since once a minute. Anybody can fail as often as he
//! likes, and must not fill the log.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::attempts::Network;

/// The time between two messages.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);

/// Maximum number of networks that are counted apart; the others are counted together.
const MOST_COUNTED: usize = 256;

/// Number of networks that a message names, those with most failures.
const NAMED: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The password was wrong.
    Wrong,
    /// The password was not looked at, because there were too many attempts.
    NotLookedAt,
}

/// The failures since the last message.
#[derive(Default)]
pub(super) struct FailureLog(Mutex<Minute>);

#[derive(Default)]
struct Minute {
    /// Whether a message will be made of what comes.
    is_open: bool,
    wrong: u64,
    not_looked_at: u64,
    by_network: HashMap<Network, u64>,
}

impl FailureLog {
    /// Counts a failure. The message to log at once, if it is the first; `summary` is to be asked every `INTERVAL` then.
    pub(super) fn count(&self, from: Network, failure: Failure) -> Option<String> {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !minute.is_open {
            minute.is_open = true;
            let what = match failure {
                Failure::Wrong => "a wrong user or password",
                Failure::NotLookedAt => "too many attempts to log in",
            };
            return Some(format!("{what} from {}; more are reported once a minute", name(from)));
        }
        match failure {
            Failure::Wrong => minute.wrong += 1,
            Failure::NotLookedAt => minute.not_looked_at += 1,
        }
        if minute.by_network.len() < MOST_COUNTED || minute.by_network.contains_key(&from) {
            *minute.by_network.entry(from).or_default() += 1;
        }
        None
    }

    /// The message about what was counted since the last. `None` if nothing was; the next failure is the first then.
    pub(super) fn summary(&self) -> Option<String> {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (wrong, not_looked_at) = (minute.wrong, minute.not_looked_at);
        if wrong + not_looked_at == 0 {
            *minute = Minute::default();
            return None;
        }
        let mut networks: Vec<_> = minute.by_network.drain().collect();
        *minute = Minute { is_open: true, ..Minute::default() };
        drop(minute);
        networks.sort_unstable_by_key(|(network, count)| (std::cmp::Reverse(*count), *network));
        let named: Vec<_> = networks
            .iter()
            .take(NAMED)
            .map(|(from, count)| format!("{count} from {}", name(*from)))
            .collect();
        let others = wrong + not_looked_at - networks.iter().take(NAMED).map(|(_, count)| count).sum::<u64>();
        let others = if others > 0 { format!(", {others} from others") } else { String::new() };
        Some(format!(
            "failed logins in the last minute: {}, of which {not_looked_at} were not looked at; {}{others}",
            wrong + not_looked_at,
            named.join(", ")
        ))
    }
}

fn name(network: Network) -> String {
    match network {
        Some(IpAddr::V6(address)) => format!("{address}/48"),
        Some(IpAddr::V4(address)) => address.to_string(),
        None => "a connection without an address".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str) -> Network {
        Some(text.parse().unwrap())
    }

    #[test]
    fn the_first_failure_is_told_at_once_and_the_others_once_a_minute() {
        let log = FailureLog::default();
        let first = log.count(from("192.0.2.7"), Failure::Wrong).unwrap();
        assert_eq!(first, "a wrong user or password from 192.0.2.7; more are reported once a minute");
        for (network, times) in
            [("192.0.2.7", 5), ("2001:db8::", 7), ("192.0.2.8", 2), ("192.0.2.9", 1), ("192.0.2.10", 1)]
        {
            for _ in 0..times {
                assert_eq!(log.count(from(network), Failure::Wrong), None);
            }
        }
        assert_eq!(log.count(from("192.0.2.7"), Failure::NotLookedAt), None);
        assert_eq!(
            log.summary().as_deref(),
            Some(
                "failed logins in the last minute: 17, of which 1 were not looked at; 7 from 2001:db8::/48, \
                 6 from 192.0.2.7, 2 from 192.0.2.8, 2 from others"
            )
        );
        assert_eq!(log.count(None, Failure::NotLookedAt), None);
        assert_eq!(
            log.summary().as_deref(),
            Some(
                "failed logins in the last minute: 1, of which 1 were not looked at; \
                 1 from a connection without an address"
            )
        );
        assert_eq!(log.summary(), None);
        assert!(log.count(None, Failure::NotLookedAt).is_some_and(|message| message.starts_with("too many")));
    }

    #[test]
    fn memory_is_bounded() {
        let log = FailureLog::default();
        for number in 0..=1000_u32 {
            log.count(Some(IpAddr::from(number.to_be_bytes())), Failure::Wrong);
        }
        assert_eq!(log.0.lock().unwrap().by_network.len(), MOST_COUNTED);
        assert!(log.summary().unwrap().ends_with(", 997 from others"));
    }
}
