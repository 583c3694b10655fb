//! The command line.

use clap::Parser;

/// Text below the options.
const SETTINGS: &str = "\
Settings are environment variables; an empty one is an unset one.

  SIRVEO_LISTEN                    address and port to listen on           127.0.0.1:8080
  SIRVEO_PASSWORD                  login of the pages and the API, user    none
                                   sirveo; 12 characters or more; required
                                   to listen on an address that is not a
                                   loopback one
  SIRVEO_DATABASE_URL              PostgreSQL, postgresql://...            unset: SQLite
  SIRVEO_DATA_DIR                  folder of the SQLite databases          ./sirveo-data
  SIRVEO_LOG_LEVEL                 TRACE, DEBUG, INFO, WARN, ERROR, OFF    INFO
  SIRVEO_LICENSE                   license key; valid if set               none

  SIRVEO_TELEMETRY_MODE            disabled, custom, default, both         disabled
  SIRVEO_TELEMETRY_URL             your destination, http:// or https://,  none
                                   or file:///path; required by custom
                                   and both
  SIRVEO_TELEMTRY_AUTH             token for it, also spelt                none
                                   SIRVEO_TELEMETRY_AUTH
  SIRVEO_TELEMETRY_FREQUENCY       1h to 24h                               8h
  SIRVEO_TELEMETRY_IDENTIFIER      your name for this server               none
  SIRVEO_TELEMETRY_CA_FILE         PEM file trusted besides the system's   none
  SIRVEO_TELEMETRY_SIGNING_SECRET  whsec_..., signs the requests           none
                                   URL, AUTH and SIGNING_SECRET can be
                                   read from a file: ..._FILE=path
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY                             none
  DO_NOT_TRACK                     1: nothing goes to the vendor           unset

Stand-ins for what a vendor compiles in:

  SIRVEO_VENDOR_URL                the vendor's destination, for the       none
                                   modes default and both
  SIRVEO_VENDOR_AUTH               token for it                            none
  SIRVEO_VENDOR_FREQUENCY          1h to 24h                               8h

Exit codes: 0 after SIGINT or SIGTERM; 1 where the system refuses something, such as an address
that is in use; 2 for an unknown option or settings that cannot be used; 130 after a second signal.";

/// Sirveo, an example server that reports its own telemetry and receives that of others.
#[derive(Debug, Parser)]
#[command(name = "supervisor", disable_version_flag = true, after_help = SETTINGS)]
pub(crate) struct Arguments {
    /// Send custom telemetry to this server itself
    ///
    /// Unless they are set, SIRVEO_TELEMETRY_MODE is custom, SIRVEO_TELEMETRY_URL is the
    /// server's own webhook and SIRVEO_LOG_LEVEL is DEBUG.
    #[arg(long, verbatim_doc_comment)]
    pub(crate) loopback: bool,
    /// Print the requests that would be sent, one JSON object per line, and exit; send and create nothing
    #[arg(long)]
    pub(crate) telemetry_preview: bool,
    /// Print the build as telemetry reports it
    #[arg(short = 'V', long, conflicts_with = "telemetry_preview")]
    pub(crate) version: bool,
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
    fn the_version_and_the_preview_exclude_each_other() {
        let line = ["supervisor", "--version", "--telemetry-preview"];
        assert!(Arguments::try_parse_from(line).is_err());
    }
}
