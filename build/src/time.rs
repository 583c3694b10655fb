//! The time of a build, without a calendar's crate.

use std::ffi::OsString;
use std::time::{SystemTime, UNIX_EPOCH};

/// First second of the year 10000, which RFC 3339 cannot write.
const END: u64 = 253_402_300_800;

/// The value of `SOURCE_DATE_EPOCH` in seconds since 1970.
pub(crate) fn from_variable(value: OsString) -> Result<u64, &'static str> {
    let seconds = value.to_str().and_then(|text| text.trim().parse().ok());
    seconds.filter(|seconds| *seconds < END).ok_or("it is not a number of seconds since 1970")
}

/// Seconds since 1970 by the machine's clock; 0 for a clock before that.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().min(END - 1))
}

/// `seconds` since 1970, in UTC.
pub(crate) fn rfc3339(seconds: u64) -> String {
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a number of days since 1970: Howard Hinnant's `civil_from_days`. The year
/// begins in March, so that the leap day is its last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // since 0000-03-01
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_is_written_as_a_calendar_writes_it() {
        // jiff ends a day before.
        for day in 0..END / 86_400 - 2 {
            let seconds = day * 86_400 + day % 86_400;
            let expected = jiff::Timestamp::from_second(seconds as i64).unwrap();
            assert_eq!(rfc3339(seconds), expected.to_string());
        }
        assert_eq!(rfc3339(END - 1), "9999-12-31T23:59:59Z");
    }
}
