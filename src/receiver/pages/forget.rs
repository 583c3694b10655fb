//! Forgetting many servers: a page that says what goes, and the form that does it.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use uuid::Uuid;

use super::frame::{Frame, Section};
use super::meant::Meant;
use super::page::{Refusal, refuse, respond, see};
use super::words::{count, shown};
use crate::receiver::api::body::read_form;
use crate::receiver::api::forget::{Forgotten, matching};
use crate::receiver::api::instances::InstanceQuery;
use crate::receiver::api::keys::{KeyRow, no_such_key};
use crate::receiver::app::App;
use crate::receiver::http::parameters::Parameters;
use crate::receiver::http::problem::{Cause, Problem};
use crate::receiver::http::route::Route;
use crate::receiver::store::Doomed;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/forget").get(confirm_many).compressed().post(forget_many).mount(config);
}

/// What is to be forgotten, as the address of the page says.
enum Asked {
    /// The instances of a key, which is revoked first.
    Key(KeyRow),
    Matching(InstanceQuery),
}

impl Asked {
    async fn read(app: &App, request: &HttpRequest) -> Result<Self, Problem> {
        let mut given = Parameters::parse(request.query_string())?;
        let key = given.take("revoke", "the id of a key", |text| Uuid::try_parse(text).ok())?;
        let asked = InstanceQuery::take_filter(&mut given)?;
        let all = given.take_flag("all")?;
        given.finish()?;
        match (key, asked.to_filter().is_empty(), all) {
            (Some(id), true, false) => {
                let keys = KeyRow::ask(app).await?;
                Ok(Self::Key(keys.into_iter().find(|key| key.id == id).ok_or_else(no_such_key)?))
            }
            (None, is_empty, all) if is_empty == all => Ok(Self::Matching(asked)),
            _ => Err(Problem::new(
                Cause::Parameter,
                "give a filter, a key to revoke, or all=true, and only one of them",
            )
            .field("all")),
        }
    }

    async fn doomed(&self, app: &App) -> Result<Doomed, Problem> {
        Ok(match self {
            Self::Key(key) => Doomed::OfKey(key.id),
            Self::Matching(asked) => matching(app, asked.clone()).await?,
        })
    }

    /// The address of this page, from where it is.
    fn address(&self) -> String {
        match self {
            Self::Key(key) => format!("forget?revoke={}", key.id),
            Self::Matching(asked) => match asked.to_filter() {
                none if none.is_empty() => "forget?all=true".to_owned(),
                filter => format!("forget?{filter}"),
            },
        }
    }
}

/// The page that asks.
#[derive(Template)]
#[template(path = "forget.html")]
struct ForgetView {
    frame: Frame,
    asked: Asked,
    count: i64,
    /// Those that match a filter, or were selected.
    meant: Option<Meant>,
}

async fn confirm_many(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let asked = Asked::read(&app, &request).await?;
        let frame = Frame::of(&app, Section::Fleet, 0).await;
        if let Asked::Matching(query) = &asked {
            let meant = Meant::by(&app, query.clone()).await?;
            return Ok(ForgetView { frame, asked, count: meant.count, meant: Some(meant) });
        }
        let count = Forgotten::count(&app, &asked.doomed(&app).await?).await?.forgotten as i64;
        Ok(ForgetView { frame, asked, count, meant: None })
    };
    Ok(respond(StatusCode::OK, &ask.await.map_err(refuse(&app, 0))?))
}

async fn forget_many(app: Data<App>, request: HttpRequest, body: Payload) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let asked = Asked::read(&app, &request).await?;
        let with_events = with_events(body).await?;
        if let Asked::Key(key) = &asked {
            app.keys.revoke(key.id).await?;
        }
        let done = Forgotten::by_request(&app, &asked.doomed(&app).await?, with_events).await?;
        // Where there are more, the page says how many, and asks again.
        Ok(if done.more { see(&asked.address()) } else { see("./") })
    };
    ask.await.map_err(refuse(&app, 0))
}

/// Reads the form: whether the events are to go as well.
pub(super) async fn with_events(body: Payload) -> Result<bool, Problem> {
    let mut given = read_form(body).await?;
    let is_on = given.take("with_events", "on", |text| (text == "on").then_some(()))?.is_some();
    given.finish()?;
    Ok(is_on)
}
