//! The body of a request: a small JSON object, read strictly.

use actix_web::web::{Bytes, Payload};
use actix_web::{HttpMessage, HttpRequest};
use serde_json::{Map, Value};

use crate::receiver::http::form_token;
use crate::receiver::http::parameters::Parameters;
use crate::receiver::http::problem::{Cause, Problem};

/// Longest body, in bytes.
const LONGEST_BODY: usize = 16 * 1024;

/// The fields of a body that nobody took yet.
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    pub(crate) async fn read(request: &HttpRequest, body: Payload) -> Result<Self, Problem> {
        if !request.content_type().eq_ignore_ascii_case("application/json") {
            return Err(Problem::new(
                Cause::MediaType,
                "the body must be application/json, and the header content-type say so",
            )
            .field("content-type"));
        }
        let bytes = read_limited(body, LONGEST_BODY).await?;
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Problem::malformed("the body must be an object")),
            Err(error) => Err(Problem::malformed(format!(
                "the body is not JSON at line {}, column {}",
                error.line(),
                error.column()
            ))),
        }
    }

    /// Takes a field, where it was given.
    pub(crate) fn take<T>(
        &mut self,
        name: &str,
        accepts: &str,
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| Problem::bad_field(name, accepts))
    }

    /// Refuses fields that nobody took.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(Problem::new(Cause::Field, "there is no such field here").field(name)),
        }
    }
}

/// The fields of a form, without its token, which the login has checked.
pub(crate) async fn read_form(body: Payload) -> Result<Parameters, Problem> {
    let bytes = read_limited(body, LONGEST_BODY).await?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Problem::malformed("the body is not UTF-8"))?;
    Ok(Parameters::of_form(text)?.without(form_token::FIELD))
}

/// The whole body, of `longest` bytes at most.
pub(crate) async fn read_limited(body: Payload, longest: usize) -> Result<Bytes, Problem> {
    let Ok(bytes) = body.to_bytes_limited(longest).await else {
        return Err(Problem::new(
            Cause::TooLarge,
            format!("the body must not have more than {longest} bytes"),
        ));
    };
    bytes.map_err(|_| Problem::malformed("the body did not come whole"))
}
