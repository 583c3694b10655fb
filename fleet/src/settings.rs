//! The settings of the program, read once from the environment; all faults are told together.

use std::net::SocketAddr;
use std::path::{PathBuf, absolute};
use std::time::Duration;

use deployment_telemetry::receiver::{
    AlertDestination, Login, PostgresFleetStore, SqliteFleetStore, Storage,
};
use deployment_telemetry::{Setting, SettingProblem};
use tracing::level_filters::LevelFilter;

/// Of the SQLite database, in its folder.
const FILE: &str = "fleet.sqlite";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What `fleet serve` needs.
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    /// Where there is a password.
    pub(crate) login: Option<Login>,
    pub(crate) log_level: LevelFilter,
    pub(crate) retention: Duration,
    pub(crate) alerts: Option<AlertDestination>,
    pub(crate) store: StoreSettings,
    /// Variables that look like settings and are none: mistyped, perhaps.
    pub(crate) unknown: Vec<String>,
}

const NAMES: [&str; 11] = [
    "FLEET_LISTEN",
    "FLEET_PASSWORD",
    "FLEET_DATABASE_URL",
    "FLEET_DATA_DIR",
    "FLEET_RETENTION",
    "FLEET_ALERT_URL",
    "FLEET_ALERT_SECRET",
    "FLEET_LOG_LEVEL",
    "FLEET_SIMULATE_URL",
    "FLEET_SIMULATE_SECRET",
    "FLEET_SIMULATE_TOKEN",
];

/// What Kubernetes gives to every process beside a service that is called `fleet`.
const KUBERNETES: [&str; 2] = ["FLEET_PORT", "FLEET_SERVICE_"];

/// Where the fleet is kept.
pub(crate) struct StoreSettings {
    pub(crate) store: Storage,
    /// For people.
    pub(crate) place: String,
    /// Where the SQLite database is; `None` with PostgreSQL.
    data_directory: Option<PathBuf>,
}

impl Settings {
    /// Reads and checks everything; creates nothing. `Err` is one message that names every fault, without any secret.
    pub(crate) fn read() -> Result<Self, String> {
        let mut environment = Environment { faults: Vec::new() };
        let listen = environment.listen();
        let login = environment.login(listen);
        let log_level = environment
            .parsed("FLEET_LOG_LEVEL", "TRACE, DEBUG, INFO, WARN, ERROR or OFF", parse_level)
            .unwrap_or(LevelFilter::INFO);
        let retention = environment
            .parsed("FLEET_RETENTION", "a number of days from 1 to 3660", parse_retention)
            .unwrap_or(DAY * 90);
        let alerts = environment.alerts();
        let store = environment.store();
        environment.usable(Self { listen, login, log_level, retention, alerts, store, unknown: unknown() })
    }

    /// Only where the fleet is kept, and where the receiver may be reached, for the other commands.
    pub(crate) fn read_store() -> Result<(StoreSettings, SocketAddr), String> {
        let mut environment = Environment { faults: Vec::new() };
        let read = (environment.store(), environment.listen());
        environment.usable(read)
    }
}

impl StoreSettings {
    /// The fault names the directory.
    pub(crate) fn create_data_directory(&self) -> Result<(), String> {
        let Some(directory) = &self.data_directory else { return Ok(()) };
        std::fs::create_dir_all(directory)
            .map_err(|error| format!("FLEET_DATA_DIR={} cannot be created: {error}", directory.display()))
    }

    /// Nothing was ever kept there.
    pub(crate) fn is_missing(&self) -> bool {
        self.data_directory.as_ref().is_some_and(|directory| !directory.join(FILE).exists())
    }
}

/// The process's environment, and what was wrong in it.
struct Environment {
    faults: Vec<String>,
}

impl Environment {
    fn usable<T>(self, settings: T) -> Result<T, String> {
        match self.faults.is_empty() {
            true => Ok(settings),
            false => Err(format!("these settings cannot be used:\n  {}", self.faults.join("\n  "))),
        }
    }

    /// `None` where it is unset, empty or blank.
    fn text(&mut self, name: &str) -> Option<String> {
        match std::env::var_os(name)?.into_string() {
            Ok(text) => Some(text).filter(|text| !text.trim().is_empty()),
            Err(_) => {
                self.faults.push(format!("{name} accepts text in UTF-8; given: bytes that are not UTF-8"));
                None
            }
        }
    }

