//! Which actor takes which messages, read from the library's sources, so that none can be forgotten.

use std::path::{Path, PathBuf};
use std::{fmt, fs};

use crate::trial::{Outcome, ensure};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../src");

/// One of the two halves of the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Sender,
    Receiver,
}

impl fmt::Display for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Half::Sender => "sender",
            Half::Receiver => "receiver",
        })
    }
}

/// An actor by its module, and a message that it handles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    /// The module's path, which is the target of its log lines.
    pub(crate) module: String,
    pub(crate) message: String,
}

impl Pair {
    /// All pairs of one half outside of tests. Fails where a pair of the sources is in neither half.
    pub(crate) fn all(half: Half) -> Outcome<Vec<Self>> {
        let mut pairs = Vec::new();
        visit(Path::new(SOURCES).join("lib.rs"), Path::new(SOURCES), "deployment_telemetry", &mut pairs)?;
        let of = |half: Half| {
            let prefix = format!("deployment_telemetry::{half}::");
            move |pair: &Pair| pair.module.starts_with(&prefix)
        };
        let strays: Vec<_> = pairs
            .iter()
            .filter(|pair| !of(Half::Sender)(pair) && !of(Half::Receiver)(pair))
            .map(Pair::name)
            .collect();
        ensure(strays.is_empty(), || format!("actors of neither half: {}", strays.join(", ")))?;
        pairs.retain(of(half));
        ensure(!pairs.is_empty(), || format!("no actors of the {half} in the sources"))?;
        Ok(pairs)
    }

    /// Name of the pair in a table.
    pub(crate) fn name(&self) -> String {
        let module = self.module.trim_start_matches("deployment_telemetry::");
        format!("{module} {}", self.message)
    }
}

/// Adds the pairs of a module and of those below it, which are in `folder`. Modules for tests alone are left out.
fn visit(file: PathBuf, folder: &Path, module: &str, pairs: &mut Vec<Pair>) -> Outcome<()> {
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut is_test = false;
    for line in text.lines() {
        if line.starts_with("#[") {
            is_test |= line.starts_with("#[cfg(test") || line.starts_with("#[cfg(all(test");
            continue;
        }
        if let Some(name) = module_name(line) {
            match line.ends_with(';') {
                true if is_test => {}
                true => {
                    let (leaf, below) = (folder.join(format!("{name}.rs")), folder.join(name));
                    let file = if leaf.exists() { leaf } else { below.join("mod.rs") };
                    visit(file, &below, &format!("{module}::{name}"), pairs)?;
                }
                // The tests of a file are its end.
                false if is_test => break,
                false => {}
            }
        } else if line.trim_start().starts_with("impl")
            && let Some((_, rest)) = line.split_once("Handler<")
        {
            let message = rest.split('>').next().unwrap_or_default().to_owned();
            pairs.push(Pair { module: module.to_owned(), message });
        }
        is_test = false;
    }
    Ok(())
}

/// The name of the module that `line` declares, at the beginning of a line.
fn module_name(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("mod ")?;
    let is_declaration = matches!(before, "" | "pub " | "pub(crate) " | "pub(super) ");
    is_declaration.then(|| rest.trim_end_matches([';', '{', ' ']))
}
