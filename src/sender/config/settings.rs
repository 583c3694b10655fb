//! The checked settings, each with its own type, and the checks.

use std::time::Duration;

use rustls::pki_types::CertificateDer;

use super::frequency::{self, DEFAULT_FREQUENCY};
use super::vendor::Vendor;
use super::{Config, DestinationName, Mode, Names, Reading};
use crate::outgoing::endpoint::{Authorization, Endpoint};
use crate::outgoing::proxy::ProxyVariables;
use crate::outgoing::setting::{ConfigErrors, Problems, Setting, SettingProblem};
use crate::outgoing::target::Target;
use crate::sender::product::Product;
use crate::wire::signature::SigningSecret;

/// Length of the longest identifier, in characters.
const LONGEST_IDENTIFIER: usize = 256;

/// Settings of a run.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    /// Active destinations: none, one or both.
    pub(crate) destinations: Vec<DestinationSettings>,
    /// Whether `DO_NOT_TRACK` keeps the vendor's destination inactive, although the mode includes it.
    pub(crate) not_tracked: bool,
}

/// Settings of one destination.
#[derive(Clone, Debug)]
pub(crate) struct DestinationSettings {
    pub(crate) name: DestinationName,
    /// Time between two updates.
    pub(crate) frequency: Duration,
    /// Operator's name for this server, which is sent as `custom_id`.
    pub(crate) identifier: Option<String>,
    pub(crate) target: Target,
}

impl Settings {
    /// Checks the settings that were read. Every setting is checked in every mode, so that a mistake is reported
    /// when it is made, and not on the day on which the mode changes.
    ///
    /// # Errors
    /// All problems, together.
    pub(crate) fn check(
        reading: Reading,
        product: &Product,
        vendor: Option<&Vendor>,
    ) -> Result<Self, ConfigErrors> {
        let Reading { mut config, secrets, proxies, do_not_track, names, problems } = reading;
        let mut checks = Checks { names, problems };
        checks.product(product);
        let checked_mode = checks.mode(config.mode.as_deref());
        let mode = checked_mode.unwrap_or_default();
        let has_url = config.url.is_some() || secrets.url.is_some();
        // In the mode `disabled` no file is opened.
        let may_open_files = checked_mode != Some(Mode::Disabled);
        let resolved = secrets.resolve(may_open_files, &mut checks.problems);
        config.url = resolved.url.or(config.url);
        config.auth = resolved.auth.or(config.auth);
        config.signing_secret = resolved.signing_secret.or(config.signing_secret);
        let operators = checks.operators_destination(&config);
        let extra_roots = match &config.ca_file {
            Some(path) if may_open_files => checks.ca_file(path),
            _ => Vec::new(),
        };
        let vendors = vendor.and_then(|vendor| checks.vendors_destination(vendor));
        checks.mode_has_its_destinations(mode, has_url, vendor.is_some());

        let operators = operators.filter(|_| mode.has_custom());
        let vendors = vendors.filter(|_| mode.has_default() && !do_not_track);
        let no_proxy = config.no_proxy.as_deref();
        let destinations = operators
            .into_iter()
            .chain(vendors)
            .map(|checked| checked.complete(&proxies, no_proxy, &extra_roots))
            .collect();
        let not_tracked = mode.has_default() && do_not_track;
        checks.problems.none_or("telemetry", Self { mode, destinations, not_tracked })
    }
}

/// Destination whose own settings are checked. The proxy and the roots are still missing.
struct CheckedDestination {
    name: DestinationName,
    frequency: Duration,
    identifier: Option<String>,
    endpoint: Endpoint,
    authorization: Option<Authorization>,
    signing_secret: Option<SigningSecret>,
}

impl CheckedDestination {
    /// Adds the proxy and the roots. A proxy that cannot be used is no problem of the settings, because the proxy
    /// variables belong to the machine.
    fn complete(
        self,
        proxies: &ProxyVariables,
        no_proxy: Option<&str>,
        extra_roots: &[CertificateDer<'static>],
    ) -> DestinationSettings {
        let Self { name, frequency, identifier, endpoint, authorization, signing_secret } = self;
        let proxy = proxies.proxy(no_proxy, &endpoint);
        let extra_roots = extra_roots.to_vec();
        let target = Target { endpoint, authorization, signing_secret, proxy, extra_roots };
        DestinationSettings { name, frequency, identifier, target }
    }
}

/// Checks of single settings. Each returns the value, or adds a problem.
struct Checks {
    names: Names,
    problems: Problems,
}

impl Checks {
    fn product(&mut self, product: &Product) {
        if !product.is_usable() {
            self.problems.push(SettingProblem::shown(
                Setting::Product,
                "the product's name",
                "visible ASCII with a letter or a digit in it",
                product.name(),
            ));
        }
    }

