//! Secrets of the operator: the value of a variable, or of the file that `<VARIABLE>_FILE` names, as container
//! platforms provide secrets.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use crate::outgoing::setting::{Environment, Problems, Setting, SettingProblem};
use crate::running::text::trimmed;

/// Size of the largest file that is read as a secret.
const LARGEST_FILE: u64 = 64 * 1024;

/// Description of the files that a variable `…_FILE` accepts.
const ACCEPTS_FILE: &str = "the path of a readable file of at most 64 KiB that holds the value as text";

/// Secret that is set, before its file is read.
#[derive(Debug)]
pub(super) struct Secret {
    setting: Setting,
    /// Name of the variable that is set.
    name: String,
    origin: Origin,
}

#[derive(Debug)]
enum Origin {
    /// Value of the variable itself.
    Variable(SecretString),
    /// Path in the variable `…_FILE`.
    File(String),
}

impl Secret {
    /// Reads the variable `name` and the variable `<name>_FILE`, and opens no file.
    pub(super) fn read(
        setting: Setting,
        name: &str,
        environment: Environment<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let name_of_file = format!("{name}_FILE");
        let value = problems.read(setting, name, environment);
        let path = problems.read(setting, &name_of_file, environment);
        if value.is_some() && path.is_some() {
            let both = format!("{name} and {name_of_file}");
            problems.push(SettingProblem::secret(setting, &both, "a value in one of them", "both"));
        }
        match (value, path) {
            (Some(value), _) => {
                Some(Self { setting, name: name.to_owned(), origin: Origin::Variable(value.into()) })
            }
            (None, Some(path)) => Some(Self { setting, name: name_of_file, origin: Origin::File(path) }),
            (None, None) => None,
        }
    }

    /// Whether the secret can be read without opening a file.
    fn is_in_variable(&self) -> bool {
        matches!(self.origin, Origin::Variable(_))
    }

    /// The secret. Reads the file, which blocks.
    pub(super) fn resolve(&self, problems: &mut Problems) -> Option<SecretString> {
        match &self.origin {
            Origin::Variable(value) => Some(value.clone()),
            Origin::File(path) => {
                let read = read_file(path).map_err(|why| format!("{} ({why})", shown(path)));
                problems.secret(self.setting, &self.name, ACCEPTS_FILE, read)
            }
        }
    }
}

/// Secrets from the environment, which override the fields of the defaults.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    pub(super) url: Option<Secret>,
    pub(super) signing_secret: Option<Secret>,
    /// The two spellings of the variable for the token.
    pub(super) auth: [Option<Secret>; 2],
}

impl Secrets {
    /// The secrets. Reads their files only where `may_open_files`.
    pub(super) fn resolve(self, may_open_files: bool, problems: &mut Problems) -> ResolvedSecrets {
        let may_resolve = |secret: &Secret| may_open_files || secret.is_in_variable();
        let Self { url, signing_secret, auth } = self;
        let auth = auth.map(|secret| secret.filter(may_resolve));
        let mut resolve = |secret: Option<Secret>| secret.filter(may_resolve)?.resolve(problems);
        let (url, signing_secret) = (resolve(url), resolve(signing_secret));
        ResolvedSecrets { url, signing_secret, auth: resolve_auth(&auth, problems) }
    }
}

/// The token. Both spellings of its variable may be set, to the same value.
fn resolve_auth(spellings: &[Option<Secret>; 2], problems: &mut Problems) -> Option<SecretString> {
    let resolved = spellings.each_ref().map(|secret| secret.as_ref()?.resolve(problems));
    if let ([Some(first), Some(second)], [Some(one), Some(other)]) = (spellings, &resolved)
        && one.expose_secret() != other.expose_secret()
    {
        problems.push(SettingProblem::secret(
            Setting::Auth,
            &format!("{} and {}", first.name, second.name),
            "the same token in both, or a token in one of them",
            "two different values",
        ));
    }
    resolved.into_iter().flatten().next()
}

/// Secrets whose files are read.
pub(super) struct ResolvedSecrets {
    pub(super) url: Option<SecretString>,
    pub(super) auth: Option<SecretString>,
    pub(super) signing_secret: Option<SecretString>,
}

/// A path as it is shown. What is no absolute path may be the secret itself, in the wrong variable.
fn shown(path: &str) -> String {
    match Path::new(path).is_absolute() {
        true => format!("{path:?}"),
        false => "a value that is no absolute path, and not shown".to_owned(),
    }
}

