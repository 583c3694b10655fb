//! Routes, parameters, problems and the headers, which all endpoints share. Nothing here knows what a fleet is.

pub(crate) mod accept;
pub(crate) mod cross_site;
pub(crate) mod form_token;
pub(crate) mod headers;
pub(crate) mod html;
pub(crate) mod parameters;
pub(crate) mod problem;
pub(crate) mod route;
