//! Periods as operators write them, in whole seconds: `1s`, `5m`, `1h`, `1d`.

use std::time::Duration;

/// What a bucket of the gateway can have.
const LONGEST: u64 = 365 * 24 * 60 * 60;

/// A whole number and a unit.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    const FORM: &str = "write a whole number and a unit, such as \"1s\", \"5m\", \"1h\" or \"1d\"";
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(FORM)?;
    let one = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        // The window of `RateLimit-Policy` is in seconds.
        "ms" => return Err("a period has whole seconds; write 10 requests in \"1s\" for 1 in \"100ms\"".to_owned()),
        _ => return Err(FORM.to_owned()),
    };
    let number: u64 = if number.is_empty() { return Err(FORM.to_owned()) } else { number.parse().map_err(|_| "longer than a year")? };
    match number.checked_mul(one) {
        Some(0) => Err("a period of nothing".to_owned()),
        Some(seconds) if seconds <= LONGEST => Ok(Duration::from_secs(seconds)),
        _ => Err("longer than a year".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_whole_seconds() {
        for (text, seconds) in [("1s", 1), ("90s", 90), ("5m", 300), ("1h", 3_600), ("365d", 31_536_000)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        let many = "9".repeat(40) + "s";
        for text in ["", "1", "s", "0s", "-1s", "1.5s", "1 s", "1sec", "100ms", "366d", &many] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
