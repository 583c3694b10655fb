//! A destination's URL and its credentials, as types that cannot show their secrets.

use std::fmt;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use url::{Position, Url};

/// A path segment this long is taken for a key, as webhooks have them: 128 bits are 22 characters
/// in base64 and 32 in hex.
const LONGEST_SHOWN_SEGMENT: usize = 20;

/// Length of a URL in bytes beyond which the HTTP client refuses it.
const LONGEST_URL: usize = 65_534;

/// Where requests go: absolute, `http` or `https`, without user part and fragment; or a `file` that they are
/// appended to.
///
/// `Display` and `Debug` show scheme, host, port and path, with `…` for the query and for segments
/// of the path that look like a key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint(Url);

/// The value of an `Authorization` or `Proxy-Authorization` header.
#[derive(Clone, Debug)]
pub(crate) struct Authorization(SecretString);

impl Endpoint {
    /// The endpoint in `text`, and the credentials of its user part. `Err` says what is wrong, in
    /// words without any part of `text` but its scheme.
    pub(crate) fn parse(text: &str) -> Result<(Self, Option<Authorization>), String> {
        let text = text.trim();
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("a URL with a blank or a control character in it".to_owned());
        }
        let Some((scheme, _)) = text.split_once("://") else {
            return Err("a value without http:// or https:// at its start".to_owned());
        };
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return Err("a URL of another scheme than http or https".to_owned());
        }
        let mut url = Url::parse(text).map_err(|error| format!("a malformed URL ({error})"))?;
        // The standard of URLs allows more in a name than any resolver and any header does.
        let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        match url.host() {
            Some(url::Host::Domain(name)) if !name.chars().all(is_of_a_name) => {
                return Err("a URL with a character in its host that no name has".to_owned());
            }
            Some(url::Host::Domain(name)) if name.trim_matches('.').is_empty() => {
                return Err("a URL without a host".to_owned());
            }
            // One dot at the end is the root (RFC 1034 §3.1); anything else between two dots is no name.
            Some(url::Host::Domain(name))
                if name.strip_suffix('.').unwrap_or(name).split('.').any(str::is_empty) =>
            {
                return Err("a URL with two dots in a row, or a dot at the start, in its host".to_owned());
            }
            _ => {}
        }
        if url.port() == Some(0) {
            return Err("a URL with port 0".to_owned());
        }
        if url.as_str().len() > LONGEST_URL {
            return Err(format!("a URL of more than {LONGEST_URL} bytes"));
        }
        let authorization = if url.username().is_empty() && url.password().is_none() {
            None
        } else {
            let decode = |part: &str| percent_encoding::percent_decode_str(part).collect::<Vec<u8>>();
            let user = decode(url.username());
            if user.contains(&b':') {
                return Err("a URL with a colon in its user name".to_owned());
            }
            let password = decode(url.password().unwrap_or_default());
            Some(Authorization::basic(&user, &password))
        };
        // Neither can fail on http and https.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        Ok((Self(url), authorization))
    }

    /// The file in `text`, `file:///path`. `Err` says what is wrong.
    pub(crate) fn parse_file(text: &str) -> Result<Self, String> {
        let url = Url::parse(text.trim()).map_err(|error| format!("a malformed URL ({error})"))?;
        if !text.trim().to_ascii_lowercase().starts_with("file:///")
            || url.query().is_some()
            || url.fragment().is_some()
        {
            return Err("a file without file:/// and an absolute path, or with ? or # in it".to_owned());
        }
        match url.to_file_path() {
            Ok(path) if path.file_name().is_some() && !text.trim().ends_with('/') => Ok(Self(url)),
            _ => Err("a directory, or a path that this system does not have".to_owned()),
        }
    }

    pub(crate) fn is_file(&self) -> bool {
        self.0.scheme() == "file"
    }

    /// Path of the file; `None` for a host.
    pub(crate) fn file_path(&self) -> Option<PathBuf> {
        self.0.to_file_path().ok().filter(|_| self.is_file())
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The host as it is shown and dialled: a name, or an address without brackets. The URL of a file.
    pub(crate) fn host(&self) -> String {
        match self.0.host() {
            Some(url::Host::Domain(name)) => name.to_owned(),
            Some(url::Host::Ipv4(address)) => address.to_string(),
            Some(url::Host::Ipv6(address)) => address.to_string(),
            None => self.to_string(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(80)
    }

    /// The value of the `Host` header.
    pub(crate) fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// Path and query, as the request line has them. Not for anything that people see.
    pub(crate) fn expose_target(&self) -> &str {
        &self.0[Position::BeforePath..Position::AfterQuery]
    }

    #[cfg(test)]
    pub(crate) fn expose(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_file() {
            return f.write_str(self.0.as_str());
        }
        write!(f, "{}://{}", self.0.scheme(), self.authority())?;
        for segment in self.0.path().split('/').skip(1) {
            let shown = if segment.len() >= LONGEST_SHOWN_SEGMENT { "…" } else { segment };
            write!(f, "/{shown}")?;
        }
        if self.0.query().is_some() { f.write_str("?…") } else { Ok(()) }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

impl Authorization {
    /// A bare token becomes `Bearer <token>`; `Scheme credentials`, with one space inside, is sent
    /// as it stands, because a Splunk HEC takes `Splunk <token>` only.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if !text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
            return Err("a value with a character that a header cannot carry");
        }
        match text.split(' ').collect::<Vec<_>>().as_slice() {
            [token] => Ok(Self(SecretString::from(format!("Bearer {token}")))),
            [_scheme, _credentials] if !text.contains("  ") => Ok(Self(SecretString::from(text))),
            _ => Err("a value with more than one space inside"),
        }
    }

    pub(crate) fn basic(user: &[u8], password: &[u8]) -> Self {
        let pair = [user, b":", password].concat();
        Self(SecretString::from(format!("Basic {}", STANDARD.encode(pair))))
    }

    /// The header's value. Not for anything that people see.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The header's value as people may see it: the scheme alone.
    pub(crate) fn redacted(&self) -> String {
        let scheme = self.expose().split(' ').next().unwrap_or_default();
        format!("{scheme} [redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Endpoint::parse(text).unwrap().0.to_string()
    }

    #[test]
    fn what_is_shown_of_a_url_holds_no_secret() {
        assert_eq!(shown("https://user:pw@example.com/a/b?token=x#y"), "https://example.com/a/b?…");
        assert_eq!(shown("http://[::1]:8080"), "http://[::1]:8080/");
        assert_eq!(
            shown("https://example.com/webhooks/inbound-telemetry"),
            "https://example.com/webhooks/inbound-telemetry"
        );
        assert_eq!(
            shown("https://example.com/webhooks/0123456789abcdef0123/x"),
            "https://example.com/webhooks/…/x"
        );
        let endpoint = Endpoint::parse("https://user:pw@example.com/?token=x").unwrap();
        assert_eq!(format!("{endpoint:?}").matches(['w', '=']).count(), 0, "{endpoint:?}");
    }

    #[test]
    fn the_query_leaves_whole() {
        let (endpoint, _) =
            Endpoint::parse("http://e.com/services/collector/raw?channel=1-2&a=%20b").unwrap();
        assert_eq!(endpoint.expose(), "http://e.com/services/collector/raw?channel=1-2&a=%20b");
    }

    #[test]
    fn user_and_password_become_basic() {
        let (endpoint, authorization) = Endpoint::parse("http://us%65r:p%40ss@e.com/").unwrap();
        assert_eq!(endpoint.expose(), "http://e.com/");
        assert_eq!(authorization.unwrap().expose(), "Basic dXNlcjpwQHNz");
    }

    #[test]
    fn urls_that_are_none_are_refused_without_being_repeated() {
        for text in [
            "example.com",
            "/path",
            "ftp://s3cret",
            "http:/s3cret",
            "http://",
            "http://a b",
            "http://e:0",
            "http://e:99999",
            "https://[::g]/s3cret",
            "http://a{b}.x/s3cret",
            "http://1.2.3.2../s3cret",
            "http://s3cret..e.com",
            "http://.s3cret",
            "http://s3cret:s3cret",
        ] {
            let error = Endpoint::parse(text).unwrap_err();
            assert!(!error.contains("s3cret"), "{text}: {error}");
        }
    }

    #[test]
    fn a_dot_at_the_end_of_a_host_is_the_root() {
        assert_eq!(Endpoint::parse("http://e.com.").unwrap().0.host(), "e.com.");
        assert_eq!(Endpoint::parse("http://1.2.3.2.").unwrap().0.host(), "1.2.3.2");
    }

    #[test]
    fn a_file_has_an_absolute_path() {
        for (text, path) in [
            ("file:///var/lib/events.jsonl", "/var/lib/events.jsonl"),
            (" FILE:///a%20b\n", "/a b"),
            ("file:///x/../y", "/y"),
        ] {
            let endpoint = Endpoint::parse_file(text).unwrap();
            assert_eq!(endpoint.file_path(), Some(path.into()));
            assert!(endpoint.is_file() && endpoint.host().starts_with("file:///"));
        }
        for text in [
            "file://",
            "file:///",
            "file:///a/",
            "file://host/a",
            "file:a",
            "file:/a",
            "file:///a?b",
            "file:///a#b",
        ] {
            assert!(Endpoint::parse_file(text).is_err(), "{text}");
        }
        assert_eq!(Endpoint::parse("http://e.com/a").unwrap().0.file_path(), None);
    }

    #[test]
    fn a_url_has_a_length_up_to_which_it_can_be_sent() {
        let url = |length: usize| format!("http://e.com/{}", "a".repeat(length - "http://e.com/".len()));
        let (longest, _) = Endpoint::parse(&url(LONGEST_URL)).unwrap();
        assert!(longest.expose().parse::<awc::http::Uri>().is_ok());
        assert!(Endpoint::parse(&url(LONGEST_URL + 1)).unwrap_err().contains("65534 bytes"));
    }

    proptest::proptest! {
        #[test]
        fn what_is_accepted_can_be_sent_and_nothing_makes_it_panic(text in "https?://[ -~é]{0,40}") {
            if let Ok((endpoint, _)) = Endpoint::parse(&text) {
                let target = endpoint.expose_target();
                let uri = format!("http://{}{target}", endpoint.authority());
                proptest::prop_assert!(uri.parse::<awc::http::Uri>().is_ok(), "{}", uri);
                proptest::prop_assert!(target.starts_with('/') && target.bytes().all(|b| b.is_ascii_graphic()));
                proptest::prop_assert!(!endpoint.host().is_empty());
            }
        }
    }

    #[test]
    fn authorization_is_a_bearer_unless_it_names_its_scheme() {
        assert_eq!(Authorization::parse("abc").unwrap().expose(), "Bearer abc");
        assert_eq!(Authorization::parse(" abc ").unwrap().expose(), "Bearer abc");
        assert_eq!(Authorization::parse("Splunk abc").unwrap().expose(), "Splunk abc");
        assert_eq!(Authorization::parse("Splunk abc").unwrap().redacted(), "Splunk [redacted]");
        for text in ["a b c", "a  b", "tokén", "a\nb", "a\u{7f}"] {
            assert!(Authorization::parse(text).is_err(), "{text:?}");
        }
        assert!(!format!("{:?}", Authorization::parse("abc").unwrap()).contains("abc"));
    }
}
