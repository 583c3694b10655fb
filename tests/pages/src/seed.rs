//! Plays the past of a fleet to a receiver in this process, whose clock goes through it, so that a store has it.

use std::collections::HashSet;
use std::fmt::Display;
use std::path::Path;

use actix_web::Error;
use actix_web::dev::{Service, ServiceResponse};
use deployment_telemetry::receiver::{KeyLimits, NewKey, SqliteFleetStore, Storage};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use pages::Outcome;
use serde_json::json;
use simulator::Request;
use simulator::host::{self, Clock, Host};

use crate::many;
use crate::past::{Ago, Event, HOUR, Past, before};

/// Name of the database in the folder of the program `fleet`.
const FILE: &str = "fleet.sqlite";

/// The store in a folder.
pub(crate) fn store(folder: &Path) -> Storage {
    SqliteFleetStore::new(folder.join(FILE)).into()
}

/// Plays a past that ends `now`. Returns the paths of the webhooks, one for each key.
pub(crate) async fn play(past: &Past, folder: &Path, now: Timestamp) -> Outcome<Vec<String>> {
    let clock = Clock::at(before(now, past.begins() + HOUR));
    let host = host::start(store(folder), clock.clone()).await?;
    let mut webhooks = Vec::new();
    for name in &past.keys {
        let mut limits = KeyLimits::default();
        limits.new_per_hour = None;
        let mut new = NewKey::named(name);
        new.limits = limits;
        let created = host.receiver.keys().create(new).await.map_err(said)?;
        webhooks.push(format!("/webhooks/{}", created.key.expose()));
    }
    let played = play_events(past, &host, &clock, &webhooks, now).await;
    clock.set(now);
    host.judge().await?;
    for (id, seconds, reason) in &past.mutes {
        let body =
            json!({ "instance_id": id, "seconds": seconds, "reason": reason }).to_string().into_bytes();
        let headers = vec![("content-type", "application/json".to_owned())];
        expect(201, host.send("/api/mutes", Request { headers, body }).await?)?;
    }
    host.receiver.stop().await;
    played?;
    forget_census(&folder.join(FILE)).map_err(said)?;
    Ok(webhooks)
}

async fn play_events<S>(
    past: &Past,
    host: &Host<S>,
    clock: &Clock,
    webhooks: &[String],
    now: Timestamp,
) -> Outcome<()>
where
    S: Service<actix_http::Request, Response = ServiceResponse, Error = Error>,
{
    let mut silences = past.silences();
    silences.sort_unstable();
    let mut last_silence = Ago::MAX;
    let mut events = past.events(now).into_iter().peekable();
    while let Some(first) = events.next() {
        while let Some(at) = silences.pop_if(|at| *at >= first.at) {
            if last_silence - at >= past.together {
                clock.set(before(now, at));
                host.judge().await?;
                last_silence = at;
            }
        }
        let mut group = vec![first];
        let mut instances: HashSet<_> = group.iter().map(|event| event.instance).collect();
        while let Some(next) =
            events.next_if(|next| group[0].at - next.at < past.together && instances.insert(next.instance))
        {
            group.push(next);
        }
        clock.set(before(now, group.last().map_or(0, |event| event.at)));
        let is_news = group.iter().any(|event| event.is_news);
        try_join_all(group.into_iter().map(|event| post(host, webhooks, event))).await?;
        if is_news {
            host.judge().await?;
        }
    }
    for at in silences.into_iter().rev() {
        clock.set(before(now, at));
        host.judge().await?;
    }
    Ok(())
}

async fn post<S>(host: &Host<S>, webhooks: &[String], event: Event) -> Outcome<()>
where
    S: Service<actix_http::Request, Response = ServiceResponse, Error = Error>,
{
    expect(200, host.send(&webhooks[event.key], event.request).await?)
}

fn expect(status: u16, (answered, body): (u16, String)) -> Outcome<()> {
    match answered == status {
        true => Ok(()),
        false => Err(format!("{answered} instead of {status}: {body}")),
    }
}

/// Multiplies the servers of the store in a folder.
pub(crate) fn multiply(folder: &Path, times: u16) -> Outcome<()> {
    let file = folder.join(FILE);
    many::multiply(&file, times).and_then(|()| forget_census(&file)).map_err(said)
}

/// Forgets that the days were counted, by a smaller fleet or when they had only begun. The next receiver counts them by
/// their runs.
fn forget_census(file: &Path) -> rusqlite::Result<()> {
    rusqlite::Connection::open(file)?.execute_batch(
        "delete from telemetry_census; delete from telemetry_census_version; delete from telemetry_census_upgrade",
    )
}

/// An error as text.
fn said(error: impl Display) -> String {
    error.to_string()
}
