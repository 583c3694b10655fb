//! The login that comes with the receiver, for a host that has none of its own: one user and one password, by a page with
//! a form and a session for people, and by HTTP Basic for programs.
//!
//! `gate.rs` is where each request comes in.

mod address;
mod attempts;
mod cookie;
mod door;
mod failures;
mod form;
mod gate;
mod own_name;
mod page;
mod password;
mod sessions;
#[cfg(all(test, feature = "sqlite"))]
mod tests;
mod visit;

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::middleware::from_fn;
use actix_web::{Error, HttpRequest};
use secrecy::SecretString;

pub use password::{PasswordTooShort, UnusablePasswordHash};
pub(super) use visit::UNATTENDED;

use super::http::form_token::FormToken;
use door::Door;
use gate::{Gate, Kind};
use password::Password;
use sessions::SessionLimits;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A working day, and a week.
const LIMITS: SessionLimits =
    SessionLimits { idle: HOUR.saturating_mul(12), total: HOUR.saturating_mul(7 * 24) };

/// Decides who may see what is behind it, such as [`Receiver::fleet`](crate::receiver::Receiver::fleet): `.wrap(login.guard())` around an
/// app or a scope.
///
/// ```
/// use std::time::Duration;
///
/// use actix_web::{App, HttpResponse, web};
/// use deployment_telemetry::receiver::Login;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // One for all workers: they share the sessions and the count of failed attempts.
/// let login = Login::new("fleet", "a long password")?
///     .https() // browsers reach this server through a proxy with TLS
///     .session_limits(Duration::from_secs(3600), Duration::from_secs(24 * 3600));
/// let app = move || {
///     let pages = web::resource("/").to(async || HttpResponse::Ok().body("who is up"));
///     App::new().service(web::scope("/fleet").wrap(login.guard()).service(pages))
/// };
/// # let _ = app();
/// # Ok(())
/// # }
/// ```
///
/// # People
/// A browser that asks for a page is sent to `login`, relative to where the guard is, and back afterwards. `POST logout`
/// ends the session. Both paths belong to the guard; what is behind it cannot use them. `pages.css` and `favicon.ico` need
/// no login. The session has a random token of 256 bits, in a cookie that is `HttpOnly`, `SameSite=Strict` and limited to
/// the scope, and `Secure` where the way is known to be https. The process keeps only the token's SHA-256, in memory:
/// sessions end when the process does, and where there are several, a proxy has to send a browser always to the same one.
/// At most 1,000 sessions are kept.
///
/// With https and the guard around the whole server, the cookie is for all paths of its host name: browsers ask for that
/// before they protect a cookie from other hosts of the domain (`__Host-`). A proxy that serves `/fleet/` from such a
/// server passes the cookie to everything else at that name, too. Where that is not trusted with the session, guard a scope
/// `/fleet` instead, and let the proxy keep the path.
///
/// A form that changes something needs the token of its session as the field `csrf`; see [`form_token`](Self::form_token).
/// Besides, whatever a browser sends to change something while it shows a page of another site is refused.
///
/// # Programs
/// They log in with HTTP Basic, with each request. They need no token.
///
/// # Limits
/// The password is kept as its Argon2 hash. A wrong one is answered after a second. After eight, its network (an IPv4
/// address, or the first 48 bits of an IPv6 one) has to pause before each further one, for 1, 2, 4 and at most 60 seconds.
/// All networks together may try eight a second; more attempts wait up to nine seconds, or are answered with 429. Nothing
/// of this concerns a session, nor the right password from a network that is known, because it came from there, or a session
/// was used there, within the last seven days: it has to wait only while eight wrong ones of the same network have their
/// second. Behind a proxy all clients are one network.
///
/// The log tells of failed logins once a minute at most, with their number and the networks.
#[derive(Clone)]
pub struct Login(Gate);

