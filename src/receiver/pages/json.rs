//! JSON as people read it.

use super::words::is_unseen;

/// Deepest level that is indented further than the one before, so that a small text does not become a large one.
const DEEPEST: usize = 16;

/// The same with an escape of JSON for each character that cannot be seen, or that turns the direction of a text, but for
/// the ends of lines. `json` is valid JSON.
pub(super) fn visible(json: &str) -> String {
    let mut visible = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '\n' | '\r' | '\t' => visible.push(character),
            _ if is_unseen(character) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    visible.push_str(&format!("\\u{unit:04x}"));
                }
            }
            _ => visible.push(character),
        }
    }
    visible
}

/// The same with a line for each field, and every character of its values as it came. `json` is valid JSON.
pub(super) fn indented(json: &str) -> String {
    let mut indented = String::with_capacity(json.len() * 2);
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    let mut characters = json.chars().peekable();
    while let Some(character) = characters.next() {
        if is_text {
            indented.push(character);
            is_text = is_escaped || character != '"';
            is_escaped = !is_escaped && character == '\\';
            continue;
        }
        match character {
            '"' => {
                is_text = true;
                indented.push('"');
            }
            '{' | '[' => {
                indented.push(character);
                while characters.next_if(char::is_ascii_whitespace).is_some() {}
                match characters.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => indented.push(end),
                    None => {
                        depth += 1;
                        new_line(&mut indented, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut indented, depth);
                indented.push(character);
            }
            ',' => {
                indented.push(',');
                new_line(&mut indented, depth);
            }
            ':' => indented.push_str(": "),
            _ if character.is_ascii_whitespace() => {}
            _ => indented.push(character),
        }
    }
    indented
}

fn new_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.push_str(&"  ".repeat(depth.min(DEEPEST)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn fields_stand_in_lines_and_values_are_as_they_came() {
        let came = "{\"z\":1.0,\n \"a\" : [ ] ,\"b\":{},\"c\":[1,{\"d\":\"\\\"{,}\\\\\"}],\"e\":12345678901234567890.10}";
        let lines = [
            "{",
            "  \"z\": 1.0,",
            "  \"a\": [],",
            "  \"b\": {},",
            "  \"c\": [",
            "    1,",
            "    {",
            "      \"d\": \"\\\"{,}\\\\\"",
            "    }",
            "  ],",
            "  \"e\": 12345678901234567890.10",
            "}",
        ];
        assert_eq!(indented(came), lines.join("\n"));
        assert_eq!((indented("7"), indented("\"a b\"")), ("7".to_owned(), "\"a b\"".to_owned()));
    }

    #[test]
    fn what_cannot_be_seen_is_escaped() {
        let came = "{\"a\":\n\t\"\u{202e}b\u{200b}č\u{e0041}\"}";
        let seen = "{\"a\":\n\t\"\\u202eb\\u200bč\\udb40\\udc41\"}";
        assert_eq!(visible(came), seen);
        let values = [came, seen].map(|json| serde_json::from_str::<Value>(json).unwrap());
        assert_eq!(values[0], values[1]);
    }

    #[test]
    fn a_small_text_does_not_become_a_large_one() {
        let deep = format!("{}{}", "[".repeat(8_000), "]".repeat(8_000));
        assert!(indented(&deep).len() < 20 * deep.len() * 2);
        let wide = format!("{}0{}{}", "[".repeat(120), ",0".repeat(8_000), "]".repeat(120));
        assert!(indented(&wide).len() < 20 * wide.len());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_text_means_the_same(value in any_json()) {
            for came in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                prop_assert_eq!(indented(&came), serde_json::to_string_pretty(&value).unwrap());
            }
        }
    }
}
