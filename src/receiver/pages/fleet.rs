//! The page "Fleet": every instance, worst first.

use actix_web::http::StatusCode;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use tokio::try_join;
use uuid::Uuid;

use super::page::{Refusal, key_name, refuse, respond, short};
use crate::receiver::api::fleet::Fleet;
use crate::receiver::api::instances::{Flag, InstancePage, InstanceQuery};
use crate::receiver::api::keys::KeyRow;
use crate::receiver::api::parameters::Parameters;
use crate::receiver::app::App;
use crate::receiver::http::route::Route;
use crate::receiver::store::State;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/").get(show).mount(config);
}

#[derive(Template)]
#[template(path = "fleet.html")]
struct FleetPage {
    root: &'static str,
    fleet: Fleet,
    asked: InstanceQuery,
    found: InstancePage,
    /// Those in use, and the one that is asked for.
    keys: Vec<KeyRow>,
}

impl FleetPage {
    fn is_asked(&self, key: &KeyRow) -> bool {
        self.asked.key == Some(key.id)
    }

    /// The key that is asked for, where there is none such.
    fn unknown_key(&self) -> Option<&Uuid> {
        self.asked.key.as_ref().filter(|id| self.keys.iter().all(|key| key.id != **id))
    }

    /// The counts at the top: number, kind, and the link that shows only these instances.
    fn counts(&self) -> Vec<(i64, &'static str, &'static str)> {
        let Fleet { states, license_invalid, crashed, several_runs, cloned, restarting, new, .. } =
            &self.fleet;
        vec![
            (self.fleet.total, "all", "./"),
            (states.down, "down", "?state=down"),
            (states.late, "late", "?state=late"),
            (states.up, "up", "?state=up"),
            (states.ended, "ended", "?state=ended"),
            (*license_invalid, "license invalid", "?license=invalid"),
            (*crashed, "crashed", "?flag=crashed"),
            (*several_runs, "several runs", "?flag=several-runs"),
            (*cloned, "cloned", "?flag=cloned"),
            (*restarting, "restarting", "?flag=restarting"),
            (*new, "new", "?flag=new"),
        ]
    }
}

async fn show(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let asked = InstanceQuery::read(Parameters::parse(request.query_string())?.without_empty())?;
        let (fleet, found, mut keys) =
            try_join!(Fleet::ask(&app), InstancePage::ask(&app, &asked), KeyRow::ask(&app))?;
        keys.retain(|key| key.revoked_at.is_none() || asked.key == Some(key.id));
        Ok(FleetPage { root: "", fleet, asked, found, keys })
    };
    Ok(respond(StatusCode::OK, &ask.await.map_err(refuse(0))?))
}
