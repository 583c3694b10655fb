//! The browser: Chromium, driven by the scripts in `browser/`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use test_support::{children, programs};

use crate::Outcome;

/// The oldest version of Node.js that can drive the browser.
const NODE: u32 = 20;

/// What the scripts found.
#[derive(Default)]
pub struct Found {
    /// Number of checks.
    pub checks: u64,
    /// What is wrong with the pages.
    pub faults: Vec<String>,
    /// Figures that were measured, by their names.
    pub figures: Vec<(String, f64)>,
}

/// Runs a script with a job, and tells what it prints on the way.
///
/// # Errors
/// The script fails, which is not a fault of the pages.
pub fn run(script: &str, mut job: Value) -> Outcome<Found> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    programs::fonts();
    job["chromium"] = json!(programs::debian("chromium", "chromium"));
    job["modules"] = json!(programs::npm_locked(home).join("node_modules"));
    job["fonts"] = json!(home.join("fonts.conf"));
    let mut command = Command::new(programs::node_since(NODE));
    command.arg(script_file(home, script)).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = children::spawn(&mut command).map_err(|error| format!("{command:?}: {error}"))?;
    let mut input = child.stdin.take().ok_or("the script has no input")?;
    input.write_all(job.to_string().as_bytes()).map_err(|error| error.to_string())?;
    drop(input);
    let mut found = Found::default();
    let lines = BufReader::new(child.stdout.take().ok_or("the script has no output")?).lines();
    for line in lines {
        found.take(&line.map_err(|error| error.to_string())?);
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!("{script} ended with {status}; {} faults before", found.faults.len()));
    }
    Ok(found)
}

fn script_file(home: &Path, script: &str) -> PathBuf {
    home.join("browser").join(script).with_extension("mjs")
}

impl Found {
    fn take(&mut self, line: &str) {
        let Ok(told) = serde_json::from_str::<Value>(line) else {
            eprintln!("{line}");
            return;
        };
        if let Some(fault) = told["fault"].as_str() {
            eprintln!("FAULT {fault}");
            self.faults.push(fault.to_owned());
        }
        if let Some(text) = told["told"].as_str() {
            eprintln!("  {text}");
        }
        if let (Some(name), Some(value)) = (told["figure"].as_str(), told["value"].as_f64()) {
            self.figures.push((name.to_owned(), value));
        }
        self.checks += told["checks"].as_u64().unwrap_or_default();
    }
}
