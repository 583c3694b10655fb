//! Which proxy a request leaves by, read as curl reads it.

use std::fmt;
use std::net::IpAddr;

use percent_encoding::percent_decode_str;
use url::Url;

use secrecy::{ExposeSecret, SecretString};

use super::endpoint::{Authorization, Endpoint};
use super::failure::{Cause, Failure};
use super::setting::Environment;
use crate::running::text::trimmed;

/// curl's port for a proxy whose URL names none.
const DEFAULT_PORT: u16 = 1080;

/// Description of the values that a proxy variable accepts.
const ACCEPTS: &str = "[http://|socks5://|socks5h://|socks://][user:password@]host[:port]";

/// A proxy that opens a connection to a destination.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) protocol: Protocol,
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// How a proxy is asked for a connection.
#[derive(Clone, Debug)]
pub(crate) enum Protocol {
    /// By `CONNECT` (RFC 9110 §9.3.6).
    Http {
        /// Value of `Proxy-Authorization`.
        authorization: Option<Authorization>,
    },
    /// By SOCKS 5 (RFC 1928).
    Socks5 {
        /// Whether the proxy resolves the name of the destination.
        resolves_names: bool,
        login: Option<Login>,
    },
}

/// User and password for a SOCKS proxy (RFC 1929).
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(super) user: SecretString,
    pub(super) password: SecretString,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proxy {}", self.authority())
    }
}

impl Proxy {
    /// `host:port`, with brackets around an IPv6 address.
    pub(crate) fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// Reads a value that [`ACCEPTS`] describes. `Err` says what is wrong, without the value.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let socks_resolves_names = match scheme.to_ascii_lowercase().as_str() {
            "http" => None,
            "socks5" => Some(false),
            // Desktops set `socks` for a SOCKS 5 proxy.
            "socks5h" | "socks" => Some(true),
            "socks4" | "socks4a" => return Err("a SOCKS 4 proxy, which is not supported"),
            "https" => return Err("a proxy that is itself reached by https, which is not supported"),
            _ => return Err("a proxy of an unknown scheme"),
        };
        // A scheme without a default port, so that an explicit :80 is told from none.
        let url = Url::parse(&format!("proxy://{rest}")).map_err(|_| "a malformed proxy URL")?;
        let decode = |part: &str| percent_decode_str(part).collect::<Vec<u8>>();
        let has_login = !url.username().is_empty() || url.password().is_some();
        let login = has_login.then(|| (decode(url.username()), decode(url.password().unwrap_or_default())));
        let protocol = match socks_resolves_names {
            Some(resolves_names) => {
                Protocol::Socks5 { resolves_names, login: login.map(Login::new).transpose()? }
            }
            None => Protocol::Http {
                authorization: login.map(|(user, password)| Authorization::basic(&user, &password)),
            },
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("a proxy URL without a host")?;
        if url.port() == Some(0) {
            return Err("a proxy URL with port 0");
        }
        Ok(Self {
            protocol,
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port().unwrap_or(DEFAULT_PORT),
        })
    }
}

impl Login {
    fn new((user, password): (Vec<u8>, Vec<u8>)) -> Result<Self, &'static str> {
        let read = |bytes: Vec<u8>| match String::from_utf8(bytes) {
            Ok(text) if (1..=255).contains(&text.len()) => Ok(SecretString::from(text)),
            _ => Err("a SOCKS proxy whose user or password is empty, longer than 255 bytes or not UTF-8"),
        };
        Ok(Self { user: read(user)?, password: read(password)? })
    }
}

/// Proxy variables of the machine, which concern every program. None of their values keeps a host from starting.
#[derive(Debug, Default)]
pub(crate) struct ProxyVariables {
    https: Option<Variable>,
    http: Option<Variable>,
    all: Option<Variable>,
    no_proxy: Option<String>,
}

/// Variable that names a proxy.
#[derive(Debug)]
struct Variable {
    name: &'static str,
    /// Value of the variable; `None` where it is not UTF-8.
    value: Option<SecretString>,
}

