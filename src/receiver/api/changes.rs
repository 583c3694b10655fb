//! The latest changes of the whole fleet.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, ServiceConfig};
use serde::Serialize;
use url::form_urlencoded::Serializer;
use uuid::Uuid;

use super::moment::Moment;
use crate::receiver::app::App;
use crate::receiver::http::parameters::{LIMIT, Parameters};
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::query::cursor::{Cursor, page};
use crate::receiver::store::{Change, ChangeCursor, ChangeFilter, FleetChange, Turn};
use crate::receiver::store_handle::QUERY_LIMIT;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/api/changes").get(list).mount(config);
}

async fn list(app: Data<App>, request: HttpRequest) -> Result<Json<ChangePage>, Problem> {
    let asked = ChangeQuery::read(Parameters::parse(request.query_string())?)?;
    Ok(Json(ChangePage::ask(&app, &asked).await?))
}

/// The parameters of a query for changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ChangeQuery {
    pub(crate) filter: ChangeFilter,
    pub(super) limit: i64,
    pub(super) after: Option<ChangeCursor>,
}

impl ChangeQuery {
    pub(crate) fn read(mut given: Parameters) -> Result<Self, Problem> {
        let mut asked = Self::take_filter(&mut given)?;
        asked.limit = given.take_limit()?;
        asked.after = given.take("after", "the next of an earlier answer", ChangeCursor::decode)?;
        given.finish()?;
        Ok(asked)
    }

    /// Takes what selects changes, and nothing of what selects a page of them.
    pub(super) fn take_filter(given: &mut Parameters) -> Result<Self, Problem> {
        let changes = "state, license, version, product, key, id or run-lost";
        let is_of_instance = |change: &Change| *change != Change::NewInstances;
        let filter = ChangeFilter {
            key_id: given.take("key", "the id of a key", |text| Uuid::try_parse(text).ok())?,
            kinds: given.take_each("change", changes, |text| Change::parse(text).filter(is_of_instance))?,
            turns: given.take_each("kind", &kinds(), Turn::parse)?,
            told: false,
        };
        Ok(Self { filter, limit: LIMIT, after: None })
    }

    /// The query of the page that begins at `after`.
    pub(crate) fn to_query(&self, after: &str) -> String {
        self.write(Some(after))
    }

    /// The query of the filter alone.
    pub(crate) fn to_filter(&self) -> String {
        self.write(None)
    }

    /// The same query for what follows another page.
    pub(crate) fn after(&self, next: &str) -> Self {
        Self { after: ChangeCursor::decode(next), ..self.clone() }
    }

    /// Whether the page begins with the latest change that matches.
    pub(crate) fn is_first_page(&self) -> bool {
        self.after.is_none()
    }

    fn write(&self, after: Option<&str>) -> String {
        let mut query = Serializer::new(String::new());
        let mut add = |name, value: Option<String>| {
            query.extend_pairs(value.map(|value| (name, value)));
        };
        let some = |words: Vec<&str>| (!words.is_empty()).then(|| words.join(","));
        add("kind", some(self.filter.turns.iter().map(|turn| turn.as_str()).collect()));
        add("change", some(self.filter.kinds.iter().map(|change| change.as_str()).collect()));
        add("key", self.filter.key_id.map(|id| id.to_string()));
        add("limit", (after.is_some() && self.limit != LIMIT).then(|| self.limit.to_string()));
        add("after", after.map(str::to_owned));
        query.finish()
    }
}

/// What the parameter `kind` accepts, for people.
fn kinds() -> String {
    let [others @ .., last] = Turn::ALL.map(Turn::as_str);
    format!("{} or {last}", others.join(", "))
}

#[derive(Serialize)]
pub(crate) struct ChangePage {
    pub(crate) changes: Vec<ChangeRow>,
    pub(crate) next: Option<String>,
}

impl ChangePage {
    pub(crate) async fn ask(app: &App, asked: &ChangeQuery) -> Result<Self, Problem> {
        let ChangeQuery { filter, limit, after } = asked.clone();
        let (found, last) = app
            .store
            .ask(QUERY_LIMIT, move |store| async move {
                let found = store.latest_changes(&filter, after.as_ref(), limit + 1).await?;
                // Where there are few that match, there may be more after all that were looked at.
                let is_whole = filter.is_of_all() || found.len() as i64 > limit;
                let last = if is_whole { None } else { store.last_looked_at(after.as_ref()).await? };
                Ok((found, last))
            })
            .await?;
        let (found, next) = page(found, limit, |last| ChangeCursor::from(last));
        let next = next.or_else(|| last.map(|last| last.encode()));
        Ok(Self { changes: found.into_iter().map(|change| ChangeRow::of(change, app)).collect(), next })
    }
}

/// A change in a list.
#[derive(Serialize)]
pub(crate) struct ChangeRow {
    pub(crate) at: Moment,
    pub(crate) change: &'static str,
    pub(crate) from: Option<String>,
    pub(crate) to: String,
    pub(crate) instance_id: Uuid,
    pub(crate) custom_id: Option<String>,
    pub(crate) key_id: Uuid,
    /// `None` where the key is revoked, or where an earlier version stored the event.
    pub(crate) key_name: Option<String>,
}

impl ChangeRow {
    /// What became of the instance.
    pub(crate) fn turn(&self) -> Option<Turn> {
        Turn::of(Change::parse(self.change)?, self.from.as_deref(), &self.to)
    }

    /// The latest changes, the latest first.
    pub(crate) async fn ask(app: &App, filter: ChangeFilter, limit: i64) -> Result<Vec<Self>, Problem> {
        let found = app
            .store
            .ask(QUERY_LIMIT, move |store| async move { store.latest_changes(&filter, None, limit).await })
            .await?;
        Ok(found.into_iter().map(|change| Self::of(change, app)).collect())
    }

    pub(super) fn of(change: FleetChange, app: &App) -> Self {
        let FleetChange { instance_id, custom_id, key_id, transition, .. } = change;
        Self {
            at: Moment(transition.at),
            change: transition.change.as_str(),
            from: transition.from,
            to: transition.to,
            instance_id,
            custom_id,
            key_name: app.keys.name_of(key_id),
            key_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_written_as_it_was_read() {
        let read = |query: &str| ChangeQuery::read(Parameters::parse(query).unwrap());
        let key = Uuid::from_u128(7);
        let asked = read(&format!("key={key}&change=state&kind=back,crashed&kind=down&limit=7")).unwrap();
        assert_eq!(asked.filter.turns, [Turn::Back, Turn::Crashed, Turn::Down]);
        assert_eq!(asked.to_filter(), format!("kind=back%2Ccrashed%2Cdown&change=state&key={key}"));
        let cursor = ChangeCursor {
            at: jiff::Timestamp::UNIX_EPOCH,
            instance_id: key,
            change: Change::State,
            to: "up".to_owned(),
        };
        let next = read(&asked.to_query(&cursor.encode())).unwrap();
        assert_eq!(next, ChangeQuery { after: Some(cursor), ..asked });
        assert!(!next.is_first_page());
        assert_eq!((read("").unwrap().to_filter().as_str(), read("kind=state").is_err()), ("", true));
        assert!(kinds().starts_with("down, back, crashed, ") && kinds().ends_with(", product or id"));
    }
}
