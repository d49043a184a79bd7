//! An endpoint beside its siblings: what it had, and what they would have had of the same routes in the same shares.

use crate::mixture::Mixture;
use crate::sketch::Sketch;
use crate::statistics::{Share, Weighed};

/// A route of which siblings have less than this part of what an endpoint has says nothing of it: what a few of their requests met would
/// stand for many.
const THIN: u64 = 20;

/// Some minutes of one endpoint. Routes that no sibling serves are on neither side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Contrast {
    /// Its errors that are not the clients', and its requests.
    pub(crate) own: Share,
    /// Its siblings' in its mix of routes, as of so many requests as they are worth: with equal mixes those they had.
    pub(crate) theirs: Weighed,
    /// Logarithms of seconds: its own, and its siblings' in its mix. NaN where there is no latency.
    pub(crate) median: [f64; 2],
    pub(crate) p95: [f64; 2],
}

/// What one endpoint did of one route, or what all of them did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Part<S> {
    pub(crate) requests: u64,
    pub(crate) bad: u64,
    pub(crate) latency: S,
}

/// All endpoints of a route together.
#[derive(Debug)]
pub(crate) struct Whole<S> {
    requests: u64,
    bad: u64,
    timed: u64,
    latency: Mixture<S>,
}

/// A contrast as it is added up, route by route.
#[derive(Debug)]
pub(crate) struct Standard<S> {
    own: Share,
    latency: S,
    expected: f64,
    /// Own requests by how many of the siblings' stand for them: their square through this is what the siblings' are worth.
    thinness: f64,
    theirs: Mixture<S>,
}

// === impl Whole ===

impl<S: Sketch> Whole<S> {
    pub(crate) fn of<'a>(parts: impl Iterator<Item = &'a Part<S>>) -> Self
    where
        S: 'a,
    {
        let mut all = Self { requests: 0, bad: 0, timed: 0, latency: Mixture::default() };
        for part in parts {
            all.requests += part.requests;
            all.bad += part.bad;
            all.timed += part.latency.count();
            all.latency.add(counts(&part.latency), 1.0);
        }
        all
    }
}

fn counts<S: Sketch>(sketch: &S) -> impl Iterator<Item = (usize, f64)> + '_ {
    sketch.buckets().map(|(bucket, count)| (bucket, count as f64))
}

// === impl Standard ===

impl<S: Sketch> Default for Standard<S> {
    fn default() -> Self {
        Self { own: Share::default(), latency: S::default(), expected: 0.0, thinness: 0.0, theirs: Mixture::default() }
    }
}

impl<S: Sketch> Standard<S> {
    /// Adds a route: the endpoint's part of it, and all there is.
    pub(crate) fn add(&mut self, own: &Part<S>, all: &Whole<S>) {
        let others = all.requests.saturating_sub(own.requests);
        if own.requests == 0 || others == 0 || others * THIN < own.requests {
            return;
        }
        let times = own.requests as f64 / others as f64;
        self.own = self.own.plus(Share { bad: own.bad, all: own.requests });
        self.expected += times * all.bad.saturating_sub(own.bad) as f64;
        self.thinness += times * own.requests as f64;
        let timed = own.latency.count();
        let others = all.timed.saturating_sub(timed);
        if timed > 0 && others > 0 {
            let weight = timed as f64 / others as f64;
            self.latency.merge(&own.latency);
            self.theirs.add(all.latency.buckets(), weight);
            self.theirs.add(counts(&own.latency), -weight);
        }
    }

    /// `None` where no sibling serves what it does.
    pub(crate) fn contrast(&self) -> Option<Contrast> {
        if self.own.all == 0 {
            return None;
        }
        let requests = self.own.all as f64;
        let worth = requests * requests / self.thinness;
        let of = |share| [self.latency.log_quantile(share), self.theirs.log_quantile(share)];
        let theirs = Weighed { bad: self.expected / requests * worth, all: worth };
        Some(Contrast { own: self.own, theirs, median: of(0.5), p95: of(0.95) })
    }
}

// === impl Contrast ===

impl Contrast {
    /// By how much its share of errors is above its siblings'.
    pub(crate) fn excess(&self) -> f64 {
        self.own.value() - self.theirs.value()
    }

    /// Errors of both spans together; of latency the first one's.
    pub(crate) fn plus(self, other: Self) -> Self {
        let [mine, others] = [self, other].map(|each| each.own.all as f64);
        let expected = mine * self.theirs.value() + others * other.theirs.value();
        let worth = (mine + others).powi(2) / (mine * mine / self.theirs.all + others * others / other.theirs.all);
        let theirs = Weighed { bad: expected / (mine + others) * worth, all: worth };
        Self { own: self.own.plus(other.own), theirs, ..self }
    }
}

