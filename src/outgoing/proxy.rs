//! Which proxy a request leaves by, read as curl reads it.

use std::fmt;
use std::net::IpAddr;

use percent_encoding::percent_decode_str;
use url::Url;

use secrecy::{ExposeSecret, SecretString};

use super::endpoint::{Authorization, Endpoint};
use super::setting::{Environment, Problems, Setting};

/// curl's port for a proxy whose URL names none.
const DEFAULT_PORT: u16 = 1080;

/// An HTTP proxy that is asked for a tunnel (`CONNECT`, RFC 9110 §9.3.6).
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// For `Proxy-Authorization`.
    pub(crate) authorization: Option<Authorization>,
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

    /// `[http://][user:password@]host[:port]`. `Err` says what is wrong, without the value.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let rest = match text.split_once("://") {
            None => text,
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) if scheme.to_ascii_lowercase().starts_with("socks") => {
                return Err("a SOCKS proxy, which is not supported");
            }
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
                return Err("a proxy that is itself reached by https, which is not supported");
            }
            Some(_) => return Err("a proxy of an unknown scheme"),
        };
        // A scheme without a default port, so that an explicit :80 is told from none.
        let url = Url::parse(&format!("proxy://{rest}")).map_err(|_| "a malformed proxy URL")?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("a proxy URL without a host")?;
        if url.port() == Some(0) {
            return Err("a proxy URL with port 0");
        }
        let decode = |part: &str| percent_decode_str(part).collect::<Vec<u8>>();
        let authorization = (!url.username().is_empty() || url.password().is_some()).then(|| {
            Authorization::basic(&decode(url.username()), &decode(url.password().unwrap_or_default()))
        });
        Ok(Self {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port().unwrap_or(DEFAULT_PORT),
            authorization,
        })
    }
}

/// What the machine's environment says of proxies, to every program.
#[derive(Debug, Default)]
pub(crate) struct ProxyVariables {
    https: Option<SecretString>,
    http: Option<SecretString>,
    all: Option<SecretString>,
    no_proxy: Option<String>,
}

impl ProxyVariables {
    /// Reads them as curl does, lower case first.
    pub(crate) fn read(environment: Environment<'_>, problems: &mut Problems) -> Self {
        let mut first_of =
            |names: &[&str]| names.iter().find_map(|name| problems.read(Setting::Proxy, name, environment));
        // In a CGI process `HTTP_PROXY` is a request's header.
        let is_cgi = environment("REQUEST_METHOD").is_some();
        let http_names: &[&str] = if is_cgi { &["http_proxy"] } else { &["http_proxy", "HTTP_PROXY"] };
        Self {
            https: first_of(&["https_proxy", "HTTPS_PROXY"]).map(SecretString::from),
            http: first_of(http_names).map(SecretString::from),
            all: first_of(&["all_proxy", "ALL_PROXY"]).map(SecretString::from),
            no_proxy: first_of(&["no_proxy", "NO_PROXY"]),
        }
    }

    /// The proxy for `endpoint`, unless `NO_PROXY` or `no_proxy` exempts it. A variable that does not
    /// apply to this endpoint is not looked at.
    pub(crate) fn proxy(
        &self,
        no_proxy: Option<&str>,
        endpoint: &Endpoint,
        problems: &mut Problems,
    ) -> Option<Proxy> {
        let mut exemptions = [self.no_proxy.as_deref(), no_proxy].into_iter().flatten();
        if exemptions.any(|no_proxy| is_exempt(no_proxy, endpoint)) {
            return None;
        }
        let (name, own) = match endpoint.is_https() {
            true => ("HTTPS_PROXY", &self.https),
            false => ("HTTP_PROXY", &self.http),
        };
        let (name, text) = match (own, &self.all) {
            (Some(text), _) => (name, text),
            (None, Some(text)) => ("ALL_PROXY", text),
            (None, None) => return None,
        };
        let accepts = "[http://][user:password@]host[:port]";
        problems.secret(Setting::Proxy, name, accepts, Proxy::parse(text.expose_secret()))
    }
}

/// Whether `no_proxy` exempts `endpoint`: names match themselves and what ends in them behind a
/// dot, addresses match themselves and CIDR blocks, `*` matches everything.
pub(crate) fn is_exempt(no_proxy: &str, endpoint: &Endpoint) -> bool {
    let host = endpoint.host().to_ascii_lowercase();
    let host = host.trim_end_matches('.');
    no_proxy.split([',', ' ', '\t']).filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            return matches_address(entry, address);
        }
        let entry = entry.trim_start_matches('.').trim_end_matches('.').to_ascii_lowercase();
        !entry.is_empty()
            && host.strip_suffix(&entry).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
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
            Proxy::parse(text).map(|p| (p.host, p.port, p.authorization.map(|a| a.expose().to_owned())))
        };
        assert_eq!(read("proxy.corp:3128"), Ok(("proxy.corp".into(), 3128, None)));
        assert_eq!(read("http://proxy.corp"), Ok(("proxy.corp".into(), 1080, None)));
        assert_eq!(read("HTTP://proxy.corp:80/"), Ok(("proxy.corp".into(), 80, None)));
        assert_eq!(read("http://[::1]:3128"), Ok(("::1".into(), 3128, None)));
        assert_eq!(read("us%40er:p%3Aw@proxy:1"), Ok(("proxy".into(), 1, Some("Basic dXNAZXI6cDp3".into()))));
        for text in [
            "socks5://proxy:1",
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
    fn no_proxy_is_read_as_curl_reads_it() {
        for (no_proxy, url) in [
            ("*", "http://a.example"),
            ("example.com", "http://example.com"),
            ("example.com", "http://a.example.com"),
            (".example.com", "http://example.com"),
            ("other, EXAMPLE.com.", "http://example.COM."),
            ("10.0.0.1", "http://10.0.0.1:8080"),
            ("10.0.0.0/8", "http://10.255.0.1"),
            ("0.0.0.0/0", "http://10.255.0.1"),
            ("::1", "http://[::1]:8080"),
            ("[::1]", "http://[::1]:8080"),
            ("fd00::/8", "http://[fd12::1]"),
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
