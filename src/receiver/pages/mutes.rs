//! What the forms that mute have in common, and the form that ends a mute. The page "Alerts" lists the mutes.

use std::time::Duration;

use actix_web::web::{Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::page::{Refusal, refuse, see};
use super::words::{clock, exact};
use crate::receiver::api::body::read_form;
use crate::receiver::api::mutes::{mute_all, unmute};
use crate::receiver::app::App;
use crate::receiver::http::parameters::{moment, path_id};
use crate::receiver::http::problem::{Cause, Problem};
use crate::receiver::http::route::Route;
use crate::receiver::operator::{MUTED_FOR_RULE, NewMute, REASON_RULE, Selection, valid_reason, valid_time};

/// What the moment from which a mute lasts accepts, for people.
const FROM_RULE: &str = "a moment as RFC 3339 writes it: that at which the form was shown";

/// What is wrong with a form that was left open.
const TIME_IS_OVER: &str =
    "the time that was chosen is over, or nearly: open the form again and choose another";

/// Lengths of mutes that are offered, in hours.
const LENGTHS: [i64; 5] = [1, 4, 24, 7 * 24, 30 * 24];

/// The reason of a mute whose form gave none.
const UNSAID: &str = "muted on the page";

/// Length of a mute for as long as people sleep, in seconds.
const NIGHT: i64 = 8 * 60 * 60;

/// Hour at which people are at work again, in UTC: the end of a mute for the night.
const MORNING: i8 = 8;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/mutes").get(async || see("alerts#mutes")).mount(config);
    Route::at("/mutes/{mute_id}/remove").post(remove).mount(config);
}

/// A time for which something can be muted, as a choice of a form.
#[derive(Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) seconds: i64,
    /// Its end, and how far that is.
    pub(super) words: String,
}

/// The times that are offered, the shortest first: some lengths, and until the mornings of today and tomorrow.
pub(super) fn choices(now: &Timestamp) -> Vec<Choice> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let mornings = [Some(today), today.tomorrow().ok()].into_iter().filter_map(morning_of);
    let lengths = LENGTHS.map(|hours| hours * 60 * 60);
    let mut all: Vec<i64> = lengths.into_iter().chain(mornings.map(|at| seconds_until(at, *now))).collect();
    all.retain(|seconds| *seconds >= lengths[0]);
    all.sort_unstable();
    let choice = |seconds| {
        let length = SignedDuration::from_secs(seconds);
        let end = clock(now.saturating_add(length).unwrap_or(Timestamp::MAX), *now);
        Choice { seconds, words: format!("{end}, in {}", exact(length)) }
    };
    all.into_iter().map(choice).collect()
}

/// The times that are offered as buttons of their own, each in words that follow "Mute": a night, and until tomorrow morning.
pub(super) fn taps(now: &Timestamp) -> Vec<Choice> {
    let morning = morning_of(now.to_zoned(TimeZone::UTC).date().tomorrow().ok());
    let tomorrow = morning.map(|at| Choice {
        seconds: seconds_until(at, *now),
        words: format!("until {} UTC", clock(at, *now)),
    });
    let night = Choice { seconds: NIGHT, words: format!("for {}", exact(SignedDuration::from_secs(NIGHT))) };
    [Some(night), tomorrow].into_iter().flatten().collect()
}

