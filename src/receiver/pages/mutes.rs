//! What the forms that mute have in common, and the form that ends a mute. The page "Alerts" lists the mutes.

use actix_web::web::{Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use super::page::{Refusal, refuse, see};
use crate::receiver::api::body::read_form;
use crate::receiver::api::mutes::{mute_all, unmute};
use crate::receiver::app::App;
use crate::receiver::http::parameters::path_id;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::operator::{MUTED_FOR_RULE, NewMute, REASON_RULE, Selection, valid_reason, valid_time};

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/mutes").get(async || see("alerts#mutes")).mount(config);
    Route::at("/mutes/{mute_id}/remove").post(remove).mount(config);
}

/// Makes a mute of each selection for the time and the reason of a form: all of them, or none.
pub(super) async fn mute(app: &App, each: Vec<Selection>, body: Payload) -> Result<(), Problem> {
    let mut given = read_form(body).await?;
    let lasts = given.take("seconds", MUTED_FOR_RULE, |text| text.parse().ok().and_then(valid_time))?;
    let reason = given.take("reason", REASON_RULE, valid_reason)?;
    given.finish()?;
    let lasts = lasts.ok_or_else(|| Problem::bad_field("seconds", MUTED_FOR_RULE))?;
    let reason = reason.ok_or_else(|| Problem::bad_field("reason", REASON_RULE))?;
    mute_all(app, each.into_iter().map(|of| NewMute::new(of, lasts, &reason)).collect()).await
}

async fn remove(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        unmute(&app, path_id(&request, "mute_id")?).await?;
        Ok(see("../../alerts#mutes"))
    };
    ask.await.map_err(refuse(&app, 2))
}
