//! One line of text for an error and its sources.

use std::error::Error;

/// Text of `error`, followed by the text of each source that the line does not contain yet.
pub fn in_one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Failed(&'static str, #[source] Option<Box<Failed>>);

    #[test]
    fn sources_follow_in_order_without_repetition() {
        let down = Failed("db down", Some(Box::new(Failed("down", None))));
        let error = Failed("no store", Some(Box::new(down)));
        assert_eq!(in_one_line(&error), "no store: db down");
        assert_eq!(in_one_line(&Failed("alone", None)), "alone");
    }
}
