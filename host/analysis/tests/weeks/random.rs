//! Distributions, from a generator with a seed.

use fastrand::Rng;
use plugway_analysis::LogHistogram;

/// A normal value (Box-Muller).
pub(crate) fn normal(rng: &mut Rng) -> f64 {
    let (radius, angle) = (1.0 - rng.f64(), rng.f64());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// A value between two, evenly by order of magnitude.
pub(crate) fn between(rng: &mut Rng, low: f64, high: f64) -> f64 {
    low * (high / low).powf(rng.f64())
}

/// So many events where `mean` are expected.
pub(crate) fn poisson(rng: &mut Rng, mean: f64) -> u64 {
    if mean <= 0.0 {
        return 0;
    }
    if mean > 30.0 {
        return (mean + mean.sqrt() * normal(rng)).round().max(0.0) as u64;
    }
    let (limit, mut product, mut count) = ((-mean).exp(), rng.f64(), 0);
    while product > limit {
        product *= rng.f64();
        count += 1;
    }
    count
}

/// A positive factor with mean 1 (Marsaglia and Tsang's gamma); the larger the shape, the nearer to 1.
pub(crate) fn gamma(rng: &mut Rng, shape: f64) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(rng);
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && rng.f64().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v / shape;
        }
    }
}

/// What wanders around 0 and comes back: so much at once, for so many minutes.
#[derive(Debug, Clone)]
pub(crate) struct Wander {
    now: f64,
    keep: f64,
    spread: f64,
}

impl Wander {
    pub(crate) fn new(spread: f64, minutes: f64) -> Self {
        Self { now: 0.0, keep: (-1.0 / minutes).exp(), spread }
    }

    pub(crate) fn step(&mut self, rng: &mut Rng) -> f64 {
        self.now = self.keep * self.now + (1.0 - self.keep * self.keep).sqrt() * self.spread * normal(rng);
        self.now
    }
}

/// About so many log-normal durations.
pub(crate) fn durations(rng: &mut Rng, expected: f64, median: f64, sigma: f64) -> LogHistogram {
    const STEP: f64 = 0.2;
    /// Durations of a step are spread over it, so that quantiles do not jump from step to step.
    const PARTS: u64 = 4;
    let mut sketch = LogHistogram::default();
    let mut below = 0.0;
    let mut at = -3.0 * sigma;
    while at < 4.0 * sigma {
        at += STEP;
        let reached = if at >= 4.0 * sigma { 1.0 } else { cumulative(at / sigma) };
        let count = poisson(rng, expected * (reached - below));
        let (each, first) = (count / PARTS, rng.u64(0..PARTS));
        for part in 0..PARTS {
            let more = u64::from((part + first) % PARTS < count % PARTS);
            if each + more > 0 {
                sketch.record(median * (at - STEP * (part as f64 + 0.5) / PARTS as f64).exp(), each + more);
            }
        }
        below = reached;
    }
    sketch
}

/// Of the normal distribution (Abramowitz and Stegun, 26.2.17).
fn cumulative(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let series = t * (0.319_381_53 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let tail = 0.398_942_28 * (-x * x / 2.0).exp() * series;
    if x >= 0.0 { 1.0 - tail } else { tail }
}
