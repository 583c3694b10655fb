//! One recipe of the documentation: its blocks, by the name that follows the language.

use std::process::Command;

use deployment_telemetry::Config;
use serde_json::{Map, Value};

const DESTINATIONS: &str = include_str!("../../docs/destinations.md");
const PREFIX: &str = "SIRVEO_TELEMETRY_";

#[derive(Clone)]
pub(crate) struct Recipe {
    title: &'static str,
    text: String,
}

impl Recipe {
    /// What stands under the heading `title`.
    pub(crate) fn of(title: &'static str) -> Self {
        let (_, rest) = DESTINATIONS
            .split_once(&format!("\n## {title}\n"))
            .unwrap_or_else(|| panic!("no heading {title:?} in the documentation"));
        let text = rest.split("\n## ").next().unwrap_or(rest).to_owned();
        Self { title, text }
    }

    /// The same with another port, folder or secret.
    pub(crate) fn with(mut self, documented: &str, here: &str) -> Self {
        assert!(self.text.contains(documented), "no {documented:?} in the recipe {:?}", self.title);
        self.text = self.text.replace(documented, here);
        self
    }

    /// The port in the URL of its settings.
    pub(crate) fn port(&self) -> String {
        let (_, rest) = self.text.split_once("URL=http://127.0.0.1:").expect("a URL on this machine");
        rest.chars().take_while(char::is_ascii_digit).collect()
    }

    /// Every block as its name and what is in it.
    pub(crate) fn blocks(&self) -> Vec<(&str, &str)> {
        let fenced = self.text.split("```").skip(1).step_by(2);
        fenced
            .filter_map(|block| {
                let (info, content) = block.split_once('\n')?;
                let (_language, name) = info.split_once(' ')?;
                Some((name, content))
            })
            .collect()
    }

    pub(crate) fn block(&self, name: &str) -> &str {
        let found = self.blocks().into_iter().find(|(candidate, _)| *candidate == name);
        found.unwrap_or_else(|| panic!("no block {name:?} in the recipe {:?}", self.title)).1
    }

    /// Its line in the table at the top.
    pub(crate) fn row(&self) -> &'static str {
        let start = format!("| [{}](#", self.title);
        DESTINATIONS.lines().find(|line| line.starts_with(&start)).expect("every recipe is in the table")
    }

    /// The rows of the tables in it whose cells are all code.
    pub(crate) fn table(&self) -> Vec<(&str, &str)> {
        let rows = self.text.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix("` |"));
        rows.filter_map(|row| row.split_once("` | `")).collect()
    }

    pub(crate) fn settings(&self) -> Config {
        self.settings_named("settings")
    }

    /// The variables in that block as a shell reads them, as the product does.
    pub(crate) fn settings_named(&self, name: &str) -> Config {
        let script = format!("{}env", self.block(name));
        let output = Command::new("/bin/sh").args(["-aec", &script]).env_clear().output().expect("a shell");
        assert!(output.status.success(), "{output:?}");
        let variables = String::from_utf8(output.stdout).expect("settings are text");
        let fields: Map<String, Value> = variables
            .lines()
            .filter_map(|line| line.strip_prefix(PREFIX)?.split_once('='))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.into()))
            .collect();
        serde_json::from_value(fields.into()).expect("the variables are those of the product")
    }
}
