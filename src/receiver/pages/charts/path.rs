//! Paths of straight lines.

use std::fmt::{self, Write as _};
use std::ops::Range;

use askama::filters::HtmlSafe;

/// A path through whole numbers. Points that lie on one line are written as one line, each relative to the one before.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Path(String);

impl Path {
    pub(super) fn draw(&mut self, points: impl IntoIterator<Item = (i64, i64)>) {
        let mut points = points.into_iter();
        let Some(first) = points.next() else { return };
        // Writing to a text cannot fail.
        let _ = write!(self.0, "M{} {}", first.0, first.1);
        let (mut at, mut line) = (first, (0, 0));
        for point in points {
            let next = (point.0 - at.0, point.1 - at.1);
            at = point;
            if is_one_line(line, next) {
                line = (line.0 + next.0, line.1 + next.1);
            } else {
                self.write(line);
                line = next;
            }
        }
        self.write(line);
    }

    pub(super) fn close(&mut self) {
        self.0.push('z');
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn write(&mut self, (x, y): (i64, i64)) {
        let _ = match (x, y) {
            (0, 0) => Ok(()),
            (x, 0) => write!(self.0, "h{x}"),
            (0, y) => write!(self.0, "v{y}"),
            (x, y) => write!(self.0, "l{x} {y}"),
        };
    }
}

/// Whether two lines go on in the same direction.
fn is_one_line(one: (i64, i64), next: (i64, i64)) -> bool {
    one.0 * next.1 == one.1 * next.0 && one.0 * next.0 + one.1 * next.1 >= 0
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Path {}

/// The stretches of a list in which something holds.
pub(super) fn stretches<T>(list: &[T], holds: impl Fn(&T) -> bool) -> Vec<Range<usize>> {
    let mut from = 0;
    let mut found = Vec::new();
    for same in list.chunk_by(|one, next| holds(one) == holds(next)) {
        if holds(&same[0]) {
            found.push(from..from + same.len());
        }
        from += same.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(points: &[(i64, i64)]) -> String {
        let mut path = Path::default();
        path.draw(points.iter().copied());
        path.to_string()
    }

    #[test]
    fn points_on_one_line_are_one_line() {
        assert_eq!(path(&[(0, 5), (2, 5), (4, 5), (6, 4), (8, 3), (8, 9)]), "M0 5h4l4 -2v6");
        // Back on the way it came is another line.
        assert_eq!(path(&[(0, 0), (4, 0), (2, 0)]), "M0 0h4h-2");
        assert_eq!(path(&[(3, 3), (3, 3)]), "M3 3");
        assert_eq!(path(&[]), "");
    }

    #[test]
    fn stretches_are_what_lies_between_gaps() {
        let known = [None, Some(1), Some(2), None, None, Some(3)];
        assert_eq!(stretches(&known, Option::is_some), [1..3, 5..6]);
        assert!(stretches(&[None::<i64>; 3], Option::is_some).is_empty());
        let all = stretches(&[Some(1); 3], Option::is_some);
        assert_eq!((all.len(), all[0].clone()), (1, 0..3));
    }
}
