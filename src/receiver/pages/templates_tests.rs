//! What the templates print.

use std::fs;
use std::path::Path;

/// What is printed within `<bdi>`, which is for texts from outside: each of these escapes what cannot be seen.
const SHOWN: [&str; 8] = [
    "self::shown(",
    "self::on_releases(",
    "self::name(",
    "self.name(",
    "self.key()",
    "event.server()",
    "meant.name(",
    "part.value",
];

/// Fields that come from outside.
const FROM_OUTSIDE: [&str; 14] = [
    "answer",
    "build_commit",
    "build_mode",
    "build_time",
    "build_version",
    "custom_id",
    "detail",
    "failure",
    "field",
    "key.name",
    "key_name",
    "mute.reason",
    "muted.reason",
    "product",
];

/// What is wrong with a template.
fn faults(template: &str) -> Vec<&str> {
    let printed = template.match_indices("{{").filter_map(|(at, _)| {
        let (what, _) = template[at + 2..].split_once("}}")?;
        Some((&template[..at], what.trim_matches(['-', ' '])))
    });
    let is_wrong = |(before, what): &(&str, &str)| {
        let is_raw = FROM_OUTSIDE.iter().any(|field| what == field || what.ends_with(&format!(".{field}")));
        let is_hidden = before.ends_with("<bdi>") && !SHOWN.iter().any(|shown| what.starts_with(shown));
        is_raw || is_hidden
    };
    printed.filter(is_wrong).map(|(_, what)| what).collect()
}

#[test]
fn texts_from_outside_are_printed_with_what_cannot_be_seen() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/receiver/pages");
    let files = fs::read_dir(pages).unwrap().map(|file| file.unwrap().path());
    let templates: Vec<_> = files.filter(|file| file.extension().is_some_and(|is| is == "html")).collect();
    assert!(templates.len() > 20);
    for file in templates {
        let template = fs::read_to_string(&file).unwrap();
        assert_eq!(faults(&template), [""; 0], "{}", file.display());
    }
}

#[test]
fn a_text_that_is_printed_as_it_is_is_found() {
    for (template, wrong) in [
        ("<bdi>{{ name }}</bdi>", "name"),
        ("<p>{{ row.detail }}</p>", "row.detail"),
        ("<h1><bdi>{{ key.name }}</bdi></h1>", "key.name"),
        ("<bdi>{{self::short(id)}}</bdi>", "self::short(id)"),
    ] {
        assert_eq!(faults(template), [wrong]);
    }
    assert_eq!(faults("<bdi>{{ self::shown(row.detail) }}</bdi>: {{ chip.name }}"), [""; 0]);
}
