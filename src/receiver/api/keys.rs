//! The keys of the webhook: made, listed, revoked, and their secrets rotated.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::try_join;
use uuid::Uuid;

use super::body::Fields;
use super::forget::Forgotten;
use super::moment::Moment;
use crate::receiver::app::App;
use crate::receiver::counts::States;
use crate::receiver::http::parameters::{Parameters, path_id};
use crate::receiver::http::problem::{Cause, Problem};
use crate::receiver::http::route::Route;
use crate::receiver::keys::settings::{
    FORGET_RULE, KEEP_RULE, NAME_RULE, NEW_PER_HOUR_RULE, RATE_RULE, USUAL_KEEP, valid_forget_after,
    valid_keep, valid_name, valid_rate,
};
use crate::receiver::keys::{CreatedKey, KeyError, KeyLimits, NewKey, WebhookKey};
use crate::receiver::store::{Doomed, StoredKey};
use crate::receiver::store_handle::{self, QUERY_LIMIT};

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/api/keys").get(list).post(create).mount(config);
    Route::at("/api/keys/{key_id}").delete(revoke).mount(config);
    Route::at("/api/keys/{key_id}/secrets").post(add_secret).delete(finish_rotation).mount(config);
    Route::at("/api/keys/{key_id}/url").post(replace).delete(finish_replacement).mount(config);
    Route::at("/api/keys/{key_id}/limits").post(set_limits).mount(config);
}

async fn list(app: Data<App>) -> Result<Json<KeyList>, Problem> {
    Ok(Json(KeyList { keys: CountedKey::ask(&app).await? }))
}

async fn create(app: Data<App>, request: HttpRequest, body: Payload) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::read(&request, body).await?;
    let name = fields.take("name", NAME_RULE, |value| value.as_str().and_then(valid_name))?;
    let rate = fields.take("rate", RATE_RULE, |value| value.as_f64().and_then(whole).and_then(valid_rate))?;
    let signed = fields.take("signed", "true or false", |value| value.as_bool())?;
    let token = fields.take("token", "true or false", |value| value.as_bool())?;
    let forget_after = fields.take("forget_after", FORGET_RULE, |value| {
        value.as_f64().and_then(whole).and_then(valid_forget_after)
    })?;
    let limits = take_limits(&mut fields, KeyLimits::default())?;
    fields.finish()?;
    let name = name.ok_or_else(|| Problem::bad_field("name", NAME_RULE))?;
    let new = NewKey {
        rate,
        signed: signed.unwrap_or(false),
        token: token.unwrap_or(false),
        forget_after,
        limits,
        ..NewKey::named(name)
    };
    let created = app.keys.create(new).await?;
    Ok(HttpResponse::Created().json(to_json(&created)))
}

async fn revoke(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = path_id(&request, "key_id")?;
    let mut given = Parameters::parse(request.query_string())?;
    let (forget, with_events) = (given.take_flag("forget")?, given.take_flag("with_events")?);
    given.finish()?;
    let is_revoked = app.keys.revoke(id).await?;
    if !forget {
        return done(is_revoked);
    }
    // Where there are more than one request forgets, the next one finds the key revoked.
    if !is_revoked && !KeyRow::ask(&app).await?.iter().any(|key| key.id == id) {
        return Err(Problem::not_found("there is no such key"));
    }
    Ok(HttpResponse::Ok().json(Forgotten::by_request(&app, &Doomed::OfKey(id), with_events).await?))
}

async fn add_secret(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = path_id(&request, "key_id")?;
    let secret = app.keys.add_secret(id).await?.ok_or_else(no_such_key)?;
    Ok(HttpResponse::Ok().json(json!({ "secret": secret.expose_secret() })))
}

/// Takes the limits of a key; those that are not given stay as they are in `limits`.
fn take_limits(fields: &mut Fields, mut limits: KeyLimits) -> Result<KeyLimits, Problem> {
    let number = |value: Value| match value {
        Value::Null => Some(None),
        value => value.as_f64().and_then(whole).and_then(valid_rate).map(Some),
    };
    if let Some(new_per_hour) = fields.take("new_per_hour", NEW_PER_HOUR_RULE, number)? {
        limits.new_per_hour = new_per_hour;
    }
    if let Some(any_frequency) = fields.take("any_frequency", "true or false", |value| value.as_bool())? {
        limits.any_frequency = any_frequency;
    }
    Ok(limits)
}

async fn set_limits(app: Data<App>, request: HttpRequest, body: Payload) -> Result<HttpResponse, Problem> {
    let id = path_id(&request, "key_id")?;
    let mut fields = Fields::read(&request, body).await?;
    let known = app.keys.list().await?.into_iter().find(|key| key.id == id).ok_or_else(no_such_key)?;
    let limits = take_limits(&mut fields, known.limits)?;
    fields.finish()?;
    done(app.keys.set_limits(id, limits).await?)
}

async fn replace(app: Data<App>, request: HttpRequest, body: Payload) -> Result<HttpResponse, Problem> {
    let id = path_id(&request, "key_id")?;
    let mut fields = Fields::read(&request, body).await?;
    let hours = |value: Value| value.as_f64().and_then(whole).and_then(valid_keep);
    let keep = fields.take("keep_hours", KEEP_RULE, hours)?.unwrap_or(USUAL_KEEP);
    fields.finish()?;
    let key = app.keys.replace(id, keep).await?.ok_or_else(no_such_key)?;
    Ok(HttpResponse::Ok().json(json!({ "path": path(&key), "key": key.expose() })))
}

