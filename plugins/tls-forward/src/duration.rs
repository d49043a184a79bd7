//! Durations as operators write them: `250ms`, `5s`, `2m`, `1h`.

use std::time::Duration;

/// The longest time a plan can carry: milliseconds in 32 bits, a little over 49 days.
const LONGEST_MS: u64 = u32::MAX as u64;

/// A key that may be absent.
pub(crate) fn optional(key: &str, text: Option<&str>) -> Result<Option<Duration>, String> {
    text.map(|text| parse(text).map_err(|why| format!("`{key}` = {text:?}: {why}"))).transpose()
}

/// A whole number and a unit. Zero is refused: to the gateway a timeout of nothing is a mistake, not "no timeout".
fn parse(text: &str) -> Result<Duration, &'static str> {
    const FORM: &str = "write a whole number and a unit, such as \"250ms\", \"5s\" or \"2m\"";
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(FORM)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(FORM),
    };
    let number: u64 = match number.parse() {
        Ok(number) => number,
        Err(_) if number.is_empty() => return Err(FORM),
        Err(_) => return Err("too long"),
    };
    match number.checked_mul(milliseconds) {
        Some(0) => Err("a timeout of nothing"),
        Some(total) if total <= LONGEST_MS => Ok(Duration::from_millis(total)),
        _ => Err("longer than 49 days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_whole_numbers_with_a_unit() {
        for (text, milliseconds) in [("250ms", 250), ("5s", 5_000), ("2m", 120_000), ("1h", 3_600_000), ("4294967295ms", 4_294_967_295)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        let many = "9".repeat(40) + "s";
        for text in ["", "5", "s", "5 s", "-5s", "+5s", "1.5s", "5S", "5sec", "0s", "0ms", "4294967296ms", "50000h", "5s ", "٥s", &many] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(optional("connect_timeout", Some("0s")).unwrap_err(), "`connect_timeout` = \"0s\": a timeout of nothing");
        assert_eq!(optional("connect_timeout", None), Ok(None));
    }
}