impl ProxyVariables {
    /// Reads the variables as curl does, lower case first.
    pub(crate) fn read(environment: Environment<'_>) -> Self {
        let first_of = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = environment(name)?.into_string().ok();
                let value = value.map(|value| trimmed(&value).to_owned());
                let is_set = value.as_ref().is_none_or(|value| !value.is_empty());
                is_set.then(|| Variable { name, value: value.map(SecretString::from) })
            })
        };
        let no_proxy = ["no_proxy", "NO_PROXY"].iter().find_map(|name| {
            let value = environment(name)?.to_string_lossy().into_owned();
            (!value.trim().is_empty()).then_some(value)
        });
        // In a CGI process `HTTP_PROXY` is a request's header.
        let is_cgi = environment("REQUEST_METHOD").is_some();
        let http_names: &[&str] = if is_cgi { &["http_proxy"] } else { &["http_proxy", "HTTP_PROXY"] };
        Self {
            https: first_of(&["https_proxy", "HTTPS_PROXY"]),
            http: first_of(http_names),
            all: first_of(&["all_proxy", "ALL_PROXY"]),
            no_proxy,
        }
    }

    /// The proxy for `endpoint`, unless `NO_PROXY` or `no_proxy` exempts it. A variable that does not
    /// apply to this endpoint is not looked at.
    ///
    /// # Errors
    /// The failure of each request to the endpoint, because the proxy cannot be used.
    pub(crate) fn proxy(
        &self,
        no_proxy: Option<&str>,
        endpoint: &Endpoint,
    ) -> Result<Option<Proxy>, Failure> {
        let mut exemptions = [self.no_proxy.as_deref(), no_proxy].into_iter().flatten();
        if endpoint.is_file() || exemptions.any(|no_proxy| is_exempt(no_proxy, endpoint)) {
            return Ok(None);
        }
        let own = if endpoint.is_https() { &self.https } else { &self.http };
        let Some(Variable { name, value }) = own.as_ref().or(self.all.as_ref()) else { return Ok(None) };
        let parsed = match value {
            Some(value) => Proxy::parse(value.expose_secret()),
            None => Err("bytes that are not UTF-8"),
        };
        parsed.map(Some).map_err(|about| {
            let words = "the proxy of this machine cannot be used";
            let advice = "correct the variable or add the host to NO_PROXY, and restart";
            let message = format!("{words}: {name} accepts {ACCEPTS}; given: {about}; {advice}");
            Failure::new(Cause::Proxy, message)
        })
    }
}

