//! The beginning of a fleet, as long as no server has reported: what to do, in three steps on one page.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::changes::name;
use super::frame::{Frame, Section};
use super::new_secrets::{NewSecrets, TRIED};
use super::page::{Refusal, refuse, respond};
use super::remedy::of_senders;
use super::webhook_url::webhook_url;
use super::words::shown;
use crate::receiver::api::body::read_form;
use crate::receiver::api::instances::{InstancePage, InstanceRow};
use crate::receiver::api::keys::KeyRow;
use crate::receiver::api::refused::{self, RefusedRow};
use crate::receiver::app::App;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::keys::NewKey;
use crate::receiver::keys::settings::{NAME_RULE, valid_name};
use crate::receiver::query::instances::InstanceQuery;
use crate::receiver::store::Sort;

/// Number of refused requests that are shown: the latest.
const REFUSED: usize = 3;

/// Number of keys that are named.
const NAMED: usize = 5;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/first").get(look).compressed().post(make).mount(config);
}

#[derive(Template)]
#[template(path = "start.html")]
struct StartPage {
    frame: Frame,
    /// Names of the keys in use.
    keys: Vec<String>,
    /// The key that was just made.
    made: Option<Made>,
    /// The server that reported for the first time last.
    arrived: Option<InstanceRow>,
    /// The latest first.
    refused: Vec<RefusedRow>,
}

struct Made {
    name: String,
    secrets: NewSecrets,
    command: Option<String>,
}

impl StartPage {
    async fn of(app: &App, made: Option<Made>) -> Result<Self, Problem> {
        let latest = InstanceQuery { sort: Sort::FirstSeen, limit: 1, ..InstanceQuery::default() };
        let arrived = InstancePage::ask(app, &latest).await?.instances.into_iter().next();
        let mut keys = KeyRow::ask(app).await?;
        keys.retain(|key| key.revoked_at.is_none());
        let mut refused = refused::rows(app);
        // What was refused before it arrived is mended.
        refused.retain(|row| arrived.as_ref().is_none_or(|arrived| row.at.0 > arrived.last_seen_at.0));
        refused.truncate(REFUSED);
        Ok(Self {
            frame: Frame::of(app, Section::Fleet, 0).await,
            keys: keys.into_iter().map(|key| key.name).collect(),
            made,
            arrived,
            refused,
        })
    }
}

/// The page of a fleet without servers.
pub(super) async fn show(app: &App) -> Result<HttpResponse, Problem> {
    Ok(respond(StatusCode::OK, &StartPage::of(app, None).await?))
}

async fn look(app: Data<App>) -> Result<HttpResponse, Refusal> {
    show(&app).await.map_err(refuse(&app, 0))
}

async fn make(app: Data<App>, request: HttpRequest, body: Payload) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let mut given = read_form(body).await?;
        let name = given.take("name", NAME_RULE, valid_name)?;
        given.finish()?;
        let name = name.ok_or_else(|| Problem::bad_field("name", NAME_RULE))?;
        let created = app.keys.create(NewKey::named(name)).await?;
        let url = Some(webhook_url(&request, 0, &created.key));
        let secrets = NewSecrets { url, secret: created.secret, token: created.token };
        let command = secrets.command(app.now().as_second());
        let made = Made { name: created.name, secrets, command };
        Ok(respond(StatusCode::CREATED, &StartPage::of(&app, Some(made)).await?))
    };
    ask.await.map_err(refuse(&app, 0))
}
