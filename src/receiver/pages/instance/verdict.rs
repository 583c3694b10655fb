//! Is it the server, its network, or the receiver? What can be known of that from here, and what cannot. Pure.

use jiff::Timestamp;
use uuid::Uuid;

use super::super::changes::name;
use super::super::words::{clock, count, number};
use super::looks::SentWith;
use crate::receiver::api::evidence::{Evidence, Shared, Witness};
use crate::receiver::api::instance::Neighbours;
use crate::receiver::store::Outage;

/// What is known beside a silent server.
pub(super) struct Around<'a> {
    pub(super) evidence: &'a Evidence,
    /// The other servers of its key; `None` where that is not known.
    pub(super) others: Option<Others>,
    /// The key of requests in its name that came since it was heard, and were refused.
    pub(super) sent_with: Option<SentWith>,
    /// The receiver judges nothing at the moment.
    pub(super) is_blind: bool,
    /// When it was heard last.
    pub(super) heard_at: Timestamp,
    pub(super) outages: &'a [Outage],
    pub(super) now: Timestamp,
}

/// The conclusion, and what it is drawn from.
#[derive(Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) conclusion: String,
    /// Ends where the witness is named, if there is one.
    pub(super) why: String,
    pub(super) witness: Option<Named>,
}

/// A server that is named in a sentence.
#[derive(Debug, PartialEq)]
pub(super) struct Named {
    pub(super) id: Uuid,
    pub(super) name: String,
    /// What the sentence says after its name.
    pub(super) rest: String,
}

/// The servers that belong to the same key and have not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Others {
    pub(super) total: i64,
    /// Those of them that are up.
    pub(super) up: i64,
}

/// What the conclusion leaves open, where either the server or its network fails.
const EITHER: &str = "Server or network: which of the two cannot be known from here.";

impl Verdict {
    pub(super) fn of(around: &Around<'_>) -> Self {
        if around.is_blind {
            let why = "The receiver itself is blind at the moment: nothing it says of others is of now.";
            return plain("It cannot be known, and it may be the receiver", why.to_owned());
        }
        match around.sent_with {
            Some(SentWith::ItsKey) => {
                let why = "Requests in its name and with its key arrive here, and are refused.";
                plain("It seems to be alive: neither its network nor the receiver fails", why.to_owned())
            }
            Some(SentWith::OtherKeys) => around.may_be_alive(),
            None => around.by_the_others(),
        }
    }
}

/// A verdict without a witness.
fn plain(conclusion: &'static str, why: String) -> Verdict {
    Verdict { conclusion: conclusion.to_owned(), why, witness: None }
}

