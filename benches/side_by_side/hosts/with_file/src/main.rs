//! This crate with a store of the host's own: no database has a part in it.

mod file_store;

use std::error::Error;

use deployment_telemetry::{BuildInfo, LicenseChanged, Product, Telemetry};
use server::{BUILD_COMMIT, BUILD_MODE, BUILD_TIME, LICENSE_KEY};

use file_store::FileStore;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let build = BuildInfo::new(env!("CARGO_PKG_VERSION"), BUILD_COMMIT, BUILD_TIME, BUILD_MODE);
    let store = FileStore::new(server::setting("STATE_FILE"));
    let telemetry = Telemetry::builder(Product::new("Sirveo"), build, store)
        .license(LicenseChanged { key: Some(LICENSE_KEY.into()), valid: true, valid_until: None })
        .start()?;
    server::run().await?;
    telemetry.stop().await;
    Ok(())
}
