//! Charts as inline SVG: no script, no font, nothing to load. Each has a title that a screen reader says, and colours come from the
//! page's style, so they follow light, dark and print.

mod bars;
mod scale;
mod timeline;

pub(super) use bars::{Bar, Spread, bars, spreads};
pub(super) use timeline::{Band, Line, Timeline};

use crate::config::in_line;

/// Text as it stands in markup.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Nothing that a client sent may end a line, ring a bell or turn one round here.
            other => out.push(in_line(other, char::REPLACEMENT_CHARACTER)),
        }
    }
    out
}

/// The beginning of a chart.
fn open(id: &str, title: &str, width: f64, height: f64) -> String {
    format!(
        "<svg viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-labelledby=\"{id}-title\"><title id=\"{id}-title\">{}</title>",
        escape(title)
    )
}

/// A name that fits into so many letters.
fn short_name(name: &str, letters: usize) -> String {
    if name.chars().count() <= letters {
        return name.to_owned();
    }
    // What tells names apart is mostly at their end.
    let tail: String = name.chars().rev().take(letters - 1).collect();
    std::iter::once('…').chain(tail.chars().rev()).collect()
}
