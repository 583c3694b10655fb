//! What all pages have in common: their headers, refusals, and how they show times and ids.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use askama::Template;
use askama::filters::HtmlSafe;
use url::form_urlencoded::Serializer;

use super::frame::Frame;
use super::remedy::{of_pages, place_to_look, sentence};
use super::words::{Icon, icon, shown};
use crate::receiver::api::instances::Flag;
use crate::receiver::app::App;
pub(super) use crate::receiver::http::html::{respond, see};
use crate::receiver::http::problem::{Cause, Problem};
use crate::receiver::store::State;

/// A request that is refused, for people.
#[derive(Debug, Template)]
#[template(path = "problem.html")]
pub(super) struct Refusal {
    frame: Frame,
    problem: Problem,
}

/// Makes the refusal for a page with `depth` more parts in its path than the first.
pub(super) fn refuse(app: &App, depth: usize) -> impl Fn(Problem) -> Refusal + use<'_> {
    move |problem| Refusal { frame: Frame::without_counts(app, None, depth), problem }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.problem.cause.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = respond(self.problem.cause.status(), self);
        for (name, value) in self.problem.error_response().headers() {
            if !response.headers().contains_key(name) {
                response.headers_mut().insert(name.clone(), value.clone());
            }
        }
        response
    }
}

/// The beginning of an id, enough to tell it from the others on a page.
pub(super) fn short(id: &uuid::Uuid) -> String {
    id.to_string().chars().take(8).collect()
}

/// The key of an instance or of an event, for people: its name, where it is in use.
pub(super) fn key_name(name: Option<&str>, id: &uuid::Uuid) -> String {
    match name {
        Some(name) => name.to_owned(),
        None if id.is_nil() => "not known".to_owned(),
        None => format!("{}, revoked", short(id)),
    }
}

/// A query with one parameter.
pub(super) fn query(name: &str, value: impl AsRef<str>) -> String {
    Serializer::new(String::new()).append_pair(name, value.as_ref()).finish()
}

/// A flag in words.
pub(super) fn flag_words(flag: &Flag) -> &'static str {
    match flag {
        Flag::SeveralRuns => "several runs",
        Flag::Crashed | Flag::Cloned | Flag::Restarting | Flag::New | Flag::Muted => flag.as_str(),
    }
}

/// The class of a flag: the state that it is as bad as.
pub(super) fn flag_class(flag: &Flag) -> &'static str {
    match flag {
        Flag::Crashed | Flag::Restarting | Flag::Cloned | Flag::SeveralRuns => "late",
        Flag::New | Flag::Muted => "ended",
    }
}

/// A state in HTML: its symbol and its word. The colour is that of the class around them, which is the word as well.
pub(super) fn state(state: &State) -> StateMark {
    let symbol = match state {
        State::Down => "s-down",
        State::Late => "s-late",
        State::Up => "s-up",
        State::Ended => "s-ended",
    };
    StateMark { icon: icon(symbol), word: state.as_str() }
}

pub(super) struct StateMark {
    icon: Icon,
    word: &'static str,
}

impl fmt::Display for StateMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.icon, self.word)
    }
}

impl HtmlSafe for StateMark {}
