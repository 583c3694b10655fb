//! Refuses requests by which a page of another site would change something with the login of a browser.

use actix_web::dev::RequestHead;
use actix_web::http::header::{HOST, ORIGIN};

use super::problem::{Cause, Problem};

/// Refuses a request that changes something and comes from a browser that shows a page of another site.
pub(crate) fn check(request: &RequestHead) -> Result<(), Problem> {
    if request.method.is_safe() || is_own(request) {
        return Ok(());
    }
    Err(Problem::new(Cause::CrossSite, "a page of another site may not change anything here"))
}

/// Browsers say where a request comes from, by `Sec-Fetch-Site` or, where there is no TLS, by `Origin`. What says
/// neither is no browser.
fn is_own(request: &RequestHead) -> bool {
    let text = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (text("sec-fetch-site"), text(ORIGIN.as_str())) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            origin.split_once("://").is_some_and(|(_, host)| Some(host) == authority(request))
        }
        (None, None) => true,
    }
}

/// The name and the port by which the client called the server.
pub(crate) fn authority(request: &RequestHead) -> Option<&str> {
    // HTTP/2 has no `Host`.
    match request.headers.get(HOST) {
        Some(host) => host.to_str().ok(),
        None => request.uri.authority().map(|authority| authority.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::Method;
    use actix_web::test::TestRequest;

    use super::*;

    fn is_refused(method: Method, headers: &[(&'static str, &'static str)]) -> bool {
        let request = headers
            .iter()
            .fold(TestRequest::default().method(method), |request, header| request.insert_header(*header))
            .insert_header(("host", "fleet.example:8080"))
            .to_http_request();
        check(request.head()).is_err()
    }

    #[test]
    fn a_page_of_another_site_changes_nothing() {
        for own in [
            &[][..],
            &[("sec-fetch-site", "same-origin"), ("origin", "null")],
            &[("sec-fetch-site", "none")],
            &[("origin", "http://fleet.example:8080")],
        ] {
            assert!(!is_refused(Method::POST, own), "{own:?}");
        }
        for foreign in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", ""),
            ("origin", "null"),
            ("origin", "http://evil.example"),
            ("origin", "http://fleet.example"),
            ("origin", "fleet.example:8080"),
        ] {
            assert!(is_refused(Method::POST, &[foreign]), "{foreign:?}");
            assert!(is_refused(Method::DELETE, &[foreign]), "{foreign:?}");
            assert!(!is_refused(Method::GET, &[foreign]), "{foreign:?}");
        }
    }

    #[test]
    fn an_origin_without_a_host_is_another_site() {
        let request = TestRequest::post().insert_header(("origin", "null")).to_http_request();
        assert!(check(request.head()).is_err());
    }
}
