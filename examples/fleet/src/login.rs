//! The login: HTTP Basic, user `fleet`, the password of the settings.

use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse, HttpResponseBuilder};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

/// So long does whoever fails wait for the answer.
const PENALTY: Duration = Duration::from_secs(1);

/// So many may wait; together with the penalty, that many passwords can be tried in a second, from however many
/// addresses. Behind a proxy all have the same one, so it is not asked for.
const MOST_FAILING: usize = 32;

/// Who may see the fleet.
pub(crate) struct Login {
    /// SHA-256 of `fleet:<password>`: what is compared has one length, so nothing is learned of that of the password.
    expected: Option<[u8; 32]>,
    failing: Semaphore,
}

enum Verdict {
    LoggedIn,
    Nobody,
    Wrong,
    TooManyWrong,
}

impl Login {
    /// Everybody may without a password, which is for loopback only.
    pub(crate) fn new(password: Option<&SecretString>) -> Self {
        let expected =
            password.map(|password| hash(format!("fleet:{}", password.expose_secret()).as_bytes()));
        Self { expected, failing: Semaphore::new(MOST_FAILING) }
    }

    async fn judge(&self, headers: &HeaderMap) -> Verdict {
        let Some(expected) = &self.expected else { return Verdict::LoggedIn };
        let Some(given) = headers.get(AUTHORIZATION) else { return Verdict::Nobody };
        // Taken before the password is looked at: an attempt that is not slowed must not be told whether it was right.
        let Ok(_waiting) = self.failing.try_acquire() else { return Verdict::TooManyWrong };
        if credentials(given.as_bytes()).is_some_and(|given| bool::from(hash(&given).ct_eq(expected))) {
            return Verdict::LoggedIn;
        }
        tracing::warn!("[login] a wrong user or password");
        tokio::time::sleep(PENALTY).await;
        Verdict::Wrong
    }
}

/// Lets those pass who are logged in. `Data<Login>` is the app's, one for all workers.
pub(crate) async fn require(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let login = request.app_data::<Data<Login>>().expect("the app has a login").clone();
    let refusal = match login.judge(request.headers()).await {
        Verdict::LoggedIn => return Ok(next.call(request).await?.map_into_boxed_body()),
        Verdict::Nobody => unauthorized("a login is needed"),
        Verdict::Wrong => unauthorized("wrong user or password"),
        Verdict::TooManyWrong => {
            let mut refusal = HttpResponse::build(StatusCode::TOO_MANY_REQUESTS);
            refusal.insert_header((RETRY_AFTER, PENALTY.as_secs()));
            text(refusal, "too many failed logins at the moment; try again in a second")
        }
    };
    Ok(request.into_response(refusal))
}

fn unauthorized(message: &'static str) -> HttpResponse {
    let mut refusal = HttpResponse::Unauthorized();
    refusal.insert_header((WWW_AUTHENTICATE, "Basic realm=\"fleet\", charset=\"UTF-8\""));
    text(refusal, message)
}

fn text(mut refusal: HttpResponseBuilder, message: &'static str) -> HttpResponse {
    refusal
        .insert_header(("cache-control", "no-store"))
        .content_type("text/plain; charset=utf-8")
        .body(message)
}

/// `user:password` of `Basic …`; the scheme is in any case of its letters.
fn credentials(header: &[u8]) -> Option<Vec<u8>> {
    let (scheme, encoded) = header.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    STANDARD.decode(encoded.trim_ascii()).ok()
}

fn hash(text: &[u8]) -> [u8; 32] {
    digest(&SHA256, text).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_those_of_basic() {
        assert_eq!(credentials(b"Basic ZmxlZXQ6cA==").as_deref(), Some(&b"fleet:p"[..]));
        assert_eq!(credentials(b"bASIC  ZmxlZXQ6cA== ").as_deref(), Some(&b"fleet:p"[..]));
        for header in [&b""[..], b"Basic", b"Bearer ZmxlZXQ6cA==", b"Basic !", b"Basic\xff\xff"] {
            assert_eq!(credentials(header), None, "{header:?}");
        }
    }

    #[test]
    fn a_header_of_many_bytes_and_none_is_no_login() {
        for given in [&b""[..], &[b':'; 10_000]] {
            let login = Login::new(Some(&"a password of old".into()));
            assert!(!bool::from(hash(given).ct_eq(&login.expected.unwrap())));
        }
    }
}
