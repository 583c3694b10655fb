//! Update slots: the moments of wall-clock time at which an instance sends an update (spec §3).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::wire::digest::sha256;

/// State of a slot at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlotState {
    /// The slot is still to come.
    Ahead,
    /// The slot has come.
    Due,
    /// The slot is farther away than the frequency allows, because the clock was set back; or there is no slot.
    TooFarAhead,
}

/// State of the slot `next_slot` at the time `now`.
pub(super) fn slot_state(now: SystemTime, next_slot: Option<SystemTime>, frequency: Duration) -> SlotState {
    match next_slot.map(|slot| slot.duration_since(now)) {
        None => SlotState::TooFarAhead,
        Some(Err(_)) | Some(Ok(Duration::ZERO)) => SlotState::Due,
        Some(Ok(remaining)) if remaining > frequency => SlotState::TooFarAhead,
        Some(Ok(_)) => SlotState::Ahead,
    }
}

/// First slot of an instance after `now`. Each instance has its own fixed phase within `frequency`, so that a
/// fleet that restarts within a minute does not report within a minute.
pub(crate) fn next_slot(now: SystemTime, instance_id: Uuid, frequency: Duration) -> SystemTime {
    let period = frequency.as_millis().max(1);
    let phase = u128::from(phase_seed(instance_id)) % period;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let since_slot = (now + period - phase) % period;
    let slot = now + (period - since_slot);
    UNIX_EPOCH + Duration::from_millis(u64::try_from(slot).unwrap_or(u64::MAX))
}

/// Number from which the phase of an instance is derived: the first 8 bytes of the SHA-256 of its id.
fn phase_seed(instance_id: Uuid) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = sha256(instance_id.as_bytes());
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::running::clock::fake::start_of_tests;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_fleet_is_spread_over_its_frequency() {
        let mut slots = [0; 60];
        for n in 0..6_000u128 {
            let id = Uuid::from_u128(n << 64 | n);
            let ahead = next_slot(start_of_tests(), id, HOUR).duration_since(start_of_tests()).unwrap();
            slots[(ahead.as_secs() / 60).min(59) as usize] += 1;
        }
        // 100 a minute in the mean; four standard deviations are 40.
        assert!(slots.iter().all(|n| (60..=140).contains(n)), "{slots:?}");
    }

    proptest! {
        #[test]
        fn a_slot_is_ahead_by_at_most_the_frequency_and_keeps_its_phase(
            id in any::<u128>(), now in 0u64..4_000_000_000_000, frequency in 3_600u64..=86_400,
        ) {
            let (id, frequency) = (Uuid::from_u128(id), Duration::from_secs(frequency));
            let now = UNIX_EPOCH + Duration::from_millis(now);
            let slot = next_slot(now, id, frequency);
            prop_assert!(slot > now && slot <= now + frequency);
            prop_assert_eq!(next_slot(slot, id, frequency), slot + frequency);
            prop_assert_eq!(next_slot(slot - Duration::from_millis(1), id, frequency), slot);
        }
    }
}
