//! How a program ends when something is wrong.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use deployment_telemetry::StartError;
pub use deployment_telemetry::in_one_line;
use deployment_telemetry::receiver::{KeyError, OperatorError, ReceiverStartError};

/// Why a program did not run to its regular end.
#[derive(Debug)]
pub enum Failure {
    /// The command line or the settings cannot be used; the operator can correct them. Exit code 2.
    Usage(String),
    /// The system refuses something, such as an address that is in use. Exit code 1.
    System(String),
}

impl Failure {
    /// Turns an I/O error into a [`Failure::System`] that begins with `what`.
    pub fn system<E: Display>(what: impl Display) -> impl FnOnce(E) -> Self {
        move |error| Self::System(format!("{what}: {error}"))
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Config(_) => Self::Usage(in_one_line(&error)),
            _ => Self::System(in_one_line(&error)),
        }
    }
}

impl From<ReceiverStartError> for Failure {
    fn from(error: ReceiverStartError) -> Self {
        Self::System(in_one_line(&error))
    }
}

impl From<OperatorError> for Failure {
    fn from(error: OperatorError) -> Self {
        match error {
            OperatorError::Unusable(..) | OperatorError::Filter(_) => Self::Usage(in_one_line(&error)),
            _ => Self::System(in_one_line(&error)),
        }
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Unusable(..) => Self::Usage(in_one_line(&error)),
            _ => Self::System(in_one_line(&error)),
        }
    }
}

/// Exit code of a program that ended with `result`. Writes a failure to stderr, after the program's name.
pub fn exit_code(program: &str, result: Result<(), Failure>) -> ExitCode {
    let (message, code) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => (message, 2),
        Err(Failure::System(message)) => (message, 1),
    };
    eprintln!("{program}: {message}");
    ExitCode::from(code)
}

/// Writes to stdout. A reader that has seen enough and is gone, such as `head`, is no failure.
pub fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}
