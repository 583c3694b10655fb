//! The forms that make keys and change them, and the page that shows a new secret, once.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use uuid::Uuid;

use super::frame::{Frame, Section};
use super::new_secrets::{NewSecrets, TRIED};
use super::page::{Refusal, refuse, respond, see};
use super::webhook_url::webhook_url;
use super::words::shown;
use crate::receiver::api::body::read_form;
use crate::receiver::api::keys;
use crate::receiver::app::App;
use crate::receiver::http::parameters::{Parameters, path_id};
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::keys::settings::{
    FORGET_RULE, KEEP_RULE, NAME_RULE, NEW_PER_HOUR_RULE, RATE_RULE, USUAL_KEEP, valid_forget_after,
    valid_keep, valid_name, valid_rate,
};
use crate::receiver::keys::{KeyLimits, NewKey};

pub(crate) fn routes(config: &mut ServiceConfig) {
    // What was shown there is not shown again.
    Route::at("/server/keys").get(async || see("../server#keys")).post(create).mount(config);
    let change = |name: &str| Route::at(&format!("/server/keys/{{key_id}}/{name}"));
    change("secrets").get(async || see(KEYS)).post(add_secret).mount(config);
    change("replace").get(async || see(KEYS)).post(replace).mount(config);
    change("revoke").post(revoke).mount(config);
    change("finish").post(finish_rotation).mount(config);
    change("end-old").post(finish_replacement).mount(config);
    change("limits").post(set_limits).mount(config);
}

/// The list of keys, from a path about one key.
const KEYS: &str = "../../../server#keys";

/// The page that shows new secrets, once.
#[derive(Template)]
#[template(path = "key.html")]
struct KeyView {
    frame: Frame,
    title: &'static str,
    /// Name of the key, where it is known.
    name: Option<String>,
    secrets: NewSecrets,
    command: Option<String>,
    /// What becomes of the secret before.
    remark: Option<&'static str>,
}

impl KeyView {
    async fn of(
        app: &App,
        depth: usize,
        title: &'static str,
        name: Option<String>,
        secrets: NewSecrets,
    ) -> Self {
        let frame = Frame::of(app, Section::Server, depth).await;
        let command = secrets.command(frame.now.as_second());
        Self { frame, title, name, secrets, command, remark: None }
    }
}

async fn create(app: Data<App>, request: HttpRequest, body: Payload) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let mut given = read_form(body).await?.without_empty();
        let name = given.take("name", NAME_RULE, valid_name)?;
        let rate = given.take("rate", RATE_RULE, |text| text.parse().ok().and_then(valid_rate))?;
        let signed = given.take_box("signed")?;
        let token = given.take_box("token")?;
        let hours = |text: &str| text.parse().ok().and_then(valid_forget_after);
        let forget_after = given.take("forget_after", FORGET_RULE, hours)?;
        let limits = take_limits(&mut given)?;
        given.finish()?;
        let name = name.ok_or_else(|| Problem::bad_field("name", NAME_RULE))?;
        let new = NewKey { rate, signed, token, forget_after, limits, ..NewKey::named(name) };
        let created = app.keys.create(new).await?;
        let url = Some(webhook_url(&request, 1, &created.key));
        let secrets = NewSecrets { url, secret: created.secret, token: created.token };
        Ok(KeyView::of(&app, 1, "The key", Some(created.name), secrets).await)
    };
    Ok(respond(StatusCode::CREATED, &ask.await.map_err(refuse(&app, 1))?))
}

/// Takes the limits of a key. A field that was left empty is as usual; `any` is no limit.
fn take_limits(given: &mut Parameters) -> Result<KeyLimits, Problem> {
    let number = |text: &str| match text.trim() {
        "any" => Some(None),
        number => number.parse().ok().and_then(valid_rate).map(Some),
    };
    let mut limits = KeyLimits { any_frequency: given.take_box("any_frequency")?, ..KeyLimits::default() };
    if let Some(new_per_hour) = given.take("new_per_hour", NEW_PER_HOUR_RULE, number)? {
        limits.new_per_hour = new_per_hour;
    }
    Ok(limits)
}

async fn set_limits(app: Data<App>, request: HttpRequest, body: Payload) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let id = path_id(&request, "key_id")?;
        let mut given = read_form(body).await?.without_empty();
        let limits = take_limits(&mut given)?;
        given.finish()?;
        back(id, app.keys.set_limits(id, limits).await?)
    };
    ask.await.map_err(refuse(&app, 3))
}

async fn add_secret(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let id = path_id(&request, "key_id")?;
        let secret = Some(app.keys.add_secret(id).await?.ok_or_else(keys::no_such_key)?);
        let secrets = NewSecrets { secret, ..NewSecrets::default() };
        let view = KeyView::of(&app, 3, "The new secret of", app.keys.name_of(id), secrets).await;
        let remark = Some("The secret before stays valid until you end it on the page of the key.");
        Ok(KeyView { remark, ..view })
    };
    Ok(respond(StatusCode::OK, &ask.await.map_err(refuse(&app, 3))?))
}

async fn replace(app: Data<App>, request: HttpRequest, body: Payload) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let id = path_id(&request, "key_id")?;
        let mut given = read_form(body).await?.without_empty();
        let hours = |text: &str| text.parse().ok().and_then(valid_keep);
        let keep = given.take("keep_hours", KEEP_RULE, hours)?.unwrap_or(USUAL_KEEP);
        given.finish()?;
        let key = app.keys.replace(id, keep).await?.ok_or_else(keys::no_such_key)?;
        let secrets = NewSecrets { url: Some(webhook_url(&request, 3, &key)), ..NewSecrets::default() };
        let view = KeyView::of(&app, 3, "The new URL of", app.keys.name_of(id), secrets).await;
        // A command would have to be signed by a secret that is not shown.
        let remark = Some(
            "The URL before stays valid for the time that you chose; secrets and tokens stay as they are.",
        );
        Ok(KeyView { remark, command: None, ..view })
    };
    Ok(respond(StatusCode::OK, &ask.await.map_err(refuse(&app, 3))?))
}

async fn revoke(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        match app.keys.revoke(path_id(&request, "key_id")?).await? {
            true => Ok(see(KEYS)),
            false => Err(keys::no_such_key()),
        }
    };
    ask.await.map_err(refuse(&app, 3))
}

async fn finish_rotation(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let id = path_id(&request, "key_id")?;
        back(id, app.keys.finish_rotation(id).await?)
    };
    ask.await.map_err(refuse(&app, 3))
}

async fn finish_replacement(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let id = path_id(&request, "key_id")?;
        back(id, app.keys.finish_replacement(id).await?)
    };
    ask.await.map_err(refuse(&app, 3))
}

/// Back to the page of the key, from a path about a change of it.
fn back(id: Uuid, was_there: bool) -> Result<HttpResponse, Problem> {
    match was_there {
        true => Ok(see(&format!("../{id}"))),
        false => Err(keys::no_such_key()),
    }
}
