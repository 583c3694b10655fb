//! What telemetry in its `Cargo.toml` does to a host that chose its own provider of TLS: nothing.
//!
//! Cargo builds each dependency once, with the features that anybody asks for, so a library can
//! break a host that never calls it. The host is a package of its own in `host`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Host {
    program: PathBuf,
    files: tempfile::TempDir,
}

impl Host {
    /// Builds the host with `features`, in a target directory that all of these tests share.
    fn build(features: &str) -> Self {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign_hosts/host/Cargo.toml");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("foreign_hosts");
        let files = tempfile::tempdir().unwrap();
        let build = Command::new(env!("CARGO"))
            .args(["build", "--locked", "--features", features, "--manifest-path"])
            .arg(manifest)
            .arg("--target-dir")
            .arg(&target)
            .output()
            .unwrap();
        assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
        // The next build, with other features, is written to the same place.
        let program = files.path().join("foreign-host");
        std::fs::copy(target.join("debug/foreign-host"), &program).unwrap();
        Self { program, files }
    }

    fn run(&self) -> Output {
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (self.files.path().join("cert.pem"), self.files.path().join("key.pem"));
        std::fs::write(&certificate, signed.cert.pem()).unwrap();
        std::fs::write(&key, signed.signing_key.serialize_pem()).unwrap();
        Command::new(&self.program).arg(certificate).arg(key).output().unwrap()
    }
}

/// The provider that the host found for itself, after it served and ended well.
#[track_caller]
fn provider(features: &str) -> String {
    let output = Host::build(features).run();
    assert!(output.status.success(), "{features}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// One test, because builds in several tests would wait for each other.
#[test]
fn a_host_keeps_the_provider_of_tls_that_it_has_without_telemetry() {
    for (provider_feature, name) in [("ring", "Ring"), ("aws-lc-rs", "AwsLcRs")] {
        let alone = provider(provider_feature);
        assert_eq!(alone, name);
        let with_telemetry = provider(&format!("{provider_feature},telemetry"));
        assert_eq!(with_telemetry, alone);
    }
    // What is kept from hosts by this, in the words that the README has.
    let both = Host::build("aws-lc-rs,telemetry,deployment-telemetry/default").run();
    let panic = String::from_utf8_lossy(&both.stderr);
    assert!(!both.status.success());
    assert!(panic.contains("Could not automatically determine the process-level CryptoProvider"), "{panic}");
}
