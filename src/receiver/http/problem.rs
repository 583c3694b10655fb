//! A request that is refused, as a problem document (RFC 9457): `application/problem+json`.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use crate::receiver::store::StoreError;

/// What is answered in place of what was asked for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// One of a fixed set of words: the last part of the problem's `type`, and its cause in the metrics.
    pub(crate) cause: &'static str,
    pub(crate) title: &'static str,
    pub(crate) detail: String,
    /// The field or header that is to blame.
    field: Option<String>,
    retry_after: Option<u32>,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

impl Problem {
    /// `detail` is for a person; it repeats no value of the request.
    pub(crate) fn new(
        status: StatusCode,
        cause: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self { status, cause, title, detail: detail.into(), field: None, retry_after: None }
    }

    /// Names the field or the header that is to blame.
    pub(crate) fn field(mut self, name: impl Into<String>) -> Self {
        self.field = Some(name.into());
        self
    }

    /// Says after how many seconds to try again.
    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", detail)
    }

    /// The store does not answer.
    pub(crate) fn store() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "store",
            "The store is not available",
            "the store did not answer in time or refused; the receiver's log has the reason",
        )
        .retry_after(5)
    }

    pub(crate) fn bad_parameter(name: &str, accepts: &str) -> Self {
        let detail = format!("{name} accepts {accepts}");
        Self::new(StatusCode::BAD_REQUEST, "parameter", "A parameter cannot be used", detail).field(name)
    }
}

/// What the store said is for the log, not for whoever asked.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::warn!("[receiver] {error}");
        Self::store()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.detail, self.status)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after {
            response.insert_header((RETRY_AFTER, seconds));
        }
        response.content_type("application/problem+json").body(
            serde_json::to_vec(&Document {
                r#type: format!("urn:deployment-telemetry:problem:{}", self.cause),
                title: self.title,
                status: self.status.as_u16(),
                detail: &self.detail,
                field: self.field.as_deref(),
            })
            .expect("text always serializes"),
        )
    }
}
