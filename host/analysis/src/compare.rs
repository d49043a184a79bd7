//! How a value stands to the hour before and to its season.

use crate::history::History;
use crate::reading::{Reading, Repeated, Season, Worst};
use crate::sketch::Sketch;
use crate::statistics::{self, Robust, Share};

/// Requests below which a window says nothing.
pub(crate) const ENOUGH: u64 = 100;
/// Errors below which nothing is said.
const FEW_ERRORS: u64 = 10;
/// How wide a quiet quantile scatters at least, as a logarithm: twelve blocks of an hour know little of slow drift.
const SCATTER: f64 = 0.06;
/// Standard errors that a window may be worse than the worst one of other days at this hour: that one was chance in part, too, and so is this.
const CHANCE: f64 = 2.0;

/// How different is different.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Standard deviations.
    pub(crate) threshold: f64,
    /// Seconds by which a latency must have grown.
    pub(crate) seconds: f64,
}

/// What something is compared with.
#[derive(Debug, Clone)]
pub(crate) struct Frozen {
    pub(crate) minutes: u64,
    pub(crate) before: Vec<Reading>,
    pub(crate) season: Season,
    /// What it was at when it opened.
    pub(crate) level: f64,
}

/// A value now, and how it stands to what was.
pub(crate) struct Comparison {
    pub(crate) now: f64,
    pub(crate) before: f64,
    pub(crate) usual: Option<f64>,
    pub(crate) deviations: f64,
    /// Whether it is far enough above the hour before.
    pub(crate) stepped: bool,
    /// Whether it is what this hour is like.
    pub(crate) explained: bool,
    pub(crate) crept: bool,
    pub(crate) read: fn(&Reading) -> f64,
}

impl Frozen {
    pub(crate) fn of<S: Sketch>(history: &History<S>, minutes: u64) -> Self {
        Self { minutes, before: history.before(minutes), season: history.season(minutes), level: 0.0 }
    }

    /// Of what is compared with, the hour before: all of it, but where an hour is compared with those of a day.
    fn hour_before(&self, all: f64, newest: Option<f64>) -> f64 {
        newest.filter(|_| self.minutes >= 60).unwrap_or(all)
    }
}

/// How a share of errors is read and judged.
pub(crate) struct ShareOf {
    of: fn(&Reading) -> Share,
    read: fn(&Reading) -> f64,
    worst: fn(&Worst) -> f64,
    /// Times the hour before, and so much more.
    times: f64,
    least: f64,
}

/// Errors that are not the clients'.
pub(crate) const SERVER: ShareOf = ShareOf {
    of: |reading| reading.server,
    read: |reading| reading.server.value(),
    worst: |worst| worst.server_errors,
    times: 2.0,
    least: 0.005,
};
/// Errors of clients.
pub(crate) const CLIENT: ShareOf = ShareOf {
    of: |reading| reading.client,
    read: |reading| reading.client.value(),
    worst: |worst| worst.client_errors,
    times: 4.0,
    least: 0.2,
};

/// How a share of errors stands to what it was; `None` where too little is known.
pub(crate) fn share(now: &Reading, kept: &Frozen, how: &ShareOf, limits: Limits) -> Option<Comparison> {
    let ShareOf { of, read, worst, times, least } = *how;
    let now = of(now);
    let shares: Vec<_> = kept.before.iter().map(of).collect();
    let before = shares.iter().fold(Share::default(), |sum, share| sum.plus(*share));
    if before.all < 2 * ENOUGH {
        return None;
    }
    let dispersion = statistics::dispersion(&shares);
    let deviations = statistics::above(now, before, dispersion);
    let (value, was) = (now.value(), before.value());
    let near = &kept.season.near;
    let season = Robust::of(near.iter().map(read)).filter(|_| near.len() >= 3);
    let from_season = season.map(|season| {
        let sampling = dispersion * value * (1.0 - value) / now.all as f64;
        (season.centre, (value - season.centre) / (season.spread.powi(2) + sampling + 1e-6).sqrt())
    });
    // Without a season, a little more is asked of the step.
    let threshold = limits.threshold + if season.is_none() { 1.0 } else { 0.0 };
    let few = now.bad < FEW_ERRORS;
    let hour_before = kept.hour_before(was, shares.first().map(|share| share.value()));
    let chance = CHANCE * (dispersion * value * (1.0 - value) / now.all as f64).sqrt();
    let (repeated, rises_so) = happened(kept, worst, value, hour_before, |worst| 1.25 * worst + 0.002 + chance);
    let near_usual = from_season.is_some_and(|(usual, deviations)| deviations < 4.0 || value < 1.5 * usual);
    let crept = !few
        && !repeated
        && near.len() >= 6
        && from_season.is_some_and(|(usual, deviations)| deviations >= threshold && value >= (3.0 * usual).max(usual + 2.0 * least));
    Some(Comparison {
        now: value,
        before: was,
        usual: season.map(|season| season.centre),
        deviations,
        stepped: !few && value >= (times * was).max(was + least) && deviations >= threshold,
        explained: near_usual || repeated || rises_so,
        crept,
        read,
    })
}

