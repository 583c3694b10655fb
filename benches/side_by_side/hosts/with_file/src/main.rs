//! This crate with its store in a file: no database has a part in it.

use std::error::Error;

use deployment_telemetry::{BuildInfo, FileStateStore, License, Product, Telemetry};
use server::{BUILD_COMMIT, BUILD_MODE, BUILD_TIME, LICENSE_KEY};

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let build = BuildInfo::new(env!("CARGO_PKG_VERSION"))
        .with_commit(BUILD_COMMIT)
        .with_time(BUILD_TIME)
        .with_mode(BUILD_MODE);
    let store = FileStateStore::new(server::setting("STATE_FILE"));
    let telemetry = Telemetry::builder(Product::new("Sirveo"), build, store)
        .license(License::valid(LICENSE_KEY))
        .start()?;
    server::run().await?;
    telemetry.stop().await;
    Ok(())
}
