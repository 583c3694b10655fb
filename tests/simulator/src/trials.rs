//! `simulator truth`: trials with many seeds, and a summary.

use std::time::Instant;

use deployment_telemetry::receiver::{PostgresFleetStore, SqliteFleetStore, Storage};
use postgres::{Client, NoTls};
use program::{Failure, in_one_line, print};
use simulator::scenarios::{Story, stories};
use simulator::trial::{self, Kind, Outcome};
use tempfile::TempDir;
use test_support::TestDatabase;

use crate::arguments::{Store, TruthArguments};
use crate::kept::kept;

/// Empties the tables of a receiver, where they are there.
const EMPTY: &str = "do $$ begin
    if to_regclass('telemetry_event') is not null then
        truncate telemetry_event, telemetry_run, telemetry_instance, telemetry_transition, telemetry_alert, telemetry_key,
            telemetry_mute, telemetry_mark, telemetry_outage, telemetry_census, telemetry_census_version,
            telemetry_census_upgrade;
    end if;
end $$";

/// Number of differences that are printed in full.
const PRINTED: usize = 50;

/// Plays all seeds, and prints how it goes and what came of it.
///
/// # Errors
/// A receiver says something that is not true, or does not run.
pub(crate) async fn run(arguments: TruthArguments) -> Result<(), Failure> {
    let began = Instant::now();
    let stores = match (&arguments.database, arguments.store) {
        (Some(url), _) => vec![Place::Given(url)],
        (None, Store::Both) => vec![Place::Sqlite, Place::Postgres],
        (None, Store::Sqlite) => vec![Place::Sqlite],
        (None, Store::Postgres) => vec![Place::Postgres],
    };
    let end = arguments.first.saturating_add(arguments.seeds);
    let (mut total, mut problems) = (Outcome::default(), Vec::new());
    for store in &stores {
        problems
            .extend(on_new_store(*store, async |open| trial::flood(open(), arguments.first).await).await?);
    }
    let mut first = arguments.first;
    while first < end {
        let seeds = first..end.min(first.saturating_add(arguments.together));
        let stories: Vec<Story> = seeds.clone().flat_map(stories).collect();
        for store in &stores {
            total += on_new_store(*store, async |open| trial::play(open, &stories).await).await?;
            if let Place::Given(url) = store {
                print(&format!("{}\n", ask(url, kept)?));
            }
        }
        first = seeds.end;
        eprintln!(
            "{} of {} seeds · {} events · {} differences · {} s",
            first - arguments.first,
            arguments.seeds,
            total.events,
            total.differences.len(),
            began.elapsed().as_secs()
        );
    }
    for difference in total.differences.iter().take(PRINTED) {
        print(&format!("{difference}\n"));
    }
    problems.iter().for_each(|problem| print(&format!("{problem}\n")));
    print(&format!("\n{total}\n{}", summary(&arguments, &total, began)));
    match total.differences.is_empty() && problems.is_empty() {
        true => Ok(()),
        false => Err(Failure::System("the receiver does not say the truth".to_owned())),
    }
}

/// Where a fleet is kept.
#[derive(Clone, Copy)]
enum Place<'a> {
    Sqlite,
    Postgres,
    /// In the database of this URL.
    Given(&'a str),
}

/// Does something with a store that is empty, and removes it, unless it was given.
async fn on_new_store<T>(
    store: Place<'_>,
    act: impl AsyncFnOnce(&dyn Fn() -> Storage) -> Result<T, String>,
) -> Result<T, Failure> {
    let done = match store {
        Place::Sqlite => {
            let directory = TempDir::new().map_err(Failure::system("no temporary directory"))?;
            let file = directory.path().join("fleet.sqlite");
            act(&|| SqliteFleetStore::new(&file).into()).await
        }
        Place::Given(url) => {
            let store = PostgresFleetStore::from_url(url);
            store.map_err(|error| Failure::Usage(in_one_line(&error)))?;
            ask(url, |url| Client::connect(url, NoTls)?.batch_execute(EMPTY))?;
            act(&|| PostgresFleetStore::from_url(url).expect("the URL was taken before").into()).await
        }
        Place::Postgres => {
            let database = TestDatabase::new();
            let store = || PostgresFleetStore::from_url(database.url()).expect("the URL of a test database");
            act(&|| store().into()).await
        }
    };
    done.map_err(Failure::System)
}

/// Asks a database on a thread of its own: its client has a runtime, which no thread takes that has one.
fn ask<T: Send + 'static>(
    url: &str,
    ask: impl FnOnce(&str) -> Result<T, postgres::Error> + Send + 'static,
) -> Result<T, Failure> {
    let url = url.to_owned();
    match std::thread::spawn(move || ask(&url)).join() {
        Ok(answer) => answer.map_err(|error| Failure::System(in_one_line(&error))),
        Err(_) => Err(Failure::System("the database could not be asked".to_owned())),
    }
}

fn summary(arguments: &TruthArguments, total: &Outcome, began: Instant) -> String {
    let instances: usize = total.instances.values().sum();
    let seconds = began.elapsed().as_secs_f64();
    format!(
        "{} seeds from {} on, {instances} instances, {} events, {} comparisons\n\
         {} false flags, {} false deaths, {} missed deaths, {} missed losses, {} differences in all\n\
         {seconds:.0} s, {:.0} seeds a minute\n",
        arguments.seeds,
        arguments.first,
        total.events,
        total.comparisons,
        total.count(Kind::FalseFlag),
        total.count(Kind::FalseDeath),
        total.count(Kind::MissedDeath),
        total.count(Kind::MissedLoss),
        total.differences.len(),
        arguments.seeds as f64 / seconds * 60.0,
    )
}
