//! Settings from environment variables. All problems are reported together, each by the name of its variable.

use std::fmt::Display;
use std::net::SocketAddr;

use deployment_telemetry::{ConfigErrors, Setting};
use tracing::level_filters::LevelFilter;

use crate::Failure;

/// The environment of the process, and the problems found in it so far.
#[derive(Default)]
pub struct Environment {
    problems: Vec<String>,
}

impl Environment {
    /// Text of a variable; `None` where it is unset, empty or blank.
    pub fn text(&mut self, name: &str) -> Option<String> {
        match std::env::var_os(name)?.into_string() {
            Ok(text) => Some(text).filter(|text| !text.trim().is_empty()),
            Err(_) => {
                self.add_problem(name, "text in UTF-8", "bytes that are not UTF-8");
                None
            }
        }
    }

    /// Value of a variable, as `parse` reads it. The message of a problem repeats the text, so `name` must not be that
    /// of a secret.
    pub fn parsed<T>(&mut self, name: &str, accepts: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text(name)?;
        let value = parse(text.trim());
        if value.is_none() {
            self.add_problem(name, accepts, format!("{text:?}"));
        }
        value
    }

    /// Address to listen on; 127.0.0.1:8080 where the variable is unset.
    pub fn listen_address(&mut self, name: &str) -> SocketAddr {
        self.parsed(name, "an address and a port, such as 127.0.0.1:8080", parse_address)
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080)))
    }

    /// Level of the log.
    pub fn log_level(&mut self, name: &str) -> Option<LevelFilter> {
        self.parsed(name, "TRACE, DEBUG, INFO, WARN, ERROR or OFF", parse_level)
    }

    /// Adds what the library reports of its own settings. `variable` has the name of the variable that a setting was
    /// read from; `None` keeps the library's name.
    pub fn add_problems(
        &mut self,
        errors: &ConfigErrors,
        variable: impl Fn(Setting) -> Option<&'static str>,
    ) {
        self.problems.extend(errors.problems().iter().map(|problem| match variable(problem.setting()) {
            Some(name) => problem.renamed(name).to_string(),
            None => problem.to_string(),
        }));
    }

    /// Adds a problem. `given` must not show a secret.
    pub fn add_problem(&mut self, name: &str, accepts: impl Display, given: impl Display) {
        self.problems.push(format!("{name} accepts {accepts}; given: {given}"));
    }

    /// `settings`, if there is no problem.
    ///
    /// # Errors
    /// One message with all problems.
    pub fn checked<T>(self, settings: T) -> Result<T, Failure> {
        match self.problems.is_empty() {
            true => Ok(settings),
            false => Err(Failure::Usage(format!(
                "these settings cannot be used:\n  {}",
                self.problems.join("\n  ")
            ))),
        }
    }
}

fn parse_address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?))),
        None => text.parse().ok(),
    }
}

fn parse_level(text: &str) -> Option<LevelFilter> {
    // The parser of `LevelFilter` accepts numbers too.
    text.chars().all(char::is_alphabetic).then(|| text.parse().ok()).flatten()
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
    fn addresses_are_numbers_or_localhost() {
        for (text, address) in
            [("0.0.0.0:80", "0.0.0.0:80"), ("localhost:8080", "127.0.0.1:8080"), ("[::1]:8080", "[::1]:8080")]
        {
            assert_eq!(parse_address(text), Some(address.parse().unwrap()), "{text}");
        }
        for text in ["8080", ":8080", "localhost", "localhost:", "example.org:80", "127.0.0.1:65536"] {
            assert_eq!(parse_address(text), None, "{text}");
        }
    }
}
