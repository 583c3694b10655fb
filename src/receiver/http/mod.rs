//! What the endpoints share: routes, problems, login. Nothing here knows what a fleet is.

pub(crate) mod cross_site;
pub(crate) mod login;
pub(crate) mod problem;
pub(crate) mod route;
