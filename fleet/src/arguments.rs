//! The command line.

use clap::{Parser, Subcommand};

/// Text below the options.
const SETTINGS: &str = "\
Settings are environment variables; an empty one is an unset one.

  FLEET_LISTEN        address and port to listen on                127.0.0.1:8080
  FLEET_PASSWORD      login of the pages and the API, user fleet;  none
                      12 characters or more; required to listen
                      on an address that is not a loopback one
  FLEET_DATABASE_URL  PostgreSQL, postgresql://...                 unset: SQLite
  FLEET_DATA_DIR      folder of the SQLite database                ./fleet-data
  FLEET_RETENTION     days that events are kept, 1 to 3660         90
  FLEET_ALERT_URL     webhook that is told of instances that go    none
                      down, come back, end or lose their license
  FLEET_ALERT_SECRET  whsec_..., signs the requests to it          none
  FLEET_LOG_LEVEL     TRACE, DEBUG, INFO, WARN, ERROR, OFF         INFO

Exit codes: 0 after SIGINT or SIGTERM; 1 where the system refuses something, such as an address
that is in use; 2 for an unknown option or settings that cannot be used; 130 after a second signal.";

/// Receives the telemetry of a fleet, stores it and shows which instances are up, late, down or ended.
#[derive(Debug, Parser)]
#[command(name = "fleet", version, after_help = SETTINGS)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the receiver (the default command)
    #[command(after_help = SETTINGS)]
    Serve,
    /// Create, list, change and revoke the keys that senders post with; works while a receiver runs
    #[command(subcommand)]
    Key(KeyCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Create a key and show it; it cannot be shown again
    Create {
        /// Name of the key, for people
        name: String,
        /// Maximum number of events per second that may be sent with the key
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
        rate: Option<i32>,
        /// Require a signature (Standard Webhooks) and create its secret
        #[arg(long)]
        signed: bool,
        /// Require a bearer token and create it
        #[arg(long)]
        token: bool,
        #[command(flatten)]
        limits: Limits,
    },
    /// Change what may be sent with a key; what is not given becomes as with a new key
    Limit {
        /// Name or id of the key
        #[arg(value_name = "NAME|ID")]
        key: String,
        #[command(flatten)]
        limits: Limits,
    },
    /// Replace the key in the URL: a new one is shown, and the old one stays valid for a while
    Replace {
        /// Name or id of the key
        #[arg(value_name = "NAME|ID")]
        key: String,
        /// Hours for which the old one stays valid
        #[arg(long, value_name = "HOURS", default_value_t = 168, value_parser = clap::value_parser!(u32).range(0..=744))]
        keep: u32,
        /// End the validity of the old one, once all senders have the new one
        #[arg(long, conflicts_with = "keep")]
        finish: bool,
    },
    /// Give an instance to another key; events of the key before are refused from then on
    Move {
        /// Id of the instance
        instance: uuid::Uuid,
        /// Name or id of the key that it is given to
        #[arg(value_name = "NAME|ID")]
        key: String,
    },
    /// List all keys, without their secrets
    List,
    /// Refuse a key from now on
    Revoke {
        /// Name or id of the key
        #[arg(value_name = "NAME|ID")]
        key: String,
    },
    /// Replace the secret of a signed key in two steps: add a second one, then drop the first
    Rotate {
        /// Name or id of the key
        #[arg(value_name = "NAME|ID")]
        key: String,
        /// Drop the first secret, once all senders have the second
        #[arg(long)]
        finish: bool,
    },
}

/// What may be sent with a key.
#[derive(Debug, clap::Args)]
pub(crate) struct Limits {
    /// Number of instances that may be reported for the first time within an hour, or `any`
    #[arg(long, value_name = "N|any", default_value = "1000", value_parser = new_per_hour)]
    pub(crate) new_per_hour: NewPerHour,
    /// Allow a telemetry-frequency of less than an hour or more than two days, for simulations
    #[arg(long)]
    pub(crate) any_frequency: bool,
}

/// A number of new instances within an hour; any number if `None`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewPerHour(pub(crate) Option<i32>);

fn new_per_hour(text: &str) -> Result<NewPerHour, String> {
    if text == "any" {
        return Ok(NewPerHour(None));
    }
    let number = text.parse().ok().filter(|number| *number >= 1);
    number.map(|number| NewPerHour(Some(number))).ok_or_else(|| "a whole number from 1, or any".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
        assert!(Arguments::try_parse_from(["fleet"]).unwrap().command.is_none());
    }
}