/// The hour of a day at which people are at work again.
fn morning_of(day: Option<Date>) -> Option<Timestamp> {
    Some(day?.at(MORNING, 0, 0, 0).to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// The time from now until a moment, in seconds, of which the last one is whole.
fn seconds_until(moment: Timestamp, now: Timestamp) -> i64 {
    let length = moment.duration_since(now);
    length.as_secs() + i64::from(length.subsec_nanos() > 0)
}

/// Makes a mute of each selection for the time and the reason of a form: all of them, or none. The time counts from when
/// the form was shown, if it says when, so that a mute ends at the moment that was chosen.
pub(super) async fn mute(app: &App, each: Vec<Selection>, body: Payload) -> Result<(), Problem> {
    let mut given = read_form(body).await?;
    let now = app.now();
    let from = given.take("from", FROM_RULE, moment)?.unwrap_or(now);
    let chosen = given.take("seconds", MUTED_FOR_RULE, |text| text.parse().ok().and_then(valid_time))?;
    let reason = given.take("reason", REASON_RULE, reason_or_none)?.flatten();
    given.finish()?;
    let chosen = chosen.ok_or_else(|| Problem::bad_field("seconds", MUTED_FOR_RULE))?;
    let reason = reason.as_deref().unwrap_or(UNSAID);
    let lasts = time_left(chosen, from, now)?;
    mute_all(app, each.into_iter().map(|of| NewMute::new(of, lasts, reason)).collect()).await
}

/// The reason of a form, or none where the field was left empty.
fn reason_or_none(text: &str) -> Option<Option<String>> {
    match text.is_empty() {
        true => Some(None),
        false => valid_reason(text).map(Some),
    }
}

/// What is left at `now` of a time that was chosen at `from`, where something can still be muted for so long.
fn time_left(chosen: Duration, from: Timestamp, now: Timestamp) -> Result<Duration, Problem> {
    let until = from.checked_add(chosen).unwrap_or(Timestamp::MAX);
    valid_time(seconds_until(until, now)).ok_or_else(|| match from > now {
        true => Problem::bad_field("from", FROM_RULE),
        false => Problem::new(Cause::Field, TIME_IS_OVER),
    })
}

async fn remove(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        unmute(&app, path_id(&request, "mute_id")?).await?;
        Ok(see("../../alerts#mutes"))
    };
    ask.await.map_err(refuse(&app, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mute_can_last_for_some_lengths_or_until_a_morning() {
        let words = |now: &str| -> Vec<String> {
            choices(&now.parse().unwrap()).into_iter().map(|choice| choice.words).collect()
        };
        assert_eq!(
            words("2026-11-26T03:14:07Z"),
            [
                "04:14, in 1 h",
                "07:14, in 4 h",
                "08:00, in 4 h 45 min",
                "tomorrow 03:14, in 1 day",
                "tomorrow 08:00, in 1 day 4 h",
                "3 Dec 03:14, in 7 days",
                "26 Dec 03:14, in 30 days",
            ]
        );
        // A morning that is nearly there is no choice.
        assert_eq!(words("2026-11-26T07:30:00Z")[..2], ["08:30, in 1 h", "11:30, in 4 h"]);
    }

    #[test]
    fn one_tap_mutes_for_a_night_or_until_tomorrow() {
        let taps = |now: &str| -> Vec<(i64, String)> {
            taps(&now.parse().unwrap()).into_iter().map(|tap| (tap.seconds, tap.words)).collect()
        };
        let night = || (28_800, "for 8 h".to_owned());
        let tomorrow = |seconds| (seconds, "until tomorrow 08:00 UTC".to_owned());
        assert_eq!(taps("2026-11-26T03:14:07Z"), [night(), tomorrow(103_553)]);
        assert_eq!(taps("2026-11-26T23:59:59.5Z"), [night(), tomorrow(28_801)]);
    }

    #[test]
    fn a_reason_may_be_left_out() {
        assert_eq!(reason_or_none(""), Some(None));
        assert_eq!(reason_or_none(" moves "), Some(Some("moves".to_owned())));
        assert_eq!((reason_or_none(" "), reason_or_none("a\nb")), (None, None));
        assert_eq!(valid_reason(UNSAID).as_deref(), Some(UNSAID));
    }

    #[test]
    fn a_mute_does_not_end_before_the_moment_that_was_chosen() {
        let at = |text: &str| text.parse().unwrap();
        assert_eq!(seconds_until(at("2026-11-26T08:00:00Z"), at("2026-11-26T07:59:00Z")), 60);
        assert_eq!(seconds_until(at("2026-11-26T08:00:00Z"), at("2026-11-26T07:59:00.25Z")), 60);
        assert_eq!(seconds_until(at("2026-11-26T08:00:00Z"), at("2026-11-26T08:00:00.25Z")), 0);
    }

    #[test]
    fn what_is_left_of_a_time_that_was_chosen_is_muted() {
        let now: Timestamp = "2026-11-26T08:00:00Z".parse().unwrap();
        let left = |minutes_ago: i64| {
            let from = now - SignedDuration::from_mins(minutes_ago);
            time_left(Duration::from_secs(3_600), from, now).map_err(|problem| problem.to_string())
        };
        assert_eq!(left(0), Ok(Duration::from_secs(3_600)));
        assert_eq!(left(59), Ok(Duration::from_secs(60)));
        for minutes_ago in [60, 600] {
            assert_eq!(left(minutes_ago), Err(TIME_IS_OVER.to_owned()));
        }
        assert!(left(-366 * 24 * 60).unwrap_err().starts_with("from accepts "));
    }
}
