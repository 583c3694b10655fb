//! The same as JSON, for machines (receiver §5).

pub(crate) fn routes(_config: &mut actix_web::web::ServiceConfig) {}
