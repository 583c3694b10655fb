//! Where a request leads within the scope that the login guards. All links are relative, as on the pages, so that they
//! are right behind whatever proxy.

use actix_web::dev::ServiceRequest;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Longest address that the login leads back to, in bytes.
const LONGEST_NEXT: usize = 2048;

/// The address of a request, as seen from the scope.
pub(super) struct Address {
    /// The path below the scope, as it was sent, without the first slash. `None` for the scope without its slash.
    pub(super) path: Option<String>,
    /// Whether the scope is the whole server.
    pub(super) is_at_root: bool,
    /// The last part of the whole path.
    last: String,
    query: Option<String>,
}

impl Address {
    pub(super) fn of(request: &ServiceRequest) -> Self {
        // What the router has left is decoded, except for slashes.
        let slashes = request.match_info().unprocessed().matches('/').count();
        let whole = request.path();
        let mut parts: Vec<_> = whole.rsplit('/').take(slashes).collect();
        parts.reverse();
        let path = parts.join("/");
        Self {
            is_at_root: whole.len() == path.len() + 1,
            path: (slashes > 0).then_some(path),
            last: whole.rsplit('/').next().unwrap_or_default().to_owned(),
            query: request.uri().query().map(str::to_owned),
        }
    }

    /// Number of parts of the path after the first.
    pub(super) fn depth(&self) -> usize {
        self.path.as_ref().map_or(0, |path| path.matches('/').count())
    }

    /// The address of the login from here, which leads back here.
    pub(super) fn login(&self) -> String {
        let Some(path) = &self.path else {
            // Only below the scope relative links are right.
            return format!("./{}/", self.last);
        };
        let query = self.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        let login = format!("{}login", "../".repeat(self.depth()));
        match safe_next(&format!("{path}{query}")) {
            "" => login,
            next => format!("{login}?next={}", utf8_percent_encode(next, NON_ALPHANUMERIC)),
        }
    }

    /// The text of a query, empty if there is none.
    pub(super) fn query(&self) -> &str {
        self.query.as_deref().unwrap_or_default()
    }
}

/// `next`, if it is the address of a page in the scope, relative to it; otherwise empty, which is the first page. Together
/// with the `./` that it is put behind, no text can name another server; the rest keeps it in the scope.
pub(super) fn safe_next(next: &str) -> &str {
    let path = next.split('?').next().unwrap_or_default();
    let leads_up = |part: &str| {
        let part: Vec<u8> = percent_decode_str(part).collect();
        part == b"." || part == b".."
    };
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#' | b'"' | b'<' | b'>');
    let is_safe = next.len() <= LONGEST_NEXT
        && next.bytes().all(is_plain)
        && !path.starts_with('/')
        && !path.split('/').any(leads_up)
        && !matches!(path, "login" | "logout");
    if is_safe { next } else { "" }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use actix_web::middleware::{Next, from_fn};
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, Error, HttpResponse, web};

    use super::*;

    /// The way to the login from a path in a scope.
    async fn login_from(scope: &str, uri: &str) -> String {
        let show = async |request: ServiceRequest, _: Next<actix_web::body::BoxBody>| {
            let address = Address::of(&request);
            let answer = HttpResponse::Ok().body(format!("{} {}", address.is_at_root, address.login()));
            Ok::<_, Error>(request.into_response(answer))
        };
        let scope = web::scope(scope).default_service(web::to(HttpResponse::Ok)).wrap(from_fn(show));
        let app = init_service(App::new().service(scope)).await;
        let answer = call_service(&app, TestRequest::get().uri(uri).to_request()).await;
        String::from_utf8(to_bytes(answer.into_body()).await.unwrap().to_vec()).unwrap()
    }

    #[actix_rt::test]
    async fn the_way_to_the_login_is_relative_and_leads_back() {
        for (scope, uri, expected) in [
            ("", "/", "true login"),
            ("", "/events?reason=end&x=%20", "true login?next=events%3Freason%3Dend%26x%3D%2520"),
            ("", "/a/b%2Fc/d", "true ../../login?next=a%2Fb%252Fc%2Fd"),
            ("/tele/fleet", "/tele/fleet/", "false login"),
            ("/tele/fleet", "/tele/fleet", "false ./fleet/"),
            ("/tele/fleet", "/tele/fleet/instances/1?x", "false ../login?next=instances%2F1%3Fx"),
            ("/tele/fleet", "/tele/fleet//evil.example", "false ../login"),
            ("/\u{e4}", "/%C3%A4/%C3%A4/1", "false ../login?next=%25C3%25A4%2F1"),
        ] {
            assert_eq!(login_from(scope, uri).await, expected, "{scope} {uri}");
        }
    }

    #[test]
    fn the_login_leads_to_pages_of_its_scope_alone() {
        for safe in
            ["", "events", "?state=down", "events?reason=a%2Fb&next=//x", "instances/1/forget", "a/.b/..c"]
        {
            assert_eq!(safe_next(safe), safe);
        }
        for other in [
            "/",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "\\evil.example",
            "..",
            "../other",
            "a/../../other",
            "./.%2e/other",
            "%2e%2E/other",
            "a/%2e%2e/b",
            "login",
            "login?next=login",
            "logout",
            " events",
            "\tevents",
            "eve\r\nset-cookie: a=b",
            "events#x",
            "ev\u{e4}nts",
            "a\"b",
            &"x".repeat(2049),
        ] {
            assert_eq!(safe_next(other), "", "{other}");
        }
        // Behind `./` they are only strange paths.
        assert_eq!(safe_next("https://evil.example"), "https://evil.example");
        assert_eq!(safe_next("javascript:alert(1)"), "javascript:alert(1)");
    }
}
