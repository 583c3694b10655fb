//! The token of a form: proof that a form was made for the session that sends it.

use std::fmt;

use actix_web::{HttpMessage, HttpRequest};
use askama::filters::HtmlSafe;

/// Name of the field that has the token.
pub(crate) const FIELD: &str = "csrf";

tokio::task_local! {
    /// The token of the session whose request is being handled.
    static CURRENT: FormToken;
}

/// The token of a session, which the [`Login`](crate::receiver::Login) gives to each of its requests, and checks in each
/// form. It consists of letters and digits.
///
/// Every form of a page that changes something has it: `{% include "form_token.html" %}` after `<form method="post" …>`.
/// Where there is no session, as with HTTP Basic, no token is needed, and nothing is written there.
#[derive(Clone, Debug)]
pub(crate) struct FormToken(String);

impl FormToken {
    pub(crate) fn new(token: String) -> Self {
        Self(token)
    }

    pub(crate) fn of(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }

    /// Handles a request: [`field`] has this token in the meantime.
    pub(crate) async fn during<F: Future>(self, handling: F) -> F::Output {
        CURRENT.scope(self, handling).await
    }
}

/// Whether the page is made for a session, which can be ended.
pub(crate) fn is_of_session() -> bool {
    CURRENT.try_with(|_| ()).is_ok()
}

/// The hidden field with the token, for the templates.
pub(crate) fn field() -> Field {
    Field(CURRENT.try_with(FormToken::clone).ok())
}

pub(crate) struct Field(Option<FormToken>);

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(FormToken(token)) => {
                write!(f, "<input type=\"hidden\" name=\"{FIELD}\" value=\"{token}\">")
            }
            None => Ok(()),
        }
    }
}

impl HtmlSafe for Field {}