/// The text of a file, without the blanks and the newline around it.
fn read_file(path: &str) -> Result<SecretString, String> {
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    // Opening a pipe would wait for its writer.
    if !metadata.is_file() {
        return Err("no regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err("more than 64 KiB".to_owned());
    }
    let text = String::from_utf8(bytes).map_err(|_| "bytes that are not UTF-8")?;
    match trimmed(&text) {
        "" => Err("an empty file".to_owned()),
        text => Ok(SecretString::from(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DestinationName, Mode, Settings};
    use crate::sender::product::Product;
    use crate::sender::simulation::fakes::reading;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn check(variables: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::check(reading(variables), &Product::new("Sirveo"), None)
            .map_err(|errors| errors.to_string())
    }

    /// Writes a file in `directory` and returns its path.
    fn file(directory: &tempfile::TempDir, name: &str, content: &[u8]) -> String {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn each_secret_is_read_from_the_file_that_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let url = file(&directory, "url", "\u{feff}https://e.com/in?key=s3cret\r\n".as_bytes());
        let auth = file(&directory, "auth", b"  abc \n");
        let signing = file(&directory, "signing", format!("{SECRET}\n").as_bytes());
        for variable in ["SIRVEO_TELEMTRY_AUTH_FILE", "SIRVEO_TELEMETRY_AUTH_FILE"] {
            let settings = check(&[
                ("SIRVEO_TELEMETRY_MODE", "custom"),
                ("SIRVEO_TELEMETRY_URL_FILE", &format!(" {url}\n")),
                (variable, &auth),
                ("SIRVEO_TELEMETRY_SIGNING_SECRET_FILE", &signing),
            ])
            .unwrap();
            let target = &settings.destinations[0].target;
            assert_eq!(settings.destinations[0].name, DestinationName::Custom);
            assert_eq!(target.endpoint.expose(), "https://e.com/in?key=s3cret");
            assert_eq!(target.authorization.as_ref().unwrap().expose(), "Bearer abc", "{variable}");
            assert!(target.signing_secret.is_some());
        }
    }

    #[test]
    fn every_value_is_trimmed() {
        for around in ["", " ", "\n", "\r\n", "\u{feff}", " \t\u{feff}\n"] {
            let surrounded = |value: &str| format!("{around}{value}{around}");
            let settings = check(&[
                ("SIRVEO_TELEMETRY_MODE", &surrounded("custom")),
                ("SIRVEO_TELEMETRY_URL", &surrounded("http://e.com/")),
                ("SIRVEO_TELEMETRY_AUTH", &surrounded("abc")),
                ("SIRVEO_TELEMETRY_FREQUENCY", &surrounded("2h")),
                ("SIRVEO_TELEMETRY_IDENTIFIER", &surrounded("my server")),
                ("SIRVEO_TELEMETRY_SIGNING_SECRET", &surrounded(SECRET)),
            ])
            .unwrap();
            let custom = &settings.destinations[0];
            assert_eq!(custom.target.authorization.as_ref().unwrap().expose(), "Bearer abc", "{around:?}");
            assert_eq!(custom.identifier.as_deref(), Some("my server"), "{around:?}");
            assert_eq!(custom.frequency.as_secs(), 7200);
        }
    }

    #[test]
    fn a_variable_and_its_file_are_one_too_many() {
        let directory = tempfile::tempdir().unwrap();
        let path = file(&directory, "value", b"s3cret");
        for (variable, value) in [
            ("SIRVEO_TELEMETRY_URL", "http://s3cret.example"),
            ("SIRVEO_TELEMTRY_AUTH", "s3cret"),
            ("SIRVEO_TELEMETRY_AUTH", "s3cret"),
            ("SIRVEO_TELEMETRY_SIGNING_SECRET", SECRET),
        ] {
            let in_file = format!("{variable}_FILE");
            let errors = check(&[(variable, value), (&in_file, &path)]).unwrap_err();
            let expected = format!("{variable} and {in_file} accepts a value in one of them; given: both");
            assert!(errors.contains(&expected) && !errors.contains("s3cret"), "{errors}");
        }
        let other = file(&directory, "other", b"another s3cret");
        let errors = check(&[
            ("SIRVEO_TELEMETRY_MODE", "custom"),
            ("SIRVEO_TELEMETRY_URL", "http://e.com"),
            ("SIRVEO_TELEMTRY_AUTH_FILE", &path),
            ("SIRVEO_TELEMETRY_AUTH_FILE", &other),
        ])
        .unwrap_err();
        assert!(errors.contains("two different values") && !errors.contains("s3cret"), "{errors}");
    }

    #[test]
    fn a_secret_in_the_variable_of_its_file_is_not_shown() {
        for variable in ["SIRVEO_TELEMETRY_AUTH_FILE", "SIRVEO_TELEMETRY_URL_FILE"] {
            let errors = check(&[("SIRVEO_TELEMETRY_MODE", "both"), (variable, "s3cret/x")]).unwrap_err();
            assert!(
                errors.contains("a value that is no absolute path, and not shown (No such file"),
                "{errors}"
            );
            assert!(!errors.contains("s3cret"), "{errors}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_used_is_reported_with_variable_and_path_and_opened_only_if_active() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe").to_str().unwrap().to_owned();
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let cases = [
            ("/nonexistent/secret".to_owned(), "No such file or directory"),
            (directory.path().to_str().unwrap().to_owned(), "no regular file"),
            (pipe, "no regular file"),
            (file(&directory, "huge", &vec![b'a'; 1024 * 1024]), "more than 64 KiB"),
            (file(&directory, "empty", b""), "an empty file"),
            (file(&directory, "blank", "\u{feff} \r\n".as_bytes()), "an empty file"),
            (file(&directory, "binary", b"\xff\xfe"), "bytes that are not UTF-8"),
        ];
        for (path, why) in &cases {
            for variable in ["URL", "AUTH", "SIGNING_SECRET"] {
                let name = format!("SIRVEO_TELEMETRY_{variable}_FILE");
                let url = ("SIRVEO_TELEMETRY_URL", "http://e.com");
                let mut variables = vec![("SIRVEO_TELEMETRY_MODE", "custom"), (&name, path.as_str())];
                variables.extend((variable != "URL").then_some(url));
                let errors = check(&variables).unwrap_err();
                assert!(
                    errors.contains(&format!("\n  {name} accepts the path of a readable file")),
                    "{errors}"
                );
                assert!(errors.contains(&format!("given: {path:?} ({why}")), "{errors}");
                assert_eq!(errors.lines().count(), 2, "one problem: {errors}");

                let disabled = check(&[("SIRVEO_TELEMETRY_MODE", "disabled"), (&name, path)]).unwrap();
                assert_eq!(disabled.mode, Mode::Disabled, "in the mode disabled no file is opened");
            }
        }
    }
}
