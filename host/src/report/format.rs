//! Numbers as people read them.

/// `12,345`
pub fn whole(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `12.3k`: for axes, where there is no room.
pub fn short(value: f64) -> String {
    let (value, unit) = match value {
        v if v >= 1e9 => (v / 1e9, "G"),
        v if v >= 1e6 => (v / 1e6, "M"),
        v if v >= 1e3 => (v / 1e3, "k"),
        v => (v, ""),
    };
    format!("{}{unit}", trimmed(value))
}

/// A time of so many microseconds: `830 µs`, `12.4 ms`, `1.25 s`.
pub fn latency(us: f64) -> String {
    match us {
        us if us < 1e3 => format!("{} µs", trimmed(us)),
        us if us < 1e6 => format!("{} ms", trimmed(us / 1e3)),
        us => format!("{} s", trimmed(us / 1e6)),
    }
}

/// The same where there may be none.
pub fn latency_or_none(us: Option<f64>) -> String {
    us.map_or_else(|| "–".to_owned(), latency)
}

/// Three figures that matter.
fn trimmed(value: f64) -> String {
    let text = match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 0.1 => format!("{v:.2}"),
        // A gateway that is asked once a minute has marks at thousandths beside its axis.
        v => format!("{v:.3}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A share, `0.12 %`; what is there is never shown as nothing.
pub fn share(part: u64, all: u64) -> String {
    if all == 0 {
        return "–".to_owned();
    }
    let percent = part as f64 * 100.0 / all as f64;
    match percent {
        _ if part == 0 => "0 %".to_owned(),
        p if p < 0.001 => "< 0.001 %".to_owned(),
        p if p < 0.1 => format!("{} %", format!("{p:.3}").trim_end_matches('0')),
        p if p > 99.0 && part < all => format!("{} %", (p * 1000.0).floor() / 1000.0),
        p => format!("{} %", trimmed(p)),
    }
}

/// `1.5 MiB`
pub fn bytes(bytes: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match UNITS.iter().find(|(_, shift)| bytes >> shift > 0) {
        Some((unit, shift)) => format!("{} {unit}", trimmed(bytes as f64 / 2_f64.powi(i32::try_from(*shift).unwrap_or(0)))),
        None => format!("{bytes} B"),
    }
}

/// A length of time: `3 d 4 h`, `2 min 5 s`.
pub fn span(seconds: i64) -> String {
    let (days, hours, minutes, rest) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    let parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")];
    let shown: Vec<_> = parts.iter().skip_while(|(amount, _)| *amount == 0).take(2).filter(|(amount, _)| *amount > 0).collect();
    if shown.is_empty() {
        return "0 s".to_owned();
    }
    shown.iter().map(|(amount, unit)| format!("{amount} {unit}")).collect::<Vec<_>>().join(" ")
}

/// What has changed since before: `+12 %`; nothing where there is nothing to compare.
pub fn change(now: f64, before: f64) -> Option<String> {
    if before <= 0.0 {
        return None;
    }
    let percent = (now / before - 1.0) * 100.0;
    Some(match percent {
        p if p.abs() < 0.5 => "±0 %".to_owned(),
        p if p >= 1000.0 => format!("×{:.0}", now / before),
        p => format!("{p:+.0} %"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_people_read() {
        assert_eq!([0, 999, 1_000, 12_345_678].map(whole), ["0", "999", "1,000", "12,345,678"]);
        assert_eq!([0.0, 12.0, 1_500.0, 2e6].map(short), ["0", "12", "1.5k", "2M"]);
        assert_eq!([4.0, 830.4, 12_400.0, 1_250_000.0].map(latency), ["4 µs", "830 µs", "12.4 ms", "1.25 s"]);
        assert_eq!(
            [(0, 10), (1, 10), (1, 1_000_000), (1, 5_000), (999_999, 1_000_000), (7, 7)].map(|(a, b)| share(a, b)),
            ["0 %", "10 %", "< 0.001 %", "0.02 %", "99.999 %", "100 %"]
        );
        assert_eq!(share(0, 0), "–");
        assert_eq!([12, 2_048, 3 << 29].map(bytes), ["12 B", "2 KiB", "1.5 GiB"]);
        assert_eq!([0, 59, 125, 273_600, 86_460].map(span), ["0 s", "59 s", "2 min 5 s", "3 d 4 h", "1 d"]);
        assert_eq!(
            [(112.0, 100.0), (100.2, 100.0), (50.0, 100.0), (2_000.0, 100.0)].map(|(a, b)| change(a, b).unwrap()),
            ["+12 %", "±0 %", "-50 %", "×20"]
        );
    }
}
