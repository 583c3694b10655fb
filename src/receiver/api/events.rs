//! The stored events.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use url::form_urlencoded::Serializer;
use uuid::Uuid;

use super::moment::Moment;
use crate::receiver::app::App;
use crate::receiver::http::parameters::{LIMIT, MOMENT, Parameters, moment, path_id};
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::query::cursor::{Cursor, page};
use crate::receiver::store::{EventCursor, EventFilter, FleetStore, StoredEvent};
use crate::receiver::store_handle::QUERY_LIMIT;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/api/events").get(list).mount(config);
    Route::at("/api/instances/{instance_id}/events/{event_id}").get(show).delete(delete).mount(config);
}

async fn list(app: Data<App>, request: HttpRequest) -> Result<Json<EventPage>, Problem> {
    let asked = EventQuery::read(Parameters::parse(request.query_string())?, moment)?;
    Ok(Json(EventPage::ask(&app, &asked).await?))
}

async fn show(app: Data<App>, request: HttpRequest) -> Result<Json<EventRow>, Problem> {
    let (instance_id, id) = ids(&request)?;
    Ok(Json(find(&app, instance_id, id).await?))
}

async fn delete(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (instance_id, id) = ids(&request)?;
    remove(&app, instance_id, id).await?;
    Ok(HttpResponse::new(StatusCode::NO_CONTENT))
}

pub(crate) fn ids(request: &HttpRequest) -> Result<(Uuid, Uuid), Problem> {
    Ok((path_id(request, "instance_id")?, path_id(request, "event_id")?))
}

pub(crate) async fn find(app: &App, instance_id: Uuid, id: Uuid) -> Result<EventRow, Problem> {
    let found = app.store.ask(QUERY_LIMIT, |store| async move { store.event(instance_id, id).await }).await?;
    found.map(EventRow::from).ok_or_else(no_such_event)
}

pub(crate) async fn remove(app: &App, instance_id: Uuid, id: Uuid) -> Result<(), Problem> {
    match app.store.ask(QUERY_LIMIT, |store| async move { store.delete_event(instance_id, id).await }).await?
    {
        true => Ok(()),
        false => Err(no_such_event()),
    }
}

fn no_such_event() -> Problem {
    Problem::not_found("there is no such event")
}

/// The parameters of a query for events.
#[derive(Clone, Default)]
pub(crate) struct EventQuery {
    pub(crate) instance_id: Option<Uuid>,
    pub(crate) reason: Option<String>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
    pub(crate) key_id: Option<Uuid>,
    pub(super) limit: i64,
    pub(super) after: Option<EventCursor>,
}

impl EventQuery {
    /// Reads the parameters; `moment` reads the text of a moment.
    pub(crate) fn read(
        mut given: Parameters,
        moment: fn(&str) -> Option<Timestamp>,
    ) -> Result<Self, Problem> {
        let mut asked = Self::take_filter(&mut given, moment)?;
        asked.limit = given.take_limit()?;
        asked.after = given.take("after", "the next of an earlier answer", EventCursor::decode)?;
        given.finish()?;
        Ok(asked)
    }

    /// Takes what selects events, and nothing of what selects a page of them.
    pub(crate) fn take_filter(
        given: &mut Parameters,
        moment: fn(&str) -> Option<Timestamp>,
    ) -> Result<Self, Problem> {
        Ok(Self {
            instance_id: given.take("instance", "the id of an instance, a UUID", |text| {
                Uuid::try_parse(text.trim()).ok()
            })?,
            reason: given.take_text("reason")?,
            from: given.take("from", MOMENT, moment)?,
            to: given.take("to", MOMENT, moment)?,
            key_id: given.take("key", "the id of a key", |text| Uuid::try_parse(text).ok())?,
            limit: LIMIT,
            after: None,
        })
    }

    /// The query of the page that begins at `after`.
    pub(crate) fn to_query(&self, after: &str) -> String {
        self.write(Some(after))
    }

    /// The query of the filter alone.
    pub(crate) fn to_filter(&self) -> String {
        self.write(None)
    }

    /// Whether the page begins with the latest event that matches.
    pub(crate) fn is_first_page(&self) -> bool {
        self.after.is_none()
    }

