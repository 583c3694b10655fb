//! Nobody logs in here, so a foreign web page must not be able to press this server's buttons.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HOST, HeaderMap, ORIGIN};
use actix_web::middleware::Next;
use actix_web::web::Data;
use url::Host;

use crate::refusal::Refusal;

/// By which names this server may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// By its address and as `localhost`: a foreign site can give a name of its own to this machine's address, and
    /// would then count as this one.
    Own,
    /// By any, as a server has that others reach.
    Any,
}

/// Refuses whatever changes something and comes from a browser that shows a page of another site.
pub(crate) async fn refuse(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let names = request.app_data::<Data<Names>>().map_or(Names::Own, |names| ***names);
    if request.method().is_safe() || is_own(request.headers(), names) {
        return next.call(request).await;
    }
    Err(Refusal::new(StatusCode::FORBIDDEN, "refused, because it comes from a page of another site").into())
}

/// Browsers say where a request comes from, by `Sec-Fetch-Site` or, older ones, by `Origin`. What says neither is
/// no browser.
fn is_own(headers: &HeaderMap, names: Names) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text(HOST.as_str()).unwrap_or_default();
    let is_called_rightly = || names == Names::Any || is_own_name(host);
    match (text("sec-fetch-site"), text(ORIGIN.as_str())) {
        (Some(site), _) => matches!(site, "same-origin" | "none") && is_called_rightly(),
        (None, Some(origin)) => {
            origin.split_once("://").is_some_and(|(_, authority)| authority == host) && is_called_rightly()
        }
        (None, None) => true,
    }
}

fn is_own_name(authority: &str) -> bool {
    let host = authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    match Host::parse(host.map_or(authority, |(host, _)| host)) {
        Ok(Host::Domain(name)) => name == "localhost",
        Ok(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn own(headers: &[(&'static str, &'static str)]) -> bool {
        let request =
            headers.iter().fold(TestRequest::post(), |request, header| request.insert_header(*header));
        is_own(request.to_http_request().headers(), Names::Own)
    }

    #[test]
    fn a_page_of_another_site_is_not_ours() {
        let host = ("host", "localhost:8080");
        assert!(own(&[host]));
        assert!(own(&[host, ("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(own(&[host, ("sec-fetch-site", "none")]));
        assert!(own(&[host, ("origin", "http://localhost:8080")]));
        for foreign in ["cross-site", "same-site", "", "SAME-ORIGIN"] {
            assert!(!own(&[host, ("sec-fetch-site", foreign)]), "{foreign}");
        }
        for named in ["127.0.0.1:8080", "[::1]:8080", "[::1]", "localhost"] {
            assert!(own(&[("host", named), ("sec-fetch-site", "same-origin")]), "{named}");
        }
        for named in ["evil.example:8080", "localhost.evil.example", "", "::1:x"] {
            assert!(!own(&[("host", named), ("sec-fetch-site", "same-origin")]), "{named}");
        }
        let rebound = TestRequest::post()
            .insert_header(("host", "sirveo.example"))
            .insert_header(("sec-fetch-site", "same-origin"));
        assert!(is_own(rebound.to_http_request().headers(), Names::Any));
        for foreign in ["null", "http://localhost:8081", "http://evil.example", "localhost:8080", ""] {
            assert!(!own(&[host, ("origin", foreign)]), "{foreign}");
        }
    }
}