impl Login {
    /// One user with a password.
    ///
    /// # Errors
    /// The password has fewer than 12 characters.
    ///
    /// # Panics
    /// There are no 19 MiB of memory for the hash.
    pub fn new(user: &str, password: impl Into<SecretString>) -> Result<Self, PasswordTooShort> {
        let hash = password::hash(&password.into())?;
        Ok(Self::by(Password::new(user, hash)))
    }

    /// One user with a password of which the host keeps the hash alone, as [`hash`](Self::hash) or another program makes
    /// it: Argon2id, in the PHC format.
    ///
    /// ```
    /// use deployment_telemetry::receiver::Login;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let kept = Login::hash("a long password")?;
    /// assert!(kept.starts_with("$argon2id$"));
    /// let login = Login::with_hash("fleet", &kept)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The text is no such hash.
    pub fn with_hash(user: &str, hash: &str) -> Result<Self, UnusablePasswordHash> {
        Ok(Self::by(Password::parse(user, hash)?))
    }

    /// The hash of a password, for [`with_hash`](Self::with_hash). It is another one each time.
    ///
    /// # Errors
    /// The password has fewer than 12 characters.
    ///
    /// # Panics
    /// There are no 19 MiB of memory for the hash.
    pub fn hash(password: impl Into<SecretString>) -> Result<String, PasswordTooShort> {
        Ok(password::hash(&password.into())?.to_string())
    }

    /// For a server that listens on a loopback address only: lets everybody pass who calls it `localhost` or by an IP
    /// address. Any site can give a name of its own to 127.0.0.1, and its pages would then count as this server's.
    ///
    /// ```
    /// use actix_web::{App, web};
    /// use deployment_telemetry::receiver::Login;
    ///
    /// let app = App::new().service(web::scope("").wrap(Login::without_password().guard()));
    /// ```
    pub fn without_password() -> Self {
        Self(Gate { kind: Kind::OwnNamesOnly, is_https: false, limits: LIMITS })
    }

    fn by(password: Password) -> Self {
        let kind = Kind::Password(Arc::new(Door::new(password)));
        Self(Gate { kind, is_https: false, limits: LIMITS })
    }

    /// Browsers reach this server by https alone, through a proxy with TLS. Without this, that is known of a server which
    /// has TLS itself; headers of the request are not believed. The cookie of the session is `Secure` then, and a page
    /// that came by http counts as another site.
    #[must_use]
    pub fn https(mut self) -> Self {
        self.0.is_https = true;
        self
    }

    /// A session ends when there was no request for `idle`, 12 hours without this, and when it is `total` old, 7 days.
    #[must_use]
    pub fn session_limits(mut self, idle: Duration, total: Duration) -> Self {
        self.0.limits = SessionLimits { idle, total };
        self
    }

    /// What to wrap in it. Clones share the sessions and the count of failing attempts, so make one `Login` for all workers.
    pub fn guard<S, B>(
        &self,
    ) -> impl Transform<S, ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()>
    + use<S, B>
    where
        S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
        B: MessageBody + 'static,
    {
        let gate = self.0.clone();
        from_fn(move |request, next| gate::guard(gate.clone(), request, next))
    }

    /// The token for the forms of a page of the host's own behind the guard: the hidden field `csrf` of each
    /// `<form method="post">`, whose body is `application/x-www-form-urlencoded` and has 64 KiB at most. A script sends it
    /// as the header `x-csrf-token`. `None` where the request has no session, and its forms need no token. Requests that a
    /// form cannot make, such as `PUT`, `DELETE` and those with JSON, never need it.
    ///
    /// ```
    /// use actix_web::HttpRequest;
    /// use deployment_telemetry::receiver::Login;
    ///
    /// async fn page(request: HttpRequest) -> String {
    ///     let token = Login::form_token(&request).unwrap_or_default();
    ///     format!("<form method=post><input type=hidden name=csrf value='{token}'><button>Stop</button></form>")
    /// }
    /// ```
    pub fn form_token(request: &HttpRequest) -> Option<String> {
        FormToken::of(request).map(FormToken::into_text)
    }
}
