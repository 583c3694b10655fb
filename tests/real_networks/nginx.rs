//! nginx as a destination, with as many sites as a test asks for.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use tempfile::TempDir;
use test_support::programs::{self, Port, Service};
use test_support::{Signal, wait_until};

use crate::authority::Credentials;
use crate::host::SOON;

/// A running nginx.
pub(crate) struct Nginx {
    service: Service,
    ports: Vec<Port>,
    _folder: TempDir,
}

/// The directives of a site that answers 200, over TLS.
pub(crate) fn https(credentials: &Credentials) -> String {
    let (chain, key) = (credentials.chain.display(), credentials.key.display());
    format!("ssl_certificate {chain}; ssl_certificate_key {key}; location / {{ return 200; }}")
}

impl Nginx {
    /// Starts one with a site for each of the `listen` directives, in which `*` stands for a free port, and what else
    /// the site consists of.
    pub(crate) fn start(sites: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports: Vec<_> = sites.iter().map(|_| Port::reserve()).collect();
        let own = Port::reserve();
        let mut servers = format!("server {{ listen 127.0.0.1:{}; }}", own.number());
        for ((listen, directives), port) in sites.iter().zip(&ports) {
            let listen = listen.replace('*', &port.number().to_string());
            writeln!(servers, "server {{ listen {listen}; {directives} }}").unwrap();
        }
        configure(&folder, &servers);
        let mut command = Command::new(programs::debian("nginx", "nginx"));
        command.args(["-e", "stderr", "-g", "daemon off;", "-c", "configuration", "-p"]).arg(folder.path());
        Self { service: Service::start(command, own), ports, _folder: folder }
    }

    /// Where the site of this number listens.
    pub(crate) fn port(&self, site: usize) -> u16 {
        self.ports[site].number()
    }

    /// Stops it in its tracks: the system still accepts connections for it.
    pub(crate) fn freeze(&mut self) {
        self.service.signal(Signal::SIGSTOP);
    }

    /// Waits until it has logged at least so many requests whose line `is_counted`; says how many there are.
    #[track_caller]
    pub(crate) fn wait_for_requests(&self, count: usize, is_counted: impl Fn(&str) -> bool) -> usize {
        let counted = || self.service.process().output().iter().filter(|line| is_counted(line)).count();
        wait_until(&format!("nginx logs {count} requests"), SOON, || counted() >= count);
        counted()
    }
}

/// Writes `configuration` into `folder`, for an nginx in one process, which leaves nothing behind when it is killed.
pub(crate) fn configure(folder: &TempDir, servers: &str) {
    let configuration = format!(
        "user root root; master_process off; pid pid; error_log stderr; events {{}}
        http {{
            log_format line '$request $status host=$http_host agent=$http_user_agent tls=$ssl_protocol';
            access_log /dev/stdout line;
            client_body_temp_path temporary; proxy_temp_path temporary; fastcgi_temp_path temporary;
            uwsgi_temp_path temporary; scgi_temp_path temporary;
            {servers}
        }}"
    );
    fs::write(folder.path().join("configuration"), configuration).unwrap();
}
