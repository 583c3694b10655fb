//! The headers of every answer: what is answered is for the page that asked, as what it says it is, and is not kept.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::header::{
    CACHE_CONTROL, CROSS_ORIGIN_OPENER_POLICY, CROSS_ORIGIN_RESOURCE_POLICY, HeaderMap, HeaderValue,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::{Next, from_fn};

/// Adds the headers that an answer does not have yet.
pub(crate) fn add_to(headers: &mut HeaderMap) {
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
        (CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
    ] {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

/// Adds to every answer the headers that keep it from being used elsewhere: `X-Content-Type-Options: nosniff`,
/// `Cross-Origin-Opener-Policy` and `Cross-Origin-Resource-Policy: same-origin`, and `Cache-Control: no-store`. A header
/// that an answer has already stays.
///
/// The receiver and its [`Login`](crate::receiver::Login) add them to their own answers. Wrap the whole app in this, so
/// that the others have them too, such as those of a health check:
///
/// ```
/// use actix_web::{App, web};
/// use deployment_telemetry::receiver::strict_headers;
///
/// let app = App::new().route("/healthz", web::get().to(async || "ok")).wrap(strict_headers());
/// ```
pub fn strict_headers<S, B>()
-> impl Transform<S, ServiceRequest, Response = ServiceResponse<B>, Error = Error, InitError = ()> + use<S, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    from_fn(async |request: ServiceRequest, next: Next<B>| {
        let mut answer = next.call(request).await?;
        add_to(answer.headers_mut());
        Ok(answer)
    })
}
