//! Muting many servers: a page that names them, and the form that does it.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::frame::{Frame, Section};
use super::meant::Meant;
use super::mutes::{self, choices};
use super::page::{Refusal, refuse, respond, see};
use crate::receiver::app::App;
use crate::receiver::http::parameters::Parameters;
use crate::receiver::http::problem::{Cause, Problem};
use crate::receiver::http::route::Route;
use crate::receiver::operator::Selection;
use crate::receiver::query::instances::InstanceQuery;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/mute").get(confirm).compressed().post(mute).mount(config);
}

#[derive(Template)]
#[template(path = "mute.html")]
struct MutePage {
    frame: Frame,
    meant: Meant,
}

/// What the address selects: by a filter, or one by one.
fn asked(request: &HttpRequest) -> Result<InstanceQuery, Problem> {
    let mut given = Parameters::parse(request.query_string())?;
    let asked = InstanceQuery::take_filter(&mut given)?;
    given.finish()?;
    match asked.to_filter().is_empty() || asked.is_about_mutes() {
        false => Ok(asked),
        true => {
            Err(Problem::new(Cause::Parameter, "select servers, or give a filter that is not about mutes"))
        }
    }
}

async fn confirm(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let meant = Meant::by(&app, asked(&request)?).await?;
        Ok(MutePage { frame: Frame::of(&app, Section::Fleet, 0).await, meant })
    };
    Ok(respond(StatusCode::OK, &ask.await.map_err(refuse(&app, 0))?))
}

/// Selected servers are muted each by itself, so that each mute can be ended by itself.
async fn mute(app: Data<App>, request: HttpRequest, body: Payload) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let asked = asked(&request)?;
        let alone = InstanceQuery { ids: asked.ids.clone(), limit: asked.limit, ..InstanceQuery::default() };
        let each = match asked == alone {
            true => asked.ids.into_iter().map(Selection::Instance).collect(),
            false => vec![Selection::Filter(asked.to_filter())],
        };
        mutes::mute(&app, each, body).await?;
        Ok(see("alerts#mutes"))
    };
    ask.await.map_err(refuse(&app, 0))
}
