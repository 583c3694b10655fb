//! The settings of the server, read once from the environment; all faults are told together.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use deployment_telemetry::receiver::{Login, PostgresFleetStore, SqliteFleetStore, Storage, WebhookKey};
use deployment_telemetry::{
    AnyStateStore, License, LicenseKey, MemoryStateStore, PostgresStateStore, Setting, SettingProblem,
    SqliteStateStore, StartError, Telemetry, Vendor,
};
use jiff::SignedDuration;
use tracing::level_filters::LevelFilter;

use crate::{build, loopback};

pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) login: Login,
    pub(crate) log_level: LevelFilter,
    /// Where the fleet is kept.
    pub(crate) fleet: Storage,
    /// What telemetry is to know.
    pub(crate) telemetry: TelemetrySettings,
    /// Where the embedded databases are; `None` with PostgreSQL.
    data_directory: Option<PathBuf>,
}

/// What this server tells telemetry of itself.
pub(crate) struct TelemetrySettings {
    pub(crate) store: AnyStateStore,
    pub(crate) license: License,
    pub(crate) vendor: Option<Vendor>,
    /// Telemetry goes to this server itself, by this key.
    pub(crate) loopback: Option<WebhookKey>,
}

impl Settings {
    /// Reads and checks everything, the library's settings included; creates nothing. `Err` is one message that
    /// names every fault, without any secret.
    pub(crate) fn read(loopback: bool) -> Result<Self, String> {
        let mut environment = Environment { faults: Vec::new() };
        let listen = environment
            .parsed("SIRVEO_LISTEN", "an address and a port, such as 127.0.0.1:8080", |text| {
                text.parse().ok()
            })
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080)));
        let login = environment.login(listen);
        let log_level = environment
            .parsed("SIRVEO_LOG_LEVEL", "TRACE, DEBUG, INFO, WARN, ERROR or OFF", parse_level)
            .unwrap_or(if loopback { LevelFilter::DEBUG } else { LevelFilter::INFO });
        let directory = environment.text("SIRVEO_DATA_DIR").unwrap_or_else(|| "./sirveo-data".to_owned());
        let directory = PathBuf::from(directory);
        let (store, fleet, data_directory): (AnyStateStore, Storage, _) = match environment.postgres() {
            Some((store, fleet)) => (AnyStateStore::new(store), fleet.into(), None),
            None => {
                let store = SqliteStateStore::new(directory.join("state.sqlite"));
                let fleet = SqliteFleetStore::new(directory.join("fleet.sqlite"));
                (AnyStateStore::new(store), fleet.into(), Some(directory))
            }
        };
        let key = environment.text("SIRVEO_LICENSE").map(LicenseKey::new);
        let license = key.map_or_else(License::none, License::valid);
        let vendor = environment.vendor();
        let loopback = loopback.then(WebhookKey::generate);

        let mut faults = environment.faults;
        faults.extend(telemetry_faults(vendor.clone(), listen, loopback.as_ref()));
        if faults.is_empty() {
            let telemetry = TelemetrySettings { store, license, vendor, loopback };
            Ok(Self { listen, login, log_level, fleet, telemetry, data_directory })
        } else {
            Err(format!("these settings cannot be used:\n  {}", faults.join("\n  ")))
        }
    }

    pub(crate) fn create_data_directory(&self) -> io::Result<()> {
        self.data_directory.as_ref().map_or(Ok(()), std::fs::create_dir_all)
    }
}

/// What the library would say of its settings at start.
fn telemetry_faults(
    vendor: Option<Vendor>,
    address: SocketAddr,
    loopback: Option<&WebhookKey>,
) -> Vec<String> {
    let mut telemetry = Telemetry::builder(build::product(), build::info(), MemoryStateStore::new());
    if let Some(vendor) = vendor {
        telemetry = telemetry.vendor(vendor);
    }
    if let Some(key) = loopback {
        telemetry = telemetry.default_config(loopback::defaults(address, key));
    }
    match telemetry.check() {
        Ok(()) => Vec::new(),
        Err(StartError::Config(errors)) => errors.problems().iter().map(told_by_variable).collect(),
        Err(error) => vec![error.to_string()],
    }
}

/// The problem by the name of the variable that the operator has set.
fn told_by_variable(problem: &SettingProblem) -> String {
    let variable = match problem.setting() {
        Setting::VendorUrl => "SIRVEO_VENDOR_URL",
        Setting::VendorAuth => "SIRVEO_VENDOR_AUTH",
        Setting::VendorFrequency => "SIRVEO_VENDOR_FREQUENCY",
        _ => return problem.to_string(),
    };
    problem.renamed(variable).to_string()
}

/// The process's environment, and what was wrong in it.
struct Environment {
    faults: Vec<String>,
}

impl Environment {
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

    /// Without a password for this machine alone.
    fn login(&mut self, listen: SocketAddr) -> Login {
        let Some(password) = self.text("SIRVEO_PASSWORD") else {
            if !listen.ip().is_loopback() {
                self.faults.push(format!(
                    "SIRVEO_LISTEN accepts a loopback address, and others where SIRVEO_PASSWORD is set; given: \
                     \"{listen}\""
                ));
            }
            return Login::without_password();
        };
        Login::new("sirveo", password).unwrap_or_else(|_| {
            self.faults.push("SIRVEO_PASSWORD accepts 12 characters or more; given: fewer".to_owned());
            Login::without_password()
        })
    }

    fn postgres(&mut self) -> Option<(PostgresStateStore, PostgresFleetStore)> {
        let url = self.text("SIRVEO_DATABASE_URL")?;
        let fault = |error| format!("SIRVEO_DATABASE_URL accepts a PostgreSQL URL; given: {error}");
        let stores = PostgresStateStore::from_url(url.clone())
            .and_then(|store| Ok((store, PostgresFleetStore::from_url(url)?)));
        stores.map_err(|error| self.faults.push(fault(error))).ok()
    }

    fn vendor(&mut self) -> Option<Vendor> {
        let url = self.text("SIRVEO_VENDOR_URL");
        let auth = self.text("SIRVEO_VENDOR_AUTH");
        let accepts = "a duration from 1h to 24h, such as 90m or 1h30m";
        let frequency = self.parsed("SIRVEO_VENDOR_FREQUENCY", accepts, parse_frequency);
        let mut vendor = Vendor::new(url?);
        if let Some(auth) = auth {
            vendor = vendor.auth(auth);
        }
        if let Some(frequency) = frequency {
            vendor = vendor.frequency(frequency);
        }
        Some(vendor)
    }
}

fn parse_level(text: &str) -> Option<LevelFilter> {
    // Its own parser takes numbers as well.
    text.chars().all(char::is_alphabetic).then(|| text.parse().ok()).flatten()
}

fn parse_frequency(text: &str) -> Option<Duration> {
    let duration = text.parse::<SignedDuration>().ok()?;
    let hour = SignedDuration::from_hours(1);
    if duration < hour || duration > hour * 24 {
        return None;
    }
    Duration::try_from(duration).ok()
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
    fn frequencies_are_durations_from_an_hour_to_a_day() {
        let minutes = |minutes: u64| Some(Duration::from_secs(minutes * 60));
        for (text, expected) in
            [("1h", minutes(60)), ("90m", minutes(90)), ("1h30m", minutes(90)), ("24h", minutes(1440))]
        {
            assert_eq!(parse_frequency(text), expected, "{text}");
        }
        for text in ["", "8", "59m", "25h", "-2h", "often", "99999999999999999999h"] {
            assert_eq!(parse_frequency(text), None, "{text}");
        }
    }
}
