//! Moments as people read them, always with their zone: UTC, which is what days of the store are days of.

/// `2026-11-26 04:05 UTC`
pub fn moment(at: i64) -> String {
    let (year, month, day) = date(at);
    format!("{year:04}-{month:02}-{day:02} {} UTC", clock(at))
}

/// `2026-11-26 04:05:06 UTC`
pub fn second(at: i64) -> String {
    let (year, month, day) = date(at);
    format!("{year:04}-{month:02}-{day:02} {}:{:02} UTC", clock(at), at.rem_euclid(60))
}

/// `04:05`
pub fn clock(at: i64) -> String {
    let minutes = at.rem_euclid(86_400) / 60;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// `26 Nov`
pub fn short_day(at: i64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, month, day) = date(at);
    let month = usize::try_from(month - 1).ok().and_then(|month| MONTHS.get(month)).copied().unwrap_or_default();
    format!("{day} {month}")
}

/// As programs read it (RFC 3339).
pub fn rfc3339(at: i64) -> String {
    let (year, month, day) = date(at);
    format!("{year:04}-{month:02}-{day:02}T{}:{:02}Z", clock(at), at.rem_euclid(60))
}

/// Year, month and day of the Gregorian calendar: counted in eras of 400 years that begin in March, so that the leap day is
/// the last of a year.
fn date(at: i64) -> (i64, i64, i64) {
    let days = at.div_euclid(86_400) + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        assert_eq!(moment(0), "1970-01-01 00:00 UTC");
        assert_eq!(second(1_795_665_906), "2026-11-26 04:05:06 UTC");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(4_107_542_399), "2100-02-28T23:59:59Z");
        assert_eq!(short_day(4_107_542_400), "1 Mar");
        // Each day follows the one before, for four centuries.
        let mut before = date(0);
        for day in 1..=146_097 {
            let next = date(day * 86_400);
            let follows = next == (before.0, before.1, before.2 + 1)
                || (next.2 == 1 && (next.1 == before.1 + 1 || (next.0 == before.0 + 1 && (before.1, before.2) == (12, 31))));
            assert!(follows, "{before:?} {next:?}");
            before = next;
        }
        assert_eq!(before, (2370, 1, 1));
    }
}
