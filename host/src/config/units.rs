//! Durations and sizes as people write them.

use std::time::Duration;

/// Longest duration that is taken: a year. Deadlines are added to the clock, which must not overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A duration: numbers with units `us`, `ms`, `s`, `m`, `h` or `d`, largest first: `5s`, `250ms`, `1m30s`. Not zero.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut smallest = Duration::MAX;
    while !rest.is_empty() {
        let (number, unit, tail) = amount(rest).ok_or_else(|| format!("`{text}` is no duration"))?;
        let one = match unit {
            "us" => Duration::from_micros(1),
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(60 * 60),
            "d" => Duration::from_secs(24 * 60 * 60),
            "" if tail.is_empty() => return Err(format!("`{text}` has no unit")),
            "" => return Err(format!("`{text}` is no duration")),
            other => return Err(format!("`{other}` is no unit of time")),
        };
        if one >= smallest {
            return Err(format!("the units of `{text}` must stand largest first, each once"));
        }
        smallest = one;
        let micros = one.as_micros().checked_mul(number.into()).and_then(|micros| u64::try_from(micros).ok());
        let part = micros.map(Duration::from_micros);
        total = part
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total <= LONGEST)
            .ok_or_else(|| format!("`{text}` is more than a year"))?;
        rest = tail;
    }
    match total {
        Duration::ZERO if text.is_empty() => Err("the duration is empty".to_owned()),
        Duration::ZERO => Err("a duration of zero would end everything at once".to_owned()),
        total => Ok(total),
    }
}

/// A share as a percentage with at most four decimals, `1%`, `0.01%`: in parts of a million.
pub(super) fn share(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('%').ok_or_else(|| format!("`{text}` is no share"))?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 4 {
        return Err(format!("`{text}` is no share"));
    }
    let parts = format!("{whole}{decimals:0<4}").parse::<u32>().ok().filter(|parts| *parts <= 1_000_000);
    parts.ok_or_else(|| format!("`{text}` is more than all"))
}

/// A size in bytes: a number, alone or with a unit `B`, `KiB`, `MiB`, `GiB` or `TiB` (or their decimal kin `kB`, `MB`, `GB`, `TB`). Not zero.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = match amount(text) {
        Some((number, unit, "")) => (number, unit),
        _ => return Err(format!("`{text}` is no size")),
    };
    let one: u64 = match unit {
        "" | "B" => 1,
        "kB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        "TB" => 1_000_000_000_000,
        "TiB" => 1 << 40,
        other => return Err(format!("`{other}` is no unit of size")),
    };
    match number.checked_mul(one) {
        None => Err(format!("`{text}` is too large")),
        Some(0) => Err("a size of zero would allow nothing".to_owned()),
        Some(bytes) => Ok(bytes),
    }
}

/// The number and the unit a text begins with, and what follows them. One blank may stand between the two.
fn amount(text: &str) -> Option<(u64, &str, &str)> {
    let (digits, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    let (unit, rest) = rest.split_at(rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len()));
    Some((digits.parse().ok()?, unit, rest))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{duration, share, size};

    #[test]
    fn shares() {
        for (text, parts) in [("100%", 1_000_000), ("1%", 10_000), ("0.01%", 100), ("0.0001%", 1), ("0%", 0), ("12.5%", 125_000)] {
            assert_eq!(share(text), Ok(parts), "{text}");
        }
        for text in ["", "1", "%", "100.0001%", "101%", "-1%", "1.%", ".5%", "0.00001%", "1e1%", "+1%", "99999999999%"] {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations() {
        let good = [
            ("5s", 5_000_000),
            ("250ms", 250_000),
            ("1m30s", 90_000_000),
            ("1h", 3_600_000_000),
            ("10 ms", 10_000),
            ("20us", 20),
            ("5000000000us", 5_000_000_000),
            ("31536000000ms", 31_536_000_000_000),
            ("365d", 31_536_000_000_000),
        ];
        for (text, micros) in good {
            assert_eq!(duration(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        for text in [
            "",
            "5",
            "s",
            "0s",
            "-5s",
            "5 5s",
            "5s5s",
            "5ms1s",
            "1.5s",
            "366d",
            "31536000001ms",
            "99999999999999999999s",
            "5x",
            "5s ",
            "5µs",
            "18446744073709551615d",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        let good = [("1", 1), ("64KiB", 65_536), ("64 KiB", 65_536), ("1MB", 1_000_000), ("2GiB", 2_147_483_648), ("10B", 10)];
        for (text, bytes) in good {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "0", "0KiB", "64kib", "64K", "-1", "1.5MiB", "1MiB1", "99999999TiB", "KiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
