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
    /// Reads the address, also whether the events are to go as well.
    async fn read(app: &App, request: &HttpRequest) -> Result<(Self, bool), Problem> {
        let mut given = Parameters::parse(request.query_string())?;
        let with_events = given.take_flag("with_events")?;
        let key = given.take("revoke", "the id of a key", |text| Uuid::try_parse(text).ok())?;
        let asked = InstanceQuery::take_filter(&mut given)?;
        let all = given.take_flag("all")?;
        given.finish()?;
        let asked = match (key, asked.to_filter().is_empty(), all) {
            (Some(id), true, false) => {
                let keys = KeyRow::ask(app).await?;
                Self::Key(keys.into_iter().find(|key| key.id == id).ok_or_else(no_such_key)?)
            }
            (None, is_empty, all) if is_empty == all => Self::Matching(asked),
            _ => {
                let what = "give a filter, a key to revoke, or all=true, and only one of them";
                return Err(Problem::new(Cause::Parameter, what).field("all"));
            }
        };
        Ok((asked, with_events))
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

    /// The address of this page where it asks again.
    fn address_again(&self, with_events: bool) -> String {
        self.address() + if with_events { "&with_events=true" } else { "" }
    }
}

/// The page that asks.
#[derive(Template)]
#[template(path = "forget.html")]
struct ForgetView {
    frame: Frame,
    asked: Asked,
    count: i64,
    /// Whether the events go as well, unless the operator says otherwise.
    with_events: bool,
    /// Those that match a filter, or were selected.
    meant: Option<Meant>,
}

async fn confirm_many(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let (asked, with_events) = Asked::read(&app, &request).await?;
        let frame = Frame::of(&app, Section::Fleet, 0).await;
        if let Asked::Matching(query) = &asked {
            let meant = Meant::by(&app, query.clone()).await?;
            return Ok(ForgetView { frame, asked, count: meant.count, with_events, meant: Some(meant) });
        }
        let count = Forgotten::count(&app, &asked.doomed(&app).await?).await?.forgotten as i64;
        Ok(ForgetView { frame, asked, count, with_events, meant: None })
    };
    Ok(respond(StatusCode::OK, &ask.await.map_err(refuse(&app, 0))?))
}

async fn forget_many(app: Data<App>, request: HttpRequest, body: Payload) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let (asked, _) = Asked::read(&app, &request).await?;
        let with_events = with_events(body).await?;
        if let Asked::Key(key) = &asked {
            app.keys.revoke(key.id).await?;
        }
        let done = Forgotten::by_request(&app, &asked.doomed(&app).await?, with_events).await?;
        // Where there are more, the page says how many, and asks again.
        Ok(if done.more { see(&asked.address_again(with_events)) } else { see("./") })
    };
    ask.await.map_err(refuse(&app, 0))
}

/// Reads the form: whether the events are to go as well.
pub(super) async fn with_events(body: Payload) -> Result<bool, Problem> {
    let mut given = read_form(body).await?;
    let with_events = given.take_box("with_events")?;
    given.finish()?;
    Ok(with_events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_asks_again_the_events_still_go() {
        let all = Asked::Matching(InstanceQuery::default());
        assert_eq!(all.address_again(false), "forget?all=true");
        assert_eq!(all.address_again(true), "forget?all=true&with_events=true");
        let down = Asked::Matching(InstanceQuery::read_filter("state=down").unwrap());
        assert_eq!(down.address_again(true), "forget?state=down&with_events=true");
    }
}
