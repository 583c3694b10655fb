//! The page "Instance": all about one instance.

use actix_web::http::StatusCode;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use tokio::try_join;

use super::page::{ROOTS, Refusal, refuse, respond, short};
use crate::receiver::api::events::{EventPage, EventQuery};
use crate::receiver::api::instances::WholeInstance;
use crate::receiver::api::parameters::path_id;
use crate::receiver::app::App;
use crate::receiver::http::route::Route;

const SHOWN_EVENTS: i64 = 20;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/instances/{instance_id}").get(show).mount(config);
}

#[derive(Template)]
#[template(path = "instance.html")]
struct InstanceView {
    root: &'static str,
    instance: WholeInstance,
    latest: EventPage,
}

async fn show(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let id = path_id(&request, "instance_id")?;
        let asked = EventQuery::latest_of(id, SHOWN_EVENTS);
        let (instance, latest) = try_join!(WholeInstance::ask(&app, id), EventPage::ask(&app, &asked))?;
        Ok(InstanceView { root: ROOTS[1], instance, latest })
    };
    Ok(respond(StatusCode::OK, &ask.await.map_err(refuse(1))?))
}
