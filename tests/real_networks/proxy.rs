//! The proxies that a company may have: tinyproxy, squid, and mitmproxy, which signs TLS anew.

use std::fs::{self, Permissions};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;
use test_support::programs::{self, Port, Service};
use test_support::{Signal, wait_until};

use crate::authority::openssl;
use crate::host::SOON;

/// The newest that runs on the Python of Debian 12.
const MITMPROXY: &str = "mitmproxy==11.0.2";

/// What makes squid ask for a password: `user` and `p@ss`.
pub(crate) const SQUID_PASSWORD: &str = "auth_param basic program /usr/lib/squid/basic_ncsa_auth passwords
    auth_param basic children 1
    acl known proxy_auth REQUIRED
    http_access allow known";

/// What makes it ask for none.
pub(crate) const SQUID_OPEN: &str = "http_access allow all";

/// Nothing answers DNS there.
const NO_DNS: &str = "127.99.99.99";

/// A running proxy.
pub(crate) struct Proxy {
    service: Service,
    /// squid leaves shared memory of this name behind when it is killed.
    name: String,
    folder: TempDir,
}

impl Proxy {
    /// tinyproxy with these lines in its configuration.
    pub(crate) fn tinyproxy(lines: &str) -> Self {
        let (port, folder) = (Port::reserve(), tempfile::tempdir().unwrap());
        let configuration = format!("Listen 127.0.0.1\nPort {}\nTimeout 600\n{lines}\n", port.number());
        let file = folder.path().join("configuration");
        fs::write(&file, configuration).unwrap();
        let mut command = Command::new(programs::debian("tinyproxy", "tinyproxy"));
        command.arg("-d").arg("-c").arg(file);
        Self::start(command, port, folder)
    }

    /// squid with these lines in its configuration.
    pub(crate) fn squid(lines: &str) -> Self {
        let (port, folder) = (Port::reserve(), tempfile::tempdir().unwrap());
        // Where root starts it, it goes on as another user.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        let password = openssl(folder.path(), &["passwd", "-apr1", "p@ss"]);
        fs::write(folder.path().join("passwords"), format!("user:{password}")).unwrap();
        let configuration = format!(
            "http_port 127.0.0.1:{}\npid_filename none\ncache deny all\ncache_log /dev/null\n\
             access_log stdio:{}\nnetdb_filename none\npinger_enable off\n\
             dns_nameservers {NO_DNS}\ndns_timeout 1 second\ndns_retransmit_interval 200 milliseconds\n{lines}\n",
            port.number(),
            folder.path().join("log").display()
        );
        let file = folder.path().join("configuration");
        fs::write(&file, configuration).unwrap();
        let mut command = Command::new(programs::debian("squid", "squid"));
        command.args(["-N", "-n", &name(&port), "-f"]).arg(file).current_dir(folder.path());
        Self::start(command, port, folder)
    }

    /// `mitmdump` with these options.
    pub(crate) fn mitmproxy(options: &[&str]) -> Self {
        let (port, folder) = (Port::reserve(), tempfile::tempdir().unwrap());
        let mut command = Command::new(programs::python(&[MITMPROXY], "mitmdump"));
        command.args(["--listen-host", "127.0.0.1", "--listen-port", &port.number().to_string()]);
        command.args(["--set", &format!("confdir={}", folder.path().display()), "--set", "flow_detail=4"]);
        command.args(options);
        Self::start(command, port, folder)
    }

    fn start(command: Command, port: Port, folder: TempDir) -> Self {
        let name = name(&port);
        remove_memory(&name);
        Self { service: Service::start(command, port), name, folder }
    }

    /// `host:port`, as failures name it.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.service.port())
    }

    /// Its URL, for a user such as `name:password@`.
    pub(crate) fn url(&self, user: &str) -> String {
        format!("http://{user}{}", self.address())
    }

    /// The CA that mitmproxy signs with.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("mitmproxy-ca-cert.pem")
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        let file = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        self.service.process().output().join("\n") + &file
    }

    /// Kills it, and waits until nothing listens any more.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        wait_until("the proxy is gone", SOON, || TcpStream::connect(self.address()).is_err());
    }

    /// Sends it a signal.
    pub(crate) fn signal(&mut self, signal: Signal) {
        self.service.signal(signal);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        remove_memory(&self.name);
    }
}

fn name(port: &Port) -> String {
    format!("test{}", port.number())
}

/// A squid that finds the memory of another of its name does not start.
fn remove_memory(name: &str) {
    for part in ["metadata", "queues", "readers"] {
        let _ = fs::remove_file(format!("/dev/shm/{name}-cf__{part}.shm"));
    }
}
