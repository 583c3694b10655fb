//! Which actor takes which messages, read from the library's sources, so that none can be forgotten.

use std::fs;
use std::path::{Path, PathBuf};

use crate::trial::{Outcome, ensure};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../src");

/// An actor by its module, and a message that it handles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) module: String,
    pub(crate) message: String,
}

impl Pair {
    /// All there are, outside of tests.
    pub(crate) fn all() -> Outcome<Vec<Self>> {
        pairs(Path::new(SOURCES))
    }

    /// As it is told in a table.
    pub(crate) fn name(&self) -> String {
        let module = self.module.trim_start_matches("deployment_telemetry::");
        format!("{module} {}", self.message)
    }
}

/// What handles what, outside of tests.
fn pairs(sources: &Path) -> Outcome<Vec<Pair>> {
    let read = |file: &Path| fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()));
    let root = read(&sources.join("lib.rs"))?;
    let mut pairs = Vec::new();
    for file in rust_files(sources)? {
        let place = file.strip_prefix(sources).unwrap_or(&file).with_extension("");
        let path: Vec<&str> =
            place.iter().filter_map(|part| part.to_str()).filter(|part| *part != "mod").collect();
        if root.contains(&format!("#[cfg(test)]\nmod {};", path.join("::"))) {
            continue;
        }
        let text = read(&file)?;
        for line in text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().lines() {
            let Some((_, rest)) = line.split_once("Handler<").filter(|(start, _)| start.starts_with("impl"))
            else {
                continue;
            };
            let message = rest.split('>').next().unwrap_or_default().to_owned();
            pairs.push(Pair { module: format!("deployment_telemetry::{}", path.join("::")), message });
        }
    }
    ensure(!pairs.is_empty(), || "no actors in the sources".into())?;
    Ok(pairs)
}

fn rust_files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
