//! Routes, parameters, problems and the login, which all endpoints share. Nothing here knows what a fleet is.

pub(crate) mod cross_site;
pub(crate) mod login;
pub(crate) mod parameters;
pub(crate) mod problem;
pub(crate) mod route;
