//! A company's certificates, made by the `openssl` command as its administrators make them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use test_support::programs;

const CONFIGURATION: &str = "
[req]
distinguished_name = name
[name]
[ca]
default_ca = this
[this]
database = index.txt
new_certs_dir = .
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = supplied
";

const OF_AUTHORITY: &str = "basicConstraints = critical,CA:TRUE\nkeyUsage = keyCertSign,cRLSign";

/// A certificate authority.
pub(crate) struct Authority {
    folder: TempDir,
}

/// What a certificate says.
#[derive(Clone, Copy)]
pub(crate) struct Subject {
    pub(crate) common_name: &'static str,
    pub(crate) extensions: &'static str,
    pub(crate) from: &'static str,
    pub(crate) until: &'static str,
    pub(crate) key: Key,
}

/// The kind of a key.
#[derive(Clone, Copy)]
pub(crate) enum Key {
    Rsa,
    Ec,
    /// On the curve P-521.
    Ec521,
}

/// The files of a TLS server: its certificate, with those between it and the authority, and its key.
pub(crate) struct Credentials {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

/// A certificate of a server, without a fault.
pub(crate) const LOCALHOST: Subject = Subject {
    common_name: "localhost",
    extensions: "subjectAltName = DNS:localhost",
    from: "20200101000000Z",
    until: "20990101000000Z",
    key: Key::Ec,
};

impl Key {
    fn options(self) -> &'static [&'static str] {
        match self {
            Key::Rsa => &["-nodes", "-newkey", "rsa:2048"],
            Key::Ec => &["-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
            Key::Ec521 => &["-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"],
        }
    }
}

impl Authority {
    /// One that signs itself.
    pub(crate) fn new(name: &str, key: Key) -> Self {
        let authority = Self::in_new_folder();
        authority.sign_itself(name, key, OF_AUTHORITY, "ca");
        authority
    }

    /// One below this one.
    pub(crate) fn intermediate(&self, name: &'static str) -> Self {
        let below = Self::in_new_folder();
        let made = self.sign(Subject { common_name: name, extensions: OF_AUTHORITY, ..LOCALHOST });
        fs::copy(made.chain, below.folder.path().join("ca.crt")).unwrap();
        fs::copy(made.key, below.folder.path().join("ca.key")).unwrap();
        below
    }

    fn in_new_folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("configuration"), CONFIGURATION).unwrap();
        fs::write(folder.path().join("index.txt"), "").unwrap();
        Self { folder }
    }

    /// Its own certificate.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// Its own certificate, with all that it says as text before it.
    pub(crate) fn text(&self) -> String {
        self.openssl(&["x509", "-in", "ca.crt", "-text"])
    }

    /// A certificate that this authority signed.
    pub(crate) fn sign(&self, subject: Subject) -> Credentials {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        let path = |file: &str| folder.join(file).to_str().unwrap().to_owned();
        let (request, extensions) = (path("request"), path("extensions"));
        let (chain, key) = (path("chain"), path("key"));
        fs::write(&extensions, subject.extensions).unwrap();
        let name = format!("/CN={}", subject.common_name);
        let to_ask =
            ["req", "-new", "-config", "configuration", "-subj", &name, "-keyout", &key, "-out", &request];
        self.openssl(&[&to_ask, subject.key.options()].concat());
        let by_this = ["ca", "-batch", "-config", "configuration", "-cert", "ca.crt", "-keyfile", "ca.key"];
        let dates = ["-startdate", subject.from, "-enddate", subject.until];
        let files = ["-notext", "-extfile", &extensions, "-in", &request, "-out", &chain];
        self.openssl(&[&by_this[..], &dates, &files].concat());
        Credentials { chain: chain.into(), key: key.into() }
    }

    /// A certificate of the format X.509 v1, as `openssl x509 -req` makes it without extensions.
    pub(crate) fn sign_version_1(&self, file: &str) -> Credentials {
        let path = |ending: &str| self.folder.path().join(format!("{file}.{ending}"));
        let (request, key, chain) = (path("request"), path("key"), path("crt"));
        let [request_file, key_file, chain_file] =
            [&request, &key, &chain].map(|path| path.to_str().unwrap().to_owned());
        let to_ask = ["req", "-new", "-config", "configuration", "-subj", "/CN=localhost"];
        let files = ["-keyout", &key_file, "-out", &request_file];
        self.openssl(&[&to_ask[..], &files, Key::Ec.options()].concat());
        let to_sign = ["x509", "-req", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30"];
        self.openssl(&[&to_sign[..], &["-in", &request_file, "-out", &chain_file]].concat());
        Credentials { chain, key }
    }

    /// A certificate for `localhost` that nobody signed but itself, beside those of this authority.
    pub(crate) fn self_signed(&self, file: &str, constraints: &str) -> Credentials {
        self.sign_itself("localhost", Key::Ec, &format!("{}\n{constraints}", LOCALHOST.extensions), file);
        let path = |ending: &str| self.folder.path().join(format!("{file}.{ending}"));
        Credentials { chain: path("crt"), key: path("key") }
    }

    fn sign_itself(&self, name: &str, key: Key, extensions: &str, file: &str) {
        let configuration = format!("{CONFIGURATION}[itself]\n{extensions}\n");
        fs::write(self.folder.path().join("configuration"), configuration).unwrap();
        let (name, key_file, certificate) =
            (format!("/CN={name}"), format!("{file}.key"), format!("{file}.crt"));
        let options = ["req", "-x509", "-config", "configuration", "-extensions", "itself", "-subj", &name];
        let files = ["-days", "30", "-keyout", &key_file, "-out", &certificate];
        self.openssl(&[&options[..], &files, key.options()].concat());
    }

    fn openssl(&self, arguments: &[&str]) -> String {
        openssl(self.folder.path(), arguments)
    }
}

/// What the `openssl` command prints, run in `folder`.
pub(crate) fn openssl(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(programs::debian("openssl", "openssl"));
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