/// Whether `no_proxy` exempts `endpoint`. A name matches itself and what ends in it behind a dot, with or without `*.`
/// or a dot before it. An address matches itself, and a CIDR block the addresses in it. An entry with a port matches
/// that port only. `*` matches everything.
pub(crate) fn is_exempt(no_proxy: &str, endpoint: &Endpoint) -> bool {
    let host = endpoint.host().to_ascii_lowercase();
    let host = host.trim_end_matches('.');
    no_proxy.split([',', ' ', '\t']).filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        let (entry, port) = split_port(entry);
        if port.is_some_and(|port| port != endpoint.port()) {
            return false;
        }
        let entry = entry.trim_end_matches('.');
        if let Ok(address) = host.parse::<IpAddr>() {
            return matches_address(entry, address);
        }
        let entry = entry.strip_prefix("*.").unwrap_or(entry);
        let entry = entry.trim_start_matches('.').to_ascii_lowercase();
        !entry.is_empty()
            && host.strip_suffix(&entry).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// Host and port of an entry of `NO_PROXY`. An IPv6 address has a port only where it stands in brackets.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    match entry.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

fn matches_address(entry: &str, address: IpAddr) -> bool {
    let (network, bits) = match entry.split_once('/') {
        Some((network, bits)) => match bits.parse::<u32>() {
            Ok(bits) => (network, Some(bits)),
            Err(_) => return false,
        },
        None => (entry, None),
    };
    let network = network.trim_start_matches('[').trim_end_matches(']');
    match (network.parse::<IpAddr>(), address) {
        (Ok(IpAddr::V4(network)), IpAddr::V4(address)) => {
            let bits = bits.unwrap_or(32);
            bits <= 32 && (network.to_bits() ^ address.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (Ok(IpAddr::V6(network)), IpAddr::V6(address)) => {
            let bits = bits.unwrap_or(128);
            bits <= 128 && (network.to_bits() ^ address.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exempt(no_proxy: &str, url: &str) -> bool {
        is_exempt(no_proxy, &Endpoint::parse(url).unwrap().0)
    }

    #[test]
    fn a_proxy_is_read_as_curl_reads_it() {
        let read = |text| {
            Proxy::parse(text).map(|proxy| {
                let Protocol::Http { authorization } = proxy.protocol else { panic!("{text}") };
                (proxy.host, proxy.port, authorization.map(|value| value.expose().to_owned()))
            })
        };
        assert_eq!(read("proxy.corp:3128"), Ok(("proxy.corp".into(), 3128, None)));
        assert_eq!(read("http://proxy.corp"), Ok(("proxy.corp".into(), 1080, None)));
        assert_eq!(read("HTTP://proxy.corp:80/"), Ok(("proxy.corp".into(), 80, None)));
        assert_eq!(read("http://[::1]:3128"), Ok(("::1".into(), 3128, None)));
        assert_eq!(read("us%40er:p%3Aw@proxy:1"), Ok(("proxy".into(), 1, Some("Basic dXNAZXI6cDp3".into()))));
        for text in [
            "socks4://proxy:1",
            "https://proxy:1",
            "ftp://proxy",
            "http://",
            ":3128",
            "proxy:port",
            "proxy:0",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_socks_proxy_resolves_names_unless_its_scheme_is_socks5() {
        let read = |text| {
            Proxy::parse(text).map(|proxy| {
                let Protocol::Socks5 { resolves_names, login } = proxy.protocol else { panic!("{text}") };
                let login = login.map(|Login { user, password }| {
                    (user.expose_secret().to_owned(), password.expose_secret().to_owned())
                });
                (proxy.host, proxy.port, resolves_names, login)
            })
        };
        assert_eq!(read("socks5://proxy.corp"), Ok(("proxy.corp".into(), 1080, false, None)));
        assert_eq!(read("SOCKS5H://proxy.corp:9050"), Ok(("proxy.corp".into(), 9050, true, None)));
        assert_eq!(read("socks://127.0.0.1:7890/"), Ok(("127.0.0.1".into(), 7890, true, None)));
        let login = Some(("us@er".into(), "p:w".into()));
        assert_eq!(read("socks5://us%40er:p%3Aw@proxy:1"), Ok(("proxy".into(), 1, false, login)));
        for text in
            ["socks5://", "socks5://:1", "socks5://user@proxy", "socks5://u:%ff@proxy", "socks5://u:p@h:0"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_variable_that_cannot_be_used_is_a_failure_that_names_it_and_not_its_value() {
        use std::os::unix::ffi::OsStringExt;
        let endpoint = Endpoint::parse("http://e.com").unwrap().0;
        for (value, words) in [
            (b"gopher://s3cret:s3cret@s3cret".to_vec(), "a proxy of an unknown scheme"),
            (b"socks4://s3cret".to_vec(), "a SOCKS 4 proxy, which is not supported"),
            (b"s3cret\xff".to_vec(), "bytes that are not UTF-8"),
        ] {
            let environment =
                |name: &str| (name == "ALL_PROXY").then(|| std::ffi::OsString::from_vec(value.clone()));
            let variables = ProxyVariables::read(&environment);
            let failure = variables.proxy(None, &endpoint).unwrap_err();
            assert_eq!(failure.cause, Cause::Proxy);
            let expected =
                format!("cannot be used: ALL_PROXY accepts {ACCEPTS}; given: {words}; correct the");
            assert!(failure.message.contains(&expected), "{failure}");
            assert!(variables.proxy(Some("e.com"), &endpoint).unwrap().is_none(), "not looked at");
            assert!(!format!("{variables:?}").contains("s3cret"));
        }
    }

    #[test]
    fn no_proxy_is_read_as_curl_reads_it() {
        for (no_proxy, url) in [
            ("*", "http://a.example"),
            ("example.com", "http://example.com"),
            ("example.com", "http://a.example.com"),
            (".example.com", "http://example.com"),
            ("other, EXAMPLE.com.", "http://example.COM."),
            ("10.0.0.1", "http://10.0.0.1:8080"),
            ("10.0.0.1.", "http://10.0.0.1"),
            ("10.0.0.0/8", "http://10.255.0.1"),
            ("0.0.0.0/0", "http://10.255.0.1"),
            ("::1", "http://[::1]:8080"),
            ("[::1]", "http://[::1]:8080"),
            ("fd00::/8", "http://[fd12::1]"),
            ("*.example.com", "http://a.example.com"),
            ("*.example.com", "http://example.com"),
            ("example.com:8009", "http://a.example.com:8009"),
            ("example.com:443", "https://example.com"),
            ("10.0.0.1:80", "http://10.0.0.1"),
            ("[::1]:8080", "http://[::1]:8080"),
        ] {
            assert!(exempt(no_proxy, url), "{no_proxy:?} exempts {url}");
        }
        for (no_proxy, url) in [
            ("", "http://example.com"),
            ("example.com", "http://notexample.com"),
            ("a.example.com", "http://example.com"),
            (".", "http://example.com"),
            ("10.0.0.0/33", "http://10.0.0.1"),
            ("10.0.0.0/x", "http://10.0.0.1"),
            ("10.0.0.2", "http://10.0.0.1"),
            ("10.0.0.0/8", "http://[fd12::1]"),
            ("0.1", "http://10.0.0.1"),
            ("example.com:8009", "http://example.com:8010"),
            ("*.example.com", "http://notexample.com"),
            ("*.", "http://example.com"),
            ("example.com:", "http://example.com"),
            ("10.0.0.1:81", "http://10.0.0.1"),
            ("[::1]:8081", "http://[::1]:8080"),
        ] {
            assert!(!exempt(no_proxy, url), "{no_proxy:?} does not exempt {url}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(proxy in ".*", no_proxy in ".*", cidr in "[0-9./:, a-f]{0,30}") {
            let _ = Proxy::parse(&proxy);
            exempt(&no_proxy, "http://10.0.0.1");
            exempt(&cidr, "http://10.0.0.1");
            exempt(&cidr, "http://[fd12::1]");
        }
    }
}
