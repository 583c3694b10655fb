//! Moments as RFC 3339 text in UTC, to the millisecond.

use std::time::SystemTime;

use serde::Serializer;

/// `time` as RFC 3339 in UTC; `None` before year -9999 or after 9999.
pub(crate) fn rfc3339(time: SystemTime) -> Option<String> {
    let timestamp = jiff::Timestamp::try_from(time).ok()?;
    Some(format!("{timestamp:.3}"))
}

/// How `SystemTime` fields of the status are written: RFC 3339 in UTC, milliseconds.
pub(crate) mod as_rfc3339 {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        match rfc3339(*time) {
            Some(text) => to.serialize_str(&text),
            None => to.serialize_none(),
        }
    }
}

/// [`as_rfc3339`] for a time that may be missing.
pub(crate) mod as_optional_rfc3339 {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(time: &Option<SystemTime>, to: S) -> Result<S::Ok, S::Error> {
        match time.and_then(rfc3339) {
            Some(text) => to.serialize_str(&text),
            None => to.serialize_none(),
        }
    }
}