/// Of spans in which nothing was wrong: how much an endpoint's share of errors is above its siblings' usually, and how much wider that
/// scatters than chance would have it (1: not at all).
pub(crate) fn usual_excess(spans: &[Contrast]) -> (f64, f64) {
    let requests: f64 = spans.iter().map(|span| span.own.all as f64).sum();
    if requests <= 0.0 {
        return (0.0, 1.0);
    }
    let mean = spans.iter().map(|span| span.excess() * span.own.all as f64).sum::<f64>() / requests;
    let pooled = spans.iter().fold(Weighed::default(), |sum, span| sum.plus(span.own.into()).plus(span.theirs)).value();
    let variance = pooled * (1.0 - pooled);
    if spans.len() < 2 || variance <= 0.0 {
        return (mean, 1.0);
    }
    let chi = |span: &Contrast| (span.excess() - mean).powi(2) / (variance * (1.0 / span.own.all as f64 + 1.0 / span.theirs.all));
    (mean, (spans.iter().map(chi).sum::<f64>() / (spans.len() - 1) as f64).max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sketch::LogHistogram;

    fn part(requests: u64, bad: u64, seconds: f64) -> Part<LogHistogram> {
        let mut latency = LogHistogram::default();
        (0..requests).for_each(|number| latency.record(seconds * (0.5 + number as f64 / requests as f64), 1));
        Part { requests, bad, latency }
    }

    /// The first part of each route is the endpoint's own.
    fn contrast(routes: &[&[Part<LogHistogram>]]) -> Option<Contrast> {
        let mut standard = Standard::default();
        routes.iter().for_each(|parts| standard.add(&parts[0], &Whole::of(parts.iter())));
        standard.contrast()
    }

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-6
    }

    #[test]
    fn with_equal_mixes_siblings_are_what_they_are_together() {
        let one = contrast(&[&[part(100, 3, 0.01), part(200, 5, 0.02), part(300, 1, 0.01)]]).unwrap();
        assert_eq!(one.own, Share { bad: 3, all: 100 });
        assert!(near(one.theirs.bad, 6.0) && near(one.theirs.all, 500.0), "{one:?}");
        let mut together = part(200, 0, 0.02).latency;
        together.merge(&part(300, 0, 0.01).latency);
        assert!(near(one.median[1], together.log_quantile(0.5)) && near(one.p95[1], together.log_quantile(0.95)));
        // Two routes of which both sides have as much of the one as of the other.
        let two = contrast(&[&[part(100, 3, 0.01), part(500, 6, 0.01)], &[part(20, 2, 1.0), part(100, 9, 1.0)]]).unwrap();
        assert_eq!(two.own, Share { bad: 5, all: 120 });
        assert!(near(two.theirs.bad, 15.0) && near(two.theirs.all, 600.0), "{two:?}");
    }

    #[test]
    fn with_other_mixes_siblings_are_weighed_as_the_endpoint_is() {
        let found = contrast(&[&[part(100, 0, 0.01), part(900, 9, 0.01)], &[part(300, 30, 1.0), part(100, 10, 1.0)]]).unwrap();
        // A hundredth of 100 and a tenth of 300.
        assert!(near(found.theirs.value(), 31.0 / 400.0), "{found:?}");
        assert!(near(found.theirs.all, 400.0 * 400.0 / (100.0 * 100.0 / 900.0 + 300.0 * 300.0 / 100.0)), "{found:?}");
        assert!((found.median[0] - found.median[1]).abs() < 0.03 && (found.p95[0] - found.p95[1]).abs() < 0.03, "{found:?}");
        assert!(found.median[0] > 0.5_f64.ln());
    }

    #[test]
    fn spans_of_equal_mixes_add_up_as_they_are() {
        let of = |requests, bad| contrast(&[&[part(requests, bad, 0.01), part(2 * requests, bad, 0.01)]]).unwrap();
        let sum = of(100, 4).plus(of(300, 1));
        assert_eq!(sum.own, Share { bad: 5, all: 400 });
        assert!(near(sum.theirs.bad, 5.0) && near(sum.theirs.all, 800.0), "{sum:?}");
    }

    #[test]
    fn what_both_sides_do_at_once_is_no_excess_and_bursts_of_one_are_wide() {
        let span = |own, theirs| contrast(&[&[part(1_000, own, 0.01), part(2_000, theirs, 0.01)]]).unwrap();
        let together: Vec<_> = (0..12).map(|number| if number == 5 { span(100, 200) } else { span(1, 2) }).collect();
        assert_eq!(usual_excess(&together), (0.0, 1.0));
        let bursts: Vec<_> = (0..12).map(|number| span(if number == 5 { 120 } else { 0 }, 4)).collect();
        let (mean, dispersion) = usual_excess(&bursts);
        assert!(near(mean, 0.008) && dispersion > 20.0, "{mean} {dispersion}");
        assert_eq!(usual_excess(&[]), (0.0, 1.0));
    }
}
