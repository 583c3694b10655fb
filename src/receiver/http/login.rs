//! A guard for a host that has none of its own: one user and one password by HTTP Basic.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{RequestHead, Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::middleware::{Next, from_fn};
use actix_web::{Error, HttpResponse, HttpResponseBuilder, ResponseError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::cross_site;
use crate::wire::digest::sha256;

/// Shortest password that cannot be guessed, in characters.
const SHORTEST_PASSWORD: usize = 12;

/// How long a failed attempt waits for its answer.
const PENALTY: Duration = Duration::from_secs(1);

/// Most failed attempts of one address that wait at a time. With the penalty, it is also how many passwords can be tried
/// from there in a second.
/// Behind a proxy all have the proxy's.
const MOST_FAILING: usize = 32;

/// Most addresses with failed attempts that wait. An attacker with fewer keeps nobody else out.
const MOST_FAILING_ADDRESSES: usize = 64;

/// Decides who may see what is behind it, such as [`Receiver::fleet`](crate::receiver::Receiver::fleet): `.wrap(login.guard())` around an
/// app or a scope.
///
/// It also refuses what a browser sends to change something while it shows a page of another site, whatever is behind it.
#[derive(Clone)]
pub struct Login(Arc<Kind>);

enum Kind {
    Password {
        /// SHA-256 of `user:password`: what is compared has one length, so nothing is learned of that of the password.
        expected: [u8; 32],
        failing: Failing,
    },
    OwnNamesOnly,
}

/// The password is shorter than 12 characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a password has {SHORTEST_PASSWORD} characters or more")]
pub struct PasswordTooShort;

enum Verdict {
    Welcome,
    NoName,
    NoLogin,
    Wrong,
    TooManyWrong,
}

impl Login {
    /// By HTTP Basic. The password crosses the network readable unless there is TLS, the host's own or a proxy's.
    ///
    /// # Errors
    /// The password has fewer than 12 characters.
    pub fn new(user: &str, password: impl Into<SecretString>) -> Result<Self, PasswordTooShort> {
        let password = password.into();
        if password.expose_secret().chars().count() < SHORTEST_PASSWORD {
            return Err(PasswordTooShort);
        }
        let expected = sha256(format!("{user}:{}", password.expose_secret()));
        Ok(Self(Arc::new(Kind::Password { expected, failing: Failing::default() })))
    }

    /// For a server that listens on a loopback address only: lets everybody pass who calls it `localhost` or by an IP
    /// address. Any site can give a name of its own to 127.0.0.1, and its pages would then count as this server's.
    pub fn without_password() -> Self {
        Self(Arc::new(Kind::OwnNamesOnly))
    }

    /// What to wrap in it. Clones share the count of failing attempts, so make one `Login` for all workers.
    pub fn guard<S, B>(
        &self,
    ) -> impl Transform<S, ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()>
    + use<S, B>
    where
        S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
        B: MessageBody + 'static,
    {
        let login = self.clone();
        from_fn(move |request, next| require(login.clone(), request, next))
    }

    async fn admit(&self, request: &RequestHead) -> Verdict {
        let Kind::Password { expected, failing } = &*self.0 else {
            return if is_own_name(cross_site::authority(request)) {
                Verdict::Welcome
            } else {
                Verdict::NoName
            };
        };
        let Some(given) = request.headers().get(AUTHORIZATION) else { return Verdict::NoLogin };
        // Taken before the password is looked at: an attempt that is not slowed must not learn whether it was right.
        let Some(_waiting) = failing.enter(request.peer_addr.map(|peer| network(peer.ip()))) else {
            return Verdict::TooManyWrong;
        };
        if credentials(given.as_bytes()).is_some_and(|given| bool::from(sha256(&given).ct_eq(expected))) {
            return Verdict::Welcome;
        }
        tracing::warn!("[login] a wrong user or password");
        tokio::time::sleep(PENALTY).await;
        Verdict::Wrong
    }
}

/// Attempts that failed and wait for their answer, and those that are just looked at, by the address they came from.
#[derive(Default)]
struct Failing(Mutex<HashMap<Option<IpAddr>, usize>>);

impl Failing {
    /// `None` where there are too many.
    fn enter(&self, from: Option<IpAddr>) -> Option<Waiting<'_>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let addresses = counts.len();
        match counts.entry(from) {
            Entry::Vacant(_) if addresses >= MOST_FAILING_ADDRESSES => return None,
            Entry::Occupied(count) if *count.get() >= MOST_FAILING => return None,
            entry => *entry.or_default() += 1,
        }
        Some(Waiting { failing: self, from })
    }
}

struct Waiting<'a> {
    failing: &'a Failing,
    from: Option<IpAddr>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut counts = self.failing.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = counts.entry(self.from) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// The network that attempts are counted by: of IPv6 the first 48 bits, because one client may have all addresses below.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 80 << 80).into(),
        address => address,
    }
}

