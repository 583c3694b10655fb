//! Nobody logs in here, so a foreign web page must not be able to press this server's buttons.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HOST, HeaderMap, ORIGIN};
use actix_web::middleware::Next;

use crate::refusal::Refusal;

/// Refuses whatever changes something and comes from a browser that shows a page of another site.
pub(crate) async fn refuse(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    if request.method().is_safe() || is_own(request.headers()) {
        return next.call(request).await;
    }
    Err(Refusal::new(StatusCode::FORBIDDEN, "refused, because it comes from a page of another site").into())
}

/// Browsers say where a request comes from, by `Sec-Fetch-Site` or, older ones, by `Origin`. What says neither is
/// no browser.
fn is_own(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (text("sec-fetch-site"), text(ORIGIN.as_str())) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host = text(HOST.as_str()).unwrap_or_default();
            origin.split_once("://").is_some_and(|(_, authority)| authority == host)
        }
        (None, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn own(headers: &[(&'static str, &'static str)]) -> bool {
        let request =
            headers.iter().fold(TestRequest::post(), |request, header| request.insert_header(*header));
        is_own(request.to_http_request().headers())
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
        for foreign in ["null", "http://localhost:8081", "http://evil.example", "localhost:8080", ""] {
            assert!(!own(&[host, ("origin", foreign)]), "{foreign}");
        }
    }
}
