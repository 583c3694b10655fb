//! `fleet migrate`: makes the tables before a receiver does, or distributes them.

use deployment_telemetry::receiver::{Keys, Operator};
use program::{Failure, print};

use crate::arguments::Migrate;
use crate::settings::StoreSettings;

pub(crate) async fn run(how: Migrate) -> Result<(), Failure> {
    let (settings, _) = StoreSettings::read_with_address()?;
    settings.create_data_directory()?;
    if how.distributed {
        Operator::of(settings.store).distribute(how.shards).await?;
        print(&format!("the tables in {} are distributed; receivers may be started now\n", settings.place));
    } else {
        Keys::of(settings.store).migrate().await?;
        print(&format!("the tables in {} are those of this version\n", settings.place));
    }
    Ok(())
}
