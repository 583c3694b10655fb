//! The lines of a file of any size, each of a bounded length.

use std::io::{self, BufRead, Read};

/// Longest line in bytes: a body of the longest kind with its headers.
pub(super) const LONGEST_LINE: usize = 64 * 1024;

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A line, which may be the last one without a newline.
    Line,
    /// A line that is longer than [`LONGEST_LINE`]; the rest of it was passed over.
    TooLong,
    End,
}

/// Reads the next line into `line`, without its newline. Adds to `bytes` what was read.
pub(super) fn next(reader: &mut impl BufRead, line: &mut Vec<u8>, bytes: &mut u64) -> io::Result<Next> {
    line.clear();
    let most = LONGEST_LINE as u64 + 1;
    let count = reader.by_ref().take(most).read_until(b'\n', line)?;
    *bytes += count as u64;
    if line.pop_if(|last| *last == b'\n').is_some() {
        return Ok(Next::Line);
    }
    match count {
        0 => Ok(Next::End),
        count if count as u64 == most => {
            *bytes += reader.skip_until(b'\n')? as u64;
            Ok(Next::TooLong)
        }
        _ => Ok(Next::Line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_a_newline_or_with_the_file_and_long_ones_are_passed_over() {
        let longest = "x".repeat(LONGEST_LINE);
        let text = format!("a\n\n{longest}\n{longest}y\n{longest}{longest}\nlast");
        let (mut reader, mut line, mut bytes) = (text.as_bytes(), Vec::new(), 0);
        let mut lengths = Vec::new();
        loop {
            match next(&mut reader, &mut line, &mut bytes).unwrap() {
                Next::End => break,
                taken => lengths.push((taken, line.len().min(LONGEST_LINE))),
            }
        }
        let kept: Vec<_> =
            lengths.iter().filter(|(taken, _)| *taken == Next::Line).map(|(_, n)| *n).collect();
        assert_eq!((kept, lengths.len()), (vec![1, 0, LONGEST_LINE, 4], 6));
        assert_eq!(bytes, text.len() as u64);
    }
}
