//! The style sheet of the pages. A browser keeps it for as long as it is the same, which its address says.

use std::sync::LazyLock;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse};

use crate::receiver::http::route::Route;
use crate::wire::digest::{lower_hex, sha256};

const STYLE: &str = include_str!("pages.css");

/// For a year: what changes has another address.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";

/// Number of bytes of the hash that an address has.
const HASH: usize = 6;

static STYLE_VERSION: LazyLock<String> = LazyLock::new(|| version(STYLE));

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/pages.css").get(style).compressed().mount(config);
}

/// The address of the style sheet, from where the receiver is mounted.
pub(super) fn style_address() -> String {
    format!("pages.css?{}", *STYLE_VERSION)
}

fn version(text: &str) -> String {
    lower_hex(&sha256(text)[..HASH])
}

async fn style(request: HttpRequest) -> HttpResponse {
    file(&request, &STYLE_VERSION, "text/css; charset=utf-8", STYLE)
}

/// A file, to be kept for good where it is the version that was asked for.
fn file(request: &HttpRequest, version: &str, kind: &str, text: &'static str) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    if request.query_string() == version {
        answer.insert_header((CACHE_CONTROL, FOR_GOOD));
    }
    answer.content_type(kind).body(text)
}
