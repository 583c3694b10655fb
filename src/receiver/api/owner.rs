//! The key that an instance belongs to.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use uuid::Uuid;

use super::body::Fields;
use super::parameters::path_id;
use crate::receiver::app::App;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/api/instances/{instance_id}/owner").post(give).mount(config);
}

/// Gives an instance to another key.
async fn give(app: Data<App>, request: HttpRequest, body: Payload) -> Result<HttpResponse, Problem> {
    let id = path_id(&request, "instance_id")?;
    let mut fields = Fields::read(&request, body).await?;
    let accepts = "the id of a key in use";
    let key =
        fields.take("key_id", accepts, |value| value.as_str().and_then(|text| Uuid::try_parse(text).ok()))?;
    fields.finish()?;
    let key = key.ok_or_else(|| Problem::bad_field("key_id", accepts))?;
    match app.keys.move_instance(id, key).await? {
        true => Ok(HttpResponse::new(StatusCode::NO_CONTENT)),
        false => Err(Problem::not_found("there is no such instance, or no such key in use")),
    }
}
