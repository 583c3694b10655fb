//! The parameters of a query, read strictly: a filter that is misspelt must not show the whole fleet.

use actix_web::HttpRequest;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use uuid::Uuid;

use super::problem::{Cause, Problem};

/// Number of rows on a page of a list, unless a request asks for another.
pub(crate) const LIMIT: i64 = 50;

/// Highest number of rows that a request may ask for.
pub(crate) const HIGHEST_LIMIT: i64 = 200;

/// Longest text, in characters.
const LONGEST_TEXT: usize = 256;

/// The parameters of a query, or the fields of a form, that nobody took yet.
pub(crate) struct Parameters {
    given: Vec<(String, String)>,
    /// Why a request is refused of which one cannot be used.
    cause: Cause,
}

impl Parameters {
    /// Reads a query.
    pub(crate) fn parse(query: &str) -> Result<Self, Problem> {
        Self::read(query, Cause::Parameter)
    }

    /// Reads the body of a form.
    pub(crate) fn of_form(body: &str) -> Result<Self, Problem> {
        Self::read(body, Cause::Field)
    }

    fn read(text: &str, cause: Cause) -> Result<Self, Problem> {
        let mut read = Self { given: Vec::new(), cause };
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(|| read.unknown("?"))?;
            let value = decode(value)
                .ok_or_else(|| read.unusable(&name, "text in UTF-8, percent-encoded, without U+0000"))?;
            read.given.push((name, value));
        }
        Ok(read)
    }

    fn unusable(&self, name: &str, accepts: &str) -> Problem {
        Problem::unusable(self.cause, name, accepts)
    }

    fn unknown(&self, name: &str) -> Problem {
        let name: String = name.chars().take(50).collect();
        let detail = match self.cause {
            Cause::Field => "there is no such field here",
            _ => "there is no such parameter here",
        };
        Problem::new(self.cause, detail).field(name)
    }

    /// Drops parameters without a value, which forms send of fields that were left empty.
    pub(crate) fn without_empty(mut self) -> Self {
        self.given.retain(|(_, value)| !value.is_empty());
        self
    }

    /// Drops a parameter.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.given.retain(|(given, _)| given != name);
        self
    }

    /// Takes a parameter, where it was given.
    pub(crate) fn take<T>(
        &mut self,
        name: &str,
        accepts: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let values = self.remove(name);
        match values.as_slice() {
            [] => Ok(None),
            [value] => read(value).map(Some).ok_or_else(|| self.unusable(name, accepts)),
            _ => Err(self.unusable(name, "one value")),
        }
    }

    /// Takes a parameter that may have several values: it is repeated, or they are separated by commas.
    pub(crate) fn take_each<T: PartialEq>(
        &mut self,
        name: &str,
        accepts: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, Problem> {
        let mut values = Vec::new();
        for text in self.remove(name).iter().flat_map(|value| value.split(',')) {
            let value = read(text).ok_or_else(|| self.unusable(name, accepts))?;
            if !values.contains(&value) {
                values.push(value);
            }
        }
        Ok(values)
    }

    /// Removes a parameter, and returns all that was given for it.
    fn remove(&mut self, name: &str) -> Vec<String> {
        let given = std::mem::take(&mut self.given);
        let (taken, left): (Vec<_>, Vec<_>) = given.into_iter().partition(|(given, _)| given == name);
        self.given = left;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    pub(crate) fn take_text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        self.take(name, "1 to 256 characters", |text| {
            (1..=LONGEST_TEXT).contains(&text.chars().count()).then(|| text.to_owned())
        })
    }

    pub(crate) fn take_flag(&mut self, name: &str) -> Result<bool, Problem> {
        let read = |text: &str| text.parse().ok();
        Ok(self.take(name, "true or false", read)?.unwrap_or(false))
    }

    /// Takes a box of a form, which sends nothing where it is not ticked.
    pub(crate) fn take_box(&mut self, name: &str) -> Result<bool, Problem> {
        Ok(self.take(name, "on", |text| (text == "on").then_some(()))?.is_some())
    }

    pub(crate) fn take_limit(&mut self) -> Result<i64, Problem> {
        self.take_limit_or(LIMIT)
    }

    /// Takes the length of a page, which is `usual` where none is given.
    pub(crate) fn take_limit_or(&mut self, usual: i64) -> Result<i64, Problem> {
        let read = |text: &str| whole_number(text).filter(|limit| (1..=HIGHEST_LIMIT).contains(limit));
        Ok(self.take("limit", "a whole number from 1 to 200", read)?.unwrap_or(usual))
    }

    /// Refuses parameters that nobody took.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        match self.given.first() {
            None => Ok(()),
            Some((name, _)) => Err(self.unknown(name)),
        }
    }
}

fn decode(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8().ok()?;
    (!decoded.contains('\0')).then(|| decoded.into_owned())
}

