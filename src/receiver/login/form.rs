//! The check of the forms that a session sends: only a page of the session itself has its token.

use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::Method;
use actix_web::{HttpMessage, web};
use subtle::ConstantTimeEq;

use super::sessions::Token;
use crate::receiver::api::body::read_limited;
use crate::receiver::http::cross_site;
use crate::receiver::http::form_token::FIELD;
use crate::receiver::http::problem::{Cause, Problem};

/// Header that has the token where there is no form, as with a script.
const HEADER: &str = "x-csrf-token";

/// Longest form, in bytes.
const LONGEST_FORM: usize = 64 * 1024;

/// Refuses what a page of another site may have sent with the cookie of the session.
pub(super) async fn check(request: &mut ServiceRequest, session: &Token) -> Result<(), Problem> {
    cross_site::check(request)?;
    if !can_be_form(request) {
        return Ok(());
    }
    let given = match request.headers().get(HEADER) {
        Some(given) => Some(given.as_bytes().to_vec()),
        None => read_token(request).await?,
    };
    let expected = session.form_token();
    if given.is_some_and(|given| given.ct_eq(expected.as_bytes()).into()) {
        return Ok(());
    }
    Err(Problem::new(
        Cause::FormToken,
        "the page with this form was made for another session: load it again, and repeat what you did",
    ))
}

/// Whether a form of any site could make a browser send this. It cannot make it send JSON, or another method.
fn can_be_form(request: &ServiceRequest) -> bool {
    request.method() == Method::POST && !is_of_type(request, "application/json")
}

fn is_of_type(request: &ServiceRequest, media_type: &str) -> bool {
    request.content_type().eq_ignore_ascii_case(media_type)
}

/// Reads the token in a form, and leaves the body to be read again.
async fn read_token(request: &mut ServiceRequest) -> Result<Option<Vec<u8>>, Problem> {
    if !is_of_type(request, "application/x-www-form-urlencoded") {
        return Ok(None);
    }
    let body = request.extract::<web::Payload>().await;
    let body = body.map_err(|_| Problem::malformed("the body did not come whole"))?;
    let body = read_limited(body, LONGEST_FORM).await?;
    let mut fields = body.split(|byte| *byte == b'&');
    let token = fields.find_map(|field| field.strip_prefix(FIELD.as_bytes())?.strip_prefix(b"="));
    let token = token.map(<[u8]>::to_vec);
    request.set_payload(Payload::from(body));
    Ok(token)
}