impl Around<'_> {
    /// The verdict where somebody sends in its name with another key, which may be the server itself.
    fn may_be_alive(&self) -> Verdict {
        let Verdict { conclusion, why, witness } = self.by_the_others();
        // Every conclusion begins with "It".
        let conclusion = conclusion.strip_prefix("It ").unwrap_or(&conclusion);
        let conclusion = format!("If it does not send these, it {conclusion}");
        Verdict { conclusion, why, witness }
    }

    /// The verdict by the servers that were heard since it was.
    fn by_the_others(&self) -> Verdict {
        match self.evidence.others {
            ..=0 => plain(self.nothing_heard(), self.why_nothing_is_known()),
            others => self.heard(others),
        }
    }

    /// The conclusion where nobody was heard.
    fn nothing_heard(&self) -> &'static str {
        match self.away() {
            Some(_) => "It cannot be known, and it may be the receiver",
            None => "It cannot be known from here",
        }
    }

    fn why_nothing_is_known(&self) -> String {
        let away = self.away().map(|away| format!(" {away}"));
        format!(
            "No other server was heard since it was, so nothing tells whether the server, its network or the way to \
             the receiver fails.{}",
            away.unwrap_or_default()
        )
    }

    /// The verdict where others were heard: the receiver is not the cause.
    fn heard(&self, others: i64) -> Verdict {
        let Others { total, up } = self.others.unwrap_or_default();
        let conclusion = match (up, total) {
            (1.., _) => "It is the server or its own network, not the receiver",
            (_, ..=0) => "It is the server or its network, not the receiver",
            _ => "It is not the receiver, and maybe not this server alone",
        };
        let least = if self.evidence.at_least { "At least " } else { "" };
        let were = if others == 1 { "was" } else { "were" };
        let why = format!("{least}{} {were} heard since it was", count(others, "other server"));
        let (why, witness) = match &self.evidence.witness {
            Some(witness) => (format!("{why}: "), Some(self.named(witness))),
            None => (format!("{why}{}. {}", self.last(), self.rest()), None),
        };
        Verdict { conclusion: conclusion.to_owned(), why, witness }
    }

    fn named(&self, witness: &Witness) -> Named {
        let shares = match witness.shares {
            Shared::Key => " with the same key",
            Shared::Product => " with the same product",
            Shared::Nothing => "",
        };
        let at = clock(witness.heard_at.0, self.now);
        Named {
            id: witness.instance_id,
            name: name(witness.custom_id.as_deref(), &witness.instance_id),
            rest: format!("{shares} is up, and was heard {at} UTC. {}", self.rest()),
        }
    }

    /// When the last of the others was heard.
    fn last(&self) -> String {
        let last = self.evidence.last_heard_at;
        last.map(|at| format!(", the last {} UTC", clock(at.0, self.now))).unwrap_or_default()
    }

    /// What follows from the other servers of its key, what is left open, and when the receiver was away.
    fn rest(&self) -> String {
        let of_key =
            self.others.map_or_else(|| "Its key is not known.".to_owned(), |others| others.in_words());
        let are_silent = self.others.is_some_and(|others| others.up == 0 && others.total > 0);
        let either = (!are_silent).then(|| EITHER.to_owned());
        let away = self.away().map(|away| format!("{away} That does not count as silence."));
        [Some(of_key), either, away].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// When the receiver itself was away since it was heard, the last time.
    fn away(&self) -> Option<String> {
        let last = self.outages.iter().rfind(|outage| outage.ended_at > self.heard_at)?;
        let (from, to) = (clock(last.began_at, self.now), clock(last.ended_at, self.now));
        Some(format!("The receiver itself was away from {from} to {to} UTC."))
    }
}

impl Others {
    pub(super) fn of(neighbours: &Neighbours) -> Self {
        let Neighbours { reporting, silent } = *neighbours;
        Self { total: reporting + silent, up: reporting }
    }

