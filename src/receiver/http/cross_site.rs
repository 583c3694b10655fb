//! Refuses requests by which a page of another site would change something with the login of a browser.

use actix_web::HttpMessage;
use actix_web::dev::{RequestHead, ServiceRequest};
use actix_web::http::header::{HOST, ORIGIN};

use super::problem::{Cause, Problem};

/// Refuses a request that changes something and comes from a browser that shows a page of another site.
pub(crate) fn check(request: &ServiceRequest) -> Result<(), Problem> {
    if request.method().is_safe() || is_own(request.request().head(), is_https(request)) {
        return Ok(());
    }
    Err(Problem::new(Cause::CrossSite, "a page of another site may not change anything here"))
}

/// Marks a request whose browser came by https, as the host says, although this server has no TLS.
pub(crate) struct ByHttps;

/// Whether it is known that browsers reach this server by https: by its own TLS, or because the host says so. Headers
/// such as `X-Forwarded-Proto` count for nothing, because anybody can send them.
pub(crate) fn is_https(request: &ServiceRequest) -> bool {
    request.app_config().secure() || request.extensions().contains::<ByHttps>()
}

/// Browsers say where a request comes from, by `Sec-Fetch-Site` or, where there is no TLS, by `Origin`. What says
/// neither is no browser. Where it is not known that the way is https, there may be a proxy with TLS, so that the scheme
/// of the origin says nothing.
fn is_own(request: &RequestHead, is_https: bool) -> bool {
    let text = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (text("sec-fetch-site"), text(ORIGIN.as_str())) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let own = |(scheme, host)| Some(host) == authority(request) && (!is_https || scheme == "https");
            origin.split_once("://").is_some_and(own)
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
            .to_srv_request();
        check(&request).is_err()
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
        let request = TestRequest::post().insert_header(("origin", "null")).to_srv_request();
        assert!(check(&request).is_err());
    }

    #[test]
    fn where_the_way_is_https_a_page_that_came_without_it_is_another_site() {
        let from = |origin: &'static str, is_https: bool| {
            let request = TestRequest::post().insert_header(("origin", origin));
            let request = request.insert_header(("host", "fleet.example")).to_srv_request();
            if is_https {
                request.extensions_mut().insert(ByHttps);
            }
            check(&request).is_ok()
        };
        assert!(from("https://fleet.example", true) && !from("http://fleet.example", true));
        assert!(from("https://fleet.example", false) && from("http://fleet.example", false));
    }
}