    fn mode(&mut self, text: Option<&str>) -> Option<Mode> {
        let Some(text) = text else { return Some(Mode::Disabled) };
        let accepts = "disabled, custom, default or both";
        self.problems.shown(Setting::Mode, &self.names.of("mode"), accepts, text, Mode::parse(text))
    }

    /// Checks all settings of the operator's destination; `None` without a usable URL.
    fn operators_destination(&mut self, config: &Config) -> Option<CheckedDestination> {
        let Self { names, problems } = self;
        let url =
            config.url.as_ref().and_then(|text| problems.url_or_file(Setting::Url, &names.of("url"), text));
        let auth =
            config.auth.as_ref().and_then(|text| problems.auth(Setting::Auth, &names.of("auth"), text));
        let frequency = self.frequency(config.frequency.as_deref());
        self.identifier(config.identifier.as_deref());
        let signing_secret = config
            .signing_secret
            .as_ref()
            .and_then(|text| self.problems.signing_secret(&self.names.of("signing_secret"), text));
        if let (Some((_, Some(_))), Some(_)) = (&url, &config.auth) {
            self.problems.push(SettingProblem::new(
                Setting::Auth,
                &self.names.of("auth"),
                "must not be set if the URL contains user:password@",
            ));
        }
        let (endpoint, credentials) = url?;
        if endpoint.is_file() && config.auth.is_some() {
            self.problems.push(SettingProblem::new(
                Setting::Auth,
                &self.names.of("auth"),
                "must not be set if the URL is a file",
            ));
        }
        Some(CheckedDestination {
            name: DestinationName::Custom,
            frequency: frequency.unwrap_or(DEFAULT_FREQUENCY),
            identifier: config.identifier.clone(),
            endpoint,
            authorization: auth.or(credentials),
            signing_secret,
        })
    }

    fn frequency(&mut self, text: Option<&str>) -> Option<Duration> {
        let text = text?;
        let name = self.names.of("frequency");
        let frequency = frequency::parse(text);
        self.problems.shown(Setting::Frequency, &name, frequency::ACCEPTS, text, frequency)
    }

    fn identifier(&mut self, text: Option<&str>) {
        let Some(text) = text else { return };
        let usable = text.chars().count() <= LONGEST_IDENTIFIER && !text.chars().any(char::is_control);
        let name = self.names.of("identifier");
        let accepts = "at most 256 characters, none of them a control character";
        self.problems.shown(Setting::Identifier, &name, accepts, text, usable.then_some(()));
    }

    fn ca_file(&mut self, path: &str) -> Vec<CertificateDer<'static>> {
        self.problems.ca_file(&self.names.of("ca_file"), path)
    }

    /// Checks the vendor's destination; `None` without a usable URL.
    fn vendors_destination(&mut self, vendor: &Vendor) -> Option<CheckedDestination> {
        let problems = &mut self.problems;
        let url = problems.url(Setting::VendorUrl, "the vendor's URL", &vendor.url);
        let auth = vendor
            .auth
            .as_ref()
            .and_then(|text| problems.auth(Setting::VendorAuth, "the vendor's token", text));
        let (name, given) = ("the vendor's frequency", format!("{:?}", vendor.frequency));
        let frequency = frequency::in_range(vendor.frequency);
        problems.shown(Setting::VendorFrequency, name, frequency::ACCEPTS, &given, frequency);
        let (endpoint, credentials) = url?;
        Some(CheckedDestination {
            name: DestinationName::Default,
            frequency: vendor.frequency,
            identifier: None,
            endpoint,
            authorization: auth.or(credentials),
            signing_secret: None,
        })
    }

