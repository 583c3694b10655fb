//! How many passwords may be tried, by the network that they come from. Pure: the moment is given.
//!
//! A network is *known* once the right password came from it; then it waits for nobody's failures but those of its own
//! last second. To all others applies: after eight failures a network has to pause, longer after each, and all of them
//! together may try eight a second.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a failed attempt takes, at least, and holds its place.
pub(super) const PENALTY: Duration = Duration::from_secs(1);

/// Attempts of one network that are looked at or wait at a time: with the penalty, how many passwords can be tried from
/// there in a second. Also the failures of a network before it has to pause.
const PLACES: u32 = 8;

/// Attempts that are looked at at a time, of all networks that are not known. The others wait.
pub(super) const TURNS: usize = 8;

/// Attempts that are looked at or wait at a time, of all networks that are not known: whoever waits has a turn after as
/// many penalties as there are of these for each turn, which is nine.
const MOST_PENDING: u32 = 72;

/// The longest pause of a network that fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The time after which the failures of a network are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30 * 60);

/// The time for which a network stays known after the last right password.
const KNOWN_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Maximum number of networks that are known, and of those whose failures are remembered.
const MOST_NETWORKS: usize = 4096;

/// What attempts are counted by; `None` where a connection has no address.
pub(super) type Network = Option<IpAddr>;

/// The network of an address: of IPv6 the first 48 bits, because one client may have all addresses below.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 80 << 80).into(),
        address => address,
    }
}

#[derive(Default)]
pub(super) struct Attempts(Mutex<Networks>);

#[derive(Default)]
struct Networks {
    known: HashMap<Network, Known>,
    suspects: HashMap<Network, Suspect>,
    /// Attempts of suspects that are looked at or wait.
    pending: u32,
}

struct Known {
    welcomed: Instant,
    pending: u32,
}

/// A network that is not known.
struct Suspect {
    pending: u32,
    /// Those of them that have not failed yet.
    undecided: u32,
    failures: u32,
    /// When it was last heard of.
    at: Instant,
    paused_until: Instant,
}

impl Attempts {
    /// A place for an attempt from a network, which it has until the place is dropped.
    ///
    /// # Errors
    /// There is none now; the time after which there may be one.
    pub(super) fn enter(self: &Arc<Self>, from: Network, now: Instant) -> Result<Place, Duration> {
        let mut networks = self.lock();
        let is_known = networks.is_known(from, now);
        match is_known {
            true => networks.enter_known(from)?,
            false => networks.enter_suspect(from, now)?,
        }
        Ok(Place { attempts: self.clone(), from, is_known, has_failed: false })
    }

    /// The right password came from this network, or a request of a session.
    pub(super) fn welcome(&self, from: Network, now: Instant) {
        let mut networks = self.lock();
        if let Some(known) = networks.known.get_mut(&from) {
            known.welcomed = now;
            return;
        }
        if networks.known.len() >= MOST_NETWORKS {
            let oldest = networks.known.iter().min_by_key(|(_, known)| known.welcomed);
            if let Some(oldest) = oldest.map(|(network, _)| *network) {
                networks.known.remove(&oldest);
            }
        }
        networks.known.insert(from, Known { welcomed: now, pending: 0 });
    }

    fn lock(&self) -> MutexGuard<'_, Networks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Networks {
    fn is_known(&mut self, from: Network, now: Instant) -> bool {
        let is_known =
            self.known.get(&from).is_some_and(|known| now.duration_since(known.welcomed) < KNOWN_FOR);
        if !is_known {
            self.known.remove(&from);
        }
        is_known
    }

    fn enter_known(&mut self, from: Network) -> Result<(), Duration> {
        match self.known.get_mut(&from) {
            Some(known) if known.pending < PLACES => {
                known.pending += 1;
                Ok(())
            }
            _ => Err(PENALTY),
        }
    }

