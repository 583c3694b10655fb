//! What a page of confirmation is about: servers that match a filter, or that were selected.

use super::changes::name;
use super::filters::{Part, parts};
use super::page::key_name;
use super::words::{count, number};
use crate::receiver::api::forget::{Forgotten, matching};
use crate::receiver::api::instances::{InstancePage, InstanceRow};
use crate::receiver::app::App;
use crate::receiver::http::problem::Problem;
use crate::receiver::query::instances::InstanceQuery;

/// Number of servers that are named.
const NAMED: i64 = 20;

/// The servers that are meant.
pub(super) struct Meant {
    asked: InstanceQuery,
    pub(super) count: i64,
    /// The first of them, the worst first.
    pub(super) named: Vec<InstanceRow>,
    key: Option<String>,
}

impl Meant {
    pub(super) async fn by(app: &App, asked: InstanceQuery) -> Result<Self, Problem> {
        let count = Forgotten::count(app, &matching(app, asked.clone()).await?).await?.forgotten as i64;
        let first = InstanceQuery { limit: NAMED, ..asked.clone() };
        let named = InstancePage::ask(app, &first).await?.instances;
        let key = asked.key.map(|id| key_name(app.keys.shown_name(id).as_deref(), &id));
        Ok(Self { asked, count, named, key })
    }

    /// What people know one of them by.
    pub(super) fn name(&self, row: &InstanceRow) -> String {
        name(row.custom_id.as_deref(), &row.instance_id)
    }

    /// How many there are: `1 server`, `41 servers`.
    pub(super) fn servers(&self) -> String {
        count(self.count, "server")
    }

    /// How many are not named.
    pub(super) fn unnamed(&self) -> Option<String> {
        let unnamed = self.count - self.named.len() as i64;
        (unnamed > 0).then(|| number(unnamed))
    }

    /// The filter in words; empty where all servers are meant.
    pub(super) fn parts(&self) -> Vec<Part> {
        parts(&self.asked, self.key.as_deref())
    }

    /// Whether servers were selected one by one.
    pub(super) fn is_selection(&self) -> bool {
        !self.asked.ids.is_empty()
    }

    /// The query of the filter.
    pub(super) fn filter(&self) -> String {
        self.asked.to_filter()
    }
}