    /// Checks that each destination that the mode activates is configured.
    fn mode_has_its_destinations(&mut self, mode: Mode, has_url: bool, has_vendor: bool) {
        if mode.has_custom() && !has_url {
            let fault = format!(
                "is required in the mode {mode}: an absolute http:// or https:// URL, or file:///path; given: nothing"
            );
            self.problems.push(SettingProblem::new(Setting::Url, &self.names.of("url"), fault));
        }
        if mode.has_default() && !has_vendor {
            let accepts = "disabled or custom in this build, which has no destination of its vendor";
            let name = self.names.of("mode");
            self.problems.push(SettingProblem::shown(Setting::Mode, &name, accepts, &mode.to_string()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::sender::config::frequency::LONGEST;
    use crate::sender::simulation::fakes::reading;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn check(variables: &[(&str, &str)]) -> Result<Settings, ConfigErrors> {
        let vendor = Vendor::new("https://vendor.example/in").auth("vendor-token").frequency(LONGEST);
        Settings::check(reading(variables), &Product::new("Sirveo"), Some(&vendor))
    }

    /// The one problem that a value of a variable causes in the mode `custom`.
    fn problem(variable: &str, value: &str) -> String {
        let base = [("SIRVEO_TELEMETRY_MODE", "custom"), ("SIRVEO_TELEMETRY_URL", "http://e.com")];
        let others = base.into_iter().filter(|(name, _)| *name != variable);
        let variables: Vec<_> = others.chain([(variable, value)]).collect();
        let errors = check(&variables).expect_err(&format!("{variable}={value:?}"));
        assert_eq!(errors.problems().len(), 1, "{errors}");
        errors.problems()[0].to_string()
    }

    #[test]
    fn the_mode_is_disabled_where_nothing_is_set() {
        for variables in
            [&[][..], &[("SIRVEO_TELEMETRY_MODE", " ")], &[("SIRVEO_TELEMETRY_MODE", "Disabled")]]
        {
            let settings = check(variables).unwrap();
            assert_eq!(settings.mode, Mode::Disabled);
            assert!(settings.destinations.is_empty());
        }
    }

    #[test]
    fn custom_uses_all_settings_of_the_operator() {
        let settings = check(&[
            ("SIRVEO_TELEMETRY_MODE", " CUSTOM "),
            ("SIRVEO_TELEMETRY_URL", "https://e.com/services/collector/raw?channel=1"),
            ("SIRVEO_TELEMTRY_AUTH", "abc"),
            ("SIRVEO_TELEMETRY_FREQUENCY", " 1h30m "),
            ("SIRVEO_TELEMETRY_IDENTIFIER", "my server"),
            ("SIRVEO_TELEMETRY_SIGNING_SECRET", SECRET),
            ("https_proxy", "http://proxy.corp:3128"),
        ])
        .unwrap();
        let [custom] = settings.destinations.as_slice() else { panic!("{settings:?}") };
        assert_eq!(custom.name, DestinationName::Custom);
        assert_eq!(custom.target.endpoint.expose(), "https://e.com/services/collector/raw?channel=1");
        assert_eq!(custom.target.authorization.as_ref().unwrap().expose(), "Bearer abc");
        assert_eq!(custom.frequency, Duration::from_secs(5400));
        assert_eq!(custom.identifier.as_deref(), Some("my server"));
        assert!(custom.target.signing_secret.is_some());
        assert_eq!(custom.target.proxy.as_ref().unwrap().as_ref().unwrap().host, "proxy.corp");
    }

    #[test]
    fn default_is_independent_of_the_settings_of_the_operator() {
        for (mode, count) in [("default", 1), ("both", 2)] {
            let settings = check(&[
                ("SIRVEO_TELEMETRY_MODE", mode),
                ("SIRVEO_TELEMETRY_URL", "http://e.com/mine"),
                ("SIRVEO_TELEMETRY_AUTH", "mine"),
                ("SIRVEO_TELEMETRY_FREQUENCY", "1h"),
                ("SIRVEO_TELEMETRY_IDENTIFIER", "mine"),
                ("SIRVEO_TELEMETRY_SIGNING_SECRET", SECRET),
            ])
            .unwrap();
            assert_eq!(settings.destinations.len(), count);
            let default = settings.destinations.last().unwrap();
            assert_eq!(default.name, DestinationName::Default);
            assert_eq!(default.target.endpoint.expose(), "https://vendor.example/in");
            assert_eq!(default.target.authorization.as_ref().unwrap().expose(), "Bearer vendor-token");
            assert_eq!(default.frequency, LONGEST);
            assert!(default.identifier.is_none() && default.target.signing_secret.is_none());
        }
    }

    #[test]
    fn a_build_without_a_vendor_has_no_default() {
        for mode in ["default", "both"] {
            let variables = [("SIRVEO_TELEMETRY_MODE", mode), ("SIRVEO_TELEMETRY_URL", "http://e.com")];
            let errors = Settings::check(reading(&variables), &Product::new("Sirveo"), None).unwrap_err();
            assert!(
                errors.to_string().contains("SIRVEO_TELEMETRY_MODE accepts disabled or custom in this build"),
                "{errors}"
            );
        }
    }

    #[test]
    fn do_not_track_disables_the_vendors_destination_only() {
        for (value, vendors) in
            [("1", 0), ("true", 0), ("TRUE", 0), ("yes", 0), ("0", 1), ("false", 1), ("", 1)]
        {
            let settings = check(&[
                ("SIRVEO_TELEMETRY_MODE", "both"),
                ("SIRVEO_TELEMETRY_URL", "http://e.com"),
                ("DO_NOT_TRACK", value),
            ])
            .unwrap();
            assert_eq!(settings.destinations.len(), 1 + vendors, "{value:?}");
            assert_eq!(settings.destinations[0].name, DestinationName::Custom);
            assert_eq!(settings.not_tracked, vendors == 0, "{value:?}");
        }
    }

    #[test]
    fn every_problem_names_the_accepted_and_the_given_value() {
        for (variable, value, says) in [
            ("SIRVEO_TELEMETRY_MODE", "on", "accepts disabled, custom, default or both; given: \"on\""),
            (
                "SIRVEO_TELEMETRY_URL",
                " ",
                "is required in the mode custom: an absolute http:// or https:// URL",
            ),
            ("SIRVEO_TELEMETRY_URL", "e.com/x", "without http:// or https://"),
            ("SIRVEO_TELEMETRY_URL", "ftp://e.com", "another scheme"),
            (
                "SIRVEO_TELEMETRY_FREQUENCY",
                "59m59s",
                "from 1h to 24h, such as 90m or 1h30m; given: \"59m59s\"",
            ),
            ("SIRVEO_TELEMETRY_FREQUENCY", "24h1ns", "given: \"24h1ns\""),
            ("SIRVEO_TELEMETRY_FREQUENCY", "8", "given: \"8\""),
            ("SIRVEO_TELEMETRY_FREQUENCY", "-8h", "given: \"-8h\""),
            ("SIRVEO_TELEMETRY_IDENTIFIER", "a\nb", "control character; given: \"a\\nb\""),
            ("SIRVEO_TELEMETRY_CA_FILE", "/nonexistent/ca.pem", "/nonexistent/ca.pem"),
        ] {
            let said = problem(variable, value);
            assert!(said.contains(says), "{variable}={value:?}: {said}");
            assert!(said.starts_with(variable), "{said}");
        }
        let long = "x".repeat(257);
        assert!(problem("SIRVEO_TELEMETRY_IDENTIFIER", &long).ends_with('…'), "cut");
        check(&[("SIRVEO_TELEMETRY_IDENTIFIER", &"é".repeat(256))]).unwrap();
    }

    #[test]
    fn a_secret_that_cannot_be_used_is_not_shown() {
        for (variable, value) in [
            ("SIRVEO_TELEMETRY_AUTH", "s3cret s3cret s3cret"),
            ("SIRVEO_TELEMTRY_AUTH", "s3cret\ns3cret"),
            ("SIRVEO_TELEMETRY_URL", "ftp://s3cret:s3cret@s3cret/?s3cret"),
            ("SIRVEO_TELEMETRY_URL", "http://e.com:port/s3cret"),
            ("SIRVEO_TELEMETRY_SIGNING_SECRET", "s3cret"),
            ("SIRVEO_TELEMETRY_SIGNING_SECRET", "whsec_czNjcmV0"),
        ] {
            let said = problem(variable, value);
            assert!(!said.contains("s3cret") && !said.contains("czNjcmV0"), "{said}");
        }
    }

    #[test]
    fn all_problems_are_reported_together() {
        let errors = check(&[
            ("SIRVEO_TELEMETRY_MODE", "sometimes"),
            ("SIRVEO_TELEMETRY_URL", "here"),
            ("SIRVEO_TELEMTRY_AUTH", "one"),
            ("SIRVEO_TELEMETRY_AUTH", "two"),
            ("SIRVEO_TELEMETRY_FREQUENCY", "often"),
            ("SIRVEO_TELEMETRY_IDENTIFIER", "\u{7}"),
            ("SIRVEO_TELEMETRY_SIGNING_SECRET", "secret"),
        ])
        .unwrap_err();
        let settings: Vec<&str> = errors.problems().iter().map(SettingProblem::name).collect();
        assert_eq!(
            settings,
            [
                "SIRVEO_TELEMETRY_MODE",
                "SIRVEO_TELEMTRY_AUTH and SIRVEO_TELEMETRY_AUTH",
                "SIRVEO_TELEMETRY_URL",
                "SIRVEO_TELEMETRY_FREQUENCY",
                "SIRVEO_TELEMETRY_IDENTIFIER",
                "SIRVEO_TELEMETRY_SIGNING_SECRET",
            ]
        );
        assert_eq!(errors.to_string().lines().count(), 7, "{errors}");
    }

    #[test]
    fn a_problem_that_two_destinations_share_is_reported_once() {
        let errors = check(&[
            ("SIRVEO_TELEMETRY_MODE", "both"),
            ("SIRVEO_TELEMETRY_URL", "https://e.com"),
            ("SIRVEO_TELEMETRY_CA_FILE", "/nonexistent"),
        ])
        .unwrap_err();
        assert_eq!(errors.problems().len(), 1, "{errors}");
    }

    #[test]
    fn both_spellings_may_hold_the_same_token() {
        let both = [("SIRVEO_TELEMTRY_AUTH", "abc"), ("SIRVEO_TELEMETRY_AUTH", "abc")];
        let base = [("SIRVEO_TELEMETRY_MODE", "custom"), ("SIRVEO_TELEMETRY_URL", "http://e.com")];
        let settings = check(&[&base[..], &both[..]].concat()).unwrap();
        assert_eq!(settings.destinations[0].target.authorization.as_ref().unwrap().expose(), "Bearer abc");
    }

    #[test]
    fn credentials_in_the_url_exclude_a_token() {
        let url = ("SIRVEO_TELEMETRY_URL", "http://user:s3cret@e.com");
        let mode = ("SIRVEO_TELEMETRY_MODE", "custom");
        let settings = check(&[mode, url]).unwrap();
        assert!(
            settings.destinations[0].target.authorization.as_ref().unwrap().expose().starts_with("Basic ")
        );
        let errors = check(&[mode, url, ("SIRVEO_TELEMETRY_AUTH", "s3cret")]).unwrap_err();
        assert!(
            errors.to_string().contains("must not be set if the URL contains user:password@"),
            "{errors}"
        );
        assert!(!errors.to_string().contains("s3cret"), "{errors}");
    }

    #[test]
    fn a_file_is_a_destination_of_the_operator_without_proxy_and_token() {
        let mode = ("SIRVEO_TELEMETRY_MODE", "custom");
        let url = ("SIRVEO_TELEMETRY_URL", "file:///var/lib/events.jsonl");
        let settings = check(&[mode, url, ("ALL_PROXY", "proxy:1")]).unwrap();
        let target = &settings.destinations[0].target;
        assert_eq!(target.endpoint.file_path(), Some("/var/lib/events.jsonl".into()));
        assert!(matches!(target.proxy, Ok(None)));
        let errors = check(&[mode, url, ("SIRVEO_TELEMETRY_AUTH", "s3cret")]).unwrap_err().to_string();
        assert!(errors.contains("AUTH must not be set if the URL is a file"), "{errors}");
        assert!(problem("SIRVEO_TELEMETRY_URL", "file:relative").contains("file:///"));
        let vendor = Vendor::new("file:///var/lib/events.jsonl");
        assert!(Settings::check(reading(&[]), &Product::new("Sirveo"), Some(&vendor)).is_err());
    }

    #[test]
    fn a_value_that_is_not_utf_8_is_a_problem_and_not_a_panic() {
        #[cfg(unix)]
        let no_text = || std::os::unix::ffi::OsStringExt::from_vec(vec![0xff, b's']);
        #[cfg(windows)]
        let no_text = || std::os::windows::ffi::OsStringExt::from_wide(&[0xd800, 0x73]);
        let environment = |name: &str| (name == "SIRVEO_TELEMETRY_URL").then(no_text);
        let reading = Reading::from_environment(&Product::new("Sirveo"), &environment);
        let errors = Settings::check(reading, &Product::new("Sirveo"), None).unwrap_err();
        assert!(errors.to_string().contains("SIRVEO_TELEMETRY_URL accepts text in UTF-8"), "{errors}");
    }

    #[test]
    fn a_ca_file_is_read_and_one_without_a_certificate_is_a_problem() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "no certificate").unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        let said = problem("SIRVEO_TELEMETRY_CA_FILE", &path);
        assert!(said.contains("no certificate in it"), "{said}");
        writeln!(file, "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----").unwrap();
        let said = problem("SIRVEO_TELEMETRY_CA_FILE", &path);
        assert!(said.contains("no certificate that can be used in it; number 1 ("), "{said}");
        let huge = tempfile::NamedTempFile::new().unwrap();
        huge.as_file().set_len(16 * 1024 * 1024 + 1).unwrap();
        let said = problem("SIRVEO_TELEMETRY_CA_FILE", huge.path().to_str().unwrap());
        assert!(said.contains("no regular file of at most 16 MiB"), "{said}");
        let said = problem("SIRVEO_TELEMETRY_CA_FILE", "/dev/zero");
        assert!(said.contains("no regular file"), "{said}");
        let settings = check(&[("SIRVEO_TELEMETRY_CA_FILE", "/nonexistent")]).unwrap();
        assert_eq!(settings.mode, Mode::Disabled, "in the mode disabled no file is opened");
    }

    #[test]
    fn one_unusable_certificate_in_a_bundle_is_warned_of_and_costs_no_other() {
        let log = crate::running::log::Log::collect();
        let company = || {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
            parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            parameters.self_signed(&key).unwrap().pem()
        };
        let pem = |inner: &str| format!("-----BEGIN CERTIFICATE-----\n{inner}\n-----END CERTIFICATE-----\n");
        let bundle = [company(), pem("aGVsbG8="), pem("!no base64!"), company()].concat();
        let padding = "# a comment of a company\n".repeat(100_000);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(format!("{padding}{bundle}").as_bytes()).unwrap();
        let settings = check(&[
            ("SIRVEO_TELEMETRY_MODE", "custom"),
            ("SIRVEO_TELEMETRY_URL", "http://e.com"),
            ("SIRVEO_TELEMETRY_CA_FILE", file.path().to_str().unwrap()),
        ])
        .unwrap();
        assert_eq!(settings.destinations[0].target.extra_roots.len(), 2);
        assert_eq!(log.count("WARN"), 1, "{:?}", log.lines());
        assert_eq!(log.count("2 of the certificates in"), 1, "{:?}", log.lines());
    }

    #[test]
    fn defaults_of_the_host_apply_where_the_operator_set_nothing() {
        let defaults = Config {
            mode: Some("custom".into()),
            url: Some("http://127.0.0.1:8080/".into()),
            frequency: Some("2h".into()),
            no_proxy: Some("127.0.0.1".into()),
            ..Config::default()
        };
        let variables =
            [("SIRVEO_TELEMETRY_FREQUENCY", "3h"), ("SIRVEO_TELEMETRY_URL", " "), ("http_proxy", "proxy:1")];
        let settings =
            Settings::check(reading(&variables).or(defaults), &Product::new("Sirveo"), None).unwrap();
        let custom = &settings.destinations[0];
        assert_eq!(custom.target.endpoint.expose(), "http://127.0.0.1:8080/");
        assert_eq!(custom.frequency, Duration::from_secs(3 * 3600));
        assert!(matches!(custom.target.proxy, Ok(None)));
    }

    #[test]
    fn an_invalid_mode_hides_no_problem_of_the_vendor_or_the_ca_file() {
        let vendor = Vendor::new("nowhere").frequency(Duration::ZERO);
        let variables = [("SIRVEO_TELEMETRY_MODE", "on"), ("SIRVEO_TELEMETRY_CA_FILE", "/nonexistent")];
        let errors =
            Settings::check(reading(&variables), &Product::new("Sirveo"), Some(&vendor)).unwrap_err();
        let settings: Vec<&str> = errors.problems().iter().map(SettingProblem::name).collect();
        let expected = [
            "SIRVEO_TELEMETRY_MODE",
            "SIRVEO_TELEMETRY_CA_FILE",
            "the vendor's URL",
            "the vendor's frequency",
        ];
        assert_eq!(settings, expected);
    }

    #[test]
    fn a_host_can_provide_the_settings() {
        let config: Config = serde_json::from_str(
            r#"{"mode": "custom", "url": "http://e.com/s3cret-path-that-is-long?s3cret", "auth": "s3cret", "frequency": "2h", "identifier": " "}"#,
        )
        .unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
        let reading = Reading::given(config, &|_| None);
        let settings = Settings::check(reading, &Product::new("Sirveo"), None).unwrap();
        assert_eq!(settings.destinations[0].frequency, Duration::from_secs(7200));
        assert_eq!(settings.destinations[0].identifier, None);
        assert!(!format!("{settings:?}").contains("s3cret"));

        let config = Config { frequency: Some("1m".into()), ..Config::default() };
        let errors =
            Settings::check(Reading::given(config, &|_| None), &Product::new("Sirveo"), None).unwrap_err();
        assert!(errors.to_string().contains("telemetry setting `frequency` accepts"), "{errors}");
        assert!(
            serde_json::from_str::<Config>(r#"{"mod": "custom"}"#).is_err(),
            "a typing error is reported"
        );
        let error = serde_json::from_str::<Config>(r#"{"auth": 12345678}"#).unwrap_err().to_string();
        assert!(!error.contains("12345678"), "{error}");
    }

    #[test]
    fn proxy_variables_have_the_precedence_that_curl_gives_them() {
        let proxy = |url: &str, variables: &[(&str, &str)]| {
            let base = [("SIRVEO_TELEMETRY_MODE", "custom"), ("SIRVEO_TELEMETRY_URL", url)];
            let settings = check(&[&base[..], variables].concat()).unwrap();
            settings.destinations[0].target.proxy.clone().unwrap().map(|proxy| proxy.host)
        };
        let all = [
            ("HTTP_PROXY", "upper:1"),
            ("http_proxy", "lower:1"),
            ("HTTPS_PROXY", "tls:1"),
            ("ALL_PROXY", "all:1"),
        ];
        assert_eq!(proxy("http://e.com", &all).as_deref(), Some("lower"));
        assert_eq!(proxy("https://e.com", &all).as_deref(), Some("tls"));
        assert_eq!(proxy("https://e.com", &all[3..]).as_deref(), Some("all"));
        assert_eq!(proxy("http://e.com", &all[..1]).as_deref(), Some("upper"));
        assert_eq!(
            proxy("http://e.com", &[all[0], ("REQUEST_METHOD", "GET")]),
            None,
            "a request's header in CGI"
        );
        assert_eq!(proxy("http://a.e.com", &[all[0], ("NO_PROXY", "e.com")]), None);
        assert_eq!(
            proxy("https://e.com", &[("HTTPS_PROXY", "gopher://x"), ("no_proxy", "*")]),
            None,
            "not looked at"
        );
    }

    proptest! {
        #[test]
        fn no_value_of_any_variable_causes_a_panic_or_shows_a_secret(
            values in prop::collection::vec(prop_oneof![Just(String::new()), ".*", "s3cret[ -~]{0,30}"], 10),
        ) {
            let names = [
                "SIRVEO_TELEMETRY_URL", "SIRVEO_TELEMTRY_AUTH", "SIRVEO_TELEMETRY_AUTH", "SIRVEO_TELEMETRY_SIGNING_SECRET",
                "http_proxy", "https_proxy", "SIRVEO_TELEMETRY_MODE", "SIRVEO_TELEMETRY_FREQUENCY",
                "SIRVEO_TELEMETRY_IDENTIFIER", "NO_PROXY",
            ];
            let variables: Vec<_> = names.into_iter().zip(values.iter().map(String::as_str)).collect();
            let secret_ones: Vec<_> = variables[..6].to_vec();
            let _ = check(&variables);
            if let Err(errors) = check(&secret_ones) {
                prop_assert!(!errors.to_string().contains("s3cret"), "{}", errors);
            }
        }
    }
}
