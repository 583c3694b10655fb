//! What people know servers by that are given by their ids.

use std::collections::HashMap;

use uuid::Uuid;

use super::changes::name;
use crate::receiver::api::instances::{InstancePage, InstanceQuery};
use crate::receiver::app::App;
use crate::receiver::http::problem::Problem;

/// The names of the servers with these ids that are in the fleet.
pub(super) async fn names_of(app: &App, ids: Vec<Uuid>) -> Result<HashMap<Uuid, String>, Problem> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let asked = InstanceQuery { limit: ids.len() as i64, ids, ..InstanceQuery::default() };
    let found = InstancePage::ask(app, &asked).await?.instances;
    let named = |id: Uuid, custom_id: Option<&str>| (id, name(custom_id, &id));
    Ok(found.iter().map(|row| named(row.instance_id, row.custom_id.as_deref())).collect())
}
