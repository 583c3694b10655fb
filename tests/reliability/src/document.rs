//! Where the tables go.

use std::fs;
use std::io;
use std::path::Path;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reliability.md");
const BEGIN: &str = "<!-- tables: begin -->";
const END: &str = "<!-- tables: end -->";

/// A file of their own.
pub(crate) fn create(file: &Path, text: &str) -> io::Result<()> {
    fs::write(file, text)
}

/// Between the markers of the document, whose other text stays.
pub(crate) fn replace(text: &str) -> io::Result<()> {
    let document = fs::read_to_string(DOCUMENT)?;
    let missing = || io::Error::other(format!("{DOCUMENT} has no {BEGIN} and {END}"));
    let (before, rest) = document.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    fs::write(DOCUMENT, format!("{before}{BEGIN}\n{text}\n{END}{after}"))
}
