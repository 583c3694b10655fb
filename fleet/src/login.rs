//! The login of the pages and the API: where its password comes from.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use deployment_telemetry::receiver::Login;
use program::{Environment, Failure, print};

const PASSWORD: &str = "FLEET_PASSWORD";
const HTTPS: &str = "FLEET_HTTPS";

/// Variables that are read here.
pub(crate) const VARIABLES: [&str; 2] = [PASSWORD, HTTPS];

const USER: &str = "fleet";

/// What stands for no login at all. A password has more letters.
const NONE: &str = "none";

/// File in the data folder with the hash of a password that was made.
const FILE: &str = "password";

/// What a password that is made consists of: letters and digits that cannot be taken for each other.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Number of them: 120 random bits.
const LENGTH: usize = 24;

/// Number of them after which a hyphen follows, for people who type them.
const GROUP: usize = 6;

pub(crate) struct LoginSettings {
    password: Password,
    /// Whether browsers connect by https, through a proxy.
    is_https: bool,
}

enum Password {
    Given(Box<Login>),
    /// None was given: it was made at the first start, or is made now. The file has its hash.
    Made(PathBuf),
    None,
}

impl LoginSettings {
    /// `listen` is the name of the variable with the address, and the address. There is no data folder with PostgreSQL.
    pub(crate) fn read(
        environment: &mut Environment,
        (name, listen): (&str, SocketAddr),
        data_directory: Option<&Path>,
    ) -> Self {
        let is_https = environment.parsed(HTTPS, "true or false", |text| text.parse().ok()).unwrap_or(false);
        let password = match environment.text(PASSWORD) {
            Some(word) if word.trim() == NONE => {
                if !listen.ip().is_loopback() {
                    let accepts = format!("a loopback address, or any address if {PASSWORD} is not {NONE}");
                    environment.add_problem(name, accepts, format!("\"{listen}\""));
                }
                Password::None
            }
            Some(password) => match Login::new(USER, password) {
                Ok(login) => Password::Given(Box::new(login)),
                Err(_) => {
                    let accepts = format!("12 characters or more, or {NONE}");
                    environment.add_problem(PASSWORD, accepts, "fewer characters");
                    Password::None
                }
            },
            None => match data_directory {
                Some(directory) => Password::Made(directory.join(FILE)),
                None => {
                    let accepts = format!(
                        "12 characters or more, or {NONE}; required with PostgreSQL, where all receivers need the same"
                    );
                    environment.add_problem(PASSWORD, accepts, "nothing");
                    Password::None
                }
            },
        };
        Self { password, is_https }
    }

    /// Logs what an operator should know.
    pub(crate) fn log(&self, listen: SocketAddr) {
        if matches!(self.password, Password::None) {
            tracing::info!("no login is required, because {PASSWORD} is {NONE}");
        }
        if !listen.ip().is_loopback() && !self.is_https {
            tracing::warn!(
                "passwords and sessions cross the network readable: put a proxy with TLS in front, and set {HTTPS}=true"
            );
        }
    }

    /// The login. A password that is made is shown, once.
    pub(crate) fn open(self) -> Result<Login, Failure> {
        let login = match self.password {
            Password::Given(login) => *login,
            Password::Made(file) => kept_or_new(&file)?,
            Password::None => Login::without_password(),
        };
        Ok(if self.is_https { login.https() } else { login })
    }
}

/// The login by the hash in a file, which is made with a new password if there is none.
fn kept_or_new(file: &Path) -> Result<Login, Failure> {
    let name = file.display();
    let hash = match fs::read(file) {
        Ok(hash) => String::from_utf8_lossy(&hash).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(file)?,
        Err(error) => return Err(Failure::system(format!("{name} cannot be read"))(error)),
    };
    let unusable = format!("{name} does not hold the hash of a password; delete it, and a new one is made");
    Login::with_hash(USER, hash.trim()).map_err(Failure::system(unusable))
}

/// Makes a password, keeps its hash in `file`, and shows it.
fn make(file: &Path) -> Result<String, Failure> {
    let password = generate();
    let hash = Login::hash(password.as_str()).map_err(Failure::system("no password can be made"))?;
    write_new(file, &hash).map_err(Failure::system(format!("{} cannot be written", file.display())))?;
    print(&format!(
        "The password of the user {USER} is {password}\n\
         It is shown this once. Delete {} to have a new one made, or set {PASSWORD}.\n",
        file.display()
    ));
    Ok(hash)
}

fn write_new(file: &Path, hash: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(file)?;
    writeln!(file, "{hash}")?;
    file.sync_all()
}

fn generate() -> String {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).expect("the system has random numbers");
    let letters = bytes.map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
    let groups: Vec<String> = letters.chunks(GROUP).map(|group| group.iter().collect()).collect();
    groups.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_random_and_easy_to_type() {
        let password = generate();
        assert_eq!(password.len(), 27);
        assert!(password.bytes().all(|byte| byte == b'-' || ALPHABET.contains(&byte)), "{password}");
        assert_ne!(password, generate());
    }

    #[test]
    fn a_password_is_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(FILE);
        assert!(kept_or_new(&file).is_ok());
        let kept = fs::read_to_string(&file).unwrap();
        assert!(kept.starts_with("$argon2id$"), "{kept}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(kept_or_new(&file).is_ok());
        assert_eq!(fs::read_to_string(&file).unwrap(), kept);
    }

    #[test]
    fn only_a_file_without_a_hash_is_to_be_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(FILE);
        let message = || match kept_or_new(&file) {
            Err(Failure::System(message)) => message,
            _ => panic!("this is no hash"),
        };
        for content in [&b""[..], b"a long password", b"\xff\xfe"] {
            fs::write(&file, content).unwrap();
            assert!(message().contains("delete it"), "{}", message());
        }
        fs::remove_file(&file).unwrap();
        // Nothing can be read from it, whoever asks.
        fs::create_dir(&file).unwrap();
        assert!(message().contains(" cannot be read: ") && !message().contains("delete"), "{}", message());
    }
}
