//! Connections to PostgreSQL by a URL: the same cases for libpq's own `psql` and for this crate.

#![cfg(feature = "postgres")]

use std::fs;
use std::path::Path;
use std::process::Command;

use deployment_telemetry::{PostgresStateStore, StateStore};
use test_support::{TestCluster, programs};

/// Runs `openssl` in `folder`.
fn openssl(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new(programs::debian("openssl", "openssl"));
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Turns on TLS in `cluster`, with a certificate of X.509 v1 that a private CA signed. Returns the CA's folder.
fn with_version_1_certificate(cluster: &mut TestCluster) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let ca = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=CA"];
    openssl(folder.path(), &[&ca[..], &["-keyout", "ca.key", "-out", "ca.crt"]].concat());
    let request = ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1"];
    openssl(folder.path(), &[&request[..], &["-keyout", "server.key", "-out", "server.csr"]].concat());
    let sign = ["x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"];
    openssl(folder.path(), &[&sign[..], &["-days", "30", "-out", "server.crt"]].concat());
    let directory = cluster.directory().join("data");
    let owner = fs::metadata(directory.join("PG_VERSION")).unwrap();
    for file in ["server.crt", "server.key"] {
        let to = directory.join(file);
        fs::copy(folder.path().join(file), &to).unwrap();
        use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
        fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&to, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    restart_with(cluster, "ssl = on");
    folder
}

/// Restarts `cluster` with more lines in its configuration.
fn restart_with(cluster: &mut TestCluster, lines: &str) {
    cluster.stop();
    let settings = cluster.directory().join("data/postgresql.conf");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, format!("{text}\n{lines}\n")).unwrap();
    cluster.start_again();
}

