//! What must hold for every line of an event file: the body of the fuzz target `import` in `fuzz/`, and of the property
//! test below, which is the same with fewer inputs. In no ordinary build.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::line::{self, Rules};
use super::lines::{self, Next};
use crate::receiver::keys::WebhookKey;
use crate::receiver::keys::ring::ActiveKey;
use crate::receiver::store::TOLERANCE;

const SECRET: &str = "s3cret";
/// Longer than any message that a person wants to read.
const LONGEST_MESSAGE: usize = 300;

/// An event file.
pub fn import(mut input: &[u8]) {
    let now = Timestamp::from_second(1_795_651_200).expect("it is a time");
    let oldest = now - SignedDuration::from_hours(90 * 24);
    let rules = Rules { key: ActiveKey::of_host(&WebhookKey::generate()), now, oldest };
    let (length, mut text, mut bytes) = (input.len() as u64, Vec::new(), 0);
    while lines::next(&mut input, &mut text, &mut bytes).expect("memory can be read") != Next::End {
        check(&text, &rules);
    }
    assert_eq!(bytes, length);
}

fn check(text: &[u8], rules: &Rules) {
    match line::read(text, rules) {
        Ok(event) => {
            assert!(event.is_imported && event.new_per_hour.is_none());
            assert!(event.received_at >= rules.oldest && event.received_at <= rules.now + TOLERANCE);
            let noon =
                event.day.at(12, 0, 0, 0).to_zoned(TimeZone::UTC).expect("a day has a noon").timestamp();
            assert!(event.received_at.duration_since(noon).abs() <= SignedDuration::from_hours(36));
            assert_eq!(line::read(text, rules).as_ref(), Ok(&event), "the same line is the same event");
        }
        Err(skip) => {
            assert!(skip.why.len() <= LONGEST_MESSAGE && !skip.why.chars().any(char::is_control), "{skip:?}");
            assert!(!skip.why.contains(SECRET), "{skip:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    /// The inputs kept in the repository: examples of each kind, and what once failed.
    fn kept() -> Vec<Vec<u8>> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/import");
        fs::read_dir(directory).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
    }

    #[test]
    fn every_kept_input_is_handled() {
        assert!(!kept().is_empty());
        kept().iter().for_each(|input| import(input));
    }

    proptest! {
        #[test]
        fn every_file_is_handled(
            mut input in prop::sample::select(kept()),
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<Vec<u8>>()), 0..6),
        ) {
            for (at, bytes) in edits {
                let at = at.index(input.len() + 1);
                let bytes = &bytes[..bytes.len().min(4)];
                let end = (at + bytes.len()).min(input.len());
                input.splice(at..end, bytes.iter().copied());
            }
            import(&input);
        }
    }
}
