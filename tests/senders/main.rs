//! The senders of `examples/senders`, in the languages of their authors, against the real receiver.

#[allow(dead_code, reason = "the tests of the receiver use the rest")]
#[path = "../receiver/host.rs"]
mod host;

use std::path::{Path, PathBuf};
use std::process::Command;

use deployment_telemetry::receiver::NewKey;
use futures_executor::block_on;
use host::{Host, INSTANCE, RUN};
use secrecy::ExposeSecret;
use test_support::programs;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/senders").join(name)
}

/// Runs a whole run of `sender` at a signed key, and looks at what the receiver made of it.
fn assert_accepted(sender: impl Fn() -> Command) {
    let directory = tempfile::tempdir().unwrap();
    let host = Host::on_sqlite(directory.path());
    let mut new = NewKey::named("sender");
    new.signed = true;
    let key = block_on(host.receiver.keys().create(new)).unwrap();
    let url = format!("http://{}/webhooks/{}", host.address, key.key.expose());
    let secret = key.secret.unwrap();
    let send = |secret: &str, reason: &str, number: u32, license: &str| {
        let output = sender()
            .args([reason, &number.to_string(), &RUN.to_string(), &INSTANCE.to_string()])
            .env("URL", &url)
            .env("SECRET", secret)
            .env("LICENSE", license)
            .env_remove("http_proxy")
            .env_remove("HTTP_PROXY")
            .output()
            .unwrap();
        (
            String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    for (number, reason, license) in
        [(1, "begin", "abc"), (2, "license-state-change", ""), (3, "update", "Ž <&> key"), (4, "end", "abc")]
    {
        let (status, errors) = send(secret.expose_secret(), reason, number, license);
        assert_eq!(status, "200", "{reason}: {errors}");
    }
    let (status, errors) = send("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "update", 5, "");
    assert!(status != "200" && (status + &errors).contains("401"), "a wrong signature is refused");

    block_on(host.receiver.judge()).unwrap();
    let events = host.request("GET", &format!("/api/instances/{INSTANCE}"), &[], b"");
    assert_eq!(events.status, 200, "{}", events.body);
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert!(events.body.contains(hash), "{}", events.body);
}

#[test]
fn the_sender_in_shell_is_accepted() {
    let (shell, _curl, _openssl) = (
        programs::debian("sh", "dash"),
        programs::debian("curl", "curl"),
        programs::debian("openssl", "openssl"),
    );
    assert_accepted(|| {
        let mut command = Command::new(&shell);
        command.arg(example("sender.sh"));
        command
    });
}

#[test]
fn the_sender_in_python_is_accepted() {
    let python = programs::debian("python3", "python3");
    assert_accepted(|| {
        let mut command = Command::new(&python);
        command.arg(example("sender.py"));
        command
    });
}

#[test]
fn the_sender_in_node_is_accepted() {
    let node = programs::debian("node", "nodejs");
    assert_accepted(|| {
        let mut command = Command::new(&node);
        command.arg(example("sender.js"));
        command
    });
}

#[test]
fn the_sender_in_go_is_accepted() {
    let go = programs::debian("go", "golang-go");
    let directory = tempfile::tempdir().unwrap();
    let binary = directory.path().join("sender");
    let mut build = Command::new(&go);
    build.arg("build").arg("-o").arg(&binary).arg(example("sender.go"));
    build.env("GOCACHE", directory.path().join("cache")).env("GO111MODULE", "off");
    let output = build.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_accepted(|| Command::new(&binary));
}