    fn enter_suspect(&mut self, from: Network, now: Instant) -> Result<(), Duration> {
        if self.pending >= MOST_PENDING {
            return Err(PENALTY);
        }
        if let Some(suspect) = self.suspects.get_mut(&from) {
            suspect.enter(now)?;
        } else {
            self.make_room(now);
            let suspect = Suspect { pending: 1, undecided: 1, failures: 0, at: now, paused_until: now };
            self.suspects.insert(from, suspect);
        }
        self.pending += 1;
        Ok(())
    }

    /// Forgets what is old, and if that is not enough, the one that was not heard of for longest.
    fn make_room(&mut self, now: Instant) {
        if self.suspects.len() < MOST_NETWORKS {
            return;
        }
        self.suspects.retain(|_, suspect| suspect.pending > 0 || !suspect.is_old(now));
        if self.suspects.len() >= MOST_NETWORKS {
            let idle = self.suspects.iter().filter(|(_, suspect)| suspect.pending == 0);
            if let Some(oldest) = idle.min_by_key(|(_, suspect)| suspect.at).map(|(network, _)| *network) {
                self.suspects.remove(&oldest);
            }
        }
    }
}

impl Suspect {
    fn is_old(&self, now: Instant) -> bool {
        now.duration_since(self.at) >= FORGOTTEN_AFTER
    }

    fn enter(&mut self, now: Instant) -> Result<(), Duration> {
        if self.is_old(now) {
            self.failures = 0;
        }
        if self.paused_until > now {
            return Err(self.paused_until - now);
        }
        // After as many failures one at a time, which is followed by a pause.
        if self.pending > 0 && self.undecided.saturating_add(self.failures) >= PLACES {
            return Err(PENALTY);
        }
        self.pending += 1;
        self.undecided += 1;
        self.at = now;
        Ok(())
    }
}

/// The pause after so many failures: none, then 1, 2, 4 seconds and so on.
fn pause(failures: u32) -> Duration {
    match failures.checked_sub(PLACES) {
        None => Duration::ZERO,
        Some(more) => Duration::from_secs(1 << more.min(6)).min(LONGEST_PAUSE),
    }
}

/// The place of an attempt.
pub(super) struct Place {
    attempts: Arc<Attempts>,
    from: Network,
    is_known: bool,
    has_failed: bool,
}

