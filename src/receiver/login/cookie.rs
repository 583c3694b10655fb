//! The cookie of a session.
//!
//! It names no path: a browser takes the folder of the address that sets the cookie, which is that of the login form. This
//! is the scope as the browser sees it, also behind a proxy that serves it at another path. With https at the root it names
//! the path `/`, which the prefix `__Host-` asks for: behind such a proxy it is for everything at that host name.

use actix_web::dev::RequestHead;
use actix_web::http::header::COOKIE;

use super::sessions::Token;
use crate::receiver::http::cross_site;

/// Maximum number of cookies of this name that are looked at: other sites of a domain can add some.
const MOST_COOKIES: usize = 8;

/// How the cookie is named and what it is restricted to.
pub(super) struct SessionCookie {
    name: String,
    restricted_to: &'static str,
}

impl SessionCookie {
    /// `is_at_root`: the scope is the whole server.
    pub(super) fn of(request: &RequestHead, is_https: bool, is_at_root: bool) -> Self {
        // Browsers tell servers apart by their ports, but not cookies.
        let port = cross_site::authority(request).and_then(|authority| authority.rsplit_once(':'));
        let port = port.map(|(_, port)| port).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
        // Browsers accept these prefixes only with the attributes beside them, and from this very server.
        let (prefix, restricted_to) = match (is_https, is_at_root) {
            (true, true) => ("__Host-", "; Secure; Path=/"),
            (true, false) => ("__Secure-", "; Secure"),
            (false, _) => ("", ""),
        };
        Self { name: format!("{prefix}telemetry{}", port.unwrap_or_default()), restricted_to }
    }

    /// Value of `Set-Cookie` that begins the session. It has no date: a browser forgets the cookie when it is closed.
    pub(super) fn set(&self, token: &Token) -> String {
        format!("{}={}; HttpOnly; SameSite=Strict{}", self.name, token.expose(), self.restricted_to)
    }

    /// Value of `Set-Cookie` that removes it.
    pub(super) fn remove(&self) -> String {
        format!("{}=; Max-Age=0; HttpOnly; SameSite=Strict{}", self.name, self.restricted_to)
    }

    /// Values of the cookie in a request.
    fn values<'a>(&'a self, request: &'a RequestHead) -> impl Iterator<Item = &'a str> {
        let headers = request.headers.get_all(COOKIE).filter_map(|header| header.to_str().ok());
        let pairs = headers.flat_map(|header| header.split(';')).filter_map(|pair| pair.split_once('='));
        pairs.filter(|(name, _)| name.trim() == self.name).map(|(_, value)| value.trim()).take(MOST_COOKIES)
    }

    /// Whether the browser had a session, which may have ended.
    pub(super) fn is_in(&self, request: &RequestHead) -> bool {
        self.values(request).next().is_some()
    }

    pub(super) fn tokens<'a>(&'a self, request: &'a RequestHead) -> impl Iterator<Item = Token> + 'a {
        self.values(request).filter_map(Token::parse)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const TOKEN: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    fn cookie(host: &'static str, is_https: bool, is_at_root: bool) -> SessionCookie {
        let request = TestRequest::get().insert_header(("host", host)).to_http_request();
        SessionCookie::of(request.head(), is_https, is_at_root)
    }

    #[test]
    fn it_is_for_this_server_alone_and_not_for_scripts() {
        let token = Token::parse(TOKEN).unwrap();
        for (host, is_https, is_at_root, expected) in [
            ("localhost:8080", false, true, "telemetry8080=…; HttpOnly; SameSite=Strict"),
            ("fleet.example", false, false, "telemetry=…; HttpOnly; SameSite=Strict"),
            ("fleet.example", true, true, "__Host-telemetry=…; HttpOnly; SameSite=Strict; Secure; Path=/"),
            (
                "fleet.example:8443",
                true,
                false,
                "__Secure-telemetry8443=…; HttpOnly; SameSite=Strict; Secure",
            ),
            ("[::1]", false, true, "telemetry=…; HttpOnly; SameSite=Strict"),
            ("a:b; Domain=evil", false, true, "telemetry=…; HttpOnly; SameSite=Strict"),
        ] {
            let cookie = cookie(host, is_https, is_at_root);
            assert_eq!(cookie.set(&token), expected.replace('…', TOKEN));
            assert_eq!(cookie.remove(), expected.replace('…', "; Max-Age=0"));
        }
    }

    #[test]
    fn it_is_found_among_others() {
        let cookie = cookie("fleet.example", false, true);
        let found = |value: String| {
            let request = TestRequest::get().insert_header(("cookie", value)).to_http_request();
            (cookie.is_in(request.head()), cookie.tokens(request.head()).count())
        };
        assert_eq!(found(format!("a=b; telemetry={TOKEN};c=d")), (true, 1));
        assert_eq!(found(format!("telemetry=evil; telemetry={TOKEN}")), (true, 1));
        assert_eq!(found(format!("telemetry={TOKEN}; ").repeat(20)), (true, MOST_COOKIES));
        for none in [String::new(), "telemetry".to_owned(), format!("xtelemetry={TOKEN}; Telemetry={TOKEN}")]
        {
            assert_eq!(found(none), (false, 0));
        }
        assert_eq!(found("telemetry=".to_owned()), (true, 0));
    }
}
