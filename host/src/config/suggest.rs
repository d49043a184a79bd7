//! "Did you mean": the known word that is nearest to one that is not known.

/// The best of `known` for a mistyped word, when one is near enough to be meant: a third of its letters may differ.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // A word of a megabyte is no typing mistake, and the table below grows with it.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    // A word that was cut short or drawn out is as near as one wrong letter: `cert`, `logging`.
    let part = |known: &str| word.len().min(known.len()) >= 3 && (known.starts_with(&word) || word.starts_with(known));
    let distance = |known: &str| if part(known) { distance(&word, known).min(1) } else { distance(&word, known) };
    known.into_iter().map(|known| (distance(known), known)).filter(|(distance, _)| *distance <= allowed).min().map(|(_, known)| known)
}

/// `help` for an unknown word: the nearest known one, or all of them.
pub(super) fn advice<'k>(word: &str, known: impl IntoIterator<Item = &'k str> + Clone, none: &str) -> String {
    if let Some(near) = nearest(word, known.clone()) {
        return format!("did you mean `{near}`?");
    }
    let known: Vec<_> = known.into_iter().map(|known| format!("`{known}`")).collect();
    match known.as_slice() {
        [] => none.to_owned(),
        [only] => format!("only {only} is known here"),
        known => format!("known are {}", known.join(", ")),
    }
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    // Rows of the table: two letters back, one back, and the current one. Item `j` is the distance to the first `j` letters.
    let mut before = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let mut previous = None;
    for (i, letter) in from.chars().enumerate() {
        let mut row = vec![i + 1];
        let mut left = i + 1;
        let mut skipped = None;
        for (j, ((&above, &above_left), &other)) in last.iter().skip(1).zip(&last).zip(&to).enumerate() {
            let mut best = (above + 1).min(left + 1).min(above_left + usize::from(letter != other));
            if Some(other) == previous && Some(letter) == skipped {
                best = best.min(before.get(j.wrapping_sub(1)).map_or(best, |swapped| swapped + 1));
            }
            row.push(best);
            left = best;
            skipped = Some(other);
        }
        before = std::mem::replace(&mut last, row);
        previous = Some(letter);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{advice, distance, nearest};

    #[test]
    fn distances_are_the_textbook_ones() {
        let cases = [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("ca", "ac", 1),
            ("souce", "source", 1),
            ("hosts", "host", 1),
        ];
        for (from, to, expected) in cases {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn only_a_near_word_is_suggested() {
        let known = ["address", "tls", "http2"];
        assert_eq!(nearest("adress", known), Some("address"));
        assert_eq!(nearest("TLS", known), Some("tls"));
        assert_eq!(nearest("certificate", known), None);
        assert_eq!(nearest("addr", known), Some("address"));
        assert_eq!(nearest("tls_settings", known), Some("tls"));
        assert_eq!(advice("zzz", known, "none"), "known are `address`, `tls`, `http2`");
        assert_eq!(advice("zzz", ["tls"], "none"), "only `tls` is known here");
        assert_eq!(advice("zzz", [], "none"), "none");
    }
}
