//! One path and its methods.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::middleware::{Compress, Condition, Next, from_fn};
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpResponse, Resource, Responder, ResponseError};

use super::problem::{Cause, Problem};
use super::{cross_site, headers};

/// Answers 405 to every other method, and 403 to a page of another site that would change something.
pub(crate) struct Route {
    resource: Resource,
    methods: Vec<&'static str>,
    is_compressed: bool,
}

impl Route {
    pub(crate) fn at(path: &str) -> Self {
        Self { resource: web::resource(path), methods: Vec::new(), is_compressed: false }
    }

    /// Handles `GET` and `HEAD`.
    pub(crate) fn get<F, Args>(mut self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.resource = self.resource.route(web::get().to(handler.clone())).route(web::head().to(handler));
        self.methods.extend(["GET", "HEAD"]);
        self
    }

    pub(crate) fn post<F, Args>(mut self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.resource = self.resource.route(web::post().to(handler));
        self.methods.push("POST");
        self
    }

    pub(crate) fn delete<F, Args>(mut self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.resource = self.resource.route(web::delete().to(handler));
        self.methods.push("DELETE");
        self
    }

    /// Compresses the answers for clients that accept it. What is behind a login is safe with it: a page of another site,
    /// which would have to send many requests to guess what an answer holds, sends them without the session.
    pub(crate) fn compressed(mut self) -> Self {
        self.is_compressed = true;
        self
    }

    pub(crate) fn mount(self, config: &mut ServiceConfig) {
        let allow = self.methods.join(", ");
        let other = move || {
            let response = method_not_allowed(&allow);
            async move { response }
        };
        let resource = self.resource.default_service(web::to(other));
        let compress = Condition::new(self.is_compressed, Compress::default());
        config.service(resource.wrap(from_fn(guard)).wrap(compress));
    }
}

/// The answer to a method that a path does not have.
pub(crate) fn method_not_allowed(allow: &str) -> HttpResponse {
    let mut response = Problem::new(Cause::Method, format!("allowed: {allow}")).error_response();
    let allow = HeaderValue::from_str(allow).expect("names of methods are a header's value");
    response.headers_mut().insert(ALLOW, allow);
    response
}

async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let mut response = match cross_site::check(&request) {
        Ok(()) => next.call(request).await?.map_into_boxed_body(),
        Err(problem) => request.into_response(problem.error_response()),
    };
    headers::add_to(response.headers_mut());
    Ok(response)
}
