//! What the templates print.

use std::collections::HashSet;
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

/// The templates, each with its name.
fn templates() -> Vec<(String, String)> {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/receiver/pages");
    let files = fs::read_dir(pages).unwrap().map(|file| file.unwrap().path());
    let templates: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|is| is == "html"))
        .map(|file| (file.display().to_string(), fs::read_to_string(&file).unwrap()))
        .collect();
    assert!(templates.len() > 20);
    templates
}

#[test]
fn texts_from_outside_are_printed_with_what_cannot_be_seen() {
    for (name, template) in templates() {
        assert_eq!(faults(&template), [""; 0], "{name}");
    }
}

/// `pages.js` loads the address of the first part, once for all of them.
#[test]
fn all_parts_of_a_page_that_are_loaded_anew_have_one_address_and_an_id() {
    let mut loaded = 0;
    for (name, template) in templates() {
        let parts: Vec<_> = template.split('<').filter(|tag| tag.contains(" data-from=\"")).collect();
        let addresses: HashSet<_> =
            parts.iter().map(|tag| tag.split("data-from=\"").nth(1)?.split('"').next()).collect();
        assert!(addresses.len() <= 1, "{name}: {addresses:?}");
        assert!(parts.iter().all(|tag| tag.contains(" id=\"")), "{name}: {parts:?}");
        loaded += parts.len();
    }
    assert_eq!(loaded, 4);
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
