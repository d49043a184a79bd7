//! An endpoint that is worse than the other endpoints of its upstream, and than it usually is beside them.

use std::sync::Arc;

use crate::history::History;
use crate::incident::{Evidence, Severity, Unit};
use crate::ledger::{Finding, Verdict};
use crate::minute::Minute;
use crate::reading::Reading;
use crate::sketch::Sketch;
use crate::statistics::{self, Robust, Share, median};

/// Requests below which an endpoint is not judged.
const ENOUGH: u64 = 60;
/// Requests below which its 95th percentile is not: twenty of them are above it.
const ENOUGH_FOR_P95: u64 = 400;
/// Errors below which nothing is said.
const FEW_ERRORS: u64 = 10;
/// Looks in a row that confirm.
const CONFIRM: u32 = 3;
/// How wide differences between siblings scatter at least, as a logarithm.
const SCATTER: f64 = 0.06;
/// Hours kept to know how siblings usually differ.
const HOURS: usize = 48;

/// One endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint<S> {
    pub(crate) name: Arc<str>,
    pub(crate) history: History<S>,
    raised: u32,
    /// How it usually differs from so many siblings, as of an hour: it changes as hours end, not as minutes do.
    usual: Option<(u64, usize, Option<Robust>)>,
    /// What it differed by when it opened: errors, latency.
    level: Option<(Difference, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Difference {
    Errors,
    Median,
    P95,
}

/// Whether it is worse, how many times, by how much, and the numbers.
type Judged = (bool, f64, f64, Vec<Evidence>);

impl Difference {
    /// Whether a reading is nearer to what is now than to the siblings.
    fn is_beyond(self, reading: &Reading, now: &Reading, level: f64) -> bool {
        match self {
            Self::Errors => reading.server.value() >= now.server.value() - level / 2.0,
            Self::Median => reading.median >= now.median - level / 2.0,
            Self::P95 => reading.p95 >= now.p95 - level / 2.0,
        }
    }
}

/// What a look at an endpoint found.
pub(crate) struct Found {
    pub(crate) verdict: Verdict,
    pub(crate) finding: Option<Finding>,
}

impl<S: Sketch> Endpoint<S> {
    pub(crate) fn new(name: Arc<str>) -> Self {
        Self { name, history: History::new(HOURS), raised: 0, usual: None, level: None }
    }

    /// Forgets that it was worse.
    pub(crate) fn release(&mut self) {
        (self.raised, self.usual, self.level) = (0, None, None);
    }
}

/// Looks at every endpoint of one upstream; answers in their order, `None` for what cannot be judged. Five minutes are looked at, and at
/// the end of each quarter of an hour that quarter too: with little traffic it takes longer to tell.
pub(crate) fn look<S: Sketch>(endpoints: &mut [Endpoint<S>], threshold: f64) -> Vec<Option<Found>> {
    let usual: Vec<_> = (0..endpoints.len()).map(|index| usual(endpoints, index)).collect();
    let count = endpoints.len();
    for (endpoint, usual) in endpoints.iter_mut().zip(&usual) {
        endpoint.usual = Some((endpoint.history.latest().hour(), count, *usual));
    }
    let mut all: Vec<Option<Found>> = endpoints.iter().map(|_| None).collect();
    for minutes in [5, 15] {
        let windows: Vec<_> = endpoints.iter().map(|endpoint| window(&endpoint.history, minutes)).collect();
        for (index, (endpoint, found)) in endpoints.iter_mut().zip(&mut all).enumerate() {
            let Some(now) = windows.get(index).copied().flatten() else { continue };
            let others = windows.iter().enumerate().filter(|(other, _)| *other != index);
            let others: Vec<_> = others.filter_map(|(_, reading)| *reading).collect();
            let settled = found.as_ref().is_some_and(|found| found.verdict != Verdict::Calm);
            if !others.is_empty() && !settled {
                *found = Some(endpoint.judge(&now, &others, usual.get(index).copied().flatten(), threshold, minutes));
            }
        }
    }
    all
}

fn window<S: Sketch>(history: &History<S>, minutes: u64) -> Option<Reading> {
    history.window(minutes).filter(|window| window.requests >= ENOUGH).map(|window| Reading::of(&window))
}

/// How an endpoint's median latency usually differs from its siblings', hour by hour.
fn usual<S: Sketch>(endpoints: &[Endpoint<S>], index: usize) -> Option<Robust> {
    let own = endpoints.get(index)?;
    if let Some((hour, siblings, usual)) = own.usual
        && (hour, siblings) == (own.history.latest().hour(), endpoints.len())
    {
        return usual;
    }
    let differences = own.history.hours().take(24).filter_map(|hour| {
        let others = endpoints.iter().enumerate().filter(|(other, _)| *other != index);
        let hours = others.filter_map(|(_, other)| other.history.hours().find(|other| other.hour == hour.hour));
        let mut medians: Vec<_> = hours.map(|hour| hour.median).filter(|value| value.is_finite()).collect();
        median(&mut medians).map(|others| hour.median - others).filter(|difference| difference.is_finite())
    });
    let differences: Vec<_> = differences.collect();
    Robust::of(differences.iter().copied()).filter(|_| differences.len() >= 4)
}

impl<S: Sketch> Endpoint<S> {
    fn judge(&mut self, now: &Reading, others: &[Reading], usual: Option<Robust>, threshold: f64, minutes: u64) -> Found {
        let errors = self.errors(now, others, threshold, minutes);
        let [median, p95] = latency(now, others, usual, threshold);
        let worst = [(Difference::Errors, errors), (Difference::Median, median), (Difference::P95, p95)];
        let lasting = worst.iter().find(|(difference, (worse, _, level, _))| *worse && self.lasts(*difference, now, *level, minutes));
        if minutes == 5 {
            self.raised = if lasting.is_some() { self.raised + 1 } else { 0 };
        }
        let confirmed = minutes > 5 || self.raised >= CONFIRM;
        if let Some((difference, (_, weight, level, evidence))) = lasting.filter(|_| confirmed) {
            self.level.get_or_insert((*difference, *level));
            let start = self.start(*difference, now, *level);
            let finding = Finding { start, severity: Severity::Ticket, weight: *weight, evidence: evidence.clone(), cause: None };
            return Found { verdict: Verdict::Raised, finding: Some(finding) };
        }
        let held =
            self.level.is_some_and(|(of, at)| worst.iter().any(|(difference, (.., level, _))| *difference == of && *level >= 0.4 * at));
        Found { verdict: if held { Verdict::Held } else { Verdict::Calm }, finding: None }
    }

    /// Whether it is so in most of the window: a burst is no incident.
    fn lasts(&self, difference: Difference, now: &Reading, level: f64, minutes: u64) -> bool {
        let from = (self.history.latest().0 + 1).saturating_sub(minutes);
        let beyond = |(at, reading): &(Minute, Reading)| at.0 >= from && difference.is_beyond(reading, now, level);
        if minutes == 5 { self.history.recent().filter(beyond).count() >= 4 } else { self.history.blocks().filter(beyond).count() >= 2 }
    }

    /// The first of the last minutes in a row that are so; one that is not may lie between.
    fn start(&self, difference: Difference, now: &Reading, level: f64) -> Minute {
        let (mut first, mut below) = (self.history.latest(), 0);
        for (at, reading) in self.history.recent().rev() {
            if difference.is_beyond(&reading, now, level) {
                (first, below) = (at, 0);
            } else {
                below += 1;
            }
            if below > 1 {
                break;
            }
        }
        first
    }

    fn errors(&self, now: &Reading, others: &[Reading], threshold: f64, minutes: u64) -> Judged {
        let pooled = others.iter().fold(Share::default(), |sum, reading| sum.plus(reading.server));
        let before: Vec<_> = self.history.before(minutes).iter().map(|reading| reading.server).collect();
        let deviations = statistics::above(now.server, pooled, statistics::dispersion(&before));
        let (own, theirs) = (now.server.value(), pooled.value());
        let was = before.iter().fold(Share::default(), |sum, share| sum.plus(*share)).value();
        let open = self.level.is_some();
        let worse = deviations >= threshold
            && now.server.bad >= FEW_ERRORS
            && own >= (3.0 * theirs).max(theirs + 0.01)
            // What it always is, it is not now.
            && (open || own >= 2.0 * was);
        let evidence = vec![
            Evidence::new("its errors", own, Unit::Share),
            Evidence::new("its siblings' errors", theirs, Unit::Share),
            Evidence::new("standard deviations above them", deviations, Unit::Count),
            Evidence::new("requests looked at", now.server.all as f64, Unit::Count),
        ];
        (worse, own / theirs.max(1e-3), own - theirs, evidence)
    }
}

/// By the median, and by the 95th percentile where there is enough traffic for one.
fn latency(now: &Reading, others: &[Reading], usual: Option<Robust>, threshold: f64) -> [Judged; 2] {
    let sigma = ((now.p95 - now.median) / 1.645).clamp(0.05, 2.0) / (now.server.all.max(1) as f64).sqrt();
    let Robust { centre, spread } = usual.unwrap_or(Robust { centre: 0.0, spread: 0.1 });
    let judge = |read: fn(&Reading) -> f64, error: f64, times: f64| {
        let mut theirs: Vec<_> = others.iter().map(read).filter(|value| value.is_finite()).collect();
        let theirs = median(&mut theirs)?;
        let difference = read(now) - theirs - centre;
        let deviations = difference / (spread.max(SCATTER).powi(2) + 2.0 * error.powi(2)).sqrt();
        let worse = deviations >= threshold && difference >= times.ln() && read(now).exp() - theirs.exp() >= 5e-4;
        let evidence = vec![
            Evidence::new("its latency", read(now).exp(), Unit::Seconds),
            Evidence::new("its siblings' latency", theirs.exp(), Unit::Seconds),
            Evidence::new("standard deviations above them", deviations, Unit::Count),
            Evidence::new("requests looked at", now.server.all as f64, Unit::Count),
        ];
        Some((worse, difference.exp(), difference, evidence))
    };
    let median = judge(|reading| reading.median, 1.2533 * sigma, 1.5);
    let p95 = (now.server.all >= ENOUGH_FOR_P95).then(|| judge(|reading| reading.p95, 2.11 * sigma, 1.8)).flatten();
    [median, p95].map(|judged| judged.unwrap_or((false, 0.0, 0.0, Vec::new())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::minute::{Errors, Traffic};
    use crate::sketch::LogHistogram;

    fn traffic(seconds: f64, errors: u64) -> Traffic<LogHistogram> {
        let mut latency = LogHistogram::default();
        (1..=100).for_each(|number| latency.record(seconds * (0.5 + 0.01 * f64::from(number)), 1));
        Traffic { requests: 100, errors: Errors { upstream: errors, ..Errors::default() }, latency }
    }

    /// Three endpoints, the last of which changes after two hours; its first finding.
    fn first(seconds: f64, errors: u64) -> Option<(u64, Finding)> {
        let mut endpoints = ["a", "b", "c"].map(|name| Endpoint::<LogHistogram>::new(name.into()));
        (0..150).find_map(|at| {
            for (index, endpoint) in endpoints.iter_mut().enumerate() {
                let worse = index == 2 && at >= 120;
                endpoint.history.push(Minute(at), &if worse { traffic(seconds, errors) } else { traffic(0.01, 0) });
            }
            let found = look(&mut endpoints, 5.0);
            let finding = found.into_iter().nth(2).flatten()?.finding?;
            Some((at, finding))
        })
    }

    #[test]
    fn the_one_that_is_worse_is_found_with_its_beginning() {
        for (seconds, errors) in [(0.03, 0), (0.01, 20)] {
            let (found, finding) = first(seconds, errors).unwrap();
            assert!(found <= 128, "{found}");
            assert!(finding.start.0.abs_diff(120) <= 2, "{:?}", finding.start);
        }
        assert!(first(0.01, 0).is_none());
    }
}
