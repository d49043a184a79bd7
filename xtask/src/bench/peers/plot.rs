//! Plots as SVG, without anything to load.

const WIDTH: f64 = 860.0;
const LABEL: f64 = 180.0;
const VALUE: f64 = 90.0;
const BAR: f64 = 22.0;

/// What makes an SVG by itself look like those of the page, in the light and in the dark.
const STYLE: &str = "svg{font:12px system-ui,sans-serif}text{fill:#1b1b1b}.peer rect{fill:#9fb3c8}.own rect{fill:#2a7f62}.faint{opacity:.45}\
.interval{stroke:#000;stroke-width:2}.dot{fill:#000;opacity:.35}.axis{fill:none;stroke:#888}.line{fill:none;stroke:#6b8299;stroke-width:2}\
.own .line{stroke:#2a7f62;stroke-width:3}@media(prefers-color-scheme:dark){text{fill:#e8e8e8}.interval{stroke:#fff}.dot{fill:#fff}}";

/// A plot as a file by itself.
pub(in crate::bench) fn file(svg: &str) -> String {
    // A style of its own, and elements apart by lines, so that a change of a figure is a change of a line.
    let alone = svg.replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1);
    alone.replacen("</title>", &format!("</title>\n<style>{STYLE}</style>"), 1).replace("<g ", "\n<g ")
}

fn begin(title: &str, height: f64) -> String {
    let title = escape(title);
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\"><title>{title}</title>")
}

/// Where the lines' names go: beside their ends, and below each other.
fn levels(lines: &[Line<'_>], y: impl Fn(f64) -> f64) -> Vec<f64> {
    const APART: f64 = 14.0;
    let mut order: Vec<(usize, f64)> = lines.iter().map(|line| y(line.points.last().copied().unwrap_or_default().1)).enumerate().collect();
    order.sort_by(|one, other| other.1.total_cmp(&one.1));
    let mut above = f64::INFINITY;
    for (_, level) in &mut order {
        *level = level.min(above - APART);
        above = *level;
    }
    order.sort_by_key(|(index, _)| *index);
    order.into_iter().map(|(_, level)| level).collect()
}

/// A count, in groups of thousands.
fn whole(value: f64) -> String {
    if value.fract() == 0.0 && value < 100.0 { value.to_string() } else { figures(value) }
}

/// A row of [`bars`].
pub(in crate::bench) struct Bar<'a> {
    pub(in crate::bench) label: &'a str,
    pub(in crate::bench) value: f64,
    pub(in crate::bench) low: f64,
    pub(in crate::bench) high: f64,
    /// Single measurements.
    pub(in crate::bench) dots: &'a [f64],
    /// This project's.
    pub(in crate::bench) own: bool,
    /// Not to be relied on.
    pub(in crate::bench) faint: bool,
}

/// Horizontal bars with their intervals and every single measurement.
pub(in crate::bench) fn bars(title: &str, bars: &[Bar<'_>]) -> String {
    let most = bars.iter().flat_map(|bar| bar.dots.iter().copied().chain([bar.high])).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let scale = (WIDTH - LABEL - VALUE) / most;
    let height = BAR * bars.len() as f64 + 8.0;
    let mut svg = begin(title, height);
    for (index, bar) in bars.iter().enumerate() {
        let (top, middle) = (BAR * index as f64 + 4.0, BAR * (index as f64 + 0.5) + 4.0);
        let class = if bar.own { "own" } else { "peer" };
        let faint = if bar.faint { " faint" } else { "" };
        let x = |value: f64| LABEL + value * scale;
        let mut dots = String::new();
        for dot in bar.dots {
            add(&mut dots, format_args!("<circle class=\"dot\" cx=\"{:.1}\" cy=\"{middle}\" r=\"2\"/>", x(*dot)));
        }
        add(
            &mut svg,
            format_args!(
                "<g class=\"{class}{faint}\"><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
                 <rect x=\"{LABEL}\" y=\"{}\" width=\"{:.1}\" height=\"{}\"/>\
                 <path class=\"interval\" d=\"M{:.1} {middle}H{:.1}\"/>{dots}\
                 <text class=\"value\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text></g>",
                LABEL - 8.0,
                middle + 4.0,
                escape(bar.label),
                top + 3.0,
                bar.value * scale,
                BAR - 6.0,
                x(bar.low),
                x(bar.high),
                WIDTH - 4.0,
                middle + 4.0,
                figures(bar.value),
            ),
        );
    }
    svg + "</svg>\n"
}

/// A line of [`lines`].
pub(in crate::bench) struct Line<'a> {
    pub(in crate::bench) label: &'a str,
    pub(in crate::bench) points: Vec<(f64, f64)>,
    pub(in crate::bench) own: bool,
}

/// How points lie along a plot's lower edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::bench) enum Axis {
    Linear,
    /// By their logarithm: the slope is what ten times as many add.
    Decades,
}

impl Axis {
    fn at(self, value: f64) -> f64 {
        if self == Self::Linear { value } else { value.max(1.0).log10() }
    }

    /// The slope of the line that fits best (least squares).
    pub(in crate::bench) fn slope(self, points: &[(f64, f64)]) -> f64 {
        slope(&points.iter().map(|(across, up)| (self.at(*across), *up)).collect::<Vec<_>>())
    }
}

