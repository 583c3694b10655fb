//! The latest changes of the whole fleet.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, ServiceConfig};
use serde::Serialize;
use uuid::Uuid;

use super::moment::Moment;
use crate::receiver::app::App;
use crate::receiver::http::parameters::Parameters;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::store::{Change, ChangeFilter, FleetChange};
use crate::receiver::store_handle::QUERY_LIMIT;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/api/changes").get(list).mount(config);
}

async fn list(app: Data<App>, request: HttpRequest) -> Result<Json<ChangeList>, Problem> {
    let mut given = Parameters::parse(request.query_string())?;
    let filter = take_filter(&mut given)?;
    let limit = given.take_limit()?;
    given.finish()?;
    Ok(Json(ChangeList { changes: ChangeRow::ask(&app, filter, limit).await? }))
}

/// Takes what selects changes.
pub(super) fn take_filter(given: &mut Parameters) -> Result<ChangeFilter, Problem> {
    let kinds = "state, license, version, product, key, id or run-lost";
    let is_of_instance = |change: &Change| *change != Change::NewInstances;
    Ok(ChangeFilter {
        key_id: given.take("key", "the id of a key", |text| Uuid::try_parse(text).ok())?,
        kinds: given.take_each("change", kinds, |text| Change::parse(text).filter(is_of_instance))?,
        told: false,
    })
}

#[derive(Serialize)]
struct ChangeList {
    changes: Vec<ChangeRow>,
}

/// A change in a list.
#[derive(Serialize)]
pub(crate) struct ChangeRow {
    pub(crate) at: Moment,
    pub(crate) change: &'static str,
    pub(crate) from: Option<String>,
    pub(crate) to: String,
    pub(crate) instance_id: Uuid,
    pub(crate) custom_id: Option<String>,
    pub(crate) key_id: Uuid,
    /// `None` where the key is revoked, or where an earlier version stored the event.
    pub(crate) key_name: Option<String>,
}

impl ChangeRow {
    /// The latest changes, the latest first.
    pub(crate) async fn ask(app: &App, filter: ChangeFilter, limit: i64) -> Result<Vec<Self>, Problem> {
        let found = app
            .store
            .ask(QUERY_LIMIT, move |store| async move { store.latest_changes(&filter, limit).await })
            .await?;
        Ok(found.into_iter().map(|change| Self::of(change, app)).collect())
    }

    pub(super) fn of(change: FleetChange, app: &App) -> Self {
        let FleetChange { instance_id, custom_id, key_id, transition, .. } = change;
        Self {
            at: Moment(transition.at),
            change: transition.change.as_str(),
            from: transition.from,
            to: transition.to,
            instance_id,
            custom_id,
            key_name: app.keys.name_of(key_id),
            key_id,
        }
    }
}
