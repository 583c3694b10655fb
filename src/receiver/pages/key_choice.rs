//! The choice of a key by which a page is filtered: of the keys in use one is chosen where they are few, and its name is
//! typed where they are many.

use askama::Template;
use askama::filters::HtmlSafe;
use uuid::Uuid;

use super::page::key_name;
use super::words::{folded, shown};
use crate::receiver::api::keys::KeyRow;
use crate::receiver::app::App;
use crate::receiver::http::parameters::Parameters;
use crate::receiver::http::problem::{Cause, Problem};
use crate::receiver::store::{HOST_KEY, HOST_KEY_NAME};

/// Maximum number of keys that are offered: a page of thousands of them would be large, and nobody would find one.
const OFFERED: usize = 50;

/// Parameter of the name of a key.
const TYPED: &str = "key-name";
const TYPED_RULE: &str = "the name of a key, or a part of it that no other name has";

/// All keys, of which those in use are offered, and the one that is asked for even if it was revoked.
#[derive(Template)]
#[template(path = "key_choice.html")]
pub(super) struct KeyChoice {
    /// By name.
    keys: Vec<KeyRow>,
    asked: Option<Uuid>,
    /// Whether one has to be chosen.
    is_required: bool,
}

impl HtmlSafe for KeyChoice {}

impl KeyChoice {
    pub(super) fn of(mut keys: Vec<KeyRow>, asked: Option<Uuid>) -> Self {
        keys.sort_by_cached_key(|key| (folded(&key.name), key.id));
        Self { keys, asked, is_required: false }
    }

    /// The same where one has to be chosen.
    pub(super) fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    /// Name of the key that is asked for, where one is.
    pub(super) fn asked_name(&self) -> Option<String> {
        self.asked.map(|id| self.name_of(&id))
    }

    /// What was typed for the key that is asked for.
    fn typed(&self) -> &str {
        self.keys.iter().find(|key| self.is_asked(key)).map_or("", |key| &key.name)
    }

    /// The name of a key, for people.
    pub(super) fn name_of(&self, id: &Uuid) -> String {
        if *id == HOST_KEY {
            return HOST_KEY_NAME.to_owned();
        }
        key_name(self.keys.iter().find(|key| key.id == *id).map(|key| key.name.as_str()), id)
    }

    /// The first `most` keys in use whose names contain this, in whatever case.
    pub(super) fn like(&self, text: &str, most: usize) -> Vec<&KeyRow> {
        let text = folded(text);
        self.in_use().filter(|key| folded(&key.name).contains(&text)).take(most).collect()
    }

    /// The key that a name means: that of the key with this name, or a part of the name of one key alone.
    fn named(&self, name: &str) -> Option<Uuid> {
        let text = folded(name);
        let is_same = |key: &&KeyRow| folded(&key.name) == text;
        let whole = self.in_use().find(|key| key.name == name).or_else(|| self.in_use().find(is_same));
        let of_one = match self.like(&text, 2)[..] {
            [key] => Some(key),
            _ => None,
        };
        whole.or(of_one).or_else(|| self.keys.iter().find(is_same)).map(|key| key.id)
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

    /// The keys that are offered where they are few.
    fn offered(&self) -> impl Iterator<Item = &KeyRow> {
        self.keys.iter().filter(|key| self.is_asked(key) || key.revoked_at.is_none())
    }

    /// The key that is asked for, where there is none such.
    fn unknown(&self) -> Option<&Uuid> {
        self.asked.as_ref().filter(|id| self.keys.iter().all(|key| key.id != **id))
    }
}

/// Takes the key whose name was typed, where one was. The keys are asked for only then.
///
/// # Errors
/// No key has that name, or several keys have it in their names.
pub(super) async fn take_typed(app: &App, given: &mut Parameters) -> Result<Option<Uuid>, Problem> {
    let Some(name) = given.take_text(TYPED)? else { return Ok(None) };
    let keys = KeyChoice::of(KeyRow::ask(app).await?, None);
    keys.named(&name).map(Some).ok_or_else(|| Problem::unusable(Cause::Parameter, TYPED, TYPED_RULE))
}
