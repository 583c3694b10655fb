//! The keys of the webhook: made, listed, revoked, and their secrets rotated.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::body::{Fields, bad_field, malformed};
use super::{Moment, path_id};
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::keys::{CreatedKey, KeyError, NewKey};
use crate::receiver::shared::Shared;
use crate::receiver::store::StoredKey;

/// In characters.
const LONGEST_NAME: usize = 100;
pub(crate) const NAME: &str = "1 to 100 characters without control characters, not only blanks";
pub(crate) const RATE: &str = "a whole number of events a second, 1 to 2147483647";

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/api/keys").get(list).post(create).mount(config);
    Route::at("/api/keys/{key_id}").delete(revoke).mount(config);
    Route::at("/api/keys/{key_id}/secrets").post(add_secret).delete(finish_rotation).mount(config);
}

async fn list(shared: Data<Shared>) -> Result<Json<KeyList>, Problem> {
    Ok(Json(KeyList { keys: KeyRow::ask(&shared).await? }))
}

async fn create(shared: Data<Shared>, request: HttpRequest, body: Payload) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::read(&request, body).await?;
    let name = fields.take("name", NAME, |value| value.as_str().and_then(name))?;
    let rate = fields.take("rate", RATE, |value| value.as_f64().and_then(whole).and_then(rate))?;
    let signed = fields.take("signed", "true or false", |value| value.as_bool())?;
    let token = fields.take("token", "true or false", |value| value.as_bool())?;
    fields.finish()?;
    let name = name.ok_or_else(|| bad_field("name", NAME))?;
    let new = NewKey { name, rate, signed: signed.unwrap_or(false), token: token.unwrap_or(false) };
    let created = shared.keys.create(new).await?;
    Ok(HttpResponse::Created().json(to_json(&created)))
}

async fn revoke(shared: Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = path_id(&request, "key_id")?;
    done(shared.keys.revoke(id).await?)
}

async fn add_secret(shared: Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = path_id(&request, "key_id")?;
    let secret = shared.keys.add_secret(id).await?.ok_or_else(no_such_key)?;
    Ok(HttpResponse::Ok().json(json!({ "secret": secret.expose_secret() })))
}

async fn finish_rotation(shared: Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = path_id(&request, "key_id")?;
    done(shared.keys.finish_rotation(id).await?)
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

pub(crate) fn name(text: &str) -> Option<String> {
    let is_fit = (1..=LONGEST_NAME).contains(&text.chars().count())
        && !text.contains(char::is_control)
        && !text.trim().is_empty();
    is_fit.then(|| text.to_owned())
}

/// In JSON, 2.0 is 2.
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64)
}

pub(crate) fn rate(number: i64) -> Option<i32> {
    i32::try_from(number).ok().filter(|rate| *rate >= 1)
}

/// The part of the path where events of this key are posted to.
pub(crate) fn path(created: &CreatedKey) -> String {
    format!("webhooks/{}", created.key.expose())
}

/// The only time it is shown.
fn to_json(created: &CreatedKey) -> Value {
    let mut shown = json!({
        "id": created.id,
        "name": created.name,
        "path": path(created),
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
            KeyError::NameTaken => Problem::new(
                StatusCode::CONFLICT,
                "name-taken",
                "The name is taken",
                "there is a key of this name that is not revoked",
            )
            .field("name"),
            KeyError::NotSigned => {
                Problem::new(StatusCode::CONFLICT, "not-signed", "The key is not signed", error.to_string())
            }
            KeyError::Rotating => {
                Problem::new(StatusCode::CONFLICT, "rotating", "A rotation is under way", error.to_string())
            }
            KeyError::Unusable(why) => malformed(why),
            KeyError::Store(why) => {
                tracing::warn!("[receiver] {why}");
                Problem::store()
            }
        }
    }
}

#[derive(Serialize)]
struct KeyList {
    keys: Vec<KeyRow>,
}

/// A key as it is listed: nothing of it that is secret.
#[derive(Serialize)]
pub(crate) struct KeyRow {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) signed: bool,
    /// Two secrets are valid.
    pub(crate) rotating: bool,
    pub(crate) token: bool,
    pub(crate) rate: Option<i32>,
    pub(crate) created_at: Moment,
    pub(crate) last_used_at: Option<Moment>,
    pub(crate) revoked_at: Option<Moment>,
}

impl KeyRow {
    pub(crate) async fn ask(shared: &Shared) -> Result<Vec<Self>, Problem> {
        let keys = shared.ask(|store| async move { store.keys().await }).await?;
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
            created_at: Moment(key.created_at),
            last_used_at: key.last_used_at.map(Moment),
            revoked_at: key.revoked_at.map(Moment),
        }
    }
}
