//! The build, as `--version` and the telemetry report it. The values come from `build.rs` next to `Cargo.toml`.

use deployment_telemetry::{BuildInfo, Product, build_info};

pub(crate) fn product() -> Product {
    Product::new("Sirveo")
}

pub(crate) fn info() -> BuildInfo {
    build_info!("licenced")
}

/// One line per field, with its name in the payload.
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