/// Lines over a common axis; each is labelled with its slope, which is in `unit`.
pub(in crate::bench) fn lines(title: &str, axis: Axis, unit: &str, lines: &[Line<'_>], slopes: &[f64]) -> String {
    let (height, left, bottom) = (320.0, 50.0, 30.0);
    let all = || lines.iter().flat_map(|line| line.points.iter().copied());
    let most = |pick: fn((f64, f64)) -> f64| all().map(pick).fold(f64::MIN_POSITIVE, f64::max);
    let (right, top) = (most(|point| point.0), most(|point| point.1));
    let x = |place: f64| left + place / axis.at(right).max(f64::MIN_POSITIVE) * (WIDTH - left - 270.0);
    let y = |value: f64| height - bottom - value / top * (height - bottom - 20.0);
    let mut svg = begin(title, height);
    add(&mut svg, format_args!("<path class=\"axis\" d=\"M{left} 10V{}H{}\"/>", y(0.0), x(axis.at(right))));
    for tick in 0..=4 {
        let value = top * f64::from(tick) / 4.0;
        add(&mut svg, format_args!("<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", left - 6.0, y(value) + 4.0, figures(value)));
    }
    let mut ticks: Vec<f64> = all().map(|point| point.0).collect();
    ticks.sort_by(f64::total_cmp);
    ticks.dedup();
    for tick in ticks {
        add(
            &mut svg,
            format_args!("<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>", x(axis.at(tick)), height - 10.0, whole(tick)),
        );
    }
    for ((line, slope), level) in lines.iter().zip(slopes).zip(levels(lines, y)) {
        let class = if line.own { "own" } else { "peer" };
        let path: Vec<String> = line.points.iter().map(|(across, up)| format!("{:.1} {:.1}", x(axis.at(*across)), y(*up))).collect();
        let last = line.points.last().copied().unwrap_or_default();
        add(
            &mut svg,
            format_args!(
                "<g class=\"{class}\"><path class=\"line\" d=\"M{}\"/><text x=\"{:.1}\" y=\"{:.1}\">{}: {} {}</text></g>",
                path.join("L"),
                x(axis.at(last.0)) + 8.0,
                level + 4.0,
                escape(line.label),
                figures(*slope),
                escape(unit)
            ),
        );
    }
    svg + "</svg>\n"
}

/// The slope of the line that fits best (least squares).
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).sum::<f64>() / count;
    let (across, up) = (mean(|point| point.0), mean(|point| point.1));
    let both: f64 = points.iter().map(|point| (point.0 - across) * (point.1 - up)).sum();
    let square: f64 = points.iter().map(|point| (point.0 - across).powi(2)).sum();
    if square > 0.0 { both / square } else { 0.0 }
}

/// A number with three figures or all before the point.
pub(in crate::bench) fn figures(value: f64) -> String {
    let text = match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        medium if medium >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    };
    // Thousands are easier to read in groups.
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), ""), |(whole, rest)| (whole, rest));
    let digits = whole.len();
    let grouped: String = whole
        .chars()
        .enumerate()
        .flat_map(|(index, digit)| {
            let comma = index > 0 && (digits - index) % 3 == 0 && !whole.starts_with('-');
            comma.then_some(',').into_iter().chain([digit])
        })
        .collect();
    if rest.is_empty() { grouped } else { format!("{grouped}.{rest}") }
}

/// Text inside markup.
pub(in crate::bench) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn add(svg: &mut String, markup: std::fmt::Arguments<'_>) {
    svg.push_str(&std::fmt::format(markup));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_those_of_least_squares() {
        assert!((slope(&[(0.0, 10.0), (1.0, 10.5), (5.0, 12.5), (10.0, 15.0)]) - 0.5).abs() < 1e-9);
        assert_eq!(slope(&[(1.0, 3.0)]), 0.0);
    }

    #[test]
    fn numbers_are_short() {
        let said = [0.456, 12.34, 123.4, 12_345.6, 1_234_567.0, -12_345.0].map(figures);
        assert_eq!(said, ["0.46", "12.3", "123", "12,346", "1,234,567", "-12345"]);
    }

    #[test]
    fn bars_are_to_scale_and_text_is_escaped() {
        let bar = |label, value, own| Bar { label, value, low: value, high: value, dots: &[], own, faint: false };
        let svg = bars("a < b", &[bar("one", 10.0, false), bar("two", 5.0, true)]);
        assert!(svg.contains("a &lt; b") && svg.contains("width=\"590.0\"") && svg.contains("width=\"295.0\""));
        assert!(svg.ends_with("</svg>\n") && file(&svg).starts_with("<svg xmlns="));
    }

    #[test]
    fn slopes_over_decades_are_what_ten_times_as_many_add() {
        assert!((Axis::Decades.slope(&[(1.0, 10.0), (100.0, 14.0), (10_000.0, 18.0)]) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn names_of_lines_do_not_lie_over_each_other() {
        let line = |up| Line { label: "", points: vec![(1.0, up)], own: false };
        assert_eq!(levels(&[line(5.0), line(6.0), line(90.0)], |up| 100.0 - up), [95.0, 81.0, 10.0]);
    }
}
