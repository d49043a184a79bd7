//! Lines of a frame: headings, rows of a name and its figures, and what there is room for.

use plugway::config::in_line;
use plugway::report::format;

/// What there is room for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) lines: usize,
    pub(super) colours: bool,
}

/// Columns of figures beside a name.
pub(super) const FIGURES: usize = 54;
/// Incidents that are shown, the latest of those that last.
pub(super) const INCIDENTS: usize = 3;

impl Size {
    /// Columns that are written, at least.
    pub(super) fn columns(self) -> usize {
        self.columns.max(72)
    }
}

/// As many of them as there is room for, as text.
pub(super) fn written(mut lines: Vec<String>, size: Size) -> String {
    let columns = size.columns();
    lines.truncate(size.lines.saturating_sub(1));
    let mut out = String::new();
    for line in lines {
        let line = line.trim_end();
        match line.strip_prefix('\u{1}') {
            Some(heading) if size.colours => out.push_str(&format!("\u{1b}[7m{heading:<columns$}\u{1b}[0m")),
            Some(heading) => out.push_str(heading.trim_end()),
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

/// `! page for 12 min: More requests of route orders fail: 12.00 %, 0.10 % in the hour before`
pub(super) fn incident_row(severity: &str, lasts: i64, title: &str, columns: usize) -> String {
    let said = format!("! {severity} for {}: {title}", format::span(lasts.max(0)));
    let clean = said.chars().map(|character| in_line(character, '?'));
    if said.chars().count() <= columns { clean.collect() } else { clean.take(columns - 1).chain(std::iter::once('…')).collect() }
}

/// A heading, marked as such.
pub(super) fn heading(left: &str, right: &str) -> String {
    format!("\u{1}{left}{right}")
}

pub(super) fn row(name: &str, room: usize, figures: &str) -> String {
    format!("{:<room$}{figures}", cut(name, room.saturating_sub(1)))
}

pub(super) fn rest(lines: &mut Vec<String>, rest: usize) {
    if rest > 0 {
        lines.push(format!("  and {rest} more"));
    }
}

pub(super) fn spread(left: &str, right: &str, columns: usize) -> String {
    let space = columns.saturating_sub(left.chars().count() + right.chars().count()).max(1);
    format!("{left}{}{right}", " ".repeat(space))
}

/// The end of a name tells more than its beginning. Nothing in it may steer the terminal.
pub(super) fn cut(name: &str, room: usize) -> String {
    let clean: String = name.chars().map(|character| in_line(character, '?')).collect();
    let length = clean.chars().count();
    if length <= room { clean } else { std::iter::once('…').chain(clean.chars().skip(length - room + 1)).collect() }
}

pub(super) fn rate(value: f64) -> String {
    format::short(value)
}

pub(super) fn percent(part: f64, all: f64) -> String {
    if all > 0.0 { format!("{:.1}%", part * 100.0 / all) } else { "–".to_owned() }
}
