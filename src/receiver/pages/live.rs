//! What changes, sent to the pages that are open as server-sent events. `pages.js` shows it.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{CONTENT_ENCODING, HeaderName, HeaderValue};
use actix_web::web::{Bytes, Data, ServiceConfig};
use actix_web::{Error, HttpRequest, HttpResponse};
use futures_util::stream::unfold;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::changes::{spoken, tag_of};
use super::headline::{headline, title};
use super::pulse::Pulse;
use super::words::number;
use crate::receiver::app::App;
use crate::receiver::counts::States;
use crate::receiver::http::parameters::Parameters;
use crate::receiver::http::problem::{Cause, Problem};
use crate::receiver::http::route::Route;
use crate::receiver::live::{News, Tidings};
use crate::receiver::store::FleetChange;

/// Time after which something is sent although there is no news: less than proxies wait, and soon enough to see that the
/// receiver is blind.
const BEAT: Duration = Duration::from_secs(5);

/// Time after which the answer ends and the browser asks again, with its session as it is by then.
const LIFE: Duration = Duration::from_secs(30);

/// What begins every answer: browsers ask again a second after its end.
const BEGIN: &str = "retry: 1000\n\n";

/// Asks nginx to send on what comes.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/live").get(listen).mount(config);
}

async fn listen(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut given = Parameters::parse(request.query_string())?;
    let after = given.take("after", "the number of an event", |text| text.parse().ok())?;
    given.finish()?;
    // Of a browser that asks again by itself.
    let last = request.headers().get("last-event-id").and_then(|last| last.to_str().ok()?.parse().ok());
    let mut answer = HttpResponse::Ok();
    answer
        .content_type("text/event-stream")
        .insert_header((CONTENT_ENCODING, HeaderValue::from_static("identity")))
        .insert_header((ACCEL_BUFFERING, HeaderValue::from_static("no")));
    if request.method() == Method::HEAD {
        return Ok(answer.finish());
    }
    let heard = app.live.listen();
    let (heard, turn) =
        heard.ok_or_else(|| Problem::new(Cause::Busy, "too many pages are open, or the server stops"))?;
    let ends_at = app.clock.monotonic() + LIFE;
    let listener =
        Listener { app, heard, turn, told: last.or(after), is_behind: false, has_begun: false, ends_at };
    Ok(answer.streaming(unfold(listener, |mut listener| async move {
        let text = listener.next().await?;
        Some((Ok::<_, Error>(Bytes::from(text)), listener))
    })))
}

/// A page that is open.
struct Listener {
    app: Data<App>,
    heard: watch::Receiver<News>,
    /// Time after which it is told of news.
    turn: Duration,
    /// Number of the last tidings that it was told.
    told: Option<i64>,
    /// Whether it missed some that are no longer kept, and was not told so yet.
    is_behind: bool,
    has_begun: bool,
    ends_at: Instant,
}

impl Listener {
    /// The next events. `None` at the end.
    async fn next(&mut self) -> Option<String> {
        if !std::mem::replace(&mut self.has_begun, true) {
            return Some(self.begin());
        }
        if !self.heard.borrow().is_over {
            tokio::select! {
                changed = self.heard.changed() => {
                    changed.ok()?;
                    if !self.heard.borrow().is_over {
                        tokio::time::sleep(self.turn).await;
                    }
                }
                () = tokio::time::sleep(BEAT) => {}
                () = tokio::time::sleep_until(self.ends_at) => return None,
                () = self.app.server.health.ended() => return None,
            }
        }
        let tidings = {
            let news = self.heard.borrow_and_update();
            if news.is_over {
                return None;
            }
            news.after(self.told.unwrap_or_default()).cloned().collect()
        };
        Some(self.tell(tidings))
    }

    /// What the page has missed, or else how the fleet stands.
    fn begin(&mut self) -> String {
        let (last, missed) = {
            let news = self.heard.borrow_and_update();
            self.is_behind = self.told.is_some_and(|told| !news.reaches_back_to(told));
            let missed: Vec<_> =
                self.told.map(|told| news.after(told).cloned().collect()).unwrap_or_default();
            (news.last().cloned(), missed)
        };
        let mut text = BEGIN.to_owned();
        if let Some(last) = last.filter(|_| missed.is_empty()) {
            text += &event(last.number, &last.states, &[], Beyond::Nothing);
            self.told = Some(last.number);
        }
        text + &self.tell(missed)
    }

