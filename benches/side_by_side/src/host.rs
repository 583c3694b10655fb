//! The hosts that are compared. Each is a package under `hosts/`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// Without telemetry.
    Without,
    /// This crate with its default features: the id is in PostgreSQL.
    With,
    /// This crate without default features: the id is in a file.
    WithFile,
    /// A loop over reqwest, written by hand.
    Loop,
    /// Sentry's client.
    Sentry,
    /// Without telemetry, and with actix-web's default features.
    DefaultWithout,
    /// This crate in a server with actix-web's default features: the id is in PostgreSQL.
    DefaultWith,
}

/// What something is for each host, in the order of [`Host::ALL`].
pub(crate) type Each<T> = [T; Host::ALL.len()];

impl Host {
    pub(crate) const ALL: [Self; 7] = [
        Self::Without,
        Self::With,
        Self::WithFile,
        Self::Loop,
        Self::Sentry,
        Self::DefaultWithout,
        Self::DefaultWith,
    ];

    /// How the table calls it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Without => "without",
            Self::With => "this crate, PostgreSQL",
            Self::WithFile => "this crate, file",
            Self::Loop => "reqwest loop",
            Self::Sentry => "sentry",
            Self::DefaultWithout => "without, default features",
            Self::DefaultWith => "this crate, PostgreSQL, default features",
        }
    }

    /// Its package, which is also the name of its program.
    pub(crate) fn package(self) -> &'static str {
        match self {
            Self::Without => "host-without",
            Self::With => "host-with",
            Self::WithFile => "host-with-file",
            Self::Loop => "host-loop",
            Self::Sentry => "host-sentry",
            Self::DefaultWithout => "host-default-without",
            Self::DefaultWith => "host-default-with",
        }
    }

    /// The same server without telemetry.
    pub(crate) fn without(self) -> Self {
        match self {
            Self::DefaultWithout | Self::DefaultWith => Self::DefaultWithout,
            _ => Self::Without,
        }
    }

    /// Whether it sends anything.
    pub(crate) fn reports(self) -> bool {
        self != self.without()
    }

    /// All, in another order each round, so that none always has the same one before it.
    pub(crate) fn by_turns(round: usize) -> Each<Self> {
        let mut order = Self::ALL;
        order.rotate_left(round / 2 % Self::ALL.len());
        if !round.is_multiple_of(2) {
            order.reverse();
        }
        order
    }

    /// Builds its program. Alone, for packages that are built together share the features of what they depend on.
    pub(crate) fn build(self) {
        eprintln!("building {} of {}: {}", self as usize + 1, Self::ALL.len(), self.package());
        let mut command = cargo("build");
        command.arg("--release").args(["--package", self.package()]);
        command.arg("--target-dir").arg(target_directory());
        let status = command.status().expect("cargo can be run");
        assert!(status.success(), "{} does not build", self.package());
    }

    /// Where its program is.
    pub(crate) fn program(self) -> PathBuf {
        target_directory().join("release").join(self.package())
    }
}

/// A command of cargo's in this workspace.
pub(crate) fn cargo(command: &str) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    cargo.arg(command).arg("--manifest-path").arg(manifest);
    cargo
}

/// The one that this program is in, too.
fn target_directory() -> PathBuf {
    let program = env::current_exe().expect("a program knows its own path");
    let directory = program.ancestors().nth(2).expect("a program is two folders deep");
    directory.to_owned()
}
