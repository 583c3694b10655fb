//! The whole fleet: what arrives from all instances, in the order of arrival.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::time::Duration;

use crate::delivery::Delivery;
use crate::instance::Instance;

/// A simulated fleet.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// Seed of all chance: the same seed gives the same fleet.
    pub seed: u64,
    /// Number of instances.
    pub instances: u32,
    /// Time in which nothing arrives, because the receiver does not answer; senders do not retry.
    pub outage: Option<Range<Duration>>,
}

impl Fleet {
    /// What arrives from all instances, in order. It is computed lazily and takes a few hundred bytes per instance, however
    /// long it goes on.
    pub fn plan(&self) -> Plan {
        let mut plan = Plan {
            outage: self.outage.clone(),
            instances: (0..self.instances).map(|index| (Instance::new(self.seed, index), None)).collect(),
            due: BinaryHeap::with_capacity(self.instances as usize),
        };
        for index in 0..self.instances {
            plan.advance(index);
        }
        plan
    }

    /// What arrives from one instance, in order.
    pub fn instance(&self, index: u32) -> impl Iterator<Item = Delivery> + use<> {
        let outage = self.outage.clone();
        Instance::new(self.seed, index).filter(move |delivery| !is_lost(outage.as_ref(), delivery))
    }
}

/// Iterator over what arrives from a fleet, in order.
pub struct Plan {
    outage: Option<Range<Duration>>,
    /// Each instance with its next delivery.
    instances: Vec<(Instance, Option<Delivery>)>,
    /// The moment of each next delivery, and its instance.
    due: BinaryHeap<Reverse<(Duration, u32)>>,
}

impl Plan {
    /// Replaces the next delivery of an instance, and returns it.
    fn advance(&mut self, index: u32) -> Option<Delivery> {
        let (instance, next) = &mut self.instances[index as usize];
        let outage = self.outage.as_ref();
        let after = instance.find(|delivery| !is_lost(outage, delivery));
        if let Some(after) = &after {
            self.due.push(Reverse((after.at, index)));
        }
        std::mem::replace(next, after)
    }
}

impl Iterator for Plan {
    type Item = Delivery;

    fn next(&mut self) -> Option<Delivery> {
        let Reverse((_, index)) = self.due.pop()?;
        self.advance(index)
    }
}

fn is_lost(outage: Option<&Range<Duration>>, delivery: &Delivery) -> bool {
    outage.is_some_and(|outage| outage.contains(&delivery.at))
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use deployment_telemetry::Reason;
    use serde_json::Value;

    use super::*;
    use crate::License;

    const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

    /// What arrives in the first week.
    fn week(fleet: &Fleet) -> Vec<Delivery> {
        fleet.plan().take_while(|delivery| delivery.at < WEEK).collect()
    }

    fn fleet(seed: u64) -> Fleet {
        Fleet { seed, instances: 400, outage: None }
    }

    #[test]
    fn the_same_seed_gives_the_same_fleet_and_another_seed_another() {
        assert_eq!(week(&fleet(1)), week(&fleet(1)));
        assert_ne!(week(&fleet(1)), week(&fleet(2)));
    }

    #[test]
    fn a_larger_fleet_contains_the_smaller_one() {
        let small = week(&Fleet { instances: 10, ..fleet(3) });
        let large = week(&fleet(3));
        let of_first_ten: Vec<_> = large.into_iter().filter(|delivery| delivery.instance < 10).collect();
        assert_eq!(small, of_first_ten);
    }

    #[test]
    fn deliveries_are_in_order_and_equal_those_of_each_instance_alone() {
        for seed in 0..5 {
            let all = week(&fleet(seed));
            assert!(all.is_sorted_by_key(|delivery| delivery.at), "seed {seed}");
            let mut by_instance = HashMap::<u32, Vec<Delivery>>::new();
            for delivery in all {
                by_instance.entry(delivery.instance).or_default().push(delivery);
            }
            for (index, deliveries) in by_instance {
                let alone: Vec<_> =
                    fleet(seed).instance(index).take_while(|delivery| delivery.at < WEEK).collect();
                assert_eq!(alone, deliveries, "seed {seed}, instance {index}");
            }
        }
    }

    #[test]
    fn each_run_begins_once_ends_at_most_once_and_numbers_its_events_from_1() {
        let mut seen = HashSet::new();
        let mut runs = HashMap::<_, Vec<Delivery>>::new();
        for delivery in week(&fleet(4)) {
            if seen.insert((delivery.run_id, delivery.sequence)) {
                runs.entry(delivery.run_id).or_default().push(delivery);
            }
        }
        for run in runs.values_mut() {
            run.sort_by_key(|delivery| delivery.sequence);
            let count = |reason| run.iter().filter(|delivery| delivery.reason == reason).count();
            assert_eq!((run[0].sequence, run[0].reason, count(Reason::Begin)), (1, Reason::Begin, 1));
            assert!(count(Reason::End) == 0 || run.last().unwrap().reason == Reason::End, "{run:?}");
            assert!(run.iter().all(|delivery| delivery.release == run[0].release));
        }
    }

    #[test]
    fn everything_that_can_happen_to_a_fleet_happens_within_a_week() {
        let all = week(&fleet(5));
        let ids: HashSet<_> = all.iter().map(|delivery| (delivery.run_id, delivery.sequence)).collect();
        assert!(ids.len() < all.len(), "some events arrive twice");
        assert!(all.iter().any(|delivery| delivery.skew.is_positive()));
        assert!(all.iter().any(|delivery| delivery.skew.is_negative()));
        for license in [License::None, License::Valid, License::Invalid] {
            assert!(all.iter().any(|delivery| delivery.license == license), "{license:?}");
        }
        for &reason in Reason::ALL {
            assert!(all.iter().any(|delivery| delivery.reason == reason), "{reason}");
        }
        let releases: HashSet<_> = all.iter().map(|delivery| delivery.release).collect();
        assert!(releases.len() > 5, "{releases:?}");
        let mut highest = HashMap::new();
        let overtaken = all.iter().any(|delivery| {
            let highest = highest.entry(delivery.run_id).or_insert(0);
            let is_late = delivery.sequence + 1 == *highest;
            *highest = delivery.sequence.max(*highest);
            is_late
        });
        assert!(overtaken);
    }

    #[test]
    fn nothing_arrives_in_an_outage() {
        let outage = Duration::from_secs(100_000)..Duration::from_secs(120_000);
        let with = week(&Fleet { outage: Some(outage.clone()), ..fleet(6) });
        let mut without = week(&fleet(6));
        assert!(with.iter().all(|delivery| !outage.contains(&delivery.at)));
        without.retain(|delivery| !outage.contains(&delivery.at));
        assert_eq!(with, without);
    }

    #[test]
    fn bodies_are_valid_payloads() {
        for delivery in week(&Fleet { instances: 20, ..fleet(7) }) {
            let payload = delivery.payload();
            let body: Value = serde_json::from_slice(&payload.to_json()).unwrap();
            assert_eq!(body["checksum"], payload.checksum());
            assert_eq!(body["instance_id"], delivery.instance_id.to_string());
            assert_eq!(body["reason"], delivery.reason.as_str());
            assert_eq!(body["license_key_hash"].is_null(), delivery.license == License::None);
            assert!(body["build_time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
        }
    }
}