    fn parsed<T>(&mut self, name: &str, accepts: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text(name)?;
        let value = parse(text.trim());
        if value.is_none() {
            self.faults.push(format!("{name} accepts {accepts}; given: {text:?}"));
        }
        value
    }

    fn listen(&mut self) -> SocketAddr {
        let parse = |text: &str| match text.strip_prefix("localhost:") {
            Some(port) => Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?))),
            None => text.parse().ok(),
        };
        self.parsed("FLEET_LISTEN", "an address and a port, such as 127.0.0.1:8080", parse)
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080)))
    }

    fn login(&mut self, listen: SocketAddr) -> Option<Login> {
        let Some(password) = self.text("FLEET_PASSWORD") else {
            if !listen.ip().is_loopback() {
                self.faults.push(format!(
                    "FLEET_LISTEN accepts a loopback address, and others where FLEET_PASSWORD is set; given: \"{listen}\""
                ));
            }
            return None;
        };
        let fault = |_| "FLEET_PASSWORD accepts 12 characters or more; given: fewer".to_owned();
        Login::new("fleet", password).map_err(|error| self.faults.push(fault(error))).ok()
    }

    fn store(&mut self) -> StoreSettings {
        let directory =
            PathBuf::from(self.text("FLEET_DATA_DIR").unwrap_or_else(|| "./fleet-data".to_owned()));
        let postgres = self.text("FLEET_DATABASE_URL").and_then(|url| {
            let fault = |error| format!("FLEET_DATABASE_URL accepts a PostgreSQL URL; given: {error}");
            PostgresFleetStore::from_url(url).map_err(|error| self.faults.push(fault(error))).ok()
        });
        match postgres {
            Some(store) => StoreSettings {
                store: store.into(),
                place: "the PostgreSQL of FLEET_DATABASE_URL".to_owned(),
                data_directory: None,
            },
            None => {
                let file = directory.join(FILE);
                let place = absolute(&file).unwrap_or_else(|_| file.clone()).display().to_string();
                StoreSettings {
                    store: SqliteFleetStore::new(file).into(),
                    place,
                    data_directory: Some(directory),
                }
            }
        }
    }

    fn alerts(&mut self) -> Option<AlertDestination> {
        let url = self.text("FLEET_ALERT_URL");
        let secret = self.text("FLEET_ALERT_SECRET");
        let Some(url) = url else {
            if secret.is_some() {
                self.faults
                    .push("FLEET_ALERT_SECRET accepts a value where FLEET_ALERT_URL is set".to_owned());
            }
            return None;
        };
        let mut alerts = AlertDestination::new(url.trim());
        if let Some(secret) = secret {
            alerts = alerts.signing_secret(secret);
        }
        if let Err(errors) = alerts.check() {
            self.faults.extend(errors.problems().iter().map(told_by_variable));
        }
        Some(alerts)
    }
}

/// The problem by the name of the variable that the operator has set.
fn told_by_variable(problem: &SettingProblem) -> String {
    match problem.setting() {
        Setting::Url => problem.renamed("FLEET_ALERT_URL").to_string(),
        Setting::SigningSecret => problem.renamed("FLEET_ALERT_SECRET").to_string(),
        _ => problem.to_string(),
    }
}

fn unknown() -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names
        .filter(|name| name.starts_with("FLEET_") && !NAMES.contains(&name.as_str()))
        .filter(|name| !KUBERNETES.iter().any(|begin| name.starts_with(begin)))
        .collect()
}

fn parse_level(text: &str) -> Option<LevelFilter> {
    // Its own parser takes numbers as well.
    text.chars().all(char::is_alphabetic).then(|| text.parse().ok()).flatten()
}

fn parse_retention(text: &str) -> Option<Duration> {
    text.parse::<u32>().ok().filter(|days| (1..=3660).contains(days)).map(|days| DAY * days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_names_in_any_case() {
        for (text, level) in
            [("debug", LevelFilter::DEBUG), ("Off", LevelFilter::OFF), ("WARN", LevelFilter::WARN)]
        {
            assert_eq!(parse_level(text), Some(level), "{text}");
        }
        for text in ["5", "loud", "IN FO"] {
            assert_eq!(parse_level(text), None, "{text}");
        }
    }

    #[test]
    fn retention_is_a_number_of_days() {
        assert_eq!(parse_retention("90"), Some(DAY * 90));
        for text in ["", "0", "-1", "3661", "90d", "1.5"] {
            assert_eq!(parse_retention(text), None, "{text}");
        }
    }
}
