//! Looks for secrets in all that hosts print: each half of each secret, as it is and as programs write such things.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::secrets::{self, Secret};

/// What is looked for, and what was found so far.
pub(crate) struct Search {
    /// What each needle of the automaton is.
    needles: Vec<Needle>,
    automaton: AhoCorasick,
    hosts: AtomicU64,
    bytes: AtomicU64,
    hits: Mutex<BTreeMap<Needle, u64>>,
}

/// One half of a secret in one writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Needle {
    pub(crate) secret: &'static str,
    pub(crate) writing: &'static str,
}

impl Search {
    /// For all secrets there are.
    pub(crate) fn new() -> Self {
        let all: Vec<(Needle, Vec<u8>)> = secrets::ALL.iter().flat_map(needles).collect();
        let automaton =
            AhoCorasick::new(all.iter().map(|(_, text)| text)).expect("the needles are few and short");
        let needles = all.iter().map(|(needle, _)| *needle).collect();
        Self {
            needles,
            automaton,
            hosts: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            hits: Mutex::default(),
        }
    }

    /// Looks through all that one host printed.
    pub(crate) fn look_through(&self, lines: &[String]) {
        self.hosts.fetch_add(1, Ordering::Relaxed);
        for line in lines {
            self.bytes.fetch_add(line.len() as u64 + 1, Ordering::Relaxed);
            for hit in self.automaton.find_overlapping_iter(line) {
                let needle = self.needles[hit.pattern().as_usize()];
                *self.hits.lock().expect("nobody panics here").entry(needle).or_default() += 1;
            }
        }
    }

    /// How many hosts were looked through.
    pub(crate) fn hosts(&self) -> u64 {
        self.hosts.load(Ordering::Relaxed)
    }

    /// How many bytes they had printed.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// What is looked for: each secret in each writing.
    pub(crate) fn all(&self) -> BTreeSet<Needle> {
        self.needles.iter().copied().collect()
    }

    /// What was found, and how often.
    pub(crate) fn hits(&self) -> BTreeMap<Needle, u64> {
        self.hits.lock().expect("nobody panics here").clone()
    }
}

fn needles(secret: &Secret) -> Vec<(Needle, Vec<u8>)> {
    let whole = secret.value.as_bytes();
    let (first, second) = whole.split_at(whole.len() / 2);
    [first, second].into_iter().flat_map(|half| writings(secret.name, half)).collect()
}

fn writings(secret: &'static str, half: &[u8]) -> Vec<(Needle, Vec<u8>)> {
    let text = std::str::from_utf8(half).expect("the secrets are ASCII");
    let every_byte: String = half.iter().map(|byte| format!("%{byte:02X}")).collect();
    let hex: String = half.iter().map(|byte| format!("{byte:02x}")).collect();
    let json = serde_json::to_string(text).expect("text is JSON");
    let bytes = format!("{half:?}");
    let mut found = vec![
        ("raw", text.to_owned()),
        ("percent-encoded", utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()),
        ("percent-encoded", every_byte),
        ("hex", hex.to_uppercase()),
        ("hex", hex),
        ("escaped", json[1..json.len() - 1].to_owned()),
        ("list of bytes", bytes[1..bytes.len() - 1].to_owned()),
    ];
    for before in 0..3 {
        found.push(("base64", base64(&STANDARD_NO_PAD, before, half)));
        found.push(("base64", base64(&URL_SAFE_NO_PAD, before, half)));
    }
    found.into_iter().map(|(writing, text)| (Needle { secret, writing }, text.into_bytes())).collect()
}

/// What of the base64 of a text does not depend on what stands around `half` in it, after so many bytes.
fn base64(engine: &impl Engine, before: usize, half: &[u8]) -> String {
    let encoded = engine.encode([&vec![0; before], half].concat());
    let bits = |bytes: usize| bytes * 8;
    encoded[bits(before).div_ceil(6)..bits(before + half.len()) / 6].to_owned()
}

#[cfg(test)]
mod tests {
    use super::Search;
    use crate::secrets::TOKEN;

    #[test]
    fn a_part_of_a_secret_inside_other_text_is_found_in_every_writing() {
        use base64::Engine;
        let search = Search::new();
        let part = &TOKEN.value[..20];
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("someone:{part}"));
        search.look_through(&[format!("Authorization: Basic {basic}"), format!("{{\"token\":\"{part}\"}}")]);
        let found: Vec<_> = search.hits().keys().map(|hit| (hit.secret, hit.writing)).collect();
        assert!(found.contains(&("token", "raw")) && found.contains(&("token", "base64")), "{found:?}");
    }
}
