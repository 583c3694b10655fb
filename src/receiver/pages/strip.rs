//! The picture of a strip: the state of a server on each day. Calm lies flat, trouble stands up.

use std::fmt::{self, Write as _};

use askama::filters::HtmlSafe;

use super::words::count;
use crate::receiver::store::State;

/// A strip as a picture, with a name that says the same in words.
pub(super) struct StripPicture<'a>(pub(super) &'a [Option<State>]);

impl HtmlSafe for StripPicture<'_> {}

impl fmt::Display for StripPicture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, words) = (self.0.len(), in_words(self.0));
        write!(
            f,
            "<svg class=\"strip\" viewBox=\"0 0 {days} 10\" preserveAspectRatio=\"none\" role=\"img\" "
        )?;
        write!(f, "aria-label=\"{words}\">{}</svg>", paths(self.0))
    }
}

/// One path for each state, and in it one line for all days in a row that are the same.
fn paths(days: &[Option<State>]) -> String {
    let mut paths = String::new();
    for (state, class) in [(State::Up, "u"), (State::Late, "l"), (State::Down, "d"), (State::Ended, "e")] {
        let shapes = shapes(days, state);
        if !shapes.is_empty() {
            paths += &format!("<path class=\"{class}\" d=\"{shapes}\"/>");
        }
    }
    paths
}

/// The days of a state, as lines.
fn shapes(days: &[Option<State>], state: State) -> String {
    let (mut shapes, mut from) = (String::new(), 0);
    for same in days.chunk_by(|one, next| one == next) {
        let width = same.len() as f64 - 0.2;
        if same[0] == Some(state) {
            // The middle of a line as thick as the style sheet has it. Writing to a text cannot fail.
            let middle = match state {
                State::Down => "5",
                State::Late => "7.5",
                State::Up | State::Ended => "9",
            };
            let _ = write!(shapes, "M{from} {middle}h{width}");
        }
        from += same.len();
    }
    shapes
}

fn in_words(days: &[Option<State>]) -> String {
    let of = |state: Option<State>| days.iter().filter(|day| **day == state).count();
    let rest = [
        ("down", of(Some(State::Down))),
        ("late", of(Some(State::Late))),
        ("ended", of(Some(State::Ended))),
        ("not known", of(None)),
    ];
    let mut words: Vec<String> = rest
        .into_iter()
        .filter(|(_, number)| *number > 0)
        .map(|(word, number)| format!("{number} {word}"))
        .collect();
    if words.is_empty() {
        words.push("all up".to_owned());
    }
    format!("Of {}: {}", count(days.len() as i64, "day"), words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_that_are_the_same_are_one_shape() {
        let (up, late, down) = (Some(State::Up), Some(State::Late), Some(State::Down));
        let picture = StripPicture(&[None, None, up, up, late, down, Some(State::Ended), up]).to_string();
        assert_eq!(
            picture,
            "<svg class=\"strip\" viewBox=\"0 0 8 10\" preserveAspectRatio=\"none\" role=\"img\" \
             aria-label=\"Of 8 days: 1 down, 1 late, 1 ended, 2 not known\">\
             <path class=\"u\" d=\"M2 9h1.8M7 9h0.8\"/><path class=\"l\" d=\"M4 7.5h0.8\"/>\
             <path class=\"d\" d=\"M5 5h0.8\"/><path class=\"e\" d=\"M6 9h0.8\"/></svg>"
        );
        assert!(StripPicture(&[up; 30]).to_string().contains("\"Of 30 days: all up\""));
    }
}
