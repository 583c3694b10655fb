//! The page of a key: what comes by it, what it may send, and how it is changed and ended.

use actix_web::http::StatusCode;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::changes::name;
use super::events::events_of_key;
use super::frame::{Frame, Section};
use super::page::{Refusal, query, refuse, respond, state};
use super::words::{count, exact, shown};
use crate::receiver::api::instances::{InstancePage, InstanceRow};
use crate::receiver::api::keys::{CountedKey, no_such_key};
use crate::receiver::app::App;
use crate::receiver::http::parameters::path_id;
use crate::receiver::http::route::Route;
use crate::receiver::query::instances::InstanceQuery;

/// Number of servers that are listed.
const LISTED: i64 = 10;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/server/keys/{key_id}").get(show).compressed().mount(config);
}

#[derive(Template)]
#[template(path = "one_key.html")]
struct KeyPage {
    frame: Frame,
    counted: CountedKey,
    /// The first of its servers, the worst first.
    servers: Vec<InstanceRow>,
}

impl KeyPage {
    /// The list of all its servers.
    fn list(&self) -> String {
        format!("{}./?{}", self.frame.root, query("key", self.counted.key.id.to_string()))
    }

    /// Whether a key before the last replacement is still valid.
    fn has_old(&self) -> bool {
        self.counted.key.old_until.is_some_and(|until| until.0 > self.frame.now)
    }

    /// The time for which that one stays valid.
    fn old_for(&self) -> String {
        let until = self.counted.key.old_until.map_or(self.frame.now, |until| until.0);
        exact(until.duration_since(self.frame.now))
    }

    fn sentence(&self) -> String {
        let CountedKey { key, servers, .. } = &self.counted;
        let heard = match &key.last_used_at {
            None => "and nothing was heard by it yet".to_owned(),
            Some(at) => format!("and it was last heard {} ago", self.frame.since(at)),
        };
        let is_revoked =
            if key.revoked_at.is_some() { "It is revoked: its servers are refused. " } else { "" };
        let has = if *servers == 1 { "reports" } else { "report" };
        format!("{is_revoked}{} {has} with it, {heard}.", count(servers, "server"))
    }
}

/// What requests with a key must carry, for people.
pub(super) fn requires(counted: &CountedKey) -> &'static str {
    match (counted.key.signed, counted.key.token) {
        (false, false) => "only the URL",
        (true, false) => "a signature",
        (false, true) => "a bearer token",
        (true, true) => "a signature and a bearer token",
    }
}

/// A limit, for people.
pub(super) fn limit(number: &Option<i32>) -> String {
    number.map_or_else(|| "no limit".to_owned(), |number| super::words::number(i64::from(number)))
}

async fn show(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let id = path_id(&request, "key_id")?;
        let keys = CountedKey::ask(&app).await?;
        let counted = keys.into_iter().find(|counted| counted.key.id == id).ok_or_else(no_such_key)?;
        let first = InstanceQuery { key: Some(id), limit: LISTED, ..InstanceQuery::default() };
        let servers = InstancePage::ask(&app, &first).await?.instances;
        Ok(KeyPage { frame: Frame::of(&app, Section::Server, 2).await, counted, servers })
    };
    Ok(respond(StatusCode::OK, &ask.await.map_err(refuse(&app, 2))?))
}
