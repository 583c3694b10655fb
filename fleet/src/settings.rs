//! The settings of the program, read once from the environment.

use std::net::SocketAddr;
use std::path::{PathBuf, absolute};
use std::time::Duration;

use deployment_telemetry::Setting;
use deployment_telemetry::receiver::{AlertDestination, PostgresFleetStore, SqliteFleetStore, Storage};
use program::{Environment, Failure, in_one_line};
use tracing::level_filters::LevelFilter;

use crate::login::{self, LoginSettings};

const LISTEN: &str = "FLEET_LISTEN";
const DATABASE_URL: &str = "FLEET_DATABASE_URL";
const DATA_DIR: &str = "FLEET_DATA_DIR";
const RETENTION: &str = "FLEET_RETENTION";
const ALERT_URL: &str = "FLEET_ALERT_URL";
const ALERT_SECRET: &str = "FLEET_ALERT_SECRET";
const LOG_LEVEL: &str = "FLEET_LOG_LEVEL";

/// Those that are read here.
const VARIABLES: [&str; 7] = [LISTEN, DATABASE_URL, DATA_DIR, RETENTION, ALERT_URL, ALERT_SECRET, LOG_LEVEL];

/// Beginnings of the variables that Kubernetes sets where there is a service named `fleet`.
const KUBERNETES: [&str; 2] = ["FLEET_PORT", "FLEET_SERVICE_"];

/// Name of the SQLite database in its folder.
const FILE: &str = "fleet.sqlite";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Settings of `fleet serve`.
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) login: LoginSettings,
    pub(crate) log_level: LevelFilter,
    pub(crate) retention: Duration,
    pub(crate) alerts: Option<AlertDestination>,
    pub(crate) store: StoreSettings,
    /// Variables that begin like a setting but are none, perhaps mistyped.
    pub(crate) unknown: Vec<String>,
}

/// Where the fleet is stored.
pub(crate) struct StoreSettings {
    pub(crate) store: Storage,
    /// Description for people.
    pub(crate) place: String,
    /// Folder of the SQLite database; `None` with PostgreSQL.
    data_directory: Option<PathBuf>,
}

impl Settings {
    /// Reads and checks everything; creates nothing. The message of a failure has all problems, and no secret.
    pub(crate) fn read() -> Result<Self, Failure> {
        let mut environment = Environment::default();
        let listen = environment.listen_address(LISTEN);
        let log_level = environment.log_level(LOG_LEVEL).unwrap_or(LevelFilter::INFO);
        let retention = retention(&mut environment);
        let alerts = alerts(&mut environment);
        let store = StoreSettings::read(&mut environment);
        let login = LoginSettings::read(&mut environment, (LISTEN, listen), store.data_directory.as_deref());
        environment.checked(Self { listen, login, log_level, retention, alerts, store, unknown: unknown() })
    }
}

impl StoreSettings {
    /// Reads what the commands for keys need: the store, and the address that the receiver listens on.
    pub(crate) fn read_with_address() -> Result<(Self, SocketAddr), Failure> {
        let mut environment = Environment::default();
        let settings = (Self::read(&mut environment), environment.listen_address(LISTEN));
        environment.checked(settings)
    }

    /// Reads what an import needs: the store, and how long events are kept.
    pub(crate) fn read_with_retention() -> Result<(Self, Duration), Failure> {
        let mut environment = Environment::default();
        let settings = (Self::read(&mut environment), retention(&mut environment));
        environment.checked(settings)
    }

    fn read(environment: &mut Environment) -> Self {
        let directory =
            PathBuf::from(environment.text(DATA_DIR).unwrap_or_else(|| "./fleet-data".to_owned()));
        let store = environment.text(DATABASE_URL).map(PostgresFleetStore::from_url);
        match store {
            Some(Ok(store)) => {
                let place = format!("the PostgreSQL database of {DATABASE_URL}");
                return Self { store: store.into(), place, data_directory: None };
            }
            Some(Err(error)) => environment.add_problem(
                DATABASE_URL,
                "a usable PostgreSQL URL, postgresql://…",
                in_one_line(&error),
            ),
            None => {}
        }
        let file = directory.join(FILE);
        let place = absolute(&file).unwrap_or_else(|_| file.clone()).display().to_string();
        Self { store: SqliteFleetStore::new(file).into(), place, data_directory: Some(directory) }
    }

    pub(crate) fn create_data_directory(&self) -> Result<(), Failure> {
        let Some(directory) = &self.data_directory else { return Ok(()) };
        std::fs::create_dir_all(directory)
            .map_err(Failure::system(format!("{DATA_DIR}={} cannot be created", directory.display())))
    }

    /// Refuses an SQLite database that does not exist yet, as in a folder other than the receiver's.
    pub(crate) fn must_exist(&self) -> Result<(), Failure> {
        let is_missing = |directory: &PathBuf| !directory.join(FILE).exists();
        if !self.data_directory.as_ref().is_some_and(is_missing) {
            return Ok(());
        }
        Err(Failure::System(format!(
            "there is no database at {}; set {DATA_DIR} or {DATABASE_URL} as they are set for the receiver",
            self.place
        )))
    }
}

fn retention(environment: &mut Environment) -> Duration {
    let days = environment.parsed(RETENTION, "a number of days from 1 to 3660", parse_retention);
    days.unwrap_or(DAY * 90)
}

fn alerts(environment: &mut Environment) -> Option<AlertDestination> {
    let url = environment.text(ALERT_URL);
    let secret = environment.text(ALERT_SECRET);
    let Some(url) = url else {
        if secret.is_some() {
            environment.add_problem(ALERT_URL, format!("a URL, required by {ALERT_SECRET}"), "nothing");
        }
        return None;
    };
    let mut alerts = AlertDestination::new(url.trim());
    if let Some(secret) = secret {
        alerts = alerts.signing_secret(secret);
    }
    if let Err(errors) = alerts.check() {
        environment.add_problems(&errors, |setting| match setting {
            Setting::Url => Some(ALERT_URL),
            Setting::SigningSecret => Some(ALERT_SECRET),
            _ => None,
        });
    }
    Some(alerts)
}

fn unknown() -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names
        .filter(|name| name.starts_with("FLEET_"))
        .filter(|name| VARIABLES.iter().chain(&login::VARIABLES).all(|known| known != name))
        .filter(|name| !KUBERNETES.iter().any(|beginning| name.starts_with(beginning)))
        .collect()
}

fn parse_retention(text: &str) -> Option<Duration> {
    text.parse::<u32>().ok().filter(|days| (1..=3660).contains(days)).map(|days| DAY * days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_is_a_number_of_days() {
        assert_eq!(parse_retention("90"), Some(DAY * 90));
        for text in ["", "0", "-1", "3661", "90d", "1.5"] {
            assert_eq!(parse_retention(text), None, "{text}");
        }
    }
}