/// Whether it was as bad at this hour before, and whether it rose as far from the hour before it, but for some margin. What creeps does not
/// rise, so that it is explained by the first alone.
fn happened(kept: &Frozen, worst: fn(&Worst) -> f64, now: f64, was: f64, margin: impl Fn(f64) -> f64) -> (bool, bool) {
    let Some(Repeated { level, rise }) = kept.season.repeated else { return (false, false) };
    (now <= margin(worst(&level)), rise.is_some_and(|rise| now - was <= margin(worst(&rise))))
}

/// How many times the requests of the spans before, which are as long; 1 where they are fewer.
fn busier(now: &Reading, before: &[Reading]) -> f64 {
    let all: u64 = before.iter().map(|reading| reading.server.all).sum();
    let mean = all as f64 / before.len().max(1) as f64;
    if mean > 0.0 { (now.server.all as f64 / mean).max(1.0) } else { 1.0 }
}

/// How a quantile stands to what it was, as logarithms. `error` is its standard error; `None` where too little is known.
pub(crate) fn latency(
    kept: &Frozen,
    read: fn(&Reading) -> f64,
    worst: fn(&Worst) -> f64,
    now: &Reading,
    error: f64,
    times: f64,
    limits: Limits,
) -> Option<Comparison> {
    // What is busier is slower, up to saturation about as its root: that much is no news.
    let times = times * busier(now, &kept.before).sqrt();
    let now = read(now);
    let finite = |readings: &[Reading]| {
        let enough = readings.iter().filter(|reading| reading.server.all >= ENOUGH / 2).map(read);
        enough.filter(|value| value.is_finite()).collect::<Vec<_>>()
    };
    let (before, near) = (finite(&kept.before), finite(&kept.season.near));
    if before.len() < 6 || !now.is_finite() {
        return None;
    }
    let Robust { centre, spread } = Robust::of(before.iter().copied())?;
    // The median of so many is itself uncertain: pi / 2 times the variance of their mean.
    let variance = spread.max(SCATTER).powi(2) * (1.0 + std::f64::consts::FRAC_PI_2 / before.len() as f64);
    let deviations = (now - centre) / (variance + error.powi(2)).sqrt();
    let grown = |from: f64, times: f64| now - from >= times.ln() && now.exp() - from.exp() >= limits.seconds;
    let season = Robust::of(near.iter().copied()).filter(|_| near.len() >= 3);
    let from_season = season.map(|season| {
        let variance = season.spread.max(SCATTER).powi(2) + error.powi(2);
        (season.centre, (now - season.centre) / variance.sqrt())
    });
    let threshold = limits.threshold + if season.is_none() { 1.0 } else { 0.0 };
    let hour_before = kept.hour_before(centre, before.first().copied());
    let (repeated, rises_so) = happened(kept, worst, now, hour_before, |worst| worst + 1.15_f64.ln() + CHANCE * error);
    let near_usual = from_season.is_some_and(|(usual, deviations)| deviations < 3.5 || !grown(usual, f64::midpoint(1.0, times)));
    let crept = !repeated
        && near.len() >= 6
        && from_season.is_some_and(|(usual, deviations)| deviations >= threshold && grown(usual, 1.0 + 2.5 * (times - 1.0)));
    Some(Comparison {
        now,
        before: centre,
        usual: season.map(|season| season.centre),
        deviations,
        stepped: deviations >= threshold && grown(centre, times),
        explained: near_usual || repeated || rises_so,
        crept,
        read,
    })
}