impl Place {
    /// Whether the network was known when the attempt came.
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    /// The password was wrong. The place is still taken.
    pub(super) fn fail(&mut self, now: Instant) {
        if self.is_known || self.has_failed {
            return;
        }
        self.has_failed = true;
        if let Some(suspect) = self.attempts.lock().suspects.get_mut(&self.from) {
            suspect.undecided -= 1;
            suspect.failures = suspect.failures.saturating_add(1);
            suspect.at = now;
            suspect.paused_until = now + pause(suspect.failures);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut networks = self.attempts.lock();
        if self.is_known {
            if let Some(known) = networks.known.get_mut(&self.from) {
                known.pending = known.pending.saturating_sub(1);
            }
            return;
        }
        networks.pending -= 1;
        if let Some(suspect) = networks.suspects.get_mut(&self.from) {
            suspect.pending -= 1;
            suspect.undecided -= u32::from(!self.has_failed);
            if suspect.pending == 0 && suspect.failures == 0 {
                networks.suspects.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::running::clock::Clock;

    const SECOND: Duration = Duration::from_secs(1);

    fn start() -> (Arc<Attempts>, Instant) {
        (Arc::default(), Clock::system().monotonic())
    }

    fn from(number: u32) -> Network {
        Some(IpAddr::from(number.to_be_bytes()))
    }

    /// Fails once and gives the place back.
    fn fail(attempts: &Arc<Attempts>, from: Network, now: Instant) {
        let mut place = attempts.enter(from, now).unwrap_or_else(|wait| panic!("it has to wait {wait:?}"));
        place.fail(now);
    }

    #[test]
    fn pauses_grow_with_the_failures_of_a_network_and_concern_no_other() {
        let (attempts, mut now) = start();
        for _ in 0..PLACES {
            fail(&attempts, from(1), now);
        }
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(attempts.enter(from(1), now).err(), Some(SECOND * seconds));
            assert!(attempts.enter(from(2), now).is_ok());
            now += SECOND * seconds;
            fail(&attempts, from(1), now);
        }
        now += FORGOTTEN_AFTER;
        for _ in 0..PLACES {
            fail(&attempts, from(1), now);
        }
    }

    #[test]
    fn a_network_that_has_failed_tries_one_at_a_time() {
        let (attempts, mut now) = start();
        // Those that have failed and hold their places count once.
        let places: Vec<_> = (0..PLACES)
            .map(|_| {
                let mut place = attempts.enter(from(1), now).unwrap();
                place.fail(now);
                place
            })
            .collect();
        now += SECOND;
        assert_eq!(attempts.enter(from(1), now).err(), Some(PENALTY));
        drop(places);
        now += SECOND;
        let place = attempts.enter(from(1), now).unwrap();
        assert_eq!(attempts.enter(from(1), now).err(), Some(PENALTY));
        drop(place);
        assert!(attempts.enter(from(1), now).is_ok());
    }

    #[test]
    fn a_known_network_waits_for_no_other_and_does_not_pause() {
        let (attempts, now) = start();
        attempts.welcome(from(1), now);
        let mut others: Vec<_> =
            (0..MOST_PENDING).map(|n| attempts.enter(from(100 + n), now).unwrap()).collect();
        assert_eq!(attempts.enter(from(2), now).err(), Some(PENALTY), "all turns are taken");
        let places: Vec<_> = (0..PLACES).map(|_| attempts.enter(from(1), now).unwrap()).collect();
        assert!(places.iter().all(Place::is_known));
        assert_eq!(attempts.enter(from(1), now).err(), Some(PENALTY), "one network cannot try more");
        drop(places);
        for _ in 0..100 {
            fail(&attempts, from(1), now);
        }
        others.pop();
        assert!(attempts.enter(from(2), now).is_ok_and(|place| !place.is_known()));
        // It is not known for ever.
        assert!(attempts.enter(from(1), now + KNOWN_FOR).is_ok_and(|place| !place.is_known()));
    }

    #[test]
    fn a_network_that_becomes_known_meanwhile_gives_its_places_back() {
        let (attempts, now) = start();
        let before = attempts.enter(from(1), now).unwrap();
        attempts.welcome(from(1), now);
        let after = attempts.enter(from(1), now).unwrap();
        drop((before, after));
        let networks = attempts.lock();
        assert_eq!((networks.pending, networks.suspects.len()), (0, 0));
        assert_eq!(networks.known[&from(1)].pending, 0);
    }

    #[test]
    fn memory_is_bounded() {
        let (attempts, now) = start();
        let most = u32::try_from(MOST_NETWORKS).unwrap();
        let waiting = attempts.enter(from(0), now).unwrap();
        for number in 1..=most + 10 {
            fail(&attempts, from(number), now + SECOND);
            attempts.welcome(from(number), now);
        }
        let count = |attempts: &Arc<Attempts>| {
            let networks = attempts.lock();
            (networks.suspects.len(), networks.known.len())
        };
        assert_eq!(count(&attempts), (MOST_NETWORKS, MOST_NETWORKS));
        assert!(attempts.lock().suspects.contains_key(&from(0)), "its attempt is under way");
        drop(waiting);
        // What is old makes room.
        for number in 11..=12 {
            fail(&attempts, from(most + number), now + FORGOTTEN_AFTER * 2);
        }
        assert_eq!(count(&attempts).0, 2);
    }

    #[test]
    fn a_network_of_ipv6_has_48_bits() {
        let same = |one: &str, other: &str| network(one.parse().unwrap()) == network(other.parse().unwrap());
        assert!(same("2001:db8::1", "2001:db8:0:ffff::1") && same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!same("2001:db8::1", "2001:db8:1::1") && !same("192.0.2.1", "192.0.2.2"));
    }
}
