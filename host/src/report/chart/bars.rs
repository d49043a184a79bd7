//! Things side by side: how much each has, or how its latencies spread.

use std::fmt::Write;

use super::scale::Scale;
use super::{escape, open, short_name};

const WIDTH: f64 = 960.0;
/// Where names end.
const NAMES: f64 = 250.0;
/// Where figures begin.
const FIGURES: f64 = 806.0;
const ROW: f64 = 26.0;
const AXIS: f64 = 26.0;
/// Letters of a name that there is room for.
const LETTERS: usize = 34;

/// One bar of several parts.
pub(in crate::report) struct Bar {
    pub(in crate::report) name: String,
    /// Class and length of each part.
    pub(in crate::report) parts: Vec<(&'static str, f64)>,
    /// What stands at its end.
    pub(in crate::report) figure: String,
    /// What is said when pointed at.
    pub(in crate::report) title: String,
}

/// How latencies spread, microseconds.
pub(in crate::report) struct Spread {
    pub(in crate::report) name: String,
    pub(in crate::report) p50: f64,
    pub(in crate::report) p95: f64,
    pub(in crate::report) p99: f64,
    pub(in crate::report) figure: String,
    pub(in crate::report) title: String,
    /// Whether a new group begins with it.
    pub(in crate::report) first: bool,
}

/// Bars, one below the other, the longest as long as there is room.
pub(in crate::report) fn bars(id: &str, title: &str, bars: &[Bar]) -> String {
    let length = |bar: &Bar| bar.parts.iter().map(|(_, part)| part).sum::<f64>();
    let longest = bars.iter().map(length).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let mut svg = open(id, title, WIDTH, ROW * bars.len() as f64 + 6.0);
    for (number, bar) in bars.iter().enumerate() {
        let top = 4.0 + ROW * number as f64;
        let mut left = NAMES;
        let _ = write!(svg, "<g><title>{}</title>", escape(&bar.title));
        name(&mut svg, &bar.name, top);
        for (class, part) in bar.parts.iter().filter(|(_, part)| *part > 0.0) {
            // What is there can be seen.
            let width = (part / longest * (FIGURES - NAMES - 10.0)).max(1.5);
            let _ = write!(svg, "<rect class=\"area {class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"18\"/>");
            left += width;
        }
        figure(&mut svg, &bar.figure, top);
        svg.push_str("</g>");
    }
    svg.push_str("</svg>");
    svg
}

/// From the median over p95 to p99, on one axis.
pub(in crate::report) fn spreads(id: &str, title: &str, spreads: &[Spread], text: fn(f64) -> String) -> String {
    let scale = Scale::of_latencies(spreads.iter().flat_map(|spread| [spread.p50, spread.p99]));
    let x = |value: f64| NAMES + scale.place(value) * (FIGURES - NAMES - 24.0);
    let bottom = ROW * spreads.len() as f64 + 6.0;
    let mut svg = open(id, title, WIDTH, bottom + AXIS);
    for tick in &scale.ticks {
        let at = x(*tick);
        let _ = write!(svg, "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{bottom:.1}\"/>");
        let _ = write!(svg, "<text class=\"tick\" text-anchor=\"middle\" x=\"{at:.1}\" y=\"{:.1}\">{}</text>", bottom + 16.0, text(*tick));
    }
    for (number, spread) in spreads.iter().enumerate() {
        let top = 4.0 + ROW * number as f64;
        let middle = top + 9.0;
        if spread.first && number > 0 {
            let _ = write!(svg, "<line class=\"group\" x1=\"0\" x2=\"{WIDTH}\" y1=\"{0:.1}\" y2=\"{0:.1}\"/>", top - 4.0);
        }
        let _ = write!(svg, "<g><title>{}</title>", escape(&spread.title));
        name(&mut svg, &spread.name, top);
        let (p50, p95, p99) = (x(spread.p50), x(spread.p95), x(spread.p99));
        let _ = write!(svg, "<line class=\"reach p99\" x1=\"{p95:.1}\" x2=\"{p99:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>");
        let _ = write!(svg, "<line class=\"reach p95\" x1=\"{p50:.1}\" x2=\"{p95:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>");
        for (class, at, radius) in [("p99", p99, 3.5), ("p95", p95, 4.0), ("p50", p50, 5.0)] {
            let _ = write!(svg, "<circle class=\"dot {class}\" cx=\"{at:.1}\" cy=\"{middle:.1}\" r=\"{radius}\"/>");
        }
        figure(&mut svg, &spread.figure, top);
        svg.push_str("</g>");
    }
    if scale.is_logarithmic() {
        let _ = write!(svg, "<text class=\"note\" x=\"{WIDTH}\" y=\"{:.1}\">logarithmic</text>", bottom + 16.0);
    }
    svg.push_str("</svg>");
    svg
}

/// At the end of the row, and where a phone shows only its beginning, there too.
fn figure(svg: &mut String, figure: &str, top: f64) {
    for (class, x) in [("figure", FIGURES), ("figure inside", NAMES + 4.0)] {
        let _ = write!(svg, "<text class=\"{class}\" x=\"{x}\" y=\"{:.1}\">{}</text>", top + 13.5, escape(figure));
    }
}

fn name(svg: &mut String, name: &str, top: f64) {
    let _ =
        write!(svg, "<text class=\"name\" x=\"{:.0}\" y=\"{:.1}\">{}</text>", NAMES - 10.0, top + 13.5, escape(&short_name(name, LETTERS)));
}
