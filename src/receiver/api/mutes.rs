//! Mutes: made, listed and removed.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::body::Fields;
use super::moment::Moment;
use crate::receiver::app::App;
use crate::receiver::http::parameters::path_id;
use crate::receiver::http::problem::{Cause, Problem};
use crate::receiver::http::route::Route;
use crate::receiver::operator::{
    FILTER_RULE, MUTED_FOR_RULE, MuteInfo, NewMute, Operator, OperatorError, REASON_RULE, Selection,
    valid_filter, valid_reason, valid_time,
};
use crate::receiver::store_handle;

/// The reason of a mute whose request gave none.
const UNSAID: &str = "muted by the API";

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/api/mutes").get(list).post(create).mount(config);
    Route::at("/api/mutes/{mute_id}").delete(remove).mount(config);
}

async fn list(app: Data<App>) -> Result<Json<MuteList>, Problem> {
    Ok(Json(MuteList { mutes: MuteRow::ask(&app).await? }))
}

async fn create(app: Data<App>, request: HttpRequest, body: Payload) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::read(&request, body).await?;
    let id = |value: Value| value.as_str().and_then(|text| Uuid::try_parse(text).ok());
    let instance = fields.take("instance_id", "a UUID", id)?.map(Selection::Instance);
    let key = fields.take("key_id", "a UUID", id)?.map(Selection::Key);
    let filter = fields.take("filter", FILTER_RULE, |value| value.as_str().and_then(valid_filter))?;
    let lasts = fields
        .take("seconds", MUTED_FOR_RULE, |value| value.as_f64().and_then(whole).and_then(valid_time))?;
    let reason = fields.take("reason", REASON_RULE, |value| value.as_str().and_then(valid_reason))?;
    fields.finish()?;
    let mut given = [instance, key, filter.map(Selection::Filter)].into_iter().flatten();
    let (Some(of), None) = (given.next(), given.next()) else {
        let one = "a mute is about one of instance_id, key_id and filter";
        return Err(Problem::new(Cause::Field, one).field("instance_id"));
    };
    let lasts = lasts.ok_or_else(|| Problem::bad_field("seconds", MUTED_FOR_RULE))?;
    let reason = reason.unwrap_or_else(|| UNSAID.to_owned());
    let made = operator(&app).mute(NewMute::new(of, lasts, reason)).await?;
    app.counts.forget();
    Ok(HttpResponse::Created().json(MuteRow::of(&made, app.now())))
}

async fn remove(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    unmute(&app, path_id(&request, "mute_id")?).await?;
    Ok(HttpResponse::new(StatusCode::NO_CONTENT))
}

pub(crate) fn operator(app: &App) -> Operator {
    Operator::of_receiver(app.store.clone(), app.clock.clone())
}

/// Makes mutes: all of them, or none.
pub(crate) async fn mute_all(app: &App, new: Vec<NewMute>) -> Result<(), Problem> {
    operator(app).mute_all(new).await?;
    app.counts.forget();
    Ok(())
}

/// Ends a mute.
pub(crate) async fn unmute(app: &App, id: Uuid) -> Result<(), Problem> {
    if !operator(app).unmute(id).await? {
        return Err(Problem::not_found("there is no such mute"));
    }
    app.counts.forget();
    Ok(())
}

/// A whole number, also where it is written as 2.0.
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64)
}

impl From<OperatorError> for Problem {
    fn from(error: OperatorError) -> Self {
        match error {
            OperatorError::Unusable(..) | OperatorError::Filter(_) => {
                Problem::new(Cause::Field, error.to_string())
            }
            OperatorError::TooManyMutes => Problem::new(Cause::TooManyMutes, error.to_string()),
            // The store was asked, and the log has what it said.
            OperatorError::Store(_) => store_handle::unavailable(),
        }
    }
}

#[derive(Serialize)]
struct MuteList {
    mutes: Vec<MuteRow>,
}

/// A mute in a list.
#[derive(Serialize)]
pub(crate) struct MuteRow {
    pub(crate) id: Uuid,
    pub(crate) instance_id: Option<Uuid>,
    pub(crate) key_id: Option<Uuid>,
    pub(crate) filter: Option<String>,
    pub(crate) reason: String,
    pub(crate) until: Moment,
    pub(crate) created_at: Moment,
    /// It has not ended.
    pub(crate) active: bool,
}

impl MuteRow {
    pub(crate) async fn ask(app: &App) -> Result<Vec<Self>, Problem> {
        let now = app.now();
        Ok(operator(app).mutes().await?.iter().map(|mute| Self::of(mute, now)).collect())
    }

    fn of(mute: &MuteInfo, now: Timestamp) -> Self {
        let moment = |time| Timestamp::try_from(time).unwrap_or_default();
        let (mut instance_id, mut key_id, mut filter) = (None, None, None);
        match &mute.of {
            Selection::Instance(id) => instance_id = Some(*id),
            Selection::Key(id) => key_id = Some(*id),
            Selection::Filter(query) => filter = Some(query.clone()),
            Selection::All => {}
        }
        let until = moment(mute.until);
        Self {
            id: mute.id,
            instance_id,
            key_id,
            filter,
            reason: mute.reason.clone(),
            until: Moment(until),
            created_at: Moment(moment(mute.created_at)),
            active: until > now,
        }
    }
}
