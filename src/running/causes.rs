//! An error and its sources as one line of text.

use std::error::Error;

/// The text of `error`, followed by that of each source that it does not repeat.
pub(crate) fn in_one_line(error: &dyn Error) -> String {
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
    struct Told(&'static str, #[source] Option<Box<Told>>);

    #[test]
    fn sources_follow_in_order_and_nothing_is_said_twice() {
        let error = Told("no store", Some(Box::new(Told("db down", Some(Box::new(Told("down", None)))))));
        assert_eq!(in_one_line(&error), "no store: db down");
        assert_eq!(in_one_line(&Told("alone", None)), "alone");
    }
}