    fn write(&self, after: Option<&str>) -> String {
        let mut query = Serializer::new(String::new());
        let mut add = |name, value: Option<String>| {
            query.extend_pairs(value.map(|value| (name, value)));
        };
        add("instance", self.instance_id.map(|id| id.to_string()));
        add("reason", self.reason.clone());
        add("from", self.from.map(|from| from.to_string()));
        add("to", self.to.map(|to| to.to_string()));
        add("key", self.key_id.map(|id| id.to_string()));
        add("limit", (after.is_some() && self.limit != LIMIT).then(|| self.limit.to_string()));
        add("after", after.map(str::to_owned));
        query.finish()
    }

    /// Number of the events that match and came after a moment, up to `most`.
    pub(crate) async fn count_after(
        &self,
        app: &App,
        moment: Timestamp,
        most: i64,
    ) -> Result<usize, Problem> {
        // A store knows microseconds.
        let from = moment.checked_add(SignedDuration::from_micros(1)).unwrap_or(moment);
        let newer = EventFilter { from: self.from.max(Some(from)), ..self.filter() };
        let ask = move |store: Arc<dyn FleetStore>| async move { store.events(&newer, None, most).await };
        Ok(app.store.ask(QUERY_LIMIT, ask).await?.len())
    }

    fn filter(&self) -> EventFilter {
        EventFilter {
            instance_id: self.instance_id,
            reason: self.reason.clone(),
            from: self.from,
            to: self.to,
            key_id: self.key_id,
        }
    }

    /// The latest events of one instance.
    pub(crate) fn latest_of(instance_id: Uuid, limit: i64) -> Self {
        Self { instance_id: Some(instance_id), limit, ..Self::default() }
    }
}

#[derive(Serialize)]
pub(crate) struct EventPage {
    pub(crate) events: Vec<EventRow>,
    pub(crate) next: Option<String>,
}

impl EventPage {
    pub(crate) async fn ask(app: &App, asked: &EventQuery) -> Result<Self, Problem> {
        let (filter, after, limit) = (asked.filter(), asked.after, asked.limit);
        let (found, last) = app
            .store
            .ask(QUERY_LIMIT, move |store| async move {
                let found = store.events(&filter, after, limit + 1).await?;
                // Where there are few of a key, there may be more after all that were looked at.
                let is_whole = filter.key_id.is_none() || found.len() as i64 > limit;
                let last = if is_whole { None } else { store.last_event_looked_at(&filter, after).await? };
                Ok((found, last))
            })
            .await?;
        let (found, next) = page(found, limit, |last| EventCursor {
            received_at: last.received_at,
            instance_id: last.instance_id,
            id: last.id,
        });
        let next = next.or_else(|| last.map(|last| last.encode()));
        Ok(Self { events: found.into_iter().map(EventRow::from).collect(), next })
    }
}

/// An event in an answer.
#[derive(Serialize)]
pub(crate) struct EventRow {
    pub(crate) id: Uuid,
    pub(crate) instance_id: Uuid,
    pub(crate) run_id: Uuid,
    pub(crate) sequence: i64,
    pub(crate) ts: Moment,
    pub(crate) kind: &'static str,
    #[serde(rename = "type")]
    pub(crate) type_name: &'static str,
    persistent: bool,
    pub(crate) reason: String,
    pub(crate) key_id: Uuid,
    pub(crate) product: String,
    /// It comes from an event file.
    pub(crate) imported: bool,
    pub(crate) data: Box<RawValue>,
}

impl From<StoredEvent> for EventRow {
    fn from(event: StoredEvent) -> Self {
        let data = RawValue::from_string(event.data).unwrap_or_else(|error| {
            // Only JSON is stored. A row that was changed by hand must not hide the others.
            to_raw_value(&format!("not JSON: {error}")).expect("text always serializes")
        });
        Self {
            id: event.id,
            instance_id: event.instance_id,
            run_id: event.run_id,
            sequence: event.sequence,
            ts: Moment(event.received_at),
            kind: "usr",
            type_name: "telemetry.custom",
            persistent: true,
            reason: event.reason,
            key_id: event.key_id,
            product: event.product,
            imported: event.is_imported,
            data,
        }
    }
}
