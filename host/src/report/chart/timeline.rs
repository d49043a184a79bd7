//! Values over time: areas on top of each other, or lines. Gaps are bands behind them; incidents, which may last for most of the time,
//! are strips above them, where they hide nothing.

use std::fmt::Write;

use super::scale::{Scale, moments};
use super::{escape, open};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 244.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 30.0;
/// How high a strip is, and how far from the next one.
const STRIP: (f64, f64) = (5.0, 2.0);

/// One line, or one layer.
pub(in crate::report) struct Line {
    /// Its class in the style, which gives its colour.
    pub(in crate::report) class: &'static str,
    /// A value for each step; none where nothing is known.
    pub(in crate::report) values: Vec<Option<f64>>,
}

/// A time that is marked.
pub(in crate::report) struct Band {
    pub(in crate::report) class: &'static str,
    /// Which strip above the plot it is in, the lowest one first; `None` where it stands behind all of it.
    pub(in crate::report) strip: Option<u8>,
    pub(in crate::report) since: i64,
    pub(in crate::report) until: i64,
    /// What is said when pointed at.
    pub(in crate::report) title: String,
}

/// A chart over time.
pub(in crate::report) struct Timeline<'a> {
    pub(in crate::report) id: &'a str,
    pub(in crate::report) title: &'a str,
    pub(in crate::report) from: i64,
    pub(in crate::report) until: i64,
    pub(in crate::report) step: i64,
    pub(in crate::report) bands: &'a [Band],
    /// What is said of each step when pointed at.
    pub(in crate::report) titles: &'a [String],
    /// How a value is written beside the axis.
    pub(in crate::report) text: fn(f64) -> String,
}

impl Timeline<'_> {
    fn x(&self, at: i64) -> f64 {
        let share = (at.clamp(self.from, self.until) - self.from) as f64 / (self.until - self.from).max(1) as f64;
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    fn begins(&self, step: usize) -> i64 {
        self.from + i64::try_from(step).unwrap_or(0) * self.step
    }

    /// Layers on top of each other, the first one lowest.
    pub(in crate::report) fn stacked(&self, layers: &[Line]) -> String {
        let steps = layers.first().map_or(0, |layer| layer.values.len());
        let value = |layer: &Line, step: usize| layer.values.get(step).copied().flatten().unwrap_or_default();
        let height = |up_to: usize, step: usize| layers.iter().take(up_to).map(|layer| value(layer, step)).sum::<f64>();
        let scale = Scale::linear((0..steps).map(|step| height(layers.len(), step)));
        let mut svg = self.frame(&scale);
        for (number, layer) in layers.iter().enumerate() {
            if layer.values.iter().flatten().all(|value| *value <= 0.0) {
                continue;
            }
            let edge = |up_to: usize, step: usize| y(&scale, height(up_to, step));
            let mut path = String::new();
            for step in 0..steps {
                let (left, right) = (self.x(self.begins(step)), self.x(self.begins(step + 1)));
                let top = edge(number + 1, step);
                let _ = write!(path, "{}{left:.1} {top:.1}H{right:.1}", if step == 0 { 'M' } else { 'L' });
            }
            for step in (0..steps).rev() {
                let (left, right) = (self.x(self.begins(step)), self.x(self.begins(step + 1)));
                let _ = write!(path, "L{right:.1} {:.1}H{left:.1}", edge(number, step));
            }
            let _ = write!(svg, "<path class=\"area {}\" d=\"{path}Z\"/>", layer.class);
        }
        self.close(svg)
    }

    /// Lines that break where nothing is known.
    pub(in crate::report) fn lines(&self, lines: &[Line], latencies: bool) -> String {
        let values = lines.iter().flat_map(|line| line.values.iter().flatten().copied());
        let scale = if latencies { Scale::of_latencies(values) } else { Scale::linear(values) };
        let mut svg = self.frame(&scale);
        for line in lines {
            let mut path = String::new();
            let known = |step: Option<usize>| step.and_then(|step| line.values.get(step)).copied().flatten();
            for (step, value) in line.values.iter().enumerate() {
                let Some(value) = value else { continue };
                let middle = (self.x(self.begins(step)) + self.x(self.begins(step + 1))) / 2.0;
                let (before, after) = (known(step.checked_sub(1)), known(step.checked_add(1)));
                let _ = write!(path, "{}{middle:.1} {:.1}", if before.is_some() { 'L' } else { 'M' }, y(&scale, *value));
                if before.is_none() && after.is_none() {
                    let _ =
                        write!(svg, "<circle class=\"dot {}\" cx=\"{middle:.1}\" cy=\"{:.1}\" r=\"2.5\"/>", line.class, y(&scale, *value));
                }
            }
            let _ = write!(svg, "<path class=\"line {}\" d=\"{path}\"/>", line.class);
        }
        if scale.is_logarithmic() {
            let _ = write!(svg, "<text class=\"note\" x=\"{:.0}\" y=\"{:.0}\">logarithmic</text>", WIDTH - RIGHT, 11.0);
        }
        self.close(svg)
    }

    fn frame(&self, scale: &Scale) -> String {
        let mut svg = open(self.id, self.title, WIDTH, HEIGHT);
        let (right, floor) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for band in self.bands {
            let (left, end) = (self.x(band.since), self.x(band.until));
            let strip = |number: u8| (TOP - f64::from(number + 1) * (STRIP.0 + STRIP.1), STRIP.0);
            let (top, height) = band.strip.map_or((TOP, floor - TOP), strip);
            let _ = write!(
                svg,
                "<rect class=\"band {}\" x=\"{:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{}</title></rect>",
                band.class,
                left.min(right - 2.0),
                (end - left).max(2.0),
                escape(&band.title)
            );
        }
        for tick in &scale.ticks {
            let at = y(scale, *tick);
            let _ = write!(svg, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>");
            let _ = write!(svg, "<text class=\"tick y\" x=\"{:.0}\" y=\"{:.1}\">{}</text>", LEFT - 8.0, at + 4.0, (self.text)(*tick));
            // Once more where the axis is out of sight, on a phone.
            let _ =
                write!(svg, "<text class=\"tick y inside\" x=\"{:.0}\" y=\"{:.1}\">{}</text>", right - 4.0, at - 3.0, (self.text)(*tick));
        }
        for (at, text) in moments(self.from, self.until) {
            let x = self.x(at);
            let _ = write!(svg, "<line class=\"mark\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{floor}\" y2=\"{}\"/>", floor + 4.0);
            let anchor = if x > right - 20.0 { "end" } else { "middle" };
            let _ = write!(svg, "<text class=\"tick\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{}\">{text}</text>", HEIGHT - 10.0);
        }
        svg
    }

    /// What is said of a step stands over it, invisible.
    fn close(&self, mut svg: String) -> String {
        for (step, title) in self.titles.iter().enumerate() {
            let (left, right) = (self.x(self.begins(step)), self.x(self.begins(step + 1)));
            let _ = write!(
                svg,
                "<rect class=\"over\" x=\"{left:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}</title></rect>",
                right - left,
                HEIGHT - TOP - BOTTOM,
                escape(title)
            );
        }
        svg.push_str("</svg>");
        svg
    }
}

fn y(scale: &Scale, value: f64) -> f64 {
    HEIGHT - BOTTOM - scale.place(value) * (HEIGHT - TOP - BOTTOM)
}