/// Digits only: no sign, no blank.
fn whole_number(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

pub(crate) const MOMENT: &str =
    "a moment before 9999-12-30 as RFC 3339 writes it (+ as %2B), such as 2027-01-31T00:00:00Z";

/// Within the years that stores can keep.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    // Other ways of writing that the parser knows: weeks, annotations, years of six digits.
    let is_rfc3339 = text.as_bytes().get(10).is_some_and(|byte| matches!(byte, b'T' | b't' | b' '))
        && text.as_bytes()[..10].iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
        && text.is_ascii()
        && !text.ends_with(']');
    is_rfc3339.then(|| text.parse().ok())?
}

/// The part of the path with this name, which is an id. A text that is no id names nothing.
pub(crate) fn path_id(request: &HttpRequest, name: &str) -> Result<Uuid, Problem> {
    let text = request.match_info().get(name).unwrap_or_default();
    Uuid::try_parse(text).map_err(|_| Problem::not_found("an id is a UUID"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(query: &str, names: &[&str]) -> Option<String> {
        let read = || {
            let mut parameters = Parameters::parse(query)?;
            for name in names {
                parameters.take_text(name)?;
            }
            parameters.take_limit()?;
            parameters.finish()
        };
        read().err().map(|problem| serde_json::to_string(&format!("{problem}")).unwrap())
    }

    #[test]
    fn a_query_is_read() {
        let mut given = Parameters::parse("search=a%26b+c&&limit=7").unwrap();
        assert_eq!(given.take_text("search").unwrap().as_deref(), Some("a&b c"));
        assert_eq!(given.take_limit().unwrap(), 7);
        assert_eq!(given.take_text("state").unwrap(), None);
        assert_eq!(given.take_limit().unwrap(), LIMIT);
        given.finish().unwrap();
    }

    #[test]
    fn what_is_wrong_in_a_query_is_refused() {
        for query in [
            "stat=up",
            "search=",
            "search",
            "search=a&search=a",
            "search=%ff",
            "search=%00",
            "%ff=a",
            "limit=0",
            "limit=201",
            "limit=+1",
            "limit=1.0",
            "limit=",
            "limit=99999999999999999999",
            &format!("search={}", "x".repeat(257)),
        ] {
            assert!(refused(query, &["search"]).is_some(), "{query}");
        }
        for query in ["", "&", "search=x", "limit=200", &format!("search={}", "ä".repeat(256))] {
            assert_eq!(refused(query, &["search"]), None, "{query}");
        }
    }

    #[test]
    fn several_values_are_separated_by_commas_or_repeated() {
        let each = |query: &str| {
            let mut given = Parameters::parse(query).unwrap();
            let read = |text: &str| (text != "bad" && !text.is_empty()).then(|| text.to_owned());
            let values = given.take_each("state", "anything but bad", read).ok()?;
            given.finish().ok()?;
            Some(values)
        };
        let two = Some(vec!["up".to_owned(), "down".to_owned()]);
        for query in ["state=up,down", "state=up%2Cdown", "state=up&state=down", "state=up&state=down,up"] {
            assert_eq!(each(query), two, "{query}");
        }
        assert_eq!(each(""), Some(Vec::new()));
        for query in
            ["state=bad", "state=up,bad", "state=up&state=bad", "state=", "state=up,", "state=up&x=1"]
        {
            assert_eq!(each(query), None, "{query}");
        }
    }

    #[test]
    fn a_field_of_a_form_is_no_parameter_of_an_address() {
        for (read, cause, unknown) in [
            (Parameters::parse as fn(&str) -> _, Cause::Parameter, "there is no such parameter here"),
            (Parameters::of_form, Cause::Field, "there is no such field here"),
        ] {
            let mut given = read("limit=many&more=1").unwrap();
            let unusable = given.take_limit().unwrap_err();
            assert_eq!((unusable.cause, unusable.blamed()), (cause, Some("limit")));
            let more = given.finish().unwrap_err();
            assert_eq!((more.cause, more.to_string().as_str()), (cause, unknown));
        }
    }

    #[test]
    fn a_form_sends_empty_fields() {
        let mut given = Parameters::parse("search=&limit=").unwrap().without_empty();
        assert_eq!(given.take_text("search").unwrap(), None);
        given.finish().unwrap();
    }

    #[test]
    fn a_moment_is_as_rfc_3339_writes_it() {
        for text in [
            "2027-01-31T00:00:00Z",
            "2027-01-31t00:00:00.123456789z",
            "2027-01-31T00:00:00+02:00",
            "0001-01-01T00:00:00Z",
        ] {
            assert!(moment(text).is_some(), "{text}");
        }
        for text in [
            "",
            "2027-01-31",
            "2027-01-31T00:00:00",
            "20270131T000000Z",
            "-000001-01-31T00:00:00Z",
            "1",
            "2027-01-31T00:00:00Z[UTC]",
            "2027-13-31T00:00:00Z",
            "äääääääääää",
        ] {
            assert!(moment(text).is_none(), "{text}");
        }
    }
}
