//! The requests to the webhook that were refused last.

use actix_web::web::{Data, Json, ServiceConfig};
use serde::Serialize;
use uuid::Uuid;

use super::moment::Moment;
use crate::receiver::app::App;
use crate::receiver::http::route::Route;
use crate::receiver::ingest::refused::Refused;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/api/refused").get(list).mount(config);
}

async fn list(app: Data<App>) -> Json<RefusedList> {
    Json(RefusedList { refused: rows(&app) })
}

/// Those that this receiver remembers, the latest first.
pub(crate) fn rows(app: &App) -> Vec<RefusedRow> {
    app.server.refused.list().into_iter().map(RefusedRow::from).collect()
}

#[derive(Serialize)]
struct RefusedList {
    refused: Vec<RefusedRow>,
}

/// A refused request in an answer.
#[derive(Serialize)]
pub(crate) struct RefusedRow {
    pub(crate) at: Moment,
    pub(crate) key_id: Option<Uuid>,
    pub(crate) key_name: Option<String>,
    pub(crate) status: u16,
    pub(crate) cause: &'static str,
    pub(crate) detail: String,
    pub(crate) field: Option<String>,
    pub(crate) product: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) build_version: Option<String>,
}

impl From<Refused> for RefusedRow {
    fn from(refused: Refused) -> Self {
        let Refused { at, key, cause, status, detail, field, product, instance_id, version } = refused;
        let (key_id, key_name) = key.unzip();
        Self {
            at: Moment(at),
            key_id,
            key_name,
            status,
            cause,
            detail,
            field,
            product,
            instance_id,
            build_version: version,
        }
    }
}
