//! Forgetting instances: one, those that match a filter, and those of a key that is revoked.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::instance::show;
use super::instances::list;
use crate::receiver::app::App;
use crate::receiver::forgetting;
use crate::receiver::http::parameters::{Parameters, path_id};
use crate::receiver::http::problem::{Cause, Problem};
use crate::receiver::http::route::Route;
use crate::receiver::query::instances::InstanceQuery;
use crate::receiver::store::{Doomed, FleetStore};
use crate::receiver::store_handle::QUERY_LIMIT;

/// Time after which a request forgets no more and says so: less than a proxy waits for an answer.
const REQUEST_LIMIT: Duration = Duration::from_secs(3);

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/api/instances").get(list).delete(forget_matching).mount(config);
    Route::at("/api/instances/{instance_id}").get(show).delete(forget_one).mount(config);
}

async fn forget_one(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = path_id(&request, "instance_id")?;
    let mut given = Parameters::parse(request.query_string())?;
    let with_events = given.take_flag("with_events")?;
    given.finish()?;
    match Forgotten::by_request(&app, &Doomed::One(id), with_events).await?.forgotten {
        0 => Err(Problem::not_found("there is no such instance")),
        _ => Ok(HttpResponse::new(StatusCode::NO_CONTENT)),
    }
}

async fn forget_matching(app: Data<App>, request: HttpRequest) -> Result<Json<Forgotten>, Problem> {
    let mut given = Parameters::parse(request.query_string())?;
    let asked = InstanceQuery::take_filter(&mut given)?;
    let all = given.take_flag("all")?;
    let (dry_run, with_events) = (given.take_flag("dry_run")?, given.take_flag("with_events")?);
    given.finish()?;
    if asked.to_filter().is_empty() != all {
        let what = "give a filter, or all=true to forget every instance, and not both";
        return Err(Problem::new(Cause::Parameter, what).field("all"));
    }
    let doomed = matching(&app, asked).await?;
    Ok(Json(match dry_run {
        true => Forgotten::count(&app, &doomed).await?,
        false => Forgotten::by_request(&app, &doomed, with_events).await?,
    }))
}

/// The instances that match a query now.
pub(crate) async fn matching(app: &App, asked: InstanceQuery) -> Result<Doomed, Problem> {
    let now = app.now();
    let filter = |store: Arc<dyn FleetStore>| async move { asked.filter_for(&*store, now).await };
    Ok(Doomed::Matching(Box::new(app.store.ask(QUERY_LIMIT, filter).await?)))
}

/// What was forgotten, or would be.
#[derive(Serialize)]
pub(crate) struct Forgotten {
    pub(crate) forgotten: u64,
    /// There are more: the same request goes on.
    pub(crate) more: bool,
    dry_run: bool,
}

impl Forgotten {
    /// What would be forgotten.
    pub(crate) async fn count(app: &App, doomed: &Doomed) -> Result<Self, Problem> {
        let forgotten = forgetting::count(&app.store, &app.clock, doomed).await?;
        Ok(Self { forgotten, more: false, dry_run: true })
    }

    /// Forgets for as long as a request may take.
    pub(crate) async fn by_request(app: &App, doomed: &Doomed, with_events: bool) -> Result<Self, Problem> {
        let limit = Some(REQUEST_LIMIT);
        let done = forgetting::forget(&app.store, &app.clock, doomed, with_events, limit).await?;
        app.counts.forget();
        Ok(Self { forgotten: done.count, more: !done.is_done, dry_run: false })
    }
}
