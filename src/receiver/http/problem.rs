//! A request that is refused, as a problem document (RFC 9457): `application/problem+json`. All types of problems are in
//! one table here.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

/// Prefix of the `type` of every problem.
pub(crate) const TYPE_PREFIX: &str = "urn:deployment-telemetry:problem:";

/// The table: cause, status, the word that ends the problem's `type` and names it in the metrics, and title.
macro_rules! causes {
    ($($cause:ident: $status:ident, $word:literal, $title:literal;)*) => {
        /// Why a request is refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Cause {
            $($cause,)*
        }

        impl Cause {
            /// All of them.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$cause,)*];

            pub(crate) fn status(self) -> StatusCode {
                match self {
                    $(Self::$cause => StatusCode::$status,)*
                }
            }

            pub(crate) fn word(self) -> &'static str {
                match self {
                    $(Self::$cause => $word,)*
                }
            }

            pub(crate) fn title(self) -> &'static str {
                match self {
                    $(Self::$cause => $title,)*
                }
            }
        }
    };
}

causes! {
    Malformed: BAD_REQUEST, "malformed", "The body cannot be read";
    Field: BAD_REQUEST, "field", "A field cannot be used";
    Header: BAD_REQUEST, "header", "A header cannot be used";
    Parameter: BAD_REQUEST, "parameter", "A parameter cannot be used";
    Token: UNAUTHORIZED, "token", "The bearer token is missing or wrong";
    Signature: UNAUTHORIZED, "signature", "The signature is missing or wrong";
    OtherKey: FORBIDDEN, "other-key", "The instance belongs to another key";
    CrossSite: FORBIDDEN, "cross-site", "The request comes from another site";
    FormToken: FORBIDDEN, "form-token", "The form is not of this session";
    NotFound: NOT_FOUND, "not-found", "Not found";
    Method: METHOD_NOT_ALLOWED, "method", "The method is not allowed";
    Slow: REQUEST_TIMEOUT, "slow", "The request took too long";
    NameTaken: CONFLICT, "name-taken", "The name is taken";
    NotSigned: CONFLICT, "not-signed", "The key is not signed";
    Rotating: CONFLICT, "rotating", "A rotation is under way";
    TooManyMutes: CONFLICT, "too-many-mutes", "There are too many mutes";
    TelemetryDisabled: CONFLICT, "telemetry-disabled", "The telemetry has no destination";
    TooLarge: PAYLOAD_TOO_LARGE, "too-large", "The body is too large";
    MediaType: UNSUPPORTED_MEDIA_TYPE, "media-type", "The media type is not supported";
    Checksum: UNPROCESSABLE_ENTITY, "checksum", "The checksum is wrong";
    Rate: TOO_MANY_REQUESTS, "rate", "Too many events";
    TooManyNew: TOO_MANY_REQUESTS, "too-many-new", "Too many new instances";
    Refused: INTERNAL_SERVER_ERROR, "refused", "The event cannot be stored";
    Store: SERVICE_UNAVAILABLE, "store", "The store is not available";
    Busy: SERVICE_UNAVAILABLE, "busy", "The receiver cannot do this now";
    Telemetry: SERVICE_UNAVAILABLE, "telemetry", "The telemetry is not available";
}

impl Cause {
    /// Seconds after which a request may be tried again.
    pub(crate) fn retry_after(self) -> Option<u32> {
        match self {
            Self::Rate => Some(1),
            Self::TooManyNew => Some(600),
            Self::Store | Self::Busy | Self::Telemetry => Some(5),
            _ => None,
        }
    }
}

/// A refusal, answered in place of what was asked for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) cause: Cause,
    detail: String,
    /// The field, parameter or header that is to blame.
    field: Option<String>,
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
    /// The field, the parameter or the header that is to blame.
    pub(crate) fn blamed(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// `detail` is for a person; it repeats no value of the request.
    pub(crate) fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into(), field: None }
    }

    /// Names the field, the parameter or the header that is to blame.
    pub(crate) fn field(mut self, name: impl Into<String>) -> Self {
        self.field = Some(name.into());
        self
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(Cause::NotFound, detail)
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(Cause::Malformed, detail)
    }

    /// Something named that accepts something else.
    pub(crate) fn unusable(cause: Cause, name: &str, accepts: &str) -> Self {
        Self::new(cause, format!("{name} accepts {accepts}")).field(name)
    }

    /// A field of the body that accepts something else.
    pub(crate) fn bad_field(name: &str, accepts: &str) -> Self {
        Self::unusable(Cause::Field, name, accepts)
    }

    /// A header that accepts something else.
    pub(crate) fn bad_header(name: &str, accepts: &str) -> Self {
        Self::new(Cause::Header, format!("the header {name} accepts {accepts}")).field(name)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.detail, self.cause.status())
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.cause.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.cause.status());
        if let Some(seconds) = self.cause.retry_after() {
            response.insert_header((RETRY_AFTER, seconds));
        }
        response.content_type("application/problem+json").body(
            serde_json::to_vec(&Document {
                r#type: format!("{TYPE_PREFIX}{}", self.cause.word()),
                title: self.cause.title(),
                status: self.cause.status().as_u16(),
                detail: &self.detail,
                field: self.field.as_deref(),
            })
            .expect("text always serializes"),
        )
    }
}
