//! Hosts killed while they find out, or make up, who they are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};
use tempfile::TempDir;
use test_support::{Behaviour, FakeDestination, Signal, Spawned, TestDatabase};
use uuid::Uuid;

use crate::host::STORE;
use crate::report::{HEAD, Report};
use crate::scene::field;
use crate::secrets;
use crate::subject::{PATIENCE, Settings};
use crate::trial::{Context, FEW, Outcome, ensure, try_all};

/// Kills of one database, before the start that is left to live. The first two are of two hosts at once.
const KILLS_A_DATABASE: usize = 5;

/// A host that is not killed within this time has long begun.
const LATEST: Duration = Duration::from_millis(150);

/// Two hosts that are killed at once are so by this much at most.
const APART: Duration = Duration::from_millis(2);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Postgres,
    Sqlite,
}

/// The database of one round.
enum Database {
    Postgres(TestDatabase),
    Sqlite(TempDir),
}

/// What the kills of one database hit.
#[derive(Default)]
struct Hits {
    before: usize,
    within: usize,
    after: usize,
    events: usize,
}

/// Kills so many hosts on each kind of database.
pub(crate) fn run(context: &Context, report: &mut Report) {
    report.begin("Hosts killed at random moments of their start", &HEAD);
    for kind in [Kind::Postgres, Kind::Sqlite] {
        let databases: Vec<u64> = (0..context.times(20, 1) as u64).collect();
        let results = try_all(FEW, &databases, |number| round(context, kind, context.seed + number));
        let outcome =
            results.into_iter().collect::<Outcome<Vec<Hits>>>().and_then(|all| describe(context, &all));
        report.row(
            &format!("SIGKILL 0 to {} ms after the start, most early, on {kind:?}, two at once on an empty database", LATEST.as_millis()),
            format!("{} kills of {} databases", databases.len() * KILLS_A_DATABASE, databases.len()),
            "one id at most, a JSON string with a UUID; every event carries it; the next full start reports it",
            outcome,
        );
    }
}

fn describe(context: &Context, all: &[Hits]) -> Outcome {
    let sum = |part: fn(&Hits) -> usize| all.iter().map(part).sum::<usize>();
    let (before, within, after) = (sum(|h| h.before), sum(|h| h.within), sum(|h| h.after));
    // A few kills may by chance all hit the same side.
    ensure(context.is_reduced || (before > 0 && within > 0 && after > 0), || {
        format!("the kills did not cover every moment: {before} before, {within} within, {after} after")
    })?;
    Ok(format!(
        "as expected: {before} died before there was an id, {within} in the run that stored it, {after} in later runs; {} events",
        sum(|hits| hits.events)
    ))
}

fn round(context: &Context, kind: Kind, seed: u64) -> Outcome<Hits> {
    let mut random = fastrand::Rng::with_seed(seed);
    let destination = FakeDestination::start(Behaviour::Ok);
    let database = Database::new(kind);
    let settings = Settings::custom("http", &destination.address().to_string(), seed.is_multiple_of(2));
    let settings = settings.with(STORE, database.place());
    let mut hits = Hits::default();
    let mut known = None;
    let mut killed = 0;
    while killed < KILLS_A_DATABASE {
        let at_once = if killed == 0 { 2 } else { 1 };
        let moment = moment(&mut random);
        let hosts: Vec<_> =
            (0..at_once).map(|_| (settings.spawn(), moment + APART.mul_f64(random.f64()))).collect();
        thread::scope(|scope| {
            for (host, moment) in hosts {
                scope.spawn(move || kill(context, host, moment));
            }
        });
        killed += at_once;
        let found = database.id()?;
        match (known, found) {
            (None, None) => hits.before += at_once,
            (None, Some(_)) => hits.within += at_once,
            (Some(before), Some(now)) if before == now => hits.after += at_once,
            (Some(before), now) => return Err(format!("{before} became {now:?}")),
        }
        known = found;
    }
    let host = settings.start(context);
    let status = host.wait_for_sent(1, PATIENCE)?;
    host.end()?;
    let id = database.id()?.ok_or("no id after a full start")?;
    ensure(known.is_none_or(|known| known == id), || format!("{known:?} became {id}"))?;
    ensure(status["instance_id"] == id.to_string(), || {
        format!("{id} is stored, {} told", status["instance_id"])
    })?;
    let requests = destination.requests();
    let told: BTreeSet<String> = requests.iter().map(|request| field(&request.body, "instance_id")).collect();
    ensure(told == BTreeSet::from([id.to_string()]), || format!("{id} is stored, the events told {told:?}"))?;
    hits.events = requests.len();
    Ok(hits)
}

/// Most are early, where an id is made up and stored: four in ten within the first fortieth of the time.
fn moment(random: &mut fastrand::Rng) -> Duration {
    LATEST.mul_f64(random.f64().powi(4))
}

fn kill(context: &Context, mut host: Spawned, moment: Duration) {
    thread::sleep(moment);
    host.signal(Signal::SIGKILL);
    host.wait_exit(PATIENCE);
    context.search.look_through(&host.output());
}

impl Database {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Postgres => Self::Postgres(TestDatabase::new()),
            Kind::Sqlite => Self::Sqlite(tempfile::tempdir().expect("a temporary folder can be made")),
        }
    }

    fn place(&self) -> String {
        match self {
            Self::Postgres(database) => with_password(database.url()),
            Self::Sqlite(folder) => file(folder.path()).display().to_string(),
        }
    }

    /// The stored id; an error where there is more than one, or it is none.
    fn id(&self) -> Outcome<Option<Uuid>> {
        let all = match self {
            Self::Postgres(database) => {
                let has_table = database.query_one_text("select to_regclass('server_state')").is_some();
                let sql = "select string_agg(value::text, ' ') from server_state where key = 'instance_id'";
                if has_table { database.query_one_text(sql) } else { None }
            }
            Self::Sqlite(folder) => sqlite_ids(&file(folder.path()))?,
        };
        all.map(|json| stored(&json)).transpose()
    }
}

/// The server asks for none; the host's settings hold one all the same.
pub(crate) fn with_password(url: &str) -> String {
    url.replacen('@', &format!(":{}@", secrets::DATABASE.value), 1)
}

/// The id in what is stored.
pub(crate) fn stored(json: &str) -> Outcome<Uuid> {
    let text: Option<String> = serde_json::from_str(json).ok();
    text.and_then(|text| Uuid::parse_str(&text).ok()).ok_or(format!("{json} is no id"))
}

fn file(folder: &Path) -> PathBuf {
    folder.join("state.db")
}

/// All that is stored for an id in a file that may not be there, or not be ready.
pub(crate) fn sqlite_ids(file: &Path) -> Outcome<Option<String>> {
    if !file.exists() {
        return Ok(None);
    }
    let read = || {
        let connection = Connection::open(file)?;
        let tables = "select count(*) from sqlite_master where name = 'server_state'";
        if connection.query_row(tables, [], |row| row.get::<_, u32>(0))? == 0 {
            return Ok(None);
        }
        let sql = "select group_concat(value, ' ') from server_state where key = 'instance_id'";
        connection.query_row(sql, [], |row| row.get(0)).optional().map(Option::flatten)
    };
    read().map_err(|error: rusqlite::Error| error.to_string())
}
