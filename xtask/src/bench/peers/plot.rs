//! Plots as inline SVG, without anything to load.

const WIDTH: f64 = 860.0;
const LABEL: f64 = 180.0;
const VALUE: f64 = 90.0;
const BAR: f64 = 22.0;

/// A row of [`bars`].
pub(super) struct Bar<'a> {
    pub(super) label: &'a str,
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// Single measurements.
    pub(super) dots: &'a [f64],
    /// This project's.
    pub(super) own: bool,
    /// Not to be relied on.
    pub(super) faint: bool,
}

/// Horizontal bars with their intervals and every single measurement.
pub(super) fn bars(title: &str, bars: &[Bar<'_>]) -> String {
    let most = bars.iter().flat_map(|bar| bar.dots.iter().copied().chain([bar.high])).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let scale = (WIDTH - LABEL - VALUE) / most;
    let height = BAR * bars.len() as f64 + 8.0;
    let mut svg = format!("<figure><figcaption>{}</figcaption><svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">", escape(title));
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
    svg + "</svg></figure>\n"
}

/// A line of [`lines`].
pub(super) struct Line<'a> {
    pub(super) label: &'a str,
    pub(super) points: Vec<(f64, f64)>,
    pub(super) own: bool,
}

/// Lines over a common axis; each is labelled with its slope (least squares).
pub(super) fn lines(title: &str, unit: &str, lines: &[Line<'_>]) -> String {
    let (height, left, bottom) = (320.0, 50.0, 30.0);
    let all = || lines.iter().flat_map(|line| line.points.iter().copied());
    let most = |pick: fn((f64, f64)) -> f64| all().map(pick).fold(f64::MIN_POSITIVE, f64::max);
    let (right, top) = (most(|point| point.0), most(|point| point.1));
    let x = |value: f64| left + value / right * (WIDTH - left - 270.0);
    let y = |value: f64| height - bottom - value / top * (height - bottom - 20.0);
    let mut svg = format!(
        "<figure><figcaption>{}</figcaption><svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\
         <path class=\"axis\" d=\"M{left} 10V{}H{}\"/>",
        escape(title),
        y(0.0),
        x(right)
    );
    for tick in 0..=4 {
        let value = top * f64::from(tick) / 4.0;
        add(&mut svg, format_args!("<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", left - 6.0, y(value) + 4.0, figures(value)));
    }
    let mut ticks: Vec<f64> = all().map(|point| point.0).collect();
    ticks.sort_by(f64::total_cmp);
    ticks.dedup();
    for tick in ticks {
        add(&mut svg, format_args!("<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>", x(tick), height - 10.0));
    }
    for line in lines {
        let class = if line.own { "own" } else { "peer" };
        let path: Vec<String> = line.points.iter().map(|(across, up)| format!("{:.1} {:.1}", x(*across), y(*up))).collect();
        let last = line.points.last().copied().unwrap_or_default();
        add(
            &mut svg,
            format_args!(
                "<g class=\"{class}\"><path class=\"line\" d=\"M{}\"/><text x=\"{:.1}\" y=\"{:.1}\">{}: {} {}</text></g>",
                path.join("L"),
                x(last.0) + 8.0,
                y(last.1) + 4.0,
                escape(line.label),
                figures(slope(&line.points)),
                escape(unit)
            ),
        );
    }
    svg + "</svg></figure>\n"
}

/// The slope of the line that fits best (least squares).
pub(super) fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).sum::<f64>() / count;
    let (across, up) = (mean(|point| point.0), mean(|point| point.1));
    let both: f64 = points.iter().map(|point| (point.0 - across) * (point.1 - up)).sum();
    let square: f64 = points.iter().map(|point| (point.0 - across).powi(2)).sum();
    if square > 0.0 { both / square } else { 0.0 }
}

/// A number with three figures or all before the point.
pub(super) fn figures(value: f64) -> String {
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
pub(super) fn escape(text: &str) -> String {
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
        assert!(svg.ends_with("</svg></figure>\n"));
    }
}
