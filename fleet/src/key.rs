//! `fleet key …`: the keys that senders post with. They are changed in the store itself, so the commands also work
//! while a receiver runs.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use deployment_telemetry::receiver::{CreatedKey, KeyInfo, KeyLimits, Keys, NewKey, Operator, Selection};
use program::{Failure, print};
use secrecy::ExposeSecret;
use uuid::Uuid;

use crate::arguments::{KeyCommand, Limits, NewPerHour};
use crate::instances::forgotten;
use crate::settings::StoreSettings;
use crate::table::{moment, table};

pub(crate) async fn run(command: KeyCommand) -> Result<(), Failure> {
    let (settings, listen) = StoreSettings::read_with_address()?;
    if !matches!(command, KeyCommand::Create { .. }) {
        settings.must_exist()?;
    }
    settings.create_data_directory()?;
    let operator = Operator::of(settings.store.clone());
    let keys = Keys::of(settings.store);
    keys.migrate().await?;
    match command {
        KeyCommand::Create { name, rate, signed, token, forget_after, limits } => {
            let mut new = NewKey::named(name);
            (new.rate, new.signed, new.token) = (rate, signed, token);
            (new.forget_after, new.limits) = (forget_after, limits.into());
            let created = keys.create(new).await?;
            print(&describe(&created, listen, &settings.place));
        }
        KeyCommand::Limit { key, new_per_hour, any_frequency } => {
            let found = find(&keys, &key).await?;
            let mut limits = found.limits;
            limits.new_per_hour = new_per_hour.map_or(limits.new_per_hour, |NewPerHour(number)| number);
            limits.any_frequency = any_frequency.unwrap_or(limits.any_frequency);
            if !keys.set_limits(found.id, limits).await? {
                return Err(no_such_key(&key));
            }
            print(&format!(
                "the limits of {} are changed; a running receiver has them after a few seconds\n",
                found.name
            ));
        }
        KeyCommand::Replace { key, finish: true, .. } => {
            let found = find(&keys, &key).await?;
            if !keys.finish_replacement(found.id).await? {
                return Err(no_such_key(&key));
            }
            print(&format!("only the newest key of {} is valid from now on\n", found.name));
        }
        KeyCommand::Replace { key, keep, finish: false } => {
            let found = find(&keys, &key).await?;
            let hours = Duration::from_secs(u64::from(keep) * 60 * 60);
            let new = keys.replace(found.id, hours).await?.ok_or_else(|| no_such_key(&key))?;
            let new = new.expose();
            print(&format!(
                "path    /webhooks/{new}\nurl     http://{listen}/webhooks/{new}\n\n\
                 It cannot be shown again. The previous key stays valid for {keep} hours; `fleet key replace {key} --finish`\n\
                 ends that earlier.\n"
            ));
        }
        KeyCommand::Move { instance, key } => {
            let found = find(&keys, &key).await?;
            if !operator.move_instance(instance, found.id).await? {
                return Err(Failure::System(format!(
                    "there is no instance {instance} in {}",
                    settings.place
                )));
            }
            print(&format!(
                "{instance} belongs to {} now; events of other keys for it are refused\n",
                found.name
            ));
        }
        KeyCommand::List => print(&list(&keys.list().await?)),
        KeyCommand::Revoke { key, forget } => {
            let found = find(&keys, &key).await?;
            if !keys.revoke(found.id).await? {
                return Err(no_such_key(&key));
            }
            print(&format!("{} is revoked; a running receiver refuses it after a few seconds\n", found.name));
            if forget {
                let count = operator.forget(&Selection::Key(found.id), false).await?;
                print(&forgotten(count));
                print(&format!(
                    "what senders still report until then goes with `fleet forget --key {}`\n",
                    found.id
                ));
            }
        }
        KeyCommand::Rotate { key, finish: false } => {
            let found = find(&keys, &key).await?;
            let secret = keys.add_secret(found.id).await?.ok_or_else(|| no_such_key(&key))?;
            print(&format!(
                "secret  {}\n\nIt cannot be shown again. The previous secret stays valid until `fleet key rotate {key} --finish`.\n",
                secret.expose_secret()
            ));
        }
        KeyCommand::Rotate { key, finish: true } => {
            let found = find(&keys, &key).await?;
            if !keys.finish_rotation(found.id).await? {
                return Err(no_such_key(&key));
            }
            print(&format!("only the newest secret of {} is valid from now on\n", found.name));
        }
    }
    Ok(())
}

impl From<Limits> for KeyLimits {
    fn from(given: Limits) -> Self {
        let mut limits = KeyLimits::default();
        limits.new_per_hour = given.new_per_hour.0;
        limits.any_frequency = given.any_frequency;
        limits
    }
}

/// The key with this name or id that is not revoked.
pub(crate) async fn find(keys: &Keys, wanted: &str) -> Result<KeyInfo, Failure> {
    let id = wanted.parse::<Uuid>().ok();
    let is_wanted = |key: &KeyInfo| key.revoked_at.is_none() && (key.name == wanted || Some(key.id) == id);
    keys.list().await?.into_iter().find(is_wanted).ok_or_else(|| no_such_key(wanted))
}

fn no_such_key(wanted: &str) -> Failure {
    Failure::System(format!("no valid key has the name or id {wanted:?}; `fleet key list` lists all keys"))
}

fn describe(created: &CreatedKey, listen: SocketAddr, place: &str) -> String {
    let mut text = format!("created key {} in {place}\n\n", created.name);
    let key = created.key.expose();
    let _ = writeln!(text, "path    /webhooks/{key}");
    let _ = writeln!(text, "url     http://{listen}/webhooks/{key}");
    if let Some(secret) = &created.secret {
        let _ = writeln!(text, "secret  {}", secret.expose_secret());
    }
    if let Some(token) = &created.token {
        let _ = writeln!(text, "token   {}", token.expose_secret());
    }
    text += "\nThese cannot be shown again: store them where senders are configured. In the URL, use the host name under\n\
             which senders reach this receiver.\n";
    text
}

fn list(keys: &[KeyInfo]) -> String {
    if keys.is_empty() {
        return "there are no keys; `fleet key create NAME` creates one\n".to_owned();
    }
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let head =
        ["NAME", "ID", "RATE", "NEW/HOUR", "FORGETS", "SIGNED", "TOKEN", "CREATED", "LAST USED", "REVOKED"]
            .map(str::to_owned);
    let rows = keys.iter().map(|key| {
        [
            key.name.clone(),
            key.id.to_string(),
            key.rate.map_or("any".to_owned(), |rate| format!("{rate}/s")),
            key.limits.new_per_hour.map_or("any".to_owned(), |number| number.to_string()),
            key.forget_after.map_or("by age".to_owned(), |hours| format!("after {hours}h")),
            match key.secrets {
                0 | 1 => yes(key.secrets > 0),
                secrets => format!("{secrets} secrets"),
            },
            yes(key.token),
            moment(key.created_at),
            key.last_used_at.map_or("never".to_owned(), moment),
            key.revoked_at.map_or("no".to_owned(), moment),
        ]
    });
    table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}
