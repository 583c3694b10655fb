//! An event as lists and pictures show it: what of its payload people look for.

use serde::Deserialize;
use uuid::Uuid;

use super::changes::name;
use crate::receiver::api::events::EventRow;
use crate::receiver::api::moment::Moment;

/// Number of digits of a run's id that tell it from the other runs of its server.
const RUN_DIGITS: usize = 4;

/// An event, for people.
pub(super) struct Report {
    pub(super) id: Uuid,
    pub(super) instance_id: Uuid,
    pub(super) at: Moment,
    pub(super) reason: String,
    pub(super) run_id: Uuid,
    pub(super) sequence: i64,
    pub(super) key_id: Uuid,
    pub(super) product: String,
    /// It came from a file.
    pub(super) is_imported: bool,
    pub(super) said: Said,
}

/// What an event says, as far as it can be read.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(super) struct Said {
    pub(super) custom_id: Option<String>,
    pub(super) build_version: String,
    pub(super) license_key_hash: Option<String>,
    pub(super) license_valid: bool,
}

impl Report {
    pub(super) fn of(event: &EventRow) -> Self {
        Self {
            id: event.id,
            instance_id: event.instance_id,
            at: event.ts,
            reason: event.reason.clone(),
            run_id: event.run_id,
            sequence: event.sequence,
            key_id: event.key_id,
            product: event.product.clone(),
            is_imported: event.imported,
            // Only what could be read was stored. A row that was changed by hand must not hide the others.
            said: serde_json::from_str(event.data.get()).unwrap_or_default(),
        }
    }

    /// The server, by its name or else its id.
    pub(super) fn server(&self) -> String {
        name(self.said.custom_id.as_deref(), &self.instance_id)
    }

    pub(super) fn license(&self) -> &'static str {
        license_word(self.said.license_valid, self.said.license_key_hash.is_some())
    }

    /// Whether the event came without the id of a run and a number.
    pub(super) fn is_unnumbered(&self) -> bool {
        self.run_id.is_nil()
    }
}

/// The state of a license in a word.
pub(super) fn license_word(is_valid: bool, is_there: bool) -> &'static str {
    match (is_valid, is_there) {
        (true, _) => "valid",
        (false, true) => "invalid",
        (false, false) => "none",
    }
}

/// The end of a run's id. Ids that were made one after another may begin the same.
pub(super) fn run_name(run_id: &Uuid) -> String {
    let id = run_id.to_string();
    id[id.len() - RUN_DIGITS..].to_owned()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::receiver::store::StoredEvent;

    fn report(data: &str) -> Report {
        let event = EventRow::from(StoredEvent {
            id: Uuid::from_u128(1),
            instance_id: Uuid::from_u128(2),
            run_id: Uuid::from_u128(3),
            sequence: 7,
            received_at: Timestamp::UNIX_EPOCH,
            reason: "update".to_owned(),
            frequency: None,
            key_id: Uuid::nil(),
            product: String::new(),
            is_imported: false,
            data: data.to_owned(),
        });
        Report::of(&event)
    }

    #[test]
    fn what_an_event_says_is_read_as_far_as_it_can_be() {
        let whole = report(
            r#"{"custom_id":"a\u202eb","build_version":"2.0","license_key_hash":"e8","license_valid":true,"more":[]}"#,
        );
        assert_eq!((whole.server().as_str(), whole.license()), ("a\\u{202e}b", "valid"));
        assert_eq!(whole.said.build_version, "2.0");
        let less = report(r#"{"license_key_hash":"e8"}"#);
        assert_eq!((less.server().as_str(), less.license()), ("00000000", "invalid"));
        for none in ["{}", "[]", "7", r#"{"build_version":7}"#] {
            assert_eq!((report(none).said, report(none).license()), (Said::default(), "none"), "{none}");
        }
    }

    #[test]
    fn a_run_is_named_by_the_end_of_its_id() {
        assert_eq!(run_name(&Uuid::from_u128(0x0b8f << 112 | 0x5d02)), "5d02");
    }
}
