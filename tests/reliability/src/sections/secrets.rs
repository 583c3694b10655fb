//! What hosts print, searched for the secrets in their settings.

use std::collections::BTreeMap;

use test_support::{Behaviour, FakeDestination, TestDatabase};

use crate::host::{LEAK, NOT_STARTED, STORE};
use crate::report::{HEAD, Report};
use crate::scene::{Fault, Scene};
use crate::search::{Needle, Search};
use crate::secrets;
use crate::sections::kills::with_password;
use crate::subject::{PATIENCE, Settings};
use crate::trial::{Context, MANY, Outcome, attempt, ensure, try_all};

/// Looks through hosts of its own, then tells what was found in all of this program's.
pub(crate) fn run(context: &Context, report: &mut Report) {
    report.begin("Secrets in what hosts print", &HEAD);
    let refused = refused();
    let numbers: Vec<usize> = (0..refused.len()).collect();
    let outcomes = try_all(MANY, &numbers, |number| refuse(context, *number, &refused[*number]));
    let outcome = outcomes.into_iter().collect::<Outcome<Vec<()>>>();
    report.row(
        "settings that cannot be used, with secrets in them",
        refused.len(),
        "`start` refuses them; the host serves on",
        outcome.map(|_| "as expected".into()),
    );
    let outcome = attempt(|| well(context));
    report.row(
        "all secrets at once: PostgreSQL, TLS, a proxy, token or user part",
        "3 hosts",
        "sent; `status`, `preview` and every `Debug` printed",
        outcome,
    );
    report.row(
        "a host that is told to print its secrets, in every writing",
        "1 host",
        "each of them found: the search can",
        attempt(control),
    );
    let search = &context.search;
    report.row(
        "all that every host above printed, the log at TRACE for all targets included",
        format!("{} hosts, {} bytes", search.hosts(), search.bytes()),
        &format!(
            "no half of any of {} secrets, in {} writings of them",
            secrets::ALL.len(),
            search.all().len()
        ),
        judge(&search.hits(), search.bytes()),
    );
}

fn judge(hits: &BTreeMap<Needle, u64>, bytes: u64) -> Outcome {
    ensure(bytes > 0, || "nothing was searched".into())?;
    let all: Vec<String> =
        hits.iter().map(|(hit, times)| format!("{}, {}: {times} times", hit.secret, hit.writing)).collect();
    ensure(all.is_empty(), || all.join("; "))?;
    Ok("0 hits".into())
}

/// Each spoils one setting, and holds the secret in what it spoils.
fn refused() -> Vec<Settings> {
    let good = || Settings::custom("http", "127.0.0.1:1", true);
    let token = secrets::TOKEN.value;
    let url = |scheme: &str| format!("{scheme}://{}/{}", secrets::URL_USER.value, secrets::PATH_KEY.value);
    vec![
        good().with("SIRVEO_TELEMETRY_URL", url("ftp")),
        good().with("SIRVEO_TELEMETRY_URL", url("http") + " ?" + secrets::QUERY.value),
        good().with("SIRVEO_TELEMETRY_URL", format!("{}:{}", secrets::URL_USER.value, secrets::QUERY.value)),
        good().with(
            "SIRVEO_TELEMETRY_URL",
            format!("http://{}:{}", secrets::URL_USER.value, secrets::PATH_KEY.value),
        ),
        good().with("SIRVEO_TELEMETRY_URL", format!("http://{}:x@h/", secrets::URL_USER.value)),
        good().with("SIRVEO_TELEMETRY_AUTH", format!("{token} {token} {token}")),
        good().with("SIRVEO_TELEMETRY_AUTH", format!("{token}ß")),
        good().with("SIRVEO_TELEMTRY_AUTH", format!("{token}another")),
        good().with("SIRVEO_TELEMETRY_SIGNING_SECRET", secrets::SIGNING.value),
        good().with("SIRVEO_TELEMETRY_SIGNING_SECRET", format!("whsec_{}!", secrets::SIGNING.value)),
        good().with("SIRVEO_TELEMETRY_AUTH_FILE", token),
        good().with("SIRVEO_TELEMETRY_SIGNING_SECRET_FILE", "/dev/null"),
        good().with(STORE, format!("postgresql://u:{}@h:no/d", secrets::DATABASE.value)),
        good().with(STORE, format!("postgresql://u:{}@h/d?no=such", secrets::DATABASE.value)),
    ]
}

fn refuse(context: &Context, number: usize, settings: &Settings) -> Outcome<()> {
    let host = settings.start(context);
    let (is_well, lines) = host.end_without_telemetry()?;
    ensure(is_well, || format!("the host did not exit with 0 after settings {number}"))?;
    let is_refused = lines.iter().any(|line| line.starts_with(NOT_STARTED));
    ensure(is_refused, || format!("settings {number} are not refused"))
}

/// Nothing goes wrong, so that every way of a secret to where it belongs is gone.
fn well(context: &Context) -> Outcome {
    let database = TestDatabase::new();
    let faults = [Behaviour::BrokenTls, Behaviour::Ok].map(Fault::Behaves);
    let proxy = Fault::Proxy(Behaviour::Ok);
    let mut signed = 0;
    for (number, fault) in faults.iter().chain([&proxy]).enumerate() {
        let scene = Scene::new(fault);
        let settings = scene.settings(number % 2 == 0).with(STORE, with_password(database.url()));
        let host = settings.start(context);
        host.wait_for_sent(1, PATIENCE)?;
        host.order("/license_message/false")?;
        host.wait_for_sent(2, PATIENCE)?;
        host.end()?;
        let events = scene.destination.requests();
        signed += events.iter().filter(|event| event.header("webhook-signature").is_some()).count();
        ensure(events.iter().any(|event| event.header("authorization").is_some()), || {
            "no token was sent".into()
        })?;
    }
    Ok(format!("as expected; {signed} signed events arrived"))
}

/// A search of its own, so that what it finds is no hit.
fn control() -> Outcome {
    let destination = FakeDestination::start(Behaviour::Ok);
    let context = Context { search: Search::new(), seed: 0, is_reduced: true };
    let settings = Settings::custom("http", &destination.address().to_string(), true).with(LEAK, "1");
    let host = settings.start(&context);
    host.wait_for_sent(1, PATIENCE)?;
    drop(host);
    let hits = context.search.hits();
    let (found, all) = (hits.len(), context.search.all().len());
    ensure(found == all, || {
        let missed: Vec<Needle> =
            context.search.all().into_iter().filter(|needle| !hits.contains_key(needle)).collect();
        format!("{found} of {all} writings found; not {missed:?}")
    })?;
    Ok(format!("all {all} of {all} writings found"))
}
