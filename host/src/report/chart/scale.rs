//! Where values and moments stand, and which of them are written beside an axis.

use super::super::time;

/// Values from nothing to a round number, or by powers of ten.
#[derive(Debug, Clone)]
pub(super) struct Scale {
    least: f64,
    most: f64,
    logarithmic: bool,
    pub(super) ticks: Vec<f64>,
}

/// About how many ticks.
const TICKS: f64 = 4.0;
/// Values that differ more than this cannot be seen side by side on a linear axis.
const WIDE: f64 = 40.0;

impl Scale {
    /// From zero to the largest.
    pub(super) fn linear(values: impl Iterator<Item = f64>) -> Self {
        let largest = values.fold(0.0, f64::max);
        let step = round_step(if largest > 0.0 { largest / TICKS } else { 0.25 });
        let most = (largest / step).ceil().max(1.0) * step;
        let count = (most / step).round() as u32;
        Self { least: 0.0, most, logarithmic: false, ticks: (0..=count).map(|tick| f64::from(tick) * step).collect() }
    }

    /// Linear where that shows everything, by powers of ten where it does not.
    pub(super) fn of_latencies(values: impl Iterator<Item = f64> + Clone) -> Self {
        let (least, most) = values.clone().filter(|value| *value > 0.0).fold((f64::MAX, 0.0_f64), |(a, b), v| (a.min(v), b.max(v)));
        if most <= least * WIDE {
            return Self::linear(values);
        }
        let (low, high) = (least.log10().floor() as i32, most.log10().ceil() as i32);
        let ticks = (low..=high).map(|power| 10_f64.powi(power)).collect();
        Self { least: 10_f64.powi(low), most: 10_f64.powi(high), logarithmic: true, ticks }
    }

    pub(super) fn is_logarithmic(&self) -> bool {
        self.logarithmic
    }

    /// 0 at the beginning of the axis, 1 at its end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = if self.logarithmic {
            (value.max(self.least).log10() - self.least.log10()) / (self.most.log10() - self.least.log10())
        } else {
            (value - self.least) / (self.most - self.least)
        };
        place.clamp(0.0, 1.0)
    }
}

/// 1, 2 or 5 times a power of ten, and no less than this.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= least * 0.999).unwrap_or(10.0 * power)
}

/// Moments to write under a time axis, with their text.
pub(super) fn moments(from: i64, until: i64) -> Vec<(i64, String)> {
    const STEPS: [i64; 14] = [60, 300, 600, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000, 5_184_000];
    let step = STEPS.into_iter().find(|step| (until - from) / step <= 9).unwrap_or(7_776_000);
    let first = from.div_euclid(step) * step + if from.rem_euclid(step) == 0 { 0 } else { step };
    let text = |at: i64| if step >= 86_400 || at.rem_euclid(86_400) == 0 { time::short_day(at) } else { time::clock(at) };
    (0..).map(|number| first + number * step).take_while(|at| *at <= until).map(|at| (at, text(at))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_largest() {
        assert_eq!(Scale::linear([0.0, 87.0].into_iter()).ticks, [0.0, 50.0, 100.0]);
        assert_eq!(Scale::linear([1_000.0].into_iter()).ticks, [0.0, 500.0, 1_000.0]);
        assert_eq!(Scale::linear(std::iter::empty()).ticks.len(), 2);
        let wide = Scale::of_latencies([800.0, 2e6].into_iter());
        assert!(wide.is_logarithmic());
        assert_eq!((wide.place(100.0), wide.place(1e7)), (0.0, 1.0));
        assert!(!Scale::of_latencies([800.0, 9_000.0].into_iter()).is_logarithmic());
    }

    #[test]
    fn moments_fall_on_round_times() {
        let texts = |from, until| moments(from, until).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        assert_eq!(texts(86_400, 86_400 + 3_000), ["2 Jan", "00:10", "00:20", "00:30", "00:40", "00:50"]);
        assert_eq!(texts(1_000, 7 * 86_400 + 1_000), ["2 Jan", "3 Jan", "4 Jan", "5 Jan", "6 Jan", "7 Jan", "8 Jan"]);
    }
}
