//! What a refusal means and what to do about it, by its cause, in words.

use crate::receiver::http::problem::{Cause, Problem};

/// A refused request to the webhook.
pub(super) struct Remedy {
    /// What is wrong.
    pub(super) what: &'static str,
    pub(super) to_do: &'static str,
}

/// The word of a cause, what is wrong with requests to the webhook that are refused with it, and what to do.
const OF_SENDERS: &[(&str, &str, &str)] = &[
    (
        "malformed",
        "The body cannot be read",
        "It is no JSON object of the contract, or it ended early. Something on the way may cut it off; else a release sends it so.",
    ),
    (
        "field",
        "A field cannot be used",
        "A release of the product sends it so. Until its servers are updated, they are missing from the fleet or shown as down: report it to the developers of the product, with the detail of a request.",
    ),
    (
        "header",
        "A header cannot be used",
        "A release of the product, or something on the way, sends it so. Simulations that report more often than every hour need a key that takes any frequency.",
    ),
    (
        "token",
        "The bearer token is missing or wrong",
        "Give the server the token that was shown when the key was made, or another key. Something on the way may remove the header.",
    ),
    (
        "signature",
        "The signature is missing or wrong",
        "Look at the clock of the server first: a signature that is 5 minutes old is refused. Then give the server the signing secret of the key.",
    ),
    (
        "other-key",
        "The server belongs to another key",
        "If the server was given this key on purpose, move it there. If its database was copied, give the copy an instance id of its own. Else somebody uses a foreign id: replace or revoke the key.",
    ),
    (
        "not-found",
        "There is no such key",
        "The key in the address was revoked, or never was. Give the server the address of a key that is in use.",
    ),
    (
        "slow",
        "The body did not come in time",
        "It has 10 seconds. The network to the server is slow, or something on the way holds the request back.",
    ),
    (
        "too-large",
        "The body is too large",
        "An event has 16 KiB at most. A release of the product sends more, or it is no event.",
    ),
    (
        "media-type",
        "The body is no plain JSON",
        "Events are application/json, and not compressed. What sends this is no sender of this contract, or something on the way changes it.",
    ),
    (
        "checksum",
        "The checksum is wrong",
        "The body was changed on the way, or the program that sends it computes the checksum otherwise than the contract says.",
    ),
    (
        "rate",
        "The key sends too many events",
        "Raise the rate of the key, if it serves as many servers; else find the one that repeats.",
    ),
    (
        "too-many-new",
        "The key reports too many new servers",
        "If it was given to many new servers, raise how many it may report in an hour: each appears with its next event. Else it was leaked: replace it, and forget what was made up.",
    ),
    (
        "refused",
        "The store refuses the event",
        "The log of the receiver has the reason. Other events are stored.",
    ),
    (
        "store",
        "The event could not be stored in time",
        "The store was away or slow, or the receiver was starting or stopping. Each event carries the whole state, so the next one of the server makes up for it.",
    ),
    (
        "busy",
        "The event could not be stored in time",
        "The store was away or slow, or the receiver was starting or stopping. Each event carries the whole state, so the next one of the server makes up for it.",
    ),
];

/// What to do about requests to the webhook that are refused with a cause, which is given as its word.
pub(super) fn of_senders(cause: &str) -> Remedy {
    let other = ("", "The request was refused", "The detail of the requests says why.");
    let (_, what, to_do) = OF_SENDERS.iter().find(|(word, ..)| *word == cause).copied().unwrap_or(other);
    Remedy { what, to_do }
}

/// What somebody is to do who was shown a page that says that the request was refused.
pub(super) fn of_pages(cause: &Cause) -> &'static str {
    match cause {
        Cause::Parameter => {
            "The address, or the form that led to it, has something that this page does not take. Go back and correct it, or open the page without it."
        }
        Cause::Field | Cause::Malformed | Cause::Header | Cause::MediaType | Cause::TooLarge => {
            "Nothing was changed. Go back, correct the form, and send it again."
        }
        Cause::NotFound => {
            "It may have been forgotten, deleted or revoked, or the address is incomplete. Look for it in the fleet."
        }
        Cause::CrossSite => {
            "Nothing was changed. Forms are taken from the pages of this receiver only: open the page here, and send its form."
        }
        Cause::FormToken => {
            "Nothing was changed. Somebody may have logged in again meanwhile: open the page anew, and send its form."
        }
        Cause::NameTaken => {
            "Nothing was made. Choose another name: those of keys in use are on the page Server."
        }
        Cause::NotSigned | Cause::Rotating => "Nothing was changed. The page Server says how the key stands.",
        Cause::TooManyMutes => {
            "Nothing was muted. End mutes that are not needed, or mute all that match a filter at once."
        }
        Cause::TelemetryDisabled | Cause::Telemetry => {
            "The page Server says how the telemetry of this server itself stands."
        }
        Cause::Store => {
            "What is shown comes from the store, and nothing was changed. It is tried again with each request. The page Server and the log of the receiver say what is wrong."
        }
        Cause::Busy | Cause::Refused | Cause::Rate | Cause::TooManyNew | Cause::Slow => {
            "Wait a moment, and try again. The log of the receiver says more."
        }
        Cause::Method | Cause::Token | Cause::Signature | Cause::OtherKey | Cause::Checksum => {
            "This address is for programs. The pages begin with the fleet."
        }
    }
}

/// The detail of a problem as a sentence. One that begins with the name of a field stays as it is.
pub(super) fn sentence(problem: &Problem) -> String {
    let detail = problem.to_string();
    let is_of_field = problem.blamed().is_some_and(|field| detail.starts_with(field));
    let mut characters = detail.chars();
    match characters.next() {
        Some(first) if !is_of_field => format!("{}{}.", first.to_uppercase(), characters.as_str()),
        _ => format!("{detail}."),
    }
}

/// Where to look next, where that is not the fleet: the address from where the receiver is mounted, and its name.
pub(super) fn place_to_look(cause: &Cause) -> Option<(&'static str, &'static str)> {
    match cause {
        Cause::Store | Cause::Busy | Cause::Telemetry | Cause::TelemetryDisabled => {
            Some(("server", "Server"))
        }
        Cause::NameTaken | Cause::NotSigned | Cause::Rotating => Some(("server#keys", "Keys")),
        Cause::TooManyMutes => Some(("alerts#mutes", "Mutes")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_that_the_webhook_has_is_explained() {
        // What a person does, not a sender.
        let of_people = [
            "parameter",
            "cross-site",
            "form-token",
            "method",
            "name-taken",
            "not-signed",
            "rotating",
            "too-many-mutes",
            "telemetry-disabled",
            "telemetry",
        ];
        let is_explained = |word: &str| of_senders(word).what != of_senders("?").what;
        for cause in Cause::ALL {
            assert_eq!(is_explained(cause.word()), !of_people.contains(&cause.word()), "{}", cause.word());
        }
    }

    #[test]
    fn a_detail_becomes_a_sentence_unless_it_begins_with_a_field() {
        assert_eq!(sentence(&Problem::not_found("there is no such page")), "There is no such page.");
        assert_eq!(sentence(&Problem::bad_field("reason", "text")), "reason accepts text.");
    }

    #[test]
    fn words_are_sentences() {
        for cause in Cause::ALL {
            let Remedy { what, to_do } = of_senders(cause.word());
            assert!(!what.ends_with('.') && to_do.ends_with('.') && of_pages(cause).ends_with('.'));
        }
    }
}
