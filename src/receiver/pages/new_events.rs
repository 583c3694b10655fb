//! How many events came since a page of events was made: the part of the page *Events* that `pages.js` loads anew.

use actix_web::http::StatusCode;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use jiff::Timestamp;

use super::page::{Refusal, refuse, respond};
use crate::receiver::api::events::EventQuery;
use crate::receiver::app::App;
use crate::receiver::http::parameters::{MOMENT, Parameters, moment};
use crate::receiver::http::problem::{Cause, Problem};
use crate::receiver::http::route::Route;
use crate::receiver::login::UNATTENDED;

/// The number from which on no more are counted.
const MOST: i64 = 100;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/events/new").get(count).mount(config);
}

/// The part of the page.
#[derive(Template)]
#[template(path = "new_events.html")]
pub(super) struct NewEvents {
    filter: String,
    /// Time of the latest event on the page, or else that of the page.
    since: Timestamp,
    count: usize,
}

impl NewEvents {
    /// The part of a page that was made just now.
    pub(super) fn none(filter: String, since: Timestamp) -> Self {
        Self { filter, since, count: 0 }
    }

    /// The number for people.
    fn number(&self) -> String {
        if self.count < MOST as usize { self.count.to_string() } else { format!("{MOST} or more") }
    }
}

async fn count(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let mut given = Parameters::parse(request.query_string())?.without(UNATTENDED);
        let since = given.take("since", MOMENT, moment)?;
        let since = since.ok_or_else(|| Problem::unusable(Cause::Parameter, "since", MOMENT))?;
        let asked = EventQuery::take_filter(&mut given, moment)?;
        given.finish()?;
        let count = asked.count_after(&app, since, MOST).await?;
        Ok(respond(StatusCode::OK, &NewEvents { filter: asked.to_filter(), since, count }))
    };
    ask.await.map_err(refuse(&app, 1))
}