    /// What they do, in a sentence.
    pub(super) fn in_words(&self) -> String {
        let network = "such as their network";
        match (self.up, self.total) {
            (_, ..=0) => "No other server has its key.".to_owned(),
            (0, 1) => format!(
                "The other server of its key does not report either: look first at what both share, {network}."
            ),
            (0, total) => format!(
                "None of the {} other servers of its key reports either: look first at what they share, {network}.",
                number(total)
            ),
            (1, 1) => "The other server of its key is up.".to_owned(),
            (1, total) => format!("One of the {} other servers of its key is up.", number(total)),
            (up, total) if up >= total => {
                format!("All {} other servers of its key are up.", number(total))
            }
            (up, total) => {
                format!("{} of the {} other servers of its key are up.", number(up), number(total))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples::{at, now};
    use super::*;
    use crate::receiver::api::moment::Moment;

    fn evidence(others: i64, shares: Option<Shared>) -> Evidence {
        let witness = shares.map(|shares| Witness {
            instance_id: Uuid::from_u128(7),
            custom_id: Some("eu-west 4".to_owned()),
            heard_at: Moment(at(-0.5)),
            shares,
        });
        let last_heard_at = (others > 0).then(|| Moment(at(-0.25)));
        Evidence { others, at_least: false, last_heard_at, witness }
    }

    fn around(evidence: &Evidence, up: i64, total: i64) -> Around<'_> {
        Around {
            evidence,
            others: Some(Others { total, up }),
            sent_with: None,
            is_blind: false,
            heard_at: at(-18.0),
            outages: &[],
            now: now(),
        }
    }

    /// The whole of it, as it is read.
    fn told(around: &Around<'_>) -> String {
        let Verdict { conclusion, why, witness } = Verdict::of(around);
        let witness = witness.map(|named| format!("{}{}", named.name, named.rest)).unwrap_or_default();
        format!("{conclusion}. {why}{witness}")
    }

    #[test]
    fn whoever_was_heard_meanwhile_acquits_the_receiver() {
        let of_key = evidence(11, Some(Shared::Key));
        assert_eq!(
            told(&around(&of_key, 3, 4)),
            "It is the server or its own network, not the receiver. 11 other servers were heard since it was: \
             eu-west 4 with the same key is up, and was heard 02:44 UTC. 3 of the 4 other servers of its key \
             are up. Server or network: which of the two cannot be known from here."
        );
        let of_product = evidence(1, Some(Shared::Product));
        assert_eq!(
            told(&around(&of_product, 0, 0)),
            "It is the server or its network, not the receiver. 1 other server was heard since it was: eu-west 4 \
             with the same product is up, and was heard 02:44 UTC. No other server has its key. Server or \
             network: which of the two cannot be known from here."
        );
        let strange = Around { others: None, ..around(&of_product, 0, 0) };
        assert!(
            told(&strange).contains(" UTC. Its key is not known. Server or network"),
            "{}",
            told(&strange)
        );
        let unsteady = Evidence { at_least: true, ..evidence(500, None) };
        assert_eq!(
            told(&around(&unsteady, 0, 2)),
            "It is not the receiver, and maybe not this server alone. At least 500 other servers were heard since \
             it was, the last 02:59 UTC. None of the 2 other servers of its key reports either: look first at \
             what they share, such as their network."
        );
    }

    #[test]
    fn what_cannot_be_known_is_said_so() {
        let none = evidence(0, None);
        assert_eq!(
            told(&around(&none, 0, 0)),
            "It cannot be known from here. No other server was heard since it was, so nothing tells whether the \
             server, its network or the way to the receiver fails."
        );
        let outages = [(-40.0, -39.0), (-3.0, -2.0)];
        let outages = outages.map(|(from, to)| Outage { began_at: at(from), ended_at: at(to) });
        let away = Around { outages: &outages, ..around(&none, 0, 0) };
        let words = told(&away);
        assert!(words.starts_with("It cannot be known, and it may be the receiver."), "{words}");
        assert!(words.ends_with("The receiver itself was away from 00:14 to 01:14 UTC."), "{words}");
        let before = Around { outages: &outages[..1], ..around(&none, 0, 0) };
        assert!(!told(&before).contains("away"), "an outage before it was heard says nothing");
        let some = evidence(2, Some(Shared::Nothing));
        let counted = told(&Around { outages: &outages, ..around(&some, 0, 0) });
        assert!(counted.ends_with("to 01:14 UTC. That does not count as silence."), "{counted}");
        let blind = told(&Around { is_blind: true, ..around(&some, 0, 0) });
        assert!(
            blind.starts_with("It cannot be known, and it may be the receiver. The receiver itself"),
            "{blind}"
        );
    }

    #[test]
    fn what_is_refused_has_come_through() {
        let some = evidence(2, Some(Shared::Nothing));
        let sent_with = |key| told(&Around { sent_with: Some(key), ..around(&some, 0, 0) });
        let words = sent_with(SentWith::ItsKey);
        assert!(
            words.starts_with("It seems to be alive: neither its network nor the receiver fails."),
            "{words}"
        );
        let words = sent_with(SentWith::OtherKeys);
        let beginning = "If it does not send these, it is the server or its network, not the receiver. 2 other servers \
                         were heard since it was";
        assert!(words.starts_with(beginning), "{words}");
        let nobody = evidence(0, None);
        let alone = told(&Around { sent_with: Some(SentWith::OtherKeys), ..around(&nobody, 0, 0) });
        assert!(
            alone.contains("If it does not send these, it cannot be known from here. No other server"),
            "{alone}"
        );
    }

    #[test]
    fn what_the_others_of_its_key_do_is_a_sentence() {
        for ((up, total), words) in [
            ((0, 0), "No other server has its key."),
            ((0, 1), "The other server of its key does not report either: look first at what both share"),
            ((0, 1_000), "None of the 1,000 other servers of its key reports either"),
            ((1, 1), "The other server of its key is up."),
            ((1, 4), "One of the 4 other servers of its key is up."),
            ((3, 4), "3 of the 4 other servers of its key are up."),
            ((4, 4), "All 4 other servers of its key are up."),
        ] {
            let told = Others { total, up }.in_words();
            assert!(told.starts_with(words), "{told}");
        }
    }
}
