//! What this binary is, as `--version` and telemetry tell it. The values come from `build.rs` beside `Cargo.toml`.

use deployment_telemetry::{BuildInfo, Product, build_info};

pub(crate) fn product() -> Product {
    Product::new("Sirveo")
}

pub(crate) fn info() -> BuildInfo {
    build_info!("licenced")
}

/// One field a line, named as in the payload.
pub(crate) fn describe() -> String {
    let build = info();
    [
        ("version", build.version()),
        ("commit", build.commit()),
        ("time", build.time()),
        ("mode", build.mode()),
        ("os", build.os()),
        ("arch", build.arch()),
    ]
    .map(|(name, value)| format!("build_{name}: {value}\n"))
    .concat()
}
