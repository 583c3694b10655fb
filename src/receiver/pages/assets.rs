//! The style sheet and the script of the pages. A browser keeps them for as long as they are the same, which their
//! addresses say.

use std::sync::LazyLock;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse};

use crate::receiver::http::route::Route;
use crate::wire::digest::{lower_hex, sha256};

const STYLE: &str = include_str!("pages.css");
const SCRIPT: &str = include_str!("pages.js");

/// Two servers, one of which needs somebody.
const ICON: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\">\
                    <path fill=\"#2746c4\" d=\"M1 2h14v5H1zM1 9h14v5H1z\"/>\
                    <path fill=\"#fff\" d=\"M3 4h2v1H3z\"/><circle cx=\"4\" cy=\"11.5\" r=\"1.5\" fill=\"#ff8f86\"/></svg>";

/// For a year: what changes has another address.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";

/// Number of bytes of the hash that an address has.
const HASH: usize = 6;

static STYLE_VERSION: LazyLock<String> = LazyLock::new(|| version(STYLE));
static SCRIPT_VERSION: LazyLock<String> = LazyLock::new(|| version(SCRIPT));

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/pages.css").get(style).compressed().mount(config);
    Route::at("/pages.js").get(script).compressed().mount(config);
    // What browsers ask for by themselves.
    Route::at("/favicon.ico").get(icon).mount(config);
}

/// The address of the style sheet, from where the receiver is mounted.
pub(super) fn style_address() -> String {
    format!("pages.css?{}", *STYLE_VERSION)
}

/// The address of the script.
pub(super) fn script_address() -> String {
    format!("pages.js?{}", *SCRIPT_VERSION)
}

fn version(text: &str) -> String {
    lower_hex(&sha256(text)[..HASH])
}

async fn style(request: HttpRequest) -> HttpResponse {
    file(&request, &STYLE_VERSION, "text/css; charset=utf-8", STYLE)
}

async fn script(request: HttpRequest) -> HttpResponse {
    file(&request, &SCRIPT_VERSION, "text/javascript; charset=utf-8", SCRIPT)
}

async fn icon() -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CACHE_CONTROL, "public, max-age=86400")).content_type("image/svg+xml").body(ICON)
}

/// A file, to be kept for good where it is the version that was asked for.
fn file(request: &HttpRequest, version: &str, kind: &str, text: &'static str) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    if request.query_string() == version {
        answer.insert_header((CACHE_CONTROL, FOR_GOOD));
    }
    answer.content_type(kind).body(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_page_loads_is_small() {
        assert!(STYLE.len() <= 12 * 1024, "the style sheet has {} bytes", STYLE.len());
        assert!(SCRIPT.len() <= 4 * 1024, "the script has {} bytes", SCRIPT.len());
    }
}
