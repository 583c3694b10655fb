//! Times as RFC 3339 text in UTC, with milliseconds.

use std::time::SystemTime;

use serde::Serializer;

/// Text of `time` in RFC 3339, UTC; `None` outside the years -9999 to 9999.
pub(crate) fn rfc3339(time: SystemTime) -> Option<String> {
    let timestamp = jiff::Timestamp::try_from(time).ok()?;
    Some(format!("{timestamp:.3}"))
}

/// Serializer for `SystemTime` fields of the status: RFC 3339 in UTC with milliseconds, `null` outside the
/// years -9999 to 9999.
pub(crate) mod as_rfc3339 {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        match rfc3339(*time) {
            Some(text) => to.serialize_str(&text),
            None => to.serialize_none(),
        }
    }
}

/// Serializer like [`as_rfc3339`] for an optional time.
pub(crate) mod as_optional_rfc3339 {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(time: &Option<SystemTime>, to: S) -> Result<S::Ok, S::Error> {
        match time.and_then(rfc3339) {
            Some(text) => to.serialize_str(&text),
            None => to.serialize_none(),
        }
    }
}
