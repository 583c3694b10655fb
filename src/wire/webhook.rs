//! Header names of an event, and its identifier (spec §4; Standard Webhooks).

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// Header with the identifier of an event, an [`EventId`].
pub(crate) const ID: &str = "webhook-id";

/// Header with the Unix seconds at which a request was composed.
pub(crate) const TIMESTAMP: &str = "webhook-timestamp";

/// Header with the signature; present where a signing secret is configured.
pub(crate) const SIGNATURE: &str = "webhook-signature";

/// Header with the seconds between two updates.
pub(crate) const FREQUENCY: &str = "telemetry-frequency";

/// Identifier of an event, written `<run uuid>.<number>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventId {
    /// Run that sends the event.
    pub(crate) run: Uuid,
    /// Number of the event within the run, counted from 1 over all destinations.
    pub(crate) number: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.run, self.number)
    }
}

/// Error of a text that is not an event identifier as this crate writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not <run uuid>.<number>")]
pub(crate) struct NotAnEventId;

impl FromStr for EventId {
    type Err = NotAnEventId;

    /// Reads only the spelling that [`Display`](fmt::Display) writes, so that two different texts never
    /// identify the same event.
    fn from_str(text: &str) -> Result<Self, NotAnEventId> {
        let (run, number) = text.split_once('.').ok_or(NotAnEventId)?;
        let run = Uuid::try_parse(run).map_err(|_| NotAnEventId)?;
        let number = number.parse().map_err(|_| NotAnEventId)?;
        let id = Self { run, number };
        if run.is_nil() || id.to_string() != text { Err(NotAnEventId) } else { Ok(id) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "4915a241-ba4e-4d2c-8f6e-0123456789ab";

    #[test]
    fn an_event_id_is_read_only_in_the_spelling_that_is_written() {
        let id = EventId { run: Uuid::parse_str(RUN).unwrap(), number: 7 };
        assert_eq!(id.to_string(), format!("{RUN}.7"));
        assert_eq!(format!("{RUN}.7").parse(), Ok(id));
        for text in [
            String::new(),
            RUN.to_owned(),
            format!("{RUN}."),
            format!("{RUN}.-1"),
            format!("{RUN}.+7"),
            format!("{RUN}.07"),
            format!("{RUN}.7.7"),
            format!("{}.7", RUN.to_uppercase()),
            format!("{}.7", RUN.replace('-', "")),
            format!("{}.7", Uuid::nil()),
        ] {
            assert_eq!(text.parse::<EventId>(), Err(NotAnEventId), "{text}");
        }
    }
}
