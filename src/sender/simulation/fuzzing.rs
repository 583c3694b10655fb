//! What must hold for every input from outside: the bodies of the fuzz targets in `fuzz/`, and of
//! the property tests below, which are the same with fewer inputs. In no ordinary build.

use std::ffi::OsString;
use std::fs;
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio_socks::TargetAddr;
use uuid::Uuid;

use crate::outgoing::Answer;
use crate::outgoing::connect::tunnel;
use crate::outgoing::endpoint::Endpoint;
use crate::outgoing::exchange::{Connecting, Wire, exchange};
use crate::outgoing::failure::{Cause, Failure};
use crate::outgoing::file;
use crate::outgoing::proxy::{Protocol, Proxy, is_exempt};
use crate::outgoing::request::Request;
use crate::outgoing::socks;
use crate::sender::config::{
    Config, DestinationName, DestinationSettings, Mode, Reading, Settings, Vendor, format_duration,
    parse_duration,
};
use crate::sender::product::Product;
use crate::sender::request::{Event, Run};
use crate::wire::build::BuildInfo;
use crate::wire::license::LicenseState;
use crate::wire::payload::Reason;

const SECRET: &str = "s3cret";
/// Longer than any message that a person wants to read.
const LONGEST_MESSAGE: usize = 600;
const LONGEST_FREQUENCY: Duration = Duration::from_secs(24 * 3600);

/// Secrets, then URLs of which a part is one, then what is none.
const VARIABLES: [&str; 13] = [
    "SIRVEO_TELEMTRY_AUTH",
    "SIRVEO_TELEMETRY_AUTH",
    "SIRVEO_TELEMETRY_SIGNING_SECRET",
    "http_proxy",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "SIRVEO_TELEMETRY_URL",
    "SIRVEO_TELEMETRY_MODE",
    "SIRVEO_TELEMETRY_FREQUENCY",
    "SIRVEO_TELEMETRY_IDENTIFIER",
    "SIRVEO_TELEMETRY_CA_FILE",
    "NO_PROXY",
    "DO_NOT_TRACK",
];
const SECRETS: usize = 3;
const WITH_PROXIES: usize = 6;

/// Beginning of a value that is in a file, which a variable `…_FILE` names.
const IN_A_FILE: u8 = b'@';

/// `input` has a value of each variable a line; what follows them is a configuration in JSON. A value that begins with
/// [`IN_A_FILE`] is what follows that, in a file.
pub fn configuration(input: &[u8]) {
    let mut lines = input.splitn(VARIABLES.len() + 1, |byte| *byte == b'\n');
    let values: Vec<&[u8]> = lines.by_ref().take(VARIABLES.len()).collect();
    let files: Vec<Option<TemporaryFile>> =
        values.iter().zip(VARIABLES).map(|(value, name)| TemporaryFile::of(value, name)).collect();
    let environment = |name: &str| {
        let of_file = name.strip_suffix("_FILE").filter(|name| VARIABLES.contains(name));
        let index = VARIABLES.iter().position(|variable| *variable == of_file.unwrap_or(name))?;
        let value = *values.get(index)?;
        match (of_file, &files[index]) {
            (Some(_), file) => file.as_ref().map(|file| file.0.clone().into_os_string()),
            (None, Some(_)) => None,
            (None, None) => Some(OsString::from_vec(value.to_vec())),
        }
    };
    let is_hidden_by = |first: usize| values.iter().skip(first).all(|value| !contains(value, SECRET));
    let hidden = Hidden { in_settings: is_hidden_by(SECRETS), in_errors: is_hidden_by(WITH_PROXIES) };
    check(Reading::from_environment(&product(), &environment), hidden);
    if let Some(config) = lines.next().and_then(|json| serde_json::from_slice::<Config>(json).ok()) {
        check(Reading::given(config, &environment), Hidden::default());
    }
}

