//! The command line.

use std::fmt;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;
use secrecy::SecretString;
use simulator::SigningSecret;
use url::Url;

/// Text below the options.
const SPEED: &str = "\
Frequencies are divided by the speed, including those that instances announce in the header
telemetry-frequency, so any receiver judges correctly by its own clock. What a receiver measures
by its own clock stays: its grace is at least 5 real minutes, so at a speed of 3600 nothing is late
for 300 simulated hours. Choose a speed below 100 to see instances become late and down. The truth
that is printed at the end is the truth at the speed chosen.";

/// Plays a fleet against a receiver: real payloads, and everything that goes wrong in a real fleet.
#[derive(Debug, Parser)]
#[command(name = "simulator", version, after_help = SPEED, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) play: PlayArguments,
}

/// What to do instead.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Plays scenarios against a receiver in this process, in simulated time, and compares what it says with the truth
    Truth(TruthArguments),
}

/// Options of `truth`.
#[derive(Debug, Args)]
pub(crate) struct TruthArguments {
    /// Number of seeds, each with at least one instance of each scenario
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub(crate) first: u64,
    /// Number of seeds that are played on one store at the same time
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) together: u64,
    /// Where the receiver keeps its fleet; a throw-away cluster is started for PostgreSQL
    #[arg(long, value_enum, default_value_t = Store::Sqlite)]
    pub(crate) store: Store,
    /// PostgreSQL to keep the fleet in instead, whose tables are emptied; what it keeps after the seeds that are played
    /// together is printed in a few words, to compare databases
    #[arg(long, value_name = "URL", conflicts_with = "store")]
    pub(crate) database: Option<String>,
}

/// Where a receiver keeps its fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Store {
    Sqlite,
    Postgres,
    Both,
}

/// Options of a simulation that posts to a receiver.
#[derive(Debug, Args)]
pub(crate) struct PlayArguments {
    /// The webhook with its key, http://HOST:PORT/webhooks/KEY
    #[arg(long, required = true, env = "SIMULATOR_URL", hide_env_values = true)]
    pub(crate) url: Option<Url>,
    /// Plays the scenarios of so many seeds instead of a fleet drawn by chance; names of instances begin with the scenario
    #[arg(long, value_name = "SEEDS", num_args = 0..=1, default_missing_value = "1",
        value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) scenarios: Option<u64>,
    /// Number of instances
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) instances: u32,
    /// Simulated seconds per real second, 1 to 3600
    #[arg(long, value_name = "X", default_value_t = 60.0, value_parser = speed)]
    pub(crate) speed: f64,
    /// Seed of all chance: the same seed gives the same fleet
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Simulated time after which to stop, such as 12h or 3d; without it, SIGINT stops the simulation
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// Simulated time at which an outage of the receiver begins, in which nothing is sent
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "outage_length")]
    pub(crate) outage_at: Option<Duration>,
    /// Simulated length of the outage; stop the receiver meanwhile to see that it blames no instance
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "outage_at")]
    pub(crate) outage_length: Option<Duration>,
    /// Maximum number of connections, which are kept alive
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) connections: u16,
    /// Secret of a key that requires signatures, whsec_...
    #[arg(long, env = "SIMULATOR_SECRET", hide_env_values = true, value_parser = secret)]
    pub(crate) secret: Option<Hidden<SigningSecret>>,
    /// Bearer token of a key that requires one
    #[arg(long, env = "SIMULATOR_TOKEN", hide_env_values = true, value_parser = token)]
    pub(crate) token: Option<Hidden<SecretString>>,
}

/// A value that `Debug` does not show.
#[derive(Clone)]
pub(crate) struct Hidden<T>(pub(crate) T);

impl<T> fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        // At a higher speed an hour would be shorter than a second, the unit in which frequencies are announced.
        Ok(speed) if (1.0..=3600.0).contains(&speed) => Ok(speed),
        _ => Err("a number from 1 to 3600 is required".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    // Ten years, so that no sum of simulated times overflows.
    let longest = SignedDuration::from_hours(24 * 3660);
    let days = text.strip_suffix('d').and_then(|days| days.parse::<i64>().ok()?.checked_mul(24));
    let parsed = match days {
        Some(hours) => SignedDuration::try_from_hours(hours),
        None => text.parse().ok(),
    };
    match parsed {
        Some(duration) if duration.is_positive() && duration <= longest => Ok(duration.unsigned_abs()),
        _ => Err("a time such as 90m, 12h or 3d is required".to_owned()),
    }
}

fn secret(text: &str) -> Result<Hidden<SigningSecret>, String> {
    text.parse().map(Hidden)
}

fn token(text: &str) -> Result<Hidden<SecretString>, String> {
    match text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(Hidden(text.into())),
        false => Err("a token consists of visible ASCII characters".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
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
    fn debug_output_shows_no_secret() {
        let line = ["simulator", "--url", "http://localhost/", "--token", "s3cret"];
        let arguments = Arguments::try_parse_from(line).unwrap();
        assert!(!format!("{arguments:?}").contains("s3cret"));
    }
}
