//! What somebody is to look at who comes to the page of a server because something is wrong with it.

use jiff::Timestamp;
use uuid::Uuid;

use super::super::page::key_name;
use super::super::refused::Named;
use crate::receiver::api::history::RunRow;
use crate::receiver::api::instances::Flag;
use crate::receiver::api::moment::Moment;
use crate::receiver::api::refused::RefusedRow;
use crate::receiver::store::State;

/// What is known of a server that may be wrong with it.
pub(super) struct Known<'a> {
    pub(super) state: State,
    /// When it was heard last.
    pub(super) heard_at: Timestamp,
    pub(super) key_id: Uuid,
    /// The last that is known of it came from a file: its silence says nothing.
    pub(super) is_imported: bool,
    pub(super) flags: Vec<Flag>,
    /// Number of losses within the last seven days, and the last of them.
    pub(super) losses: (i32, Option<Moment>),
    pub(super) runs: &'a [RunRow],
    pub(super) is_key_revoked: bool,
    pub(super) is_license_invalid: bool,
    /// The requests that name it and were refused, the last first.
    pub(super) refused: Vec<&'a RefusedRow>,
}

/// All that is to be looked at.
pub(super) struct Looks {
    /// The class of the state that it is as bad as.
    pub(super) class: &'static str,
    pub(super) looks: Vec<Look>,
    /// It is silent: what to try is listed.
    pub(super) is_silent: bool,
    /// It is silent, though requests that name it came since it was heard, and were refused.
    pub(super) sent_with: Option<SentWith>,
}

/// The key of requests that name a silent server and were refused since it was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SentWith {
    /// At least one came with the key of the server.
    ItsKey,
    /// None did: it may have another key by now, or something else sends in its name.
    OtherKeys,
}

/// Something to look at.
pub(super) enum Look {
    Silent,
    Refused(RefusedRequests),
    KeyRevoked,
    Restarting,
    /// Runs were lost: their number, and when the last was.
    Crashed(i32, Option<Moment>),
    /// A number came again with another content, last at this time.
    Cloned(Option<Moment>),
    SeveralRuns,
    LicenseInvalid,
}

/// The requests that name a server and were refused.
pub(super) struct RefusedRequests {
    pub(super) count: usize,
    pub(super) last: Moment,
    pub(super) causes: Named,
    /// The keys that they came with, without that of the server.
    pub(super) other_keys: Named,
    /// The key of those that came since it was heard, where it is silent.
    pub(super) sent_with: Option<SentWith>,
}

impl RefusedRequests {
    /// `None` where there is none.
    fn of(known: &Known<'_>, is_silent: bool) -> Option<Self> {
        let last = known.refused.first()?.at;
        let rows = || known.refused.iter();
        let foreign = rows().filter(|row| row.key_id.is_some_and(|id| id != known.key_id));
        let names: Vec<String> =
            foreign.filter_map(|row| Some(key_name(row.key_name.as_deref(), row.key_id.as_ref()?))).collect();
        let since = || rows().filter(|row| is_silent && row.at.0 > known.heard_at);
        let sent_with = match since().any(|row| row.key_id == Some(known.key_id)) {
            true => Some(SentWith::ItsKey),
            false => since().next().map(|_| SentWith::OtherKeys),
        };
        Some(Self {
            count: known.refused.len(),
            last,
            causes: Named::of(rows().map(|row| row.cause)),
            other_keys: Named::of(names.iter().map(String::as_str)),
            sent_with,
        })
    }
}

impl Looks {
    /// Whether requests come with the key of the silent server: it is alive.
    pub(super) fn is_sent_with_its_key(&self) -> bool {
        self.sent_with == Some(SentWith::ItsKey)
    }

    /// `None` where nothing is wrong.
    pub(super) fn of(known: &Known<'_>) -> Option<Self> {
        let is_silent = matches!(known.state, State::Down | State::Late) && !known.is_imported;
        let refused = RefusedRequests::of(known, is_silent);
        let sent_with = refused.as_ref().and_then(|refused| refused.sent_with);
        let (first, second) = if sent_with.is_some() { (refused, None) } else { (None, refused) };
        let mut looks: Vec<Look> = first.map(Look::Refused).into_iter().collect();
        if is_silent {
            looks.push(Look::Silent);
        }
        if known.flags.contains(&Flag::Restarting) {
            looks.push(Look::Restarting);
        }
        looks.extend(second.map(Look::Refused));
        if known.is_key_revoked && known.state != State::Ended {
            looks.push(Look::KeyRevoked);
        }
        let worst_first = [Flag::Crashed, Flag::Cloned, Flag::SeveralRuns];
        looks.extend(
            worst_first
                .into_iter()
                .filter(|flag| known.flags.contains(flag))
                .filter_map(|flag| known.flag(flag)),
        );
        if known.is_license_invalid && known.state != State::Ended {
            looks.push(Look::LicenseInvalid);
        }
        let is_alarm = looks.iter().any(Look::is_alarm) && known.state != State::Late;
        let class = if known.state == State::Down || is_alarm { "down" } else { "late" };
        (!looks.is_empty()).then_some(Self { class, looks, is_silent, sent_with })
    }
}