async fn require(
    login: Login,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let verdict = login.admit(request.request().head()).await;
    let refusal = match verdict {
        Verdict::Welcome => match cross_site::check(request.request().head()) {
            Ok(()) => return Ok(next.call(request).await?.map_into_boxed_body()),
            Err(problem) => problem.error_response(),
        },
        Verdict::NoName => text(
            HttpResponse::build(StatusCode::MISDIRECTED_REQUEST),
            "without a password this server answers to localhost and to IP addresses only",
        ),
        Verdict::NoLogin => unauthorized("a login is needed"),
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
    refusal.insert_header((WWW_AUTHENTICATE, "Basic realm=\"telemetry\", charset=\"UTF-8\""));
    text(refusal, message)
}

fn text(mut refusal: HttpResponseBuilder, message: &'static str) -> HttpResponse {
    refusal
        .insert_header(("cache-control", "no-store"))
        .content_type("text/plain; charset=utf-8")
        .body(message)
}

fn is_own_name(authority: Option<&str>) -> bool {
    let Some(authority) = authority else { return false };
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    };
    if let Some(bracketed) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return bracketed.parse::<Ipv6Addr>().is_ok();
    }
    name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok()
}

/// `user:password` of `Basic …`; the scheme is in any case of its letters.
fn credentials(header: &[u8]) -> Option<Vec<u8>> {
    let (scheme, encoded) = header.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    STANDARD.decode(encoded.trim_ascii()).ok()
}

#[cfg(test)]
mod tests {
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, web};

    use super::*;

    async fn status(login: &Login, request: TestRequest) -> u16 {
        let app = App::new().service(
            web::scope("").wrap(login.guard()).default_service(web::to(async || HttpResponse::Ok())),
        );
        call_service(&init_service(app).await, request.to_request()).await.status().as_u16()
    }

    fn asking(name: &'static str, value: &'static str) -> TestRequest {
        TestRequest::post().insert_header(("host", "fleet.example")).insert_header((name, value))
    }

    #[actix_rt::test]
    async fn with_the_password_any_name_of_the_host_is_answered() {
        let login = Login::new("fleet", "a long:password").unwrap();
        // fleet:a long:password
        let right = || asking("authorization", "basic ZmxlZXQ6YSBsb25nOnBhc3N3b3Jk");
        assert_eq!(status(&login, right()).await, 200);
        assert_eq!(status(&login, asking("accept", "*/*")).await, 401);
        assert_eq!(status(&login, asking("authorization", "Basic ZmxlZXQ6YQ==")).await, 401);
        assert_eq!(status(&login, right().insert_header(("sec-fetch-site", "cross-site"))).await, 403);
    }

    #[actix_rt::test]
    async fn without_a_password_it_answers_to_its_own_names_only() {
        let login = Login::without_password();
        for own in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "192.0.2.7", "[::1]:8080", "[::1]"] {
            assert_eq!(status(&login, TestRequest::get().insert_header(("host", own))).await, 200, "{own}");
        }
        for foreign in [
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost.",
            "[evil.example]",
            "[::1].evil.example",
            "[::1]:8080.evil.example",
            "localhost:evil.example",
            "::1",
            "",
        ] {
            let request = TestRequest::get().insert_header(("host", foreign));
            assert_eq!(status(&login, request).await, 421, "{foreign}");
        }
        assert_eq!(status(&login, TestRequest::get()).await, 421);
        let own = || TestRequest::put().insert_header(("host", "localhost:8080"));
        assert_eq!(status(&login, own().insert_header(("origin", "http://localhost:8080"))).await, 200);
        assert_eq!(status(&login, own().insert_header(("origin", "http://localhost:8081"))).await, 403);
    }

    #[test]
    fn failures_from_few_addresses_keep_nobody_else_out() {
        let failing = Failing::default();
        let from = |n: usize| Some(IpAddr::from([192, 0, 2, u8::try_from(n).unwrap()]));
        let mut waiting: Vec<_> = (0..MOST_FAILING).map(|_| failing.enter(from(1)).unwrap()).collect();
        assert!(failing.enter(from(1)).is_none());
        assert!(failing.enter(from(2)).is_some() && failing.enter(None).is_some());
        waiting.pop();
        assert!(failing.enter(from(1)).is_some());
        waiting.extend((2..=MOST_FAILING_ADDRESSES).map(|n| failing.enter(from(n)).unwrap()));
        assert!(failing.enter(from(0)).is_none(), "memory is bounded");
        drop(waiting);
        assert!(failing.0.lock().unwrap().is_empty());

        let same = |one: &str, other: &str| network(one.parse().unwrap()) == network(other.parse().unwrap());
        assert!(same("2001:db8::1", "2001:db8:0:ffff::1") && same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!same("2001:db8::1", "2001:db8:1::1") && !same("192.0.2.1", "192.0.2.2"));
    }

    #[test]
    fn credentials_are_those_of_basic() {
        assert_eq!(credentials(b"Basic ZmxlZXQ6cA==").as_deref(), Some(&b"fleet:p"[..]));
        assert_eq!(credentials(b"bASIC  ZmxlZXQ6cA== ").as_deref(), Some(&b"fleet:p"[..]));
        for header in [&b""[..], b"Basic", b"Bearer ZmxlZXQ6cA==", b"Basic !", b"Basic\xff\xff"] {
            assert_eq!(credentials(header), None, "{header:?}");
        }
    }

    #[test]
    fn a_short_password_is_refused() {
        assert_eq!(Login::new("fleet", "11 letters.").err(), Some(PasswordTooShort));
        assert!(Login::new("fleet", "žluťoučký kůň").is_ok());
    }
}
