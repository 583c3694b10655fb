//! Text as people and editors leave it.

/// Text without the blanks, newlines and byte order marks around it.
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_matches(|character: char| character.is_whitespace() || character == '\u{feff}')
}
