//! The choice of a key by which a page is filtered: all keys in use where they are few, else the way to each of them. Pure.

use askama::Template;
use askama::filters::HtmlSafe;
use uuid::Uuid;

use super::page::key_name;
use super::words::{number, shown};
use crate::receiver::api::keys::KeyRow;

/// Maximum number of keys that are offered: a page of thousands of them would be large, and nobody would find one.
const OFFERED: usize = 50;

/// All keys, of which those in use are offered, and the one that is asked for even if it was revoked.
#[derive(Template)]
#[template(path = "key_choice.html")]
pub(super) struct KeyChoice {
    /// By name.
    keys: Vec<KeyRow>,
    asked: Option<Uuid>,
}

impl HtmlSafe for KeyChoice {}

impl KeyChoice {
    pub(super) fn of(mut keys: Vec<KeyRow>, asked: Option<Uuid>) -> Self {
        keys.sort_by_cached_key(|key| (key.name.to_lowercase(), key.id));
        Self { keys, asked }
    }

    /// Name of the key that is asked for, where one is.
    pub(super) fn asked_name(&self) -> Option<String> {
        self.asked.map(|id| self.name_of(&id))
    }

    /// The name of a key, for people.
    pub(super) fn name_of(&self, id: &Uuid) -> String {
        key_name(self.keys.iter().find(|key| key.id == *id).map(|key| key.name.as_str()), id)
    }

    /// The first `most` keys in use whose names contain this, in whatever case.
    pub(super) fn like(&self, text: &str, most: usize) -> Vec<&KeyRow> {
        let text = text.to_lowercase();
        self.in_use().filter(|key| key.name.to_lowercase().contains(&text)).take(most).collect()
    }

    fn in_use(&self) -> impl Iterator<Item = &KeyRow> {
        self.keys.iter().filter(|key| key.revoked_at.is_none())
    }

    fn are_few(&self) -> bool {
        self.in_use().count() <= OFFERED
    }

    fn is_asked(&self, key: &KeyRow) -> bool {
        self.asked == Some(key.id)
    }

    /// The keys that are offered.
    fn offered(&self) -> impl Iterator<Item = &KeyRow> {
        let are_few = self.are_few();
        self.keys.iter().filter(move |key| self.is_asked(key) || (are_few && key.revoked_at.is_none()))
    }

    /// The key that is asked for, where there is none such.
    fn unknown(&self) -> Option<&Uuid> {
        self.asked.as_ref().filter(|id| self.keys.iter().all(|key| key.id != **id))
    }
}
