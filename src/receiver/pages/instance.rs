//! The page "Instance": all about one instance.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use tokio::try_join;
use uuid::Uuid;

use super::frame::{Frame, Section};
use super::page::{Refusal, key_name, refuse, respond, see, short};
use crate::receiver::api::body::read_form;
use crate::receiver::api::events::{EventPage, EventQuery};
use crate::receiver::api::instances::{Flag, WholeInstance};
use crate::receiver::api::keys::KeyRow;
use crate::receiver::api::owner;
use crate::receiver::app::App;
use crate::receiver::http::parameters::path_id;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;

const SHOWN_EVENTS: i64 = 20;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/instances/{instance_id}").get(show).compressed().mount(config);
    Route::at("/instances/{instance_id}/owner").post(give).mount(config);
}

#[derive(Template)]
#[template(path = "instance.html")]
struct InstanceView {
    frame: Frame,
    instance: WholeInstance,
    latest: EventPage,
    /// The keys in use that it can be moved to.
    keys: Vec<KeyRow>,
}

impl InstanceView {
    /// Why a flag is set, in words.
    fn reason(&self, flag: &Flag) -> String {
        let losses = &self.instance.row.losses;
        match flag {
            Flag::Crashed => {
                let runs = if losses.count == 1 { "run was" } else { "runs were" };
                let last = losses.last_at.map(|at| format!(", the last at {}", at.html().plain()));
                let last = last.unwrap_or_default();
                format!("{} {runs} lost in the last 7 days{last}", losses.count)
            }
            Flag::SeveralRuns => {
                "two or more runs are alive, each heard after the other began: replicas, or a clone"
                    .to_owned()
            }
            Flag::Cloned => {
                let last = self.instance.runs.iter().filter_map(|run| run.forked_at).max_by_key(|at| at.0);
                let last = last.map(|at| format!(", at {}", at.html().plain())).unwrap_or_default();
                format!("a number of a run came again with another content{last}: two servers have its state")
            }
            Flag::Restarting => {
                "a process keeps dying and being started again, for 40 minutes or longer".to_owned()
            }
            Flag::New => "first seen within the last day".to_owned(),
            Flag::Muted => "nobody is told of its changes".to_owned(),
        }
    }
}

async fn show(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let id = path_id(&request, "instance_id")?;
        let asked = EventQuery::latest_of(id, SHOWN_EVENTS);
        let (instance, latest, mut keys) =
            try_join!(WholeInstance::ask(&app, id), EventPage::ask(&app, &asked), KeyRow::ask(&app))?;
        keys.retain(|key| key.revoked_at.is_none() && key.id != instance.row.key_id);
        Ok(InstanceView { frame: Frame::of(&app, Section::Fleet, 1).await, instance, latest, keys })
    };
    Ok(respond(StatusCode::OK, &ask.await.map_err(refuse(&app, 1))?))
}

/// Moves the instance to another key.
async fn give(app: Data<App>, request: HttpRequest, body: Payload) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let id = path_id(&request, "instance_id")?;
        let mut given = read_form(body).await?;
        let key = given.take("key", owner::KEY_RULE, |text| Uuid::try_parse(text).ok())?;
        given.finish()?;
        let key = key.ok_or_else(|| Problem::bad_field("key", owner::KEY_RULE))?;
        owner::give_to(&app, id, key).await?;
        Ok(see(&format!("../{id}")))
    };
    ask.await.map_err(refuse(&app, 2))
}