/// What `psql` prints; `None` where it does not connect.
fn psql_prints(url: &str, sql: &str) -> Option<String> {
    let mut command = Command::new(programs::debian("psql", "postgresql-client"));
    let output = command.args(["-XAt", "-c", sql, url]).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

/// Whether `psql` connects.
fn psql(url: &str) -> bool {
    psql_prints(url, "select 1").is_some()
}

/// Why this crate does not connect; `None` where it does.
fn refusal(url: &str) -> Option<String> {
    let store = match PostgresStateStore::from_url(url) {
        Ok(store) => store,
        Err(error) => return Some(error.to_string()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(store.read("instance_id")).err().map(|error| error.to_string())
}

#[test]
fn parameters_and_modes_have_the_effect_that_they_have_in_psql() {
    let mut cluster = TestCluster::start();
    let ca = with_version_1_certificate(&mut cluster);
    let base = cluster.url("postgres");
    let url = |parameters: &str| {
        let parameters = parameters.replace("$CA", ca.path().join("ca.crt").to_str().unwrap());
        if parameters.is_empty() { base.clone() } else { format!("{base}?{parameters}") }
    };
    let version =
        Command::new(programs::debian("psql", "postgresql-client")).arg("--version").output().unwrap();
    println!("compared with {}", String::from_utf8_lossy(&version.stdout).trim());
    let is_encrypted = |parameters: &str| {
        psql_prints(&url(parameters), "select ssl from pg_stat_ssl where pid = pg_backend_pid()")
    };
    assert_eq!(is_encrypted("sslmode=prefer").as_deref(), Some("t"), "the server speaks TLS");
    // Cases in which both connect.
    for parameters in [
        "",
        "sslmode=disable",
        "sslmode=allow",
        "sslmode=prefer",
        "sslmode=require",
        "gssencmode=disable",
        "client_encoding=UTF8",
        "keepalives_count=3",
        "target_session_attrs=primary",
        "target_session_attrs=prefer-standby",
        "fallback_application_name=x",
        "ssl_min_protocol_version=TLSv1.2",
    ] {
        let url = url(parameters);
        assert!(psql(&url), "psql: {parameters}");
        assert_eq!(refusal(&url), None, "{parameters}");
    }
    // Cases in which neither connects.
    for (parameters, why) in [
        ("sslmode=verify-full", ""),
        ("sslmode=require&gssencmode=require", "the parameter \"gssencmode\" cannot be used"),
        ("service=none", "the parameter \"service\" cannot be used"),
        ("target_session_attrs=leader", "the parameter \"target_session_attrs\" cannot be used"),
        ("conect_timeout=3", "the parameter \"conect_timeout\" cannot be used"),
        ("sslmode=maybe", "sslmode accepts"),
    ] {
        let url = url(parameters);
        assert!(!psql(&url), "psql: {parameters}");
        let refusal = refusal(&url).unwrap_or_else(|| panic!("{parameters}: it connects"));
        assert!(refusal.contains(why), "{parameters}: {refusal}");
    }
    // X.509 v1 cannot be verified here, and is in psql.
    let verified = url("sslmode=verify-ca&sslrootcert=$CA");
    assert!(psql(&verified));
    assert!(refusal(&verified).is_some());
}

/// What became of each of these URLs with a libpq of version 16 or later, as a package of Python's has it, and its version.
/// `None` is a connection. Debian's own may be older, and takes `sslrootcert=system` for the name of a file.
fn with_libpq_16(urls: &[String]) -> (u32, Vec<Option<String>>) {
    const PROGRAM: &str = r#"
import json, sys, psycopg
def why(url):
    try:
        psycopg.connect(url, connect_timeout=10).close()
    except psycopg.OperationalError as error:
        return str(error)
print(json.dumps([psycopg.pq.version(), [why(url) for url in sys.argv[1:]]]))
"#;
    let python = programs::python(&["psycopg[binary]==3.2.3"], "python");
    let output = Command::new(python).args(["-c", PROGRAM]).args(urls).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

#[test]
fn the_roots_of_the_system_have_the_meaning_that_they_have_in_libpq_16() {
    let mut cluster = TestCluster::start();
    let _ca = with_version_1_certificate(&mut cluster);
    let cases = [
        // The certificate is of no public CA.
        ("sslrootcert=system", "certificate verify failed", "PostgreSQL"),
        ("sslrootcert=system&sslmode=verify-full", "certificate verify failed", "PostgreSQL"),
        ("sslrootcert=system&sslmode=require", "weak sslmode", "requires sslmode=verify-full"),
        ("sslrootcert=system&sslmode=verify-ca", "weak sslmode", "requires sslmode=verify-full"),
        ("sslmode=prefer&sslrootcert=system", "weak sslmode", "requires sslmode=verify-full"),
        ("sslmode=allow&sslrootcert=system", "weak sslmode", "requires sslmode=verify-full"),
        ("sslmode=disable&sslrootcert=system", "weak sslmode", "requires sslmode=verify-full"),
    ];
    let urls = cases.map(|(parameters, ..)| format!("{}?{parameters}", cluster.url("postgres")));
    let (version, theirs) = with_libpq_16(&urls);
    println!("compared with libpq {}.{}", version / 10_000, version % 10_000);
    assert!(version >= 160_000, "{version}");
    for (((parameters, their_words, our_words), url), theirs) in cases.iter().zip(&urls).zip(theirs) {
        let theirs = theirs.unwrap_or_else(|| panic!("libpq: {parameters} connects"));
        assert!(theirs.contains(their_words), "libpq: {parameters}: {theirs}");
        let ours = refusal(url).unwrap_or_else(|| panic!("{parameters} connects"));
        assert!(ours.contains(our_words), "{parameters}: {ours}");
    }
}

/// Asserts that `prefer` connects, and `require` does not, for psql and for this crate.
fn assert_only_preferred(cluster: &TestCluster) {
    let url = |mode: &str| format!("{}?sslmode={mode}", cluster.url("postgres"));
    assert!(psql(&url("prefer")) && !psql(&url("require")));
    assert_eq!(refusal(&url("prefer")), None);
    assert!(refusal(&url("require")).is_some());
}

#[test]
fn prefer_goes_on_without_tls_where_the_handshake_fails() {
    let mut cluster = TestCluster::start();
    let _ca = with_version_1_certificate(&mut cluster);
    restart_with(&mut cluster, "ssl_min_protocol_version = 'TLSv1'\nssl_max_protocol_version = 'TLSv1.1'");
    assert_only_preferred(&cluster);
}

#[test]
fn prefer_goes_on_without_tls_where_the_server_admits_only_that() {
    let mut cluster = TestCluster::start();
    let _ca = with_version_1_certificate(&mut cluster);
    let entries = cluster.directory().join("data/pg_hba.conf");
    fs::write(entries, "hostnossl all all 127.0.0.1/32 trust\n").unwrap();
    restart_with(&mut cluster, "");
    assert_only_preferred(&cluster);
}

#[test]
fn a_url_without_a_database_means_the_database_of_the_users_name() {
    let cluster = TestCluster::start();
    let url = cluster.url("");
    let url = url.trim_end_matches('/');
    assert!(psql(url), "psql: {url}");
    assert_eq!(refusal(url), None, "{url}");
}