    fn tell(&mut self, tidings: Vec<Arc<Tidings>>) -> String {
        let mut text = self.pulse();
        for one in tidings {
            if std::mem::take(&mut self.is_behind) && !one.has_more {
                text += &event(one.number, &one.states, &one.changes, Beyond::Unknown);
            } else {
                text += one.text(|one| {
                    let beyond = if one.has_more { Beyond::More } else { Beyond::Nothing };
                    event(one.number, &one.states, &one.changes, beyond)
                });
            }
            self.told = Some(one.number);
        }
        text
    }

    /// Whether the receiver is at work, after a comment, which is all that a proxy needs.
    fn pulse(&self) -> String {
        let (server, now) = (&self.app.server, self.app.now());
        let pulse = Pulse::of(server.health.read().state, server.judged.borrow().at, now);
        let data = json!({ "class": pulse.class(), "word": pulse.word(), "detail": pulse.detail(now) });
        format!(":\nevent: pulse\ndata: {data}\n\n")
    }
}

/// What there is beyond the changes that an event names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beyond {
    Nothing,
    /// There were more changes than are looked at.
    More,
    /// What was told meanwhile is no longer kept, be it anything or nothing.
    Unknown,
}

impl Beyond {
    /// The link to the page as it is now, where the changes that are named may not be all.
    fn link(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::More => Some("Many changes, show"),
            Self::Unknown => Some("There may be changes, show"),
        }
    }
}

/// One event: texts for what shows them, the servers that changed, what to say where that is not all, and what is to be
/// spoken.
fn event(number: i64, states: &States, changes: &[FleetChange], beyond: Beyond) -> String {
    // The latest change of a server is what is shown of it.
    let changed: Vec<_> =
        changes.iter().rev().map(|change| (change.instance_id, tag_of(change).tag)).collect();
    let say = if beyond == Beyond::More { headline(states) } else { spoken(changes) };
    let data = json!({ "show": texts(states), "changed": changed, "more": beyond.link(), "say": say });
    format!("id: {number}\ndata: {data}\n\n")
}

/// The texts of what has `data-n` in a page.
fn texts(states: &States) -> Value {
    let States { down, late, up, ended } = *states;
    json!({
        "down": number(down),
        "late": number(late),
        "up": number(up),
        "ended": number(ended),
        "active": number(up + late),
        "total": number(states.total()),
        "headline": headline(states),
        "title": format!("{} · Telemetry", title(states)),
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::receiver::store::{Change, License, Transition};

    #[test]
    fn an_event_is_one_line_of_json_whatever_the_names_are() {
        let change = FleetChange {
            instance_id: Uuid::from_u128(1),
            custom_id: Some("a\nid: 9\n\n<b>\u{202e}".to_owned()),
            key_id: Uuid::nil(),
            license: License::None,
            transition: Transition {
                at: Timestamp::UNIX_EPOCH,
                change: Change::State,
                from: Some("late".to_owned()),
                to: "down".to_owned(),
            },
        };
        let text = event(7, &States { down: 1, up: 1_238, ..States::default() }, &[change], Beyond::Nothing);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[2]), (3, "id: 7", ""));
        let data: Value = serde_json::from_str(lines[1].strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data["show"]["headline"], "1 server is down");
        assert_eq!(data["show"]["title"], "1 down · Telemetry");
        assert_eq!((&data["show"]["up"], &data["show"]["active"]), (&json!("1,238"), &json!("1,238")));
        assert_eq!(data["changed"], json!([["00000000-0000-0000-0000-000000000001", "now down"]]));
        assert_eq!(data["say"], "a\\nid: 9\\n\\n<b>\\u{202e} went down.");
    }
    #[test]
    fn what_is_not_known_is_not_told_as_many_changes() {
        let states = States { down: 1, ..States::default() };
        let told = |beyond| {
            let text = event(7, &states, &[], beyond);
            let data: Value =
                serde_json::from_str(text.lines().nth(1).unwrap().strip_prefix("data: ").unwrap()).unwrap();
            (data["more"].clone(), data["say"].clone())
        };
        assert_eq!(told(Beyond::Nothing), (Value::Null, json!("")));
        assert_eq!(told(Beyond::Unknown), (json!("There may be changes, show"), json!("")));
        assert_eq!(told(Beyond::More), (json!("Many changes, show"), json!("1 server is down")));
    }
}
