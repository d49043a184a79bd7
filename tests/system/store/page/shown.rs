//! What people read, held against the value that stands beside it for programs.

/// Value and text of every cell and tile of a page.
fn pairs(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.split("data-value=\"").skip(1).map(|from| {
        let (value, rest) = from.split_once('"').unwrap();
        let (_, text) = rest.split_once('>').unwrap();
        (value, text.split('<').next().unwrap())
    })
}

/// A figure as people read it, in the unit of the store, and what it may be off by; `None` where the text is none.
pub(super) fn figure(text: &str) -> Option<(f64, f64)> {
    let text = text.trim();
    let (number, unit) = match text.split_once(' ') {
        Some((number, unit)) => (number, unit),
        None => text.split_at(text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len())),
    };
    let factor = match unit {
        "" | "µs" | "B" => 1.0,
        "k" | "ms" => 1e3,
        "M" | "s" => 1e6,
        "%" => 0.01,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let digits = number.replace(',', "");
    let value: f64 = digits.parse().ok()?;
    // Three figures that matter, of which zeros at the end are not written.
    let off = match value.abs() {
        value if value >= 100.0 => 0.5,
        value if value >= 10.0 => 0.05,
        value if value >= 0.1 => 0.005,
        _ => 0.0005,
    };
    Some((value * factor, off * factor * 1.000_001))
}

/// A length of time: `3 d 4 h` in seconds, and that of its last part.
pub(super) fn span(text: &str) -> Option<(f64, f64)> {
    let words: Vec<&str> = text.split(' ').collect();
    let (mut sum, mut last) = (0.0, 0.0);
    for part in words.chunks(2) {
        let [amount, unit] = part else { return None };
        last = match *unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "min" => 60.0,
            "s" => 1.0,
            _ => return None,
        };
        sum += amount.parse::<f64>().ok()? * last;
    }
    Some((sum, last))
}

fn agree(value: &str, text: &str) -> bool {
    if value == text || (value.is_empty() && text == "–") {
        return true;
    }
    // A moment: the same without the letters.
    if let Some((day, time)) = value.trim_end_matches('Z').split_once('T') {
        return text == format!("{day} {time} UTC");
    }
    if let (Ok(count), Ok(shown)) = (value.parse::<u64>(), text.replace(',', "").parse::<u64>()) {
        return count == shown;
    }
    match value.parse::<f64>() {
        Ok(value) => {
            let near = figure(text).is_some_and(|(shown, off)| (shown - value).abs() <= off);
            let within = || span(text).is_some_and(|(shown, last)| shown <= value && value < shown + last);
            // A share that is there is never shown as nothing, and one that is not whole never as whole.
            let little = || text == "< 0.001 %" && value < 1e-5;
            let whole_percents = || {
                text.strip_suffix(" %").and_then(|text| text.parse::<f64>().ok()).is_some_and(|shown| (shown - value * 100.0).abs() <= 0.5)
            };
            near || within() || little() || whole_percents()
        }
        // A digest is told by its beginning.
        Err(_) => value.len() > 12 && value.starts_with(text) && text.len() == 12,
    }
}

/// Every text of a page says what its value is. How many there were.
pub(super) fn texts_are_right(page: &str) -> usize {
    let plain = |text: &str| text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    let checked = pairs(page).map(|(value, text)| assert!(agree(&plain(value), &plain(text)), "{text:?} of {value:?}"));
    checked.count()
}

#[test]
fn figures_are_read_as_they_are_written() {
    for (value, text) in [
        ("12345", "12,345"),
        ("0.034", "0.034"),
        ("365.4", "365 µs"),
        ("1256.9", "1.26 ms"),
        ("0.0096", "0.96 %"),
        ("1572864", "1.5 MiB"),
        ("125", "2 min 5 s"),
        ("2026-11-28T14:54:00Z", "2026-11-28 14:54:00 UTC"),
        ("f6ea51d55495ecdfe0", "f6ea51d55495"),
    ] {
        assert!(agree(value, text), "{value} {text}");
    }
    for (value, text) in
        [("12346", "12,345"), ("365.4", "370 µs"), ("1256.9", "1.26 s"), ("0.0096", "1.96 %"), ("", "0"), ("190", "2 min 5 s")]
    {
        assert!(!agree(value, text), "{value} {text}");
    }
}
