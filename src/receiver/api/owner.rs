//! The key that an instance belongs to.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use uuid::Uuid;

use super::body::Fields;
use super::mutes::operator;
use crate::receiver::app::App;
use crate::receiver::http::parameters::path_id;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;

/// What the key accepts, for people.
pub(crate) const KEY_RULE: &str = "the id of a key in use";

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/api/instances/{instance_id}/owner").post(give).mount(config);
}

/// Gives an instance to another key.
async fn give(app: Data<App>, request: HttpRequest, body: Payload) -> Result<HttpResponse, Problem> {
    let id = path_id(&request, "instance_id")?;
    let mut fields = Fields::read(&request, body).await?;
    let key = fields
        .take("key_id", KEY_RULE, |value| value.as_str().and_then(|text| Uuid::try_parse(text).ok()))?;
    fields.finish()?;
    let key = key.ok_or_else(|| Problem::bad_field("key_id", KEY_RULE))?;
    give_to(&app, id, key).await?;
    Ok(HttpResponse::new(StatusCode::NO_CONTENT))
}

pub(crate) async fn give_to(app: &App, instance_id: Uuid, key_id: Uuid) -> Result<(), Problem> {
    match operator(app).move_instance(instance_id, key_id).await? {
        true => {
            app.counts.forget();
            Ok(())
        }
        false => Err(Problem::not_found("there is no such instance, or no such key in use")),
    }
}
