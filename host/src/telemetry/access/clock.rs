//! Moments as lines write them. The text of a second is worked out once.

use std::time::{SystemTime, UNIX_EPOCH};

/// Months as Apache writes them, in English whatever the locale.
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The text of the last second that was asked for.
#[derive(Debug, Default)]
pub(super) struct Clock {
    second: u64,
    /// `2026-11-26T04:05:06`
    iso: String,
    /// `26/Nov/2026:04:05:06 +0000`
    apache: String,
}

/// A day of the proleptic Gregorian calendar.
struct Day {
    year: u64,
    /// From 1.
    month: usize,
    day: u64,
}

impl Clock {
    /// RFC 3339 with microseconds, UTC.
    pub(super) fn iso(&mut self, moment: SystemTime, out: &mut Vec<u8>) {
        let micros = self.set(moment);
        out.extend_from_slice(self.iso.as_bytes());
        out.push(b'.');
        let digit = |unit: u32| b'0' + u8::try_from(micros / unit % 10).unwrap_or_default();
        out.extend_from_slice(&[digit(100_000), digit(10_000), digit(1_000), digit(100), digit(10), digit(1), b'Z']);
    }

    /// As `%t` of Apache, without its brackets.
    pub(super) fn apache(&mut self, moment: SystemTime, out: &mut Vec<u8>) {
        self.set(moment);
        out.extend_from_slice(self.apache.as_bytes());
    }

    /// Makes the texts those of a moment, and gives its microseconds.
    fn set(&mut self, moment: SystemTime) -> u32 {
        let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
        let second = since.as_secs();
        if second != self.second || self.iso.is_empty() {
            let Day { year, month, day } = Day::of(second / 86_400);
            let (hour, minute, within) = (second / 3_600 % 24, second / 60 % 60, second % 60);
            let name = MONTHS.get(month - 1).copied().unwrap_or_default();
            self.second = second;
            self.iso = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{within:02}");
            self.apache = format!("{day:02}/{name}/{year:04}:{hour:02}:{minute:02}:{within:02} +0000");
        }
        since.subsec_micros()
    }
}

impl Day {
    /// By days since 1970-01-01: years are counted from March, so that a leap day is a year's last.
    fn of(days: u64) -> Self {
        let days = days + 719_468;
        let (era, within) = (days / 146_097, days % 146_097);
        let year = (within - within / 1_460 + within / 36_524 - within / 146_096) / 365;
        let day_of_year = within - (365 * year + year / 4 - year / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = era * 400 + year + u64::from(month <= 2);
        Self { year, month: usize::try_from(month).unwrap_or(1).clamp(1, 12), day }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn moments_are_written_as_both_formats_have_them() {
        let mut clock = Clock::default();
        for (seconds, micros, iso, apache) in [
            (0, 0, "1970-01-01T00:00:00.000000Z", "01/Jan/1970:00:00:00 +0000"),
            (951_782_399, 5, "2000-02-28T23:59:59.000005Z", "28/Feb/2000:23:59:59 +0000"),
            (951_782_400, 123_456, "2000-02-29T00:00:00.123456Z", "29/Feb/2000:00:00:00 +0000"),
            (1_709_164_800, 999_999, "2024-02-29T00:00:00.999999Z", "29/Feb/2024:00:00:00 +0000"),
            (1_735_689_599, 0, "2024-12-31T23:59:59.000000Z", "31/Dec/2024:23:59:59 +0000"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000000Z", "01/Mar/2100:00:00:00 +0000"),
        ] {
            let moment = UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros);
            let (mut first, mut second) = (Vec::new(), Vec::new());
            clock.iso(moment, &mut first);
            clock.apache(moment, &mut second);
            assert_eq!(String::from_utf8(first).unwrap(), iso);
            assert_eq!(String::from_utf8(second).unwrap(), apache);
        }
    }
}