impl Known<'_> {
    fn flag(&self, flag: Flag) -> Option<Look> {
        match flag {
            Flag::Crashed => Some(Look::Crashed(self.losses.0, self.losses.1)),
            Flag::Cloned => {
                let last = self.runs.iter().filter_map(|run| run.forked_at).max_by_key(|at| at.0);
                Some(Look::Cloned(last))
            }
            Flag::SeveralRuns => Some(Look::SeveralRuns),
            Flag::Restarting | Flag::New | Flag::Muted => None,
        }
    }
}

impl Look {
    fn is_alarm(&self) -> bool {
        matches!(self, Self::KeyRevoked | Self::LicenseInvalid)
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples::{at, run};
    use super::*;

    fn known(state: State, flags: &[Flag]) -> Known<'_> {
        Known {
            state,
            heard_at: at(-5.0),
            key_id: Uuid::from_u128(1),
            is_imported: false,
            flags: flags.to_vec(),
            losses: (2, Some(Moment(at(-9.0)))),
            runs: &[],
            is_key_revoked: false,
            is_license_invalid: false,
            refused: Vec::new(),
        }
    }

    fn of(known: &Known<'_>) -> (&'static str, String, bool) {
        let looks = Looks::of(known).expect("something is wrong");
        let names: Vec<_> = looks
            .looks
            .iter()
            .map(|look| match look {
                Look::Silent => "silent".to_owned(),
                Look::Refused(refused) => {
                    let RefusedRequests { count, causes, other_keys, sent_with, .. } = refused;
                    let (causes, keys) = (causes.texts.join(" "), other_keys.texts.join(" "));
                    format!("{count} refused, {causes}, by {keys}, {sent_with:?}")
                }
                Look::KeyRevoked => "revoked".to_owned(),
                Look::Restarting => "restarting".to_owned(),
                Look::Crashed(count, last) => format!("crashed {count} {}", last.is_some()),
                Look::Cloned(at) => format!("cloned {}", at.is_some()),
                Look::SeveralRuns => "several".to_owned(),
                Look::LicenseInvalid => "license".to_owned(),
            })
            .collect();
        (looks.class, names.join("; "), looks.is_silent)
    }

    #[test]
    fn where_nothing_is_wrong_there_is_nothing_to_look_at() {
        for state in [State::Up, State::Ended] {
            assert!(Looks::of(&known(state, &[Flag::New])).is_none());
        }
        let ended = Known { is_key_revoked: true, is_license_invalid: true, ..known(State::Ended, &[]) };
        assert!(Looks::of(&ended).is_none(), "nothing is expected of it");
        let imported = Known { is_imported: true, ..known(State::Down, &[]) };
        assert!(Looks::of(&imported).is_none(), "nobody could have heard it");
    }

    #[test]
    fn silence_is_looked_at() {
        assert_eq!(of(&known(State::Down, &[])), ("down", "silent".to_owned(), true));
        let crashed = of(&known(State::Late, &[Flag::Crashed]));
        assert_eq!(crashed, ("late", "silent; crashed 2 true".to_owned(), true));
    }

    #[test]
    fn what_is_worst_comes_first_and_gives_its_colour() {
        let all =
            known(State::Up, &[Flag::Crashed, Flag::SeveralRuns, Flag::Cloned, Flag::Restarting, Flag::New]);
        let runs = [RunRow { forked_at: Some(Moment(at(-1.0))), ..run(1, -5.0, -1.0) }];
        let all = Known { runs: &runs, is_license_invalid: true, ..all };
        let worst_first = "restarting; crashed 2 true; cloned true; several; license";
        assert_eq!(of(&all), ("down", worst_first.to_owned(), false));
        let several = of(&known(State::Up, &[Flag::SeveralRuns]));
        assert_eq!(several, ("late", "several".to_owned(), false));
        let revoked = of(&Known { is_key_revoked: true, ..known(State::Up, &[]) });
        assert_eq!(revoked, ("down", "revoked".to_owned(), false));
    }

    fn refused(hours: f64, cause: &'static str, key: u128) -> RefusedRow {
        RefusedRow {
            at: Moment(at(hours)),
            key_id: Some(Uuid::from_u128(key)),
            key_name: Some(format!("key {key}")),
            status: 422,
            cause,
            detail: String::new(),
            field: None,
            product: String::new(),
            instance_id: None,
            build_version: None,
        }
    }

    #[test]
    fn what_still_sends_in_the_name_of_a_silent_server_comes_first() {
        let rows = [refused(-1.0, "checksum", 2), refused(-2.0, "field", 1), refused(-3.0, "checksum", 2)];
        let with = |known| Known { refused: rows.iter().collect(), ..known };
        let down = with(known(State::Down, &[]));
        let expected = "3 refused, checksum field, by key 2, Some(ItsKey); silent";
        assert_eq!(of(&down), ("down", expected.to_owned(), true));
        assert_eq!(Looks::of(&down).unwrap().sent_with, Some(SentWith::ItsKey));
        // Since then, others alone sent in its name.
        let later = Known { heard_at: at(-1.5), ..with(known(State::Down, &[])) };
        assert_eq!(Looks::of(&later).unwrap().sent_with, Some(SentWith::OtherKeys));
        // What was refused before it was heard says nothing of its silence.
        let before = Known { heard_at: at(-0.5), ..down };
        assert!(of(&before).1.starts_with("silent; 3 refused"));
        assert_eq!(Looks::of(&before).unwrap().sent_with, None);
        let up = of(&with(known(State::Up, &[Flag::Restarting])));
        assert_eq!(up.1, "restarting; 3 refused, checksum field, by key 2, None");
    }
}
