//! The settings of the server, read once from the environment.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use deployment_telemetry::receiver::{Login, PostgresFleetStore, SqliteFleetStore, Storage, WebhookKey};
use deployment_telemetry::{
    AnyStateStore, License, LicenseKey, MemoryStateStore, PostgresStateStore, Setting, SqliteStateStore,
    StartError, Telemetry, Vendor,
};
use jiff::SignedDuration;
use program::{Environment, Failure, in_one_line};
use tracing::level_filters::LevelFilter;

use crate::{build, loopback};

const LISTEN: &str = "SIRVEO_LISTEN";
const PASSWORD: &str = "SIRVEO_PASSWORD";
const DATABASE_URL: &str = "SIRVEO_DATABASE_URL";
const VENDOR_URL: &str = "SIRVEO_VENDOR_URL";
const VENDOR_AUTH: &str = "SIRVEO_VENDOR_AUTH";
const VENDOR_FREQUENCY: &str = "SIRVEO_VENDOR_FREQUENCY";

pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) login: Login,
    pub(crate) log_level: LevelFilter,
    /// Store of the receiver.
    pub(crate) fleet: Storage,
    pub(crate) telemetry: TelemetrySettings,
    /// Folder of the SQLite databases; `None` with PostgreSQL.
    data_directory: Option<PathBuf>,
}

/// What this server gives to its telemetry; the library reads the rest from `SIRVEO_TELEMETRY_…` itself.
pub(crate) struct TelemetrySettings {
    pub(crate) store: AnyStateStore,
    pub(crate) license: License,
    pub(crate) vendor: Option<Vendor>,
    /// Key of the webhook of this very server, where telemetry goes to it.
    pub(crate) loopback: Option<WebhookKey>,
}

impl Settings {
    /// Reads and checks everything, the library's settings included; creates nothing. The message of a failure has all
    /// problems, and no secret.
    pub(crate) fn read(loopback: bool) -> Result<Self, Failure> {
        let mut environment = Environment::default();
        let listen = environment.listen_address(LISTEN);
        let password = environment.text(PASSWORD);
        let login = login(&mut environment, password, listen);
        let default_level = if loopback { LevelFilter::DEBUG } else { LevelFilter::INFO };
        let log_level = environment.log_level("SIRVEO_LOG_LEVEL").unwrap_or(default_level);
        let (store, fleet, data_directory) = stores(&mut environment);
        let key = environment.text("SIRVEO_LICENSE").map(LicenseKey::new);
        let license = key.map_or_else(License::none, License::valid);
        let vendor = vendor(&mut environment);
        let loopback = loopback.then(WebhookKey::generate);
        check_telemetry(&mut environment, vendor.clone(), listen, loopback.as_ref());
        environment.checked(Self {
            listen,
            login: login.unwrap_or_else(Login::without_password),
            log_level,
            fleet,
            telemetry: TelemetrySettings { store, license, vendor, loopback },
            data_directory,
        })
    }

    pub(crate) fn create_data_directory(&self) -> io::Result<()> {
        self.data_directory.as_ref().map_or(Ok(()), std::fs::create_dir_all)
    }
}

/// Login with this password. It may be missing only where the server listens on a loopback address; `None` then.
fn login(environment: &mut Environment, password: Option<String>, listen: SocketAddr) -> Option<Login> {
    let Some(password) = password else {
        if !listen.ip().is_loopback() {
            let accepts = format!("a loopback address, or any address if {PASSWORD} is set");
            environment.add_problem(LISTEN, accepts, format!("\"{listen}\""));
        }
        return None;
    };
    Login::new("sirveo", password)
        .map_err(|_| environment.add_problem(PASSWORD, "12 characters or more", "fewer characters"))
        .ok()
}

/// Stores of the telemetry and of the receiver: both in one PostgreSQL database, or two SQLite databases in a folder.
fn stores(environment: &mut Environment) -> (AnyStateStore, Storage, Option<PathBuf>) {
    let directory = environment.text("SIRVEO_DATA_DIR").unwrap_or_else(|| "./sirveo-data".to_owned());
    let directory = PathBuf::from(directory);
    if let Some(url) = environment.text(DATABASE_URL) {
        let state = PostgresStateStore::from_url(url.clone());
        match state.and_then(|state| Ok((state, PostgresFleetStore::from_url(url)?))) {
            Ok((state, fleet)) => return (AnyStateStore::new(state), fleet.into(), None),
            Err(error) => environment.add_problem(
                DATABASE_URL,
                "a usable PostgreSQL URL, postgresql://…",
                in_one_line(&error),
            ),
        }
    }
    let state = SqliteStateStore::new(directory.join("state.sqlite"));
    let fleet = SqliteFleetStore::new(directory.join("fleet.sqlite"));
    (AnyStateStore::new(state), fleet.into(), Some(directory))
}

/// What a vendor compiles into its product; variables stand in for it here.
fn vendor(environment: &mut Environment) -> Option<Vendor> {
    let url = environment.text(VENDOR_URL);
    let auth = environment.text(VENDOR_AUTH);
    let accepts = "a duration from 1h to 24h, such as 90m or 1h30m";
    let frequency = environment.parsed(VENDOR_FREQUENCY, accepts, parse_frequency);
    let mut vendor = Vendor::new(url?);
    if let Some(auth) = auth {
        vendor = vendor.auth(auth);
    }
    if let Some(frequency) = frequency {
        vendor = vendor.frequency(frequency);
    }
    Some(vendor)
}

/// Adds the problems that the library would report at the start.
fn check_telemetry(
    environment: &mut Environment,
    vendor: Option<Vendor>,
    address: SocketAddr,
    loopback: Option<&WebhookKey>,
) {
    let mut telemetry = Telemetry::builder(build::product(), build::info(), MemoryStateStore::new());
    if let Some(vendor) = vendor {
        telemetry = telemetry.vendor(vendor);
    }
    if let Some(key) = loopback {
        telemetry = telemetry.default_config(loopback::defaults(address, key));
    }
    // The start reports any other error.
    if let Err(StartError::Config(errors)) = telemetry.check() {
        environment.add_problems(&errors, |setting| match setting {
            Setting::VendorUrl => Some(VENDOR_URL),
            Setting::VendorAuth => Some(VENDOR_AUTH),
            Setting::VendorFrequency => Some(VENDOR_FREQUENCY),
            _ => None,
        });
    }
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
    fn a_password_may_be_missing_on_a_loopback_address_only() {
        for (address, is_accepted) in
            [("127.0.0.1:80", true), ("[::1]:80", true), ("0.0.0.0:80", false), ("192.0.2.7:80", false)]
        {
            let mut environment = Environment::default();
            assert!(login(&mut environment, None, address.parse().unwrap()).is_none());
            assert_eq!(environment.checked(()).is_ok(), is_accepted, "{address}");
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
