//! The forms that mute, and that end a mute. The page "Alerts" lists the mutes.

use actix_web::web::{Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use super::page::{Refusal, refuse, see};
use crate::receiver::api::body::read_form;
use crate::receiver::api::mutes::{no_such_mute, operator};
use crate::receiver::app::App;
use crate::receiver::http::parameters::{Parameters, path_id};
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::operator::{
    FILTER_RULE, MUTED_FOR_RULE, NewMute, REASON_RULE, Selection, valid_filter, valid_reason, valid_time,
};

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/mutes").get(async || see("alerts#mutes")).post(mute_matching).mount(config);
    Route::at("/mutes/{mute_id}/remove").post(remove).mount(config);
}

async fn mute_matching(app: Data<App>, body: Payload) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let mut given = read_form(body).await?;
        let filter = given.take("filter", FILTER_RULE, valid_filter)?;
        let filter = filter.ok_or_else(|| Problem::bad_field("filter", FILTER_RULE))?;
        mute(&app, Selection::Filter(filter), given).await?;
        Ok(see("alerts#mutes"))
    };
    ask.await.map_err(refuse(&app, 0))
}

/// Mutes for the time and the reason of a form.
pub(super) async fn mute(app: &App, of: Selection, mut given: Parameters) -> Result<(), Problem> {
    let lasts = given.take("seconds", MUTED_FOR_RULE, |text| text.parse().ok().and_then(valid_time))?;
    let reason = given.take("reason", REASON_RULE, valid_reason)?;
    given.finish()?;
    let lasts = lasts.ok_or_else(|| Problem::bad_field("seconds", MUTED_FOR_RULE))?;
    let reason = reason.ok_or_else(|| Problem::bad_field("reason", REASON_RULE))?;
    operator(app).mute(NewMute::new(of, lasts, reason)).await?;
    Ok(())
}

async fn remove(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        match operator(&app).unmute(path_id(&request, "mute_id")?).await? {
            true => Ok(see("../../alerts#mutes")),
            false => Err(no_such_mute()),
        }
    };
    ask.await.map_err(refuse(&app, 2))
}
