//! What a request says that it accepts.

use actix_web::dev::RequestHead;
use actix_web::http::header::ACCEPT;

/// Whether a request names this media type among those that it accepts. `*/*` names none.
pub(crate) fn names(request: &RequestHead, media_type: &str) -> bool {
    let accepted = request.headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains(media_type))
}
