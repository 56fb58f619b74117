//! Wall-clock time in the one form that everybody reads: RFC 3339, in UTC, to the nanosecond. The calendar is a dozen
//! lines for times of 64 bits, so it needs no crate; a test compares it with one.

use crate::{Context, append};

const DAY: i64 = 86_400 * 1_000_000_000;

/// The wall-clock time of a monotonic one (ns), where it is wanted and known.
pub(crate) fn realtime(monotonic: u64, context: &Context<'_>) -> Option<i64> {
    if context.utc { context.clock.realtime(monotonic) } else { None }
}

/// `2026-11-24T18:18:23.123456789Z`, of nanoseconds since 1970-01-01 00:00 UTC.
pub(crate) fn push(out: &mut String, realtime: i64) {
    let (year, month, day) = date(realtime.div_euclid(DAY));
    let of_day = realtime.rem_euclid(DAY).unsigned_abs();
    let (second, ns) = (of_day / 1_000_000_000, of_day % 1_000_000_000);
    let mut text = *b"0000-00-00T00:00:00.000000000Z";
    digits(&mut text[..4], year);
    digits(&mut text[5..7], month);
    digits(&mut text[8..10], day);
    digits(&mut text[11..13], second / 3600);
    digits(&mut text[14..16], second / 60 % 60);
    digits(&mut text[17..19], second % 60);
    digits(&mut text[20..29], ns);
    append::ascii(out, &text);
}

/// The number, in all of these places.
fn digits(places: &mut [u8], mut number: u64) {
    for place in places.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Year, month and day of a day counted from 1970-01-01. Years begin in March here, so that the day that some of them
/// have more is their last; 400 of them have 146,097 days. (Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `civil_from_days`.) The years of 64-bit nanoseconds are 1677 to 2262.
fn date(day: i64) -> (u64, u64, u64) {
    // Since 0000-03-01, which is before all of them.
    let day = (day + 719_468).unsigned_abs();
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (400 * era + year + next, month, of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(realtime: i64) -> String {
        let mut out = String::new();
        push(&mut out, realtime);
        out
    }

    #[test]
    fn times_are_those_of_a_calendar() {
        assert_eq!(utc(1_795_544_303_123_456_789), "2026-11-24T18:18:23.123456789Z");
        assert_eq!(utc(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(utc(-1), "1969-12-31T23:59:59.999999999Z");
        let mut times: Vec<i64> = (-106_751..=106_751).map(|day| day * DAY).collect();
        times.extend((1..64).flat_map(|bits| [i64::MAX >> bits, i64::MIN >> bits]));
        times.extend([i64::MAX, i64::MIN]);
        for time in times {
            let expected = jiff::Timestamp::from_nanosecond(i128::from(time)).unwrap();
            assert_eq!(utc(time), format!("{expected:.9}"));
        }
    }
}
