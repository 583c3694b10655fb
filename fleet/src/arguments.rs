//! The command line.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use fleet::simulate::SigningSecret;
use jiff::SignedDuration;
use secrecy::SecretString;
use url::Url;

/// Below the options.
const SETTINGS: &str = "\
Settings are environment variables; an empty one is an unset one.

  FLEET_LISTEN        address and port to listen on                127.0.0.1:8080
  FLEET_PASSWORD      login of the pages and the API, user fleet;  none
                      12 characters or more; required to listen
                      on an address that is not a loopback one
  FLEET_DATABASE_URL  PostgreSQL, postgresql://...                 unset: SQLite
  FLEET_DATA_DIR      folder of the SQLite database                ./fleet-data
  FLEET_RETENTION     days that events are kept                    90
  FLEET_ALERT_URL     webhook that is told of instances that go    none
                      down, are no longer, or lose their license
  FLEET_ALERT_SECRET  whsec_..., signs what it is told             none
  FLEET_LOG_LEVEL     TRACE, DEBUG, INFO, WARN, ERROR, OFF         INFO

Exit codes: 0 after SIGINT or SIGTERM, 1 where the machine refuses (such as an address in use),
2 for an unknown option or settings that cannot be used, 130 after a second signal.";

/// Receives the telemetry of a fleet, keeps it and shows who is up, late, down or ended.
#[derive(Debug, Parser)]
#[command(name = "fleet", version, after_help = SETTINGS)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the receiver (also without a command)
    #[command(after_help = SETTINGS)]
    Serve,
    /// Make, list, revoke and rotate the keys that senders post with; also beside a running receiver
    #[command(subcommand)]
    Key(KeyCommand),
    /// Play a fleet against a receiver: real payloads, and all that goes wrong with a real fleet
    #[command(after_help = SIMULATE)]
    Simulate(Simulate),
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key and show it, this once
    Create {
        /// What you call it
        name: String,
        /// So many events a second may be sent with it
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
        rate: Option<i32>,
        /// Requests must be signed (Standard Webhooks); makes a secret
        #[arg(long)]
        signed: bool,
        /// Requests must carry a bearer token; makes one
        #[arg(long)]
        token: bool,
    },
    /// Show all keys, without their secrets
    List,
    /// Refuse a key from now on
    Revoke {
        /// The key's name or id
        #[arg(value_name = "NAME|ID")]
        key: String,
    },
    /// Replace the secret of a signed key in two steps: make a new one beside the old, then drop the old
    Rotate {
        /// The key's name or id
        #[arg(value_name = "NAME|ID")]
        key: String,
        /// All senders have the new secret: drop the old one
        #[arg(long)]
        finish: bool,
    },
}

const SIMULATE: &str = "\
Frequencies are divided by the speed, also those that instances tell in the header telemetry-frequency, so that any
receiver judges rightly by its own clock. What a receiver measures by its own clock stays: a grace of at least 5 real
minutes, so at a speed of 3600 nothing is late for 300 simulated hours; choose a speed of some tens to see instances go
late and down. At the end the truth is told as it is for this speed.";

#[derive(Args, Debug)]
pub(crate) struct Simulate {
    /// The webhook with its key, http://HOST:PORT/webhooks/KEY
    #[arg(long, env = "FLEET_SIMULATE_URL", hide_env_values = true)]
    pub(crate) url: Url,
    /// How many instances
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) instances: u32,
    /// Simulated seconds in a real one, 1 to 3600
    #[arg(long, value_name = "X", default_value_t = 60.0, value_parser = speed)]
    pub(crate) speed: f64,
    /// The same seed is the same fleet
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Stop after so much simulated time, such as 12h or 3d; unset: at SIGINT
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// When an outage of the receiver begins, in simulated time: nothing is sent
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "outage_length")]
    pub(crate) outage_at: Option<Duration>,
    /// How long the outage is; stop the receiver for it to see it forgiven
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "outage_at")]
    pub(crate) outage_length: Option<Duration>,
    /// Connections that are kept alive
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) connections: u16,
    /// Secret of a signed key, whsec_...
    #[arg(long, env = "FLEET_SIMULATE_SECRET", hide_env_values = true, value_parser = secret)]
    pub(crate) secret: Option<Hidden<SigningSecret>>,
    /// Bearer token of a key that asks for one
    #[arg(long, env = "FLEET_SIMULATE_TOKEN", hide_env_values = true, value_parser = token)]
    pub(crate) token: Option<Hidden<SecretString>>,
}

/// What no `Debug` shows.
#[derive(Clone)]
pub(crate) struct Hidden<T>(pub(crate) T);

impl<T> std::fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        // Faster, an hour would be less than the second in which frequencies are told.
        Ok(speed) if (1.0..=3600.0).contains(&speed) => Ok(speed),
        _ => Err("it is a number from 1 to 3600".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    // The longest that all simulated time is reckoned in without care.
    let longest = SignedDuration::from_hours(24 * 3660);
    let days = text.strip_suffix('d').and_then(|days| days.parse::<i64>().ok()?.checked_mul(24));
    let parsed = match days {
        Some(hours) => SignedDuration::try_from_hours(hours),
        None => text.parse().ok(),
    };
    match parsed {
        Some(duration) if duration.is_positive() && duration <= longest => Ok(duration.unsigned_abs()),
        _ => Err("it is a time such as 90m, 12h or 3d".to_owned()),
    }
}

fn secret(text: &str) -> Result<Hidden<SigningSecret>, String> {
    text.parse().map(Hidden)
}

fn token(text: &str) -> Result<Hidden<SecretString>, String> {
    match text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(Hidden(text.into())),
        false => Err("a token is of visible ASCII characters".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
        assert!(Arguments::try_parse_from(["fleet"]).unwrap().command.is_none());
    }

    #[test]
    fn times_and_speeds_are_checked() {
        assert_eq!(duration("3d"), Ok(Duration::from_secs(3 * 86_400)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        for text in ["", "3", "-1h", "0s", "99999999999999d", "9999999d", "often"] {
            assert!(duration(text).is_err(), "{text:?}");
        }
        assert_eq!(speed("2.5"), Ok(2.5));
        for text in ["0", "-1", "NaN", "inf", "3601", "fast"] {
            assert!(speed(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn no_debug_output_shows_a_secret() {
        let line = ["fleet", "simulate", "--url", "http://localhost/", "--token", "s3cret"];
        let arguments = Arguments::try_parse_from(line).unwrap();
        assert!(!format!("{arguments:?}").contains("s3cret"));
    }
}
