//! A time in a report, by whichever clock was asked for. This is the one place that says how it looks.

use std::fmt;

/// The time of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Time {
    /// `CLOCK_MONOTONIC`, nanoseconds. Of machines, or of a machine before and after a restart, it cannot be compared.
    Monotonic(u64),
    /// Nanoseconds since 1970-01-01 00:00 UTC.
    Utc(i64),
}

/// Nanoseconds, or RFC 3339 with nanoseconds.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Time::Monotonic(time) => write!(f, "{time}"),
            Time::Utc(time) => {
                let (seconds, nanoseconds) = (time.div_euclid(SECOND), time.rem_euclid(SECOND));
                let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
                let (year, month, day) = date(days);
                let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
                write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanoseconds:09}Z")
            }
        }
    }
}

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400;

/// Year, month and day of a number of days since 1970-01-01. Years are taken to begin in March, so that a leap day is
/// a year's last, and to repeat after 400 of them.
fn date(days: i64) -> (i64, i64, i64) {
    // From 0000-03-01.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Five months from March on have 153 days, as do those from August on.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utc_is_rfc_3339() {
        let text = |seconds: i64, nanoseconds: i64| Time::Utc(seconds * SECOND + nanoseconds).to_string();
        assert_eq!(text(0, 0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(text(951_782_400, 1), "2000-02-29T00:00:00.000000001Z");
        assert_eq!(text(951_868_800, 0), "2000-03-01T00:00:00.000000000Z");
        assert_eq!(text(1_735_689_599, 999_999_999), "2024-12-31T23:59:59.999999999Z");
        assert_eq!(text(-1, 0), "1969-12-31T23:59:59.000000000Z");
        assert_eq!(Time::Utc(i64::MAX).to_string(), "2262-04-11T23:47:16.854775807Z");
        assert_eq!(Time::Utc(i64::MIN).to_string(), "1677-09-21T00:12:43.145224192Z");
        assert_eq!(Time::Monotonic(u64::MAX).to_string(), u64::MAX.to_string());
    }
}
