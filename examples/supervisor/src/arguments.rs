//! The command line.

use std::ffi::OsString;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Sirveo, an example server that reports its life by deployment telemetry, and receives that of others.

Usage: supervisor [--loopback] [--telemetry-preview | --version | --help]

  --loopback           send custom telemetry to this server itself: where they are not set,
                       SIRVEO_TELEMETRY_MODE is custom, SIRVEO_TELEMETRY_URL is the server's own
                       webhook and SIRVEO_LOG_LEVEL is DEBUG
  --telemetry-preview  print the requests that would be sent, one JSON object a line, and exit;
                       nothing is sent, nothing is created
  --version            print the build as telemetry reports it
  --help               print this

Settings are environment variables; an empty one is an unset one.

  SIRVEO_LISTEN                    address and port to listen on           127.0.0.1:8080
  SIRVEO_PASSWORD                  login of the pages and the API, user    none
                                   sirveo; 12 characters or more; required
                                   to listen beyond loopback
  SIRVEO_DATABASE_URL              PostgreSQL, postgresql://...            unset: embedded
  SIRVEO_DATA_DIR                  folder of the embedded databases        ./sirveo-data
  SIRVEO_LOG_LEVEL                 TRACE, DEBUG, INFO, WARN, ERROR, OFF    INFO
  SIRVEO_LICENSE                   license key; valid if set               none

  SIRVEO_TELEMETRY_MODE            disabled, custom, default, both         disabled
  SIRVEO_TELEMETRY_URL             your destination, http:// or https://   none
                                   required for custom and both
  SIRVEO_TELEMTRY_AUTH             token for it, also spelt                none
                                   SIRVEO_TELEMETRY_AUTH
  SIRVEO_TELEMETRY_FREQUENCY       1h to 24h                               8h
  SIRVEO_TELEMETRY_IDENTIFIER      your name for this server               none
  SIRVEO_TELEMETRY_CA_FILE         PEM file trusted besides the system's   none
  SIRVEO_TELEMETRY_SIGNING_SECRET  whsec_..., signs the requests           none
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY                             none
  DO_NOT_TRACK                     1: nothing goes to the vendor           unset

Stand-ins for what a vendor compiles in:

  SIRVEO_VENDOR_URL                the vendor's destination, for the       none
                                   modes default and both
  SIRVEO_VENDOR_AUTH               token for it                            none
  SIRVEO_VENDOR_FREQUENCY          1h to 24h                               8h

Exit codes: 0 after SIGINT or SIGTERM, 1 where the machine refuses (such as an address in use),
2 for an unknown option or settings that cannot be used, 130 after a second signal.
";

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Serve,
    Preview,
    Version,
    Help,
}

/// The command line, understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) action: Action,
    pub(crate) loopback: bool,
}

impl Arguments {
    /// `Err` says which argument is not known. Of several actions the last one counts.
    pub(crate) fn parse(given: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut arguments = Self { action: Action::Serve, loopback: false };
        for argument in given {
            match argument.to_str() {
                Some("--loopback") => arguments.loopback = true,
                Some("--telemetry-preview") => arguments.action = Action::Preview,
                Some("--version" | "-V") => arguments.action = Action::Version,
                Some("--help" | "-h") => arguments.action = Action::Help,
                _ => return Err(format!("unknown option {argument:?}; --help shows what there is")),
            }
        }
        Ok(arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(given: &[&str]) -> Result<Arguments, String> {
        Arguments::parse(given.iter().map(OsString::from))
    }

    #[test]
    fn options_come_in_any_order() {
        let expected = Arguments { action: Action::Preview, loopback: true };
        assert_eq!(parse(&["--loopback", "--telemetry-preview"]), Ok(expected));
        assert_eq!(parse(&[]), Ok(Arguments { action: Action::Serve, loopback: false }));
    }

    #[test]
    fn what_is_not_known_is_named() {
        assert!(parse(&["--loopback", "--frobnicate"]).unwrap_err().contains("--frobnicate"));
    }
}
