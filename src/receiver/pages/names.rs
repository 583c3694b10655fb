//! What people know servers by that are given by their ids.

use std::collections::HashMap;

use uuid::Uuid;

use super::changes::name;
use crate::receiver::api::instances::InstanceRow;
use crate::receiver::app::App;
use crate::receiver::http::problem::Problem;

/// The names of the servers with these ids that are in the fleet.
pub(super) async fn names_of(app: &App, ids: Vec<Uuid>) -> Result<HashMap<Uuid, String>, Problem> {
    let found = InstanceRow::all_of(app, ids).await?;
    Ok(found.into_iter().map(|(id, row)| (id, name(row.custom_id.as_deref(), &id))).collect())
}
