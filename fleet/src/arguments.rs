//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use uuid::Uuid;

/// Text below the options.
const SETTINGS: &str = "\
Settings are environment variables; an empty one is an unset one.

  FLEET_LISTEN        address and port to listen on                127.0.0.1:8080
  FLEET_PASSWORD      login of the pages and the API, user fleet;  made at the
                      12 characters or more; required with         first start,
                      PostgreSQL. none: no login, on a loopback    and shown then
                      address only
  FLEET_HTTPS         true if browsers connect by https, through   false
                      a proxy
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
    /// Forget instances, with their runs and changes; one that reports again comes back as new
    Forget(Forget),
    /// Tell nobody of instances for a time; they are judged and shown as ever
    Mute(Mute),
    /// List the mutes
    Mutes,
    /// End a mute; who is down by then is told at once
    Unmute {
        /// Id of the mute, as `fleet mutes` shows it
        id: Uuid,
    },
    /// Make the tables, or bring those of an earlier version up to this one, as a receiver does when it starts
    Migrate(Migrate),
    /// Take in the event files of servers without a network; a file may be imported any number of times
    Import(Import),
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Distribute the tables over the nodes of a PostgreSQL with the extension citus; stop all receivers before
    #[arg(long)]
    pub(crate) distributed: bool,
    /// Number of shards; without it, the one that citus.shard_count says
    #[arg(long, value_name = "N", requires = "distributed", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) shards: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Files that servers wrote with a URL such as file:///var/lib/sirveo/telemetry.jsonl; - is the standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Key that the servers belong to
    #[arg(long, value_name = "NAME|ID")]
    pub(crate) key: String,
}

#[derive(Debug, Args)]
pub(crate) struct Forget {
    /// Id of one instance
    #[arg(value_name = "ID", conflicts_with_all = ["key", "all", "state", "license", "version", "flag", "search"])]
    pub(crate) instance: Option<Uuid>,
    /// All instances that belong to a key, revoked or not
    #[arg(long, value_name = "NAME|ID", conflicts_with_all = ["all", "state", "license", "version", "flag", "search"])]
    pub(crate) key: Option<String>,
    /// Those in this state: down, late, up, ended; several separated by commas
    #[arg(long)]
    pub(crate) state: Option<String>,
    /// Those whose license is so: valid, invalid (its key is not valid), none (no key); several separated by commas
    #[arg(long)]
    pub(crate) license: Option<String>,
    /// Those of exactly this version
    #[arg(long)]
    pub(crate) version: Option<String>,
    /// Those with this flag: crashed, several-runs, cloned, restarting, new, muted; several separated by commas
    #[arg(long)]
    pub(crate) flag: Option<String>,
    /// Those with this part in their name, or whose id begins so
    #[arg(long)]
    pub(crate) search: Option<String>,
    /// Every instance
    #[arg(long, conflicts_with_all = ["state", "license", "version", "flag", "search"])]
    pub(crate) all: bool,
    /// Delete their events as well, which stay until they are too old otherwise
    #[arg(long)]
    pub(crate) with_events: bool,
    /// Only say how many they are
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Mute {
    /// Id of one instance
    #[arg(value_name = "ID", required_unless_present_any = ["key", "filter"], conflicts_with_all = ["key", "filter"])]
    pub(crate) instance: Option<Uuid>,
    /// All instances of a key
    #[arg(long, value_name = "NAME|ID", conflicts_with = "filter")]
    pub(crate) key: Option<String>,
    /// All instances that match, as the query of api/instances has it: 'state=down&version=1.0'
    #[arg(long, value_name = "QUERY")]
    pub(crate) filter: Option<String>,
    /// For how long, a minute to 366 days: 30m, 2h, 7d
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time)]
    pub(crate) lasts: Duration,
    /// Why, for the others
    #[arg(long, value_name = "TEXT", default_value = "muted on the command line")]
    pub(crate) reason: String,
}

/// Reads a time such as 30m, 2h or 7d.
fn parse_time(text: &str) -> Result<Duration, String> {
    let accepts = || "a number of minutes, hours or days, such as 30m, 2h or 7d".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(accepts)?;
    let seconds = match unit {
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(accepts()),
    };
    let number: u32 = number.parse().map_err(|_| accepts())?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

/// Reads a time that is whole hours, such as 24h or 7d, as their number.
fn parse_hours(text: &str) -> Result<i32, String> {
    let accepts = || "a number of hours or days, such as 24h or 7d, at most 87600h".to_owned();
    let seconds = parse_time(text).map_err(|_| accepts())?.as_secs();
    let hours = i32::try_from(seconds / 3600).ok().filter(|_| seconds.is_multiple_of(3600));
    hours.filter(|hours| (1..=87_600).contains(hours)).ok_or_else(accepts)
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
        /// Forget its instances once they have been down or ended for this time: 24h, 7d
        #[arg(long, value_name = "TIME", value_parser = parse_hours)]
        forget_after: Option<i32>,
        #[command(flatten)]
        limits: Limits,
    },
    /// Change what may be sent with a key; what is not given stays
    Limit {
        /// Name or id of the key
        #[arg(value_name = "NAME|ID")]
        key: String,
        /// Number of instances that may be reported for the first time within an hour, or `any`
        #[arg(long, value_name = "N|any", value_parser = new_per_hour, required_unless_present = "any_frequency")]
        new_per_hour: Option<NewPerHour>,
        /// Whether a telemetry-frequency of less than an hour or more than two days is allowed
        #[arg(long, value_name = "true|false")]
        any_frequency: Option<bool>,
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
        /// Forget the instances that belong to it as well
        #[arg(long)]
        forget: bool,
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

    #[test]
    fn only_distributed_tables_have_shards() {
        let parse = |text: &str| Arguments::try_parse_from(text.split(' '));
        assert!(parse("fleet migrate --shards 8").is_err());
        assert!(parse("fleet migrate --distributed --shards 0").is_err());
        let Some(Command::Migrate(migrate)) =
            parse("fleet migrate --distributed --shards 8").unwrap().command
        else {
            panic!("it is that command")
        };
        assert_eq!((migrate.distributed, migrate.shards), (true, Some(8)));
    }

    #[test]
    fn a_time_has_a_number_and_a_unit() {
        assert_eq!(parse_time("30m"), Ok(Duration::from_secs(1_800)));
        assert_eq!((parse_hours("24h"), parse_hours("7d"), parse_hours("120m")), (Ok(24), Ok(168), Ok(2)));
        for text in ["", "h", "2", "2w", "-2h", "1.5h", "2hh", "ä", "99999999999h"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
        for text in ["0h", "90m", "87601h"] {
            assert!(parse_hours(text).is_err(), "{text}");
        }
    }
}
