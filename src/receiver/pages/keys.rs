//! The forms of the page "Server" that make keys and change them.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use secrecy::{ExposeSecret, SecretString};

use super::frame::{Frame, Section};
use super::page::{Refusal, refuse, respond, see};
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

/// The page that shows a new secret, once.
#[derive(Template)]
#[template(path = "key.html")]
struct KeyView {
    frame: Frame,
    title: &'static str,
    path: Option<String>,
    secret: Option<SecretString>,
    token: Option<SecretString>,
}

async fn create(app: Data<App>, body: Payload) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let mut given = read_form(body).await?.without_empty();
        let name = given.take("name", NAME_RULE, valid_name)?;
        let rate = given.take("rate", RATE_RULE, |text| text.parse().ok().and_then(valid_rate))?;
        let signed = is_on(&mut given, "signed")?;
        let token = is_on(&mut given, "token")?;
        let hours = |text: &str| text.parse().ok().and_then(valid_forget_after);
        let forget_after = given.take("forget_after", FORGET_RULE, hours)?;
        let limits = take_limits(&mut given)?;
        given.finish()?;
        let name = name.ok_or_else(|| Problem::bad_field("name", NAME_RULE))?;
        let new = NewKey { rate, signed, token, forget_after, limits, ..NewKey::named(name) };
        let created = app.keys.create(new).await?;
        Ok(KeyView {
            frame: Frame::of(&app, Section::Server, 1).await,
            title: "A new key",
            path: Some(keys::path(&created.key)),
            secret: created.secret,
            token: created.token,
        })
    };
    Ok(respond(StatusCode::CREATED, &ask.await.map_err(refuse(&app, 1))?))
}

/// Whether a box is ticked.
fn is_on(given: &mut Parameters, name: &str) -> Result<bool, Problem> {
    Ok(given.take(name, "on", |text| (text == "on").then_some(()))?.is_some())
}

/// Takes the limits of a key. A field that was left empty is as usual; `any` is no limit.
fn take_limits(given: &mut Parameters) -> Result<KeyLimits, Problem> {
    let number = |text: &str| match text.trim() {
        "any" => Some(None),
        number => number.parse().ok().and_then(valid_rate).map(Some),
    };
    let mut limits = KeyLimits { any_frequency: is_on(given, "any_frequency")?, ..KeyLimits::default() };
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
        back(app.keys.set_limits(id, limits).await?)
    };
    ask.await.map_err(refuse(&app, 3))
}

async fn add_secret(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let secret = app.keys.add_secret(path_id(&request, "key_id")?).await?;
        let secret = Some(secret.ok_or_else(keys::no_such_key)?);
        Ok(KeyView {
            frame: Frame::of(&app, Section::Server, 3).await,
            title: "A new secret",
            path: None,
            secret,
            token: None,
        })
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
        let path = Some(keys::path(&key));
        Ok(KeyView {
            frame: Frame::of(&app, Section::Server, 3).await,
            title: "The new key in the URL",
            path,
            secret: None,
            token: None,
        })
    };
    Ok(respond(StatusCode::OK, &ask.await.map_err(refuse(&app, 3))?))
}

async fn revoke(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async { back(app.keys.revoke(path_id(&request, "key_id")?).await?) };
    ask.await.map_err(refuse(&app, 3))
}

async fn finish_rotation(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async { back(app.keys.finish_rotation(path_id(&request, "key_id")?).await?) };
    ask.await.map_err(refuse(&app, 3))
}

async fn finish_replacement(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async { back(app.keys.finish_replacement(path_id(&request, "key_id")?).await?) };
    ask.await.map_err(refuse(&app, 3))
}

fn back(was_there: bool) -> Result<HttpResponse, Problem> {
    match was_there {
        true => Ok(see(KEYS)),
        false => Err(keys::no_such_key()),
    }
}
