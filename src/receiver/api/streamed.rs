//! A whole list in one answer, read from the store page by page, so that its length does not matter: a page is in memory at
//! a time, and the next one is read when the client took what there is.

use std::io;

use actix_web::http::Method;
use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream::{StreamExt, once, try_unfold};
use serde::Serialize;

use super::csv::write_record;
use crate::receiver::http::problem::Problem;

/// A row of a list: an object in JSON, a record in CSV.
pub(super) trait Row: Serialize {
    /// Names of the columns.
    const COLUMNS: &'static [&'static str];

    /// The fields, in the order of the columns.
    fn cells(&self) -> Vec<String>;
}

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    JsonLines,
}

impl Format {
    /// The media type, and how the names of such files end.
    fn kind(self) -> (&'static str, &'static str) {
        match self {
            Self::Csv => ("text/csv; charset=utf-8; header=present", "csv"),
            Self::JsonLines => ("application/jsonl", "jsonl"),
        }
    }

    /// What comes before the first row.
    fn head<R: Row>(self) -> String {
        let mut text = String::new();
        if self == Self::Csv {
            write_record(&mut text, R::COLUMNS);
        }
        text
    }

    fn write<R: Row>(self, text: &mut String, rows: &[R]) {
        for row in rows {
            match self {
                Self::Csv => write_record(text, &row.cells()),
                Self::JsonLines => {
                    let row = serde_json::to_string(row).expect("rows always serialize");
                    // The payload of an event is as it came. In JSON, a line break is a blank.
                    text.push_str(&row.replace(['\n', '\r'], " "));
                    text.push('\n');
                }
            }
        }
    }
}

/// Answers with a list. `page` reads the page that begins after a cursor, and the cursor of the next one.
///
/// Where the first page cannot be read, the request is refused. Where a later one cannot, the connection is cut, so that
/// nobody takes a part for the whole.
pub(super) async fn respond<R, F>(
    request: &HttpRequest,
    name: &str,
    format: Format,
    page: impl Fn(Option<String>) -> F + 'static,
) -> Result<HttpResponse, Problem>
where
    R: Row + 'static,
    F: Future<Output = Result<(Vec<R>, Option<String>), Problem>> + 'static,
{
    let (rows, next) = page(None).await?;
    let mut text = format.head::<R>();
    format.write(&mut text, &rows);
    // What has no body reads no more than its first page.
    let next = next.filter(|_| request.method() != Method::HEAD);
    let rest = try_unfold((next, page), move |(next, page)| async move {
        let Some(after) = next else { return Ok(None) };
        let (rows, next) =
            page(Some(after)).await.map_err(|problem| io::Error::other(problem.to_string()))?;
        let mut text = String::new();
        format.write(&mut text, &rows);
        Ok(Some((Bytes::from(text), (next, page))))
    });
    let first = once(async move { Ok::<_, io::Error>(Bytes::from(text)) });
    let (media_type, suffix) = format.kind();
    Ok(HttpResponse::Ok()
        .content_type(media_type)
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.{suffix}\"")))
        .streaming(first.chain(rest)))
}
