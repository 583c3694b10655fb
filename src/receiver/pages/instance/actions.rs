//! What an operator does with one server: mute it, forget it, move it to another key. Each has a page that says what
//! follows, and the form that does it. Unmuting needs none.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use uuid::Uuid;

use super::super::changes::whole_name;
use super::super::forget::with_events;
use super::super::frame::{Frame, Section};
use super::super::key_choice::{KeyChoice, take_typed};
use super::super::mutes::{choices, mute};
use super::super::page::{Refusal, key_name, refuse, respond, see, state};
use super::super::words::{frequency, shown};
use crate::receiver::api::body::read_form;
use crate::receiver::api::forget::Forgotten;
use crate::receiver::api::instances::InstanceRow;
use crate::receiver::api::keys::KeyRow;
use crate::receiver::api::mutes::{MuteRow, unmute};
use crate::receiver::api::owner;
use crate::receiver::app::App;
use crate::receiver::http::parameters::{Parameters, path_id};
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::operator::Selection;
use crate::receiver::store::{Doomed, State};

pub(super) fn routes(config: &mut ServiceConfig) {
    let at = |action: &str| Route::at(&format!("/instances/{{instance_id}}/{action}"));
    at("mute").get(ask_to_mute).compressed().post(mute_it).mount(config);
    at("unmute").post(unmute_it).mount(config);
    at("forget").get(ask_to_forget).compressed().post(forget).mount(config);
    at("owner").get(ask_to_move).compressed().post(give).mount(config);
}

/// The page that asks.
#[derive(Template)]
#[template(path = "instance_action.html")]
struct ActionView {
    frame: Frame,
    action: Action,
    row: InstanceRow,
}

enum Action {
    Mute,
    Forget,
    /// To one of the keys in use that it does not belong to, where there are some.
    Move(Option<KeyChoice>),
}

impl Action {
    /// What is done, before the name of the server and after it.
    fn words(&self) -> (&'static str, &'static str) {
        match self {
            Action::Mute => ("Mute", ""),
            Action::Forget => ("Forget", ""),
            Action::Move(_) => ("Move", " to another key"),
        }
    }
}

impl ActionView {
    async fn of(app: &App, request: &HttpRequest, action: Action) -> Result<Self, Problem> {
        let row = InstanceRow::ask(app, path_id(request, "instance_id")?).await?;
        Ok(Self { frame: Frame::of(app, Section::Fleet, 2).await, action, row })
    }

    fn name(&self) -> String {
        whole_name(self.row.custom_id.as_deref(), &self.row.instance_id)
    }

    fn key(&self) -> String {
        shown(key_name(self.row.key_name.as_deref(), &self.row.key_id))
    }

    /// The address of the page of the server, from here.
    fn back(&self) -> String {
        format!("../{}", self.row.instance_id)
    }

    /// Whether it reports, as far as one knows.
    fn is_heard(&self) -> bool {
        matches!(self.row.state, State::Up | State::Late)
    }
}

async fn ask_to_mute(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let page = ActionView::of(&app, &request, Action::Mute).await.map_err(refuse(&app, 2))?;
    Ok(respond(StatusCode::OK, &page))
}

async fn mute_it(app: Data<App>, request: HttpRequest, body: Payload) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let id = path_id(&request, "instance_id")?;
        InstanceRow::ask(&app, id).await?;
        mute(&app, vec![Selection::Instance(id)], body).await?;
        Ok(see(&format!("../{id}")))
    };
    ask.await.map_err(refuse(&app, 2))
}

/// Ends the mutes that are about it alone.
async fn unmute_it(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let id = path_id(&request, "instance_id")?;
        let is_its_own = |mute: &MuteRow| mute.active && mute.instance_id == Some(id);
        for mute in MuteRow::ask(&app).await?.iter().filter(|mute| is_its_own(mute)) {
            unmute(&app, mute.id).await?;
        }
        Ok(see(&format!("../{id}")))
    };
    ask.await.map_err(refuse(&app, 2))
}

async fn ask_to_forget(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let page = ActionView::of(&app, &request, Action::Forget).await.map_err(refuse(&app, 2))?;
    Ok(respond(StatusCode::OK, &page))
}

async fn forget(app: Data<App>, request: HttpRequest, body: Payload) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let doomed = Doomed::One(path_id(&request, "instance_id")?);
        let with_events = with_events(body).await?;
        match Forgotten::by_request(&app, &doomed, with_events).await?.forgotten {
            0 => Err(Problem::not_found("there is no such instance")),
            _ => Ok(see("../../")),
        }
    };
    ask.await.map_err(refuse(&app, 2))
}

async fn ask_to_move(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let mut given = Parameters::parse(request.query_string())?;
        let chosen = given.take("key", owner::KEY_RULE, |text| Uuid::try_parse(text).ok())?;
        given.finish()?;
        let mut page = ActionView::of(&app, &request, Action::Move(None)).await?;
        let mut to = KeyRow::ask(&app).await?;
        to.retain(|key| key.revoked_at.is_none() && key.id != page.row.key_id);
        if !to.is_empty() {
            page.action = Action::Move(Some(KeyChoice::of(to, chosen).required()));
        }
        Ok(page)
    };
    Ok(respond(StatusCode::OK, &ask.await.map_err(refuse(&app, 2))?))
}

/// Moves it to another key.
async fn give(app: Data<App>, request: HttpRequest, body: Payload) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let id = path_id(&request, "instance_id")?;
        let mut given = read_form(body).await?;
        let typed = take_typed(&app, &mut given).await?;
        let key = given.take("key", owner::KEY_RULE, |text| Uuid::try_parse(text).ok())?;
        given.finish()?;
        let key = key.or(typed).ok_or_else(|| Problem::bad_field("key", owner::KEY_RULE))?;
        owner::give_to(&app, id, key).await?;
        Ok(see(&format!("../{id}")))
    };
    ask.await.map_err(refuse(&app, 2))
}
