//! `fleet forget`, `fleet mute`, `fleet mutes`, `fleet unmute`. They work on the store itself, also while a receiver
//! runs, which goes by the mutes within a second.

use std::time::SystemTime;

use deployment_telemetry::receiver::{KeyInfo, Keys, MuteInfo, NewMute, Operator, Selection};
use program::{Failure, print};
use uuid::Uuid;

use crate::arguments::{Forget, Mute};
use crate::settings::StoreSettings;
use crate::table::{moment, table};

pub(crate) async fn forget(which: Forget) -> Result<(), Failure> {
    let (operator, keys) = open().await?;
    let (with_events, dry_run) = (which.with_events, which.dry_run);
    let selection = selection(which, &keys).await?;
    let count = match dry_run {
        true => operator.count(&selection).await?,
        false => operator.forget(&selection, with_events).await?,
    };
    if let (Selection::Instance(id), 0) = (&selection, count) {
        return Err(Failure::System(format!("there is no instance {id}")));
    }
    if dry_run {
        print(&format!("{} would be forgotten\n", instances(count)));
        return Ok(());
    }
    print(&forgotten(count));
    if count > 0 {
        print(match with_events {
            true => "their runs, changes and events are deleted; one that reports again comes back as new\n",
            false => {
                "their runs and changes are deleted, their events stay until they are too old; one that reports again\n\
                 comes back as new\n"
            }
        });
    }
    Ok(())
}

pub(crate) async fn mute(which: Mute) -> Result<(), Failure> {
    let (operator, keys) = open().await?;
    let of = match (which.instance, which.key, which.filter) {
        (Some(id), ..) => Selection::Instance(id),
        (None, Some(key), _) => Selection::Key(find_key(&keys, &key).await?.id),
        (None, None, filter) => Selection::Filter(filter.unwrap_or_default()),
    };
    let made = operator.mute(NewMute::new(of, which.lasts, which.reason)).await?;
    print(&format!(
        "mute {} of {}: nobody is told until {}; who is down by then is told then\n",
        made.id,
        about(&made.of),
        moment(made.until)
    ));
    Ok(())
}

pub(crate) async fn mutes() -> Result<(), Failure> {
    let mutes = open().await?.0.mutes().await?;
    if mutes.is_empty() {
        print("nothing is muted\n");
        return Ok(());
    }
    let now = SystemTime::now();
    let head = ["ID", "OF", "UNTIL", "REASON"].map(str::to_owned);
    let row = |mute: &MuteInfo| {
        let end = if mute.until > now { "" } else { " (ended)" };
        [mute.id.to_string(), about(&mute.of), format!("{}{end}", moment(mute.until)), mute.reason.clone()]
    };
    let rows: Vec<_> = std::iter::once(head).chain(mutes.iter().map(row)).collect();
    print(&table(&rows));
    Ok(())
}

pub(crate) async fn unmute(id: Uuid) -> Result<(), Failure> {
    match open().await?.0.unmute(id).await? {
        true => {
            print("the mute is ended; who is down is told now\n");
            Ok(())
        }
        false => Err(Failure::System(format!("there is no mute {id}; `fleet mutes` lists all mutes"))),
    }
}

/// What was done.
pub(crate) fn forgotten(count: u64) -> String {
    match count {
        1 => "1 instance is forgotten\n".to_owned(),
        count => format!("{count} instances are forgotten\n"),
    }
}

fn instances(count: u64) -> String {
    if count == 1 { "1 instance".to_owned() } else { format!("{count} instances") }
}

fn about(of: &Selection) -> String {
    match of {
        Selection::Instance(id) => format!("instance {id}"),
        Selection::Key(id) => format!("key {id}"),
        Selection::Filter(query) => query.clone(),
        _ => "all".to_owned(),
    }
}

/// The store of the settings, which must exist.
async fn open() -> Result<(Operator, Keys), Failure> {
    let (settings, _) = StoreSettings::read_with_address()?;
    settings.must_exist()?;
    let (operator, keys) = (Operator::of(settings.store.clone()), Keys::of(settings.store));
    keys.migrate().await?;
    Ok((operator, keys))
}

async fn selection(which: Forget, keys: &Keys) -> Result<Selection, Failure> {
    if let Some(id) = which.instance {
        return Ok(Selection::Instance(id));
    }
    if let Some(key) = which.key {
        return Ok(Selection::Key(find_key(keys, &key).await?.id));
    }
    if which.all {
        return Ok(Selection::All);
    }
    let Forget { state, license, version, flag, search, .. } = which;
    let given =
        [("state", state), ("license", license), ("version", version), ("flag", flag), ("search", search)];
    let pairs = given.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(&value?))));
    match pairs.collect::<Vec<_>>().join("&") {
        none if none.is_empty() => Err(Failure::Usage(
            "say which: an id, --key, --state, --license, --version, --flag, --search, or --all".to_owned(),
        )),
        filter => Ok(Selection::Filter(filter)),
    }
}

/// A text as a query has it.
fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// The key of this id, or the latest of this name that is not revoked, or the latest that is.
async fn find_key(keys: &Keys, wanted: &str) -> Result<KeyInfo, Failure> {
    let id = wanted.parse::<Uuid>().ok();
    let is_wanted = |key: &KeyInfo| key.name == wanted || Some(key.id) == id;
    let found = keys.list().await?.into_iter().filter(is_wanted);
    found.max_by_key(|key| (key.revoked_at.is_none(), key.created_at)).ok_or_else(|| {
        Failure::System(format!("no key has the name or id {wanted:?}; `fleet key list` lists all keys"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_encoded_byte_by_byte() {
        assert_eq!(encoded("several-runs"), "several-runs");
        assert_eq!(encoded("a&b=ä +"), "a%26b%3D%C3%A4%20%2B");
    }
}