/// A file with a value, for as long as the value is in use.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    /// The file of a value that is in one. Only the secrets may be in files.
    fn of(value: &[u8], name: &str) -> Option<Self> {
        let (_, value) = value.split_first().filter(|(first, _)| **first == IN_A_FILE)?;
        let is_secret = VARIABLES[..SECRETS].contains(&name) || name == "SIRVEO_TELEMETRY_URL";
        if !is_secret {
            return None;
        }
        let (process, thread) = (std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(format!("fuzz-{process}-{thread:?}-{name}"));
        fs::write(&path, value).expect("a temporary file can be written");
        Some(Self(path))
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Where the secret may not show: a proxy's host is shown, but not in an error.
#[derive(Clone, Copy, Default)]
struct Hidden {
    in_settings: bool,
    in_errors: bool,
}

fn check(reading: Reading, hidden: Hidden) {
    let vendor = Vendor::new("https://vendor.example/v1").auth("vendor-token");
    match Settings::check(reading, &product(), Some(&vendor)) {
        Ok(settings) => {
            let has_custom = matches!(settings.mode, Mode::Custom | Mode::Both);
            assert_eq!(has_custom, settings.destinations.iter().any(is_custom));
            assert!(!hidden.in_settings || !format!("{settings:?}").contains(SECRET), "{settings:?}");
            settings.destinations.iter().for_each(leaves);
        }
        Err(errors) => {
            assert!(!errors.problems().is_empty());
            assert!(!hidden.in_errors || !errors.to_string().contains(SECRET), "{errors}");
            for problem in errors.problems() {
                assert!(!problem.to_string().chars().any(char::is_control), "{problem:?}");
            }
        }
    }
}

fn is_custom(destination: &DestinationSettings) -> bool {
    destination.name == DestinationName::Custom
}

/// What was accepted makes a request that can be written.
fn leaves(to: &DestinationSettings) {
    assert!(to.frequency >= Duration::from_secs(3600) && to.frequency <= LONGEST_FREQUENCY);
    let request = request(to);
    for header in &request.headers {
        assert!(is_one_line(header.expose()), "{header:?}");
    }
    serde_json::from_slice::<serde_json::Value>(&request.body).expect("the body is JSON");
    is_a_line(&request);
    if let Some(path) = request.endpoint.file_path() {
        return assert!(path.is_absolute(), "{path:?}");
    }
    let target = request.endpoint.expose_target();
    assert!(target.starts_with('/') && is_one_line(target) && !target.contains(' '), "{target}");
    assert!(!request.endpoint.host().is_empty());
    if let Ok(Some(proxy)) = &to.target.proxy {
        assert!(!proxy.host.is_empty());
    }
}

/// The request as a line of an event file: one line, from which the body and the headers can be had again.
fn is_a_line(request: &Request) {
    let line = file::line(request);
    let line = line.strip_suffix(b"\n").expect("a line ends");
    assert!(!line.contains(&b'\n') && line.ends_with(&[&request.body[..], b"}"].concat()));
    let read: serde_json::Value = serde_json::from_slice(line).expect("a line is JSON");
    for header in &request.headers {
        assert_eq!(read["headers"][header.name], header.expose());
    }
}

fn request(to: &DestinationSettings) -> Request {
    let build = Arc::new(
        BuildInfo::new("0.1.0")
            .with_commit("4379644")
            .with_time("2024-02-16T23:06:23+02:00")
            .with_mode("licenced"),
    );
    let run = Run { id: Uuid::nil(), product: product(), build };
    let license = LicenseState::default();
    let event = Event { reason: Reason::Begin, instance_id: Uuid::nil(), license, sequence: 0 };
    run.compose(to, &event, UNIX_EPOCH)
}

/// A duration in Go's syntax.
pub fn duration(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Some(duration) = parse_duration(&text) else { return };
    assert!(text.chars().all(|character| "0123456789.+hmsnuµ".contains(character)), "{text}");
    if !text.starts_with('+') {
        assert_eq!(parse_duration(&format!("+{text}")), Some(duration));
    }
    let whole = Duration::from_secs(duration.as_secs());
    assert_eq!(parse_duration(&format_duration(duration)), Some(whole));
}

/// Three lines: a proxy, `NO_PROXY`, and a destination's URL.
pub fn proxy(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (proxy, no_proxy, url) = (line(), line(), line());
    if let Ok(proxy) = Proxy::parse(proxy) {
        assert!(!proxy.host.is_empty() && proxy.port > 0);
        assert!(!proxy.host.chars().any(|c| c.is_control() || c.is_whitespace()), "{proxy:?}");
        if let Protocol::Http { authorization: Some(authorization) } = &proxy.protocol {
            assert!(is_one_line(authorization.expose()), "{authorization:?}");
        }
    }
    let Ok((endpoint, _)) = Endpoint::parse(url) else { return };
    let exempt = is_exempt(no_proxy, &endpoint);
    assert_eq!(exempt, no_proxy.split(',').any(|entry| is_exempt(entry, &endpoint)));
    assert!(is_exempt(&format!("{no_proxy},*"), &endpoint));
    for form in forms(&endpoint) {
        assert!(is_exempt(&format!("{no_proxy},{form}"), &endpoint), "{form}");
    }
    assert!(is_exempt(&format!("{no_proxy} {}", endpoint.host()), &endpoint));
}

/// Other forms in which `NO_PROXY` names the host of a URL: with its port, and by the domain that it is in.
fn forms(endpoint: &Endpoint) -> Vec<String> {
    let (host, port) = (endpoint.host(), endpoint.port());
    // The list is cut there.
    if host.contains(',') {
        return Vec::new();
    }
    let domain = host.split_once('.').map(|(_, domain)| domain.trim_matches('.')).unwrap_or_default();
    let is_name = host.parse::<IpAddr>().is_err() && !domain.is_empty();
    let with_port = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    [Some(with_port), is_name.then(|| format!("*.{domain}"))].into_iter().flatten().collect()
}

/// What comes back: from the destination where the first byte is odd, else from a proxy, by HTTP where it is divisible by
/// four, else by SOCKS, with a password where it is divisible by three.
pub fn response(input: &[u8]) {
    let Some((kind, answer)) = input.split_first() else { return };
    let answered = actix_rt::System::new().block_on(async {
        let (mut ours, mut theirs) = UnixStream::pair().expect("a pair of sockets can be made");
        if kind % 4 == 2 {
            let proxy = Proxy::parse("socks5h://user:s3cret@proxy:1080").expect("it is a proxy");
            let Protocol::Socks5 { login, .. } = &proxy.protocol else { unreachable!("by its scheme") };
            let login = login.as_ref().filter(|_| kind % 3 == 0);
            let asked = socks::connect(ours, login, TargetAddr::Domain("e.com".into(), 80), "e.com:80");
            let (answered, ()) = tokio::join!(asked, respond(&mut theirs, answer));
            return answered.map(|_| Answer { status: 200, date: None });
        }
        if kind % 2 == 0 {
            let (answered, ()) =
                tokio::join!(tunnel(&mut ours, None, "e.com", 80), respond(&mut theirs, answer));
            return answered.map(|()| Answer { status: 200, date: None });
        }
        let vendor = Vendor::new("http://e.com/");
        let reading = Reading::given(Config { mode: Some("default".into()), ..Config::default() }, &|_| None);
        let settings = Settings::check(reading, &product(), Some(&vendor)).expect("the settings are good");
        let request = request(&settings.destinations[0]);
        let connected: Connecting = Box::pin(async { Ok(Box::new(ours) as Box<dyn Wire>) });
        let (answered, ()) = tokio::join!(exchange(&request, connected), respond(&mut theirs, answer));
        answered
    });
    match answered {
        Ok(answer) => assert!((100..=999).contains(&answer.status), "{answer:?}"),
        Err(Failure { cause, message }) => {
            assert_ne!(cause, Cause::Internal, "{message}");
            assert!(message.len() <= LONGEST_MESSAGE, "{message}");
            assert!(!message.chars().any(char::is_control), "{message:?}");
        }
    }
}

/// Writes while there is a reader, and closes.
async fn respond(stream: &mut UnixStream, answer: &[u8]) {
    let _ = stream.write_all(answer).await;
    let _ = stream.shutdown().await;
}

/// What can stand in a head of HTTP without ending its line (RFC 9110 §5.5).
fn is_one_line(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

fn product() -> Product {
    Product::new("Sirveo")
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    type Target = fn(&[u8]);
    const TARGETS: [(&str, Target); 4] =
        [("configuration", configuration), ("duration", duration), ("proxy", proxy), ("response", response)];

    /// The inputs kept in the repository: examples of each kind, and what once failed.
    fn kept(target: &str) -> Vec<Vec<u8>> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
        let files =
            fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
    }

    #[test]
    fn every_kept_input_is_handled() {
        for (name, target) in TARGETS {
            let inputs = kept(name);
            assert!(!inputs.is_empty(), "{name} has no inputs");
            inputs.iter().for_each(|input| target(input));
        }
    }

    fn edited(target: &'static str) -> impl Strategy<Value = Vec<u8>> {
        let edit = (any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..4));
        (prop::sample::select(kept(target)), prop::collection::vec(edit, 0..6)).prop_map(
            |(mut input, edits)| {
                for (at, bytes) in edits {
                    let at = at.index(input.len() + 1);
                    let end = (at + bytes.len()).min(input.len());
                    input.splice(at..end, bytes);
                }
                input
            },
        )
    }

    proptest! {
        #[test]
        fn every_configuration_is_handled(input in edited("configuration")) { configuration(&input) }

        #[test]
        fn every_duration_is_handled(input in edited("duration")) { duration(&input) }

        #[test]
        fn every_proxy_is_handled(input in edited("proxy")) { proxy(&input) }

        #[test]
        fn every_response_is_handled(input in edited("response")) { response(&input) }
    }
}
