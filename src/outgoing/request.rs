//! One signed POST to a webhook (spec §4).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::endpoint::Endpoint;
use super::target::Target;
use crate::wire::webhook;

/// The end of the year 9999, which is as far as HTTP counts, after the beginning of 1970.
const LAST_HTTP_DATE: Duration = Duration::from_secs(253_402_300_799);

/// A request, ready to leave.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) endpoint: Endpoint,
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Vec<u8>,
    /// Time at which the request was composed.
    pub(crate) at: SystemTime,
}

/// A header's value, and how it is shown where that must differ.
#[derive(Clone)]
pub(crate) struct Header {
    pub(crate) name: &'static str,
    value: String,
    shown: Option<String>,
}

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name, self.shown())
    }
}

impl Header {
    fn plain(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into(), shown: None }
    }

    fn secret(name: &'static str, value: impl Into<String>, shown: impl Into<String>) -> Self {
        Self { name, value: value.into(), shown: Some(shown.into()) }
    }

    /// The value on the wire. Not for anything that people see.
    pub(crate) fn expose(&self) -> &str {
        &self.value
    }

    /// The value as people may see it.
    pub(crate) fn shown(&self) -> &str {
        self.shown.as_ref().unwrap_or(&self.value)
    }
}

impl Request {
    /// A webhook, authorized and signed as the destination's settings say.
    pub(crate) fn post(
        to: &Target,
        user_agent: &str,
        frequency: Option<Duration>,
        id: &str,
        body: Vec<u8>,
        now: SystemTime,
    ) -> Self {
        let timestamp = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut headers =
            vec![Header::plain("user-agent", user_agent), Header::plain("content-type", "application/json")];
        if !to.endpoint.is_file() {
            headers.extend(of_connection(to, body.len(), now));
        }
        headers.extend(to.authorization.as_ref().map(|authorization| {
            Header::secret("authorization", authorization.expose(), authorization.redacted())
        }));
        headers.extend(
            frequency.map(|frequency| Header::plain(webhook::FREQUENCY, frequency.as_secs().to_string())),
        );
        headers.push(Header::plain(webhook::ID, id));
        headers.push(Header::plain(webhook::TIMESTAMP, timestamp.to_string()));
        headers.extend(to.signing_secret.as_ref().map(|secret| {
            Header::secret(webhook::SIGNATURE, secret.sign(id, timestamp, &body), "v1,[redacted]")
        }));
        Self { endpoint: to.endpoint.clone(), headers, body, at: now }
    }
}

/// Headers that concern the connection, which a file does not have.
fn of_connection(to: &Target, length: usize, now: SystemTime) -> [Header; 4] {
    let date = httpdate::fmt_http_date(now.clamp(UNIX_EPOCH, UNIX_EPOCH + LAST_HTTP_DATE));
    [
        Header::plain("host", to.endpoint.authority()),
        Header::plain("content-length", length.to_string()),
        Header::plain("connection", "close"),
        Header::plain("date", date),
    ]
}