async fn finish_replacement(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = path_id(&request, "key_id")?;
    done(app.keys.finish_replacement(id).await?)
}

async fn finish_rotation(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = path_id(&request, "key_id")?;
    done(app.keys.finish_rotation(id).await?)
}

fn done(was_there: bool) -> Result<HttpResponse, Problem> {
    match was_there {
        true => Ok(HttpResponse::new(StatusCode::NO_CONTENT)),
        false => Err(no_such_key()),
    }
}

pub(crate) fn no_such_key() -> Problem {
    Problem::not_found("there is no such key, or it is revoked")
}

/// A whole number, also where it is written as 2.0.
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64)
}

/// The part of the path where events of this key are posted to.
pub(crate) fn path(key: &WebhookKey) -> String {
    format!("webhooks/{}", key.expose())
}

/// The answer that shows a new key, the only time that it is shown.
fn to_json(created: &CreatedKey) -> Value {
    let mut shown = json!({
        "id": created.id,
        "name": created.name,
        "path": path(&created.key),
        "key": created.key.expose(),
    });
    let secrets = [("secret", &created.secret), ("token", &created.token)];
    for (field, secret) in secrets.into_iter().filter_map(|(field, secret)| Some((field, secret.as_ref()?))) {
        shown[field] = SecretString::expose_secret(secret).into();
    }
    shown
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Unusable(field, accepts) => Problem::bad_field(field, accepts),
            KeyError::NameTaken => Problem::new(Cause::NameTaken, error.to_string()).field("name"),
            KeyError::NotSigned => Problem::new(Cause::NotSigned, error.to_string()),
            KeyError::Rotating => Problem::new(Cause::Rotating, error.to_string()),
            // The store was asked, and the log has what it said.
            KeyError::Store(_) => store_handle::unavailable(),
        }
    }
}

#[derive(Serialize)]
struct KeyList {
    keys: Vec<CountedKey>,
}

/// A key in a list, with what comes by it.
#[derive(Serialize)]
pub(crate) struct CountedKey {
    #[serde(flatten)]
    pub(crate) key: KeyRow,
    /// Number of its servers, in whatever state.
    pub(crate) servers: i64,
    /// Numbers of them in each state.
    pub(crate) states: States,
    /// Number of its requests among the refused ones that this receiver remembers.
    pub(crate) refused: i64,
}

impl CountedKey {
    pub(crate) async fn ask(app: &App) -> Result<Vec<Self>, Problem> {
        let keys = async { app.store.ask(QUERY_LIMIT, |store| async move { store.keys().await }).await };
        let (keys, counts) = try_join!(keys, app.counts.of_keys())?;
        let mut states = HashMap::<Uuid, States>::new();
        for counted in counts.iter() {
            states.entry(counted.key_id).or_default().add(counted.state, counted.count);
        }
        let mut refused = HashMap::<Uuid, i64>::new();
        for (id, _) in app.server.refused.list().into_iter().filter_map(|refused| refused.key) {
            *refused.entry(id).or_default() += 1;
        }
        let counted = |key: &StoredKey| {
            let states = states.get(&key.id).copied().unwrap_or_default();
            let refused = refused.get(&key.id).copied().unwrap_or_default();
            Self { key: KeyRow::from(key), servers: states.total(), states, refused }
        };
        Ok(keys.iter().map(counted).collect())
    }
}

/// A key in a list, without anything that is secret.
#[derive(Serialize)]
pub(crate) struct KeyRow {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) signed: bool,
    /// Two secrets are valid.
    pub(crate) rotating: bool,
    pub(crate) token: bool,
    pub(crate) rate: Option<i32>,
    pub(crate) forget_after: Option<i32>,
    pub(crate) new_per_hour: Option<i32>,
    pub(crate) any_frequency: bool,
    /// Until when the key before the last replacement is valid.
    pub(crate) old_until: Option<Moment>,
    pub(crate) created_at: Moment,
    pub(crate) last_used_at: Option<Moment>,
    pub(crate) revoked_at: Option<Moment>,
}

impl KeyRow {
    pub(crate) async fn ask(app: &App) -> Result<Vec<Self>, Problem> {
        let keys = app.store.ask(QUERY_LIMIT, |store| async move { store.keys().await }).await?;
        Ok(keys.iter().map(Self::from).collect())
    }
}

impl From<&StoredKey> for KeyRow {
    fn from(key: &StoredKey) -> Self {
        Self {
            id: key.id,
            name: key.name.clone(),
            signed: !key.secrets.is_empty(),
            rotating: key.secrets.len() > 1,
            token: key.token_hash.is_some(),
            rate: key.rate,
            forget_after: key.forget_after,
            new_per_hour: key.new_per_hour,
            any_frequency: key.takes_any_frequency,
            old_until: key.old_hash.map(|(_, until)| Moment(until)),
            created_at: Moment(key.created_at),
            last_used_at: key.last_used_at.map(Moment),
            revoked_at: key.revoked_at.map(Moment),
        }
    }
}
