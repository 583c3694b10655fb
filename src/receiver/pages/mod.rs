//! What people see (receiver §4).

pub(crate) fn routes(_config: &mut actix_web::web::ServiceConfig) {}
