//! A step: what a key does now is not what it did in the hour before, and not what this hour of the week explains either.

use crate::compare::{CLIENT, Comparison, ENOUGH, Frozen, Limits, SERVER, latency, share};
use crate::history::History;
use crate::incident::{Evidence, Unit};
use crate::ledger::Verdict;
use crate::minute::{BLOCK, Minute, Traffic};
use crate::reading::Reading;
use crate::sketch::Sketch;

/// Minutes of a window: the shortest with enough traffic is looked at.
const WINDOWS: [u64; 3] = [5, 15, 60];
/// Requests below which a window says nothing about its 95th percentile: twenty of them are above it.
const ENOUGH_FOR_P95: u64 = 400;
/// Looks in a row that confirm a step of five minutes.
const CONFIRM: u64 = 3;
/// Minutes that a burst may last, which is no step.
const BURST: usize = 2;
/// Minutes that something without a step must be far above its season.
const CREEP: u64 = 30;

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Errors that are not the clients'.
    ServerErrors,
    /// Errors of clients: scanners and wrong keys come and go, so only a great step counts.
    ClientErrors,
    /// Median and 95th percentile.
    Latency,
}

/// One measure of one key.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    measure: Measure,
    /// Looks in a row that raised, by window.
    raised: [u64; WINDOWS.len()],
    /// Looks at five minutes in a row that were far above the season.
    creeping: u64,
    /// What it is compared with since it first raised: its own trouble must not become what is usual.
    frozen: Option<Frozen>,
}

/// What a look at a measure found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) verdict: Verdict,
    /// Where it began, and within how many minutes.
    pub(crate) start: Minute,
    pub(crate) within: u64,
    /// How many times what it was.
    pub(crate) weight: f64,
    pub(crate) evidence: Vec<Evidence>,
}

impl Step {
    pub(crate) fn new(measure: Measure) -> Self {
        Self { measure, raised: [0; WINDOWS.len()], creeping: 0, frozen: None }
    }

    /// Looks at the minute that was pushed last. `None` where it is not the time to look. `open`: whether an incident of it is.
    pub(crate) fn look<S: Sketch>(&mut self, history: &History<S>, limits: Limits, open: bool) -> Option<Found> {
        if open { self.look_again(history, limits) } else { self.look_first(history, limits) }
    }

    /// Forgets what it was compared with.
    pub(crate) fn release(&mut self) {
        *self = Self::new(self.measure);
    }

    /// The shortest window that shows a step wins: with little traffic it takes a longer one.
    fn look_first<S: Sketch>(&mut self, history: &History<S>, limits: Limits) -> Option<Found> {
        let mut frozen = self.frozen.take();
        for (index, minutes) in WINDOWS.into_iter().enumerate() {
            // What has just ended would be found again.
            if minutes > 5 && history.is_marked(minutes) {
                continue;
            }
            let Some(window) = history.window(minutes) else { continue };
            if window.requests < ENOUGH {
                // A look that says nothing lies between others, which are none in a row then.
                self.forget(index, minutes);
                continue;
            }
            let kept = frozen.take_if(|frozen| frozen.minutes == minutes).unwrap_or_else(|| Frozen::of(history, minutes));
            let comparison = self.compare(&Reading::of(&window), &kept, limits, window.requests);
            let Some(comparison) = comparison else {
                self.forget(index, minutes);
                continue;
            };
            let middle = f64::midpoint(comparison.before, comparison.now);
            let stepped = comparison.stepped && !comparison.explained && lasts(history, minutes, middle, comparison.read);
            if minutes == 5 {
                self.creeping = if comparison.crept { self.creeping + 1 } else { 0 };
            }
            let Some(raised) = self.raised.get_mut(index) else { continue };
            *raised = if stepped { *raised + 1 } else { 0 };
            let confirmed = *raised >= if minutes == 5 { CONFIRM } else { 1 } || self.creeping >= CREEP;
            if confirmed {
                let start = start(history, minutes, middle, comparison.read);
                let (weight, evidence) = self.told(&comparison, &window);
                self.frozen = Some(Frozen { level: comparison.now, ..kept });
                return Some(Found { verdict: Verdict::Raised, start, within: minutes, weight, evidence });
            }
            if minutes == 5 && (*raised > 0 || self.creeping > 0) {
                self.frozen = Some(kept);
            }
        }
        None
    }

    /// While an incident is open: with what it opened by.
    fn look_again<S: Sketch>(&mut self, history: &History<S>, limits: Limits) -> Option<Found> {
        let kept = self.frozen.as_ref()?;
        let minutes = kept.minutes;
        let window = history.window(minutes)?;
        let found = |verdict| Found { verdict, start: history.latest(), within: minutes, weight: 0.0, evidence: Vec::new() };
        if window.requests < ENOUGH {
            return Some(found(Verdict::Unknown));
        }
        let Some(comparison) = self.compare(&Reading::of(&window), kept, limits, window.requests) else {
            return Some(found(Verdict::Unknown));
        };
        let held = comparison.now >= comparison.before + 0.4 * (kept.level - comparison.before);
        if !(held && comparison.stepped) {
            return Some(found(if held { Verdict::Held } else { Verdict::Calm }));
        }
        let (weight, evidence) = self.told(&comparison, &window);
        Some(Found { weight, evidence, ..found(Verdict::Raised) })
    }

    fn forget(&mut self, index: usize, minutes: u64) {
        if let Some(raised) = self.raised.get_mut(index) {
            *raised = 0;
        }
        if minutes == 5 {
            self.creeping = 0;
        }
    }

    fn compare(&self, now: &Reading, kept: &Frozen, limits: Limits, requests: u64) -> Option<Comparison> {
        match self.measure {
            Measure::ServerErrors => share(now, kept, &SERVER, limits),
            Measure::ClientErrors => share(now, kept, &CLIENT, limits),
            Measure::Latency => {
                let sigma = ((now.p95 - now.median) / 1.645).clamp(0.05, 2.0) / (requests as f64).sqrt();
                // Standard errors of quantiles of a log-normal distribution.
                let median = latency(kept, |reading| reading.median, |worst| worst.median, now, 1.2533 * sigma, 1.3, limits)?;
                if median.stepped || requests < ENOUGH_FOR_P95 {
                    return Some(median);
                }
                let p95 = latency(kept, |reading| reading.p95, |worst| worst.p95, now, 2.11 * sigma, 1.5, limits)?;
                Some(if p95.stepped || p95.crept { p95 } else { median })
            }
        }
    }

    fn told<S: Sketch>(&self, comparison: &Comparison, window: &Traffic<S>) -> (f64, Vec<Evidence>) {
        let requests = Evidence::new("requests looked at", window.requests as f64, Unit::Count);
        let deviations = Evidence::new("standard deviations above it", comparison.deviations, Unit::Count);
        let (now, before, usual, unit, names) = match self.measure {
            Measure::ServerErrors => {
                let names = ["errors now", "errors in the hour before", "errors in this hour of other weeks"];
                (comparison.now, comparison.before, comparison.usual, Unit::Share, names)
            }
            Measure::ClientErrors => {
                let names = ["clients' errors now", "clients' errors in the hour before", "clients' errors in this hour of other weeks"];
                (comparison.now, comparison.before, comparison.usual, Unit::Share, names)
            }
            Measure::Latency => {
                let names = ["latency now", "latency in the hour before", "latency in this hour of other weeks"];
                (comparison.now.exp(), comparison.before.exp(), comparison.usual.map(f64::exp), Unit::Seconds, names)
            }
        };
        let [name, name_before, name_usual] = names;
        let mut evidence = vec![Evidence::new(name, now, unit), Evidence::new(name_before, before, unit)];
        evidence.extend(usual.map(|usual| Evidence::new(name_usual, usual, unit)));
        evidence.extend([deviations, requests]);
        let errors = window.errors;
        let blamed = [
            ("errors of upstreams", errors.upstream),
            ("errors of plugins", errors.plugin),
            ("errors of the gateway", errors.gateway),
            ("errors of clients", errors.client),
        ];
        let counts = blamed.into_iter().filter(|(_, count)| *count > 0 && self.measure != Measure::Latency);
        evidence.extend(counts.map(|(what, count)| Evidence::new(what, count as f64, Unit::Count)));
        (now / before.max(1e-4), evidence)
    }
}

/// Whether most of the window is beyond the middle: a burst is none. Of five minutes four have to be, of an hour two thirds of its blocks, of
/// a quarter of an hour every block, and what is left without its worst minutes: a burst may lie in two blocks, and chance in the third.
fn lasts<S: Sketch>(history: &History<S>, minutes: u64, middle: f64, read: fn(&Reading) -> f64) -> bool {
    let from = (history.latest().0 + 1).saturating_sub(minutes);
    let beyond = |spans: &mut dyn Iterator<Item = (Minute, Reading)>| {
        spans.filter(|(at, _)| at.0 >= from).filter(|(_, reading)| read(reading) >= middle).count() as u64
    };
    match minutes {
        5 => beyond(&mut history.recent()) >= 4,
        15 => beyond(&mut history.blocks()) >= 3 && read(&Reading::of(&history.without_worst(BURST, read))) >= middle,
        _ => beyond(&mut history.blocks()) >= 2 * minutes / BLOCK / 3,
    }
}

/// The first of the minutes, or of the blocks of a longer window, back from the last one, that are beyond the middle; one that is not may lie between.
fn start<S: Sketch>(history: &History<S>, minutes: u64, middle: f64, read: fn(&Reading) -> f64) -> Minute {
    let mut first = history.latest();
    let mut below = 0;
    let spans: Vec<_> = if minutes == 5 { history.recent().collect() } else { history.blocks().collect() };
    for (at, reading) in spans.into_iter().rev() {
        if read(&reading) >= middle {
            first = at;
            below = 0;
        } else {
            below += 1;
            if below > 1 {
                break;
            }
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::minute::Errors;
    use crate::sketch::LogHistogram;

    const LIMITS: Limits = Limits { threshold: 5.0, seconds: 5e-4 };

    /// Minutes with that latency and so many errors; whether and when something was raised.
    fn live(history: &mut History<LogHistogram>, step: &mut Step, minutes: std::ops::Range<u64>, seconds: f64, errors: u64) -> Vec<Minute> {
        live_at(1, history, step, minutes, seconds, errors)
    }

    /// The same of so many times as many requests.
    fn live_at(
        times: u64,
        history: &mut History<LogHistogram>,
        step: &mut Step,
        minutes: std::ops::Range<u64>,
        seconds: f64,
        errors: u64,
    ) -> Vec<Minute> {
        let mut raised = Vec::new();
        for at in minutes {
            let mut latency = LogHistogram::default();
            (1..=100).for_each(|number| latency.record(seconds * (0.5 + 0.01 * f64::from(number)), times));
            let errors = Errors { upstream: errors, ..Errors::default() };
            history.push(Minute(at), &Traffic { requests: 100 * times, errors, latency });
            if step.look(history, LIMITS, false).is_some_and(|found| found.verdict == Verdict::Raised) {
                raised.push(Minute(at));
            }
        }
        raised
    }

    #[test]
    fn a_step_is_found_within_minutes_and_where_it_began() {
        for (measure, seconds, errors) in [(Measure::Latency, 0.02, 0), (Measure::ServerErrors, 0.01, 10)] {
            let (mut history, mut step) = (History::new(700), Step::new(measure));
            assert_eq!(live(&mut history, &mut step, 0..300, 0.01, 0), []);
            let raised = live(&mut history, &mut step, 300..310, seconds, errors);
            assert!(raised.first().is_some_and(|at| at.0 <= 306), "{measure:?}: {raised:?}");
        }
    }

    #[test]
    fn looks_with_silence_between_them_are_none_in_a_row() {
        let (mut history, mut step) = (History::new(700), Step::new(Measure::Latency));
        let mut live = |minutes: std::ops::Range<u64>, requests: u64, seconds: f64| {
            let mut raised = 0;
            for at in minutes {
                let mut latency = LogHistogram::default();
                (1..=requests).for_each(|number| latency.record(seconds * (0.5 + number as f64 / requests as f64), 1));
                history.push(Minute(at), &Traffic { requests, errors: Errors::default(), latency });
                raised += usize::from(step.look(&history, LIMITS, false).is_some_and(|found| found.verdict == Verdict::Raised));
            }
            raised
        };
        assert_eq!(live(0..300, 25, 0.01), 0);
        for burst in [300, 335] {
            assert_eq!(live(burst..burst + 4, 25, 0.02) + live(burst + 4..burst + 35, 0, 0.0), 0, "{burst}");
        }
    }

    #[test]
    fn a_burst_in_two_blocks_is_no_step_though_a_few_more_fail_before_it() {
        for (errors, is_step) in [([7, 2, 40, 40, 2], false), ([9, 9, 9, 9, 9], true)] {
            let (mut history, mut step) = (History::new(700), Step::new(Measure::ServerErrors));
            assert_eq!(live_at(10, &mut history, &mut step, 0..300, 0.01, 2), []);
            let spans = [300..305, 305..309, 309..310, 310..311, 311..315];
            let raised = spans.into_iter().zip(errors).map(|(span, errors)| live_at(10, &mut history, &mut step, span, 0.01, errors));
            assert_eq!(raised.flatten().count() > 0, is_step, "{errors:?}");
        }
    }

    #[test]
    fn what_is_busier_may_be_slower_by_its_root() {
        for (busy, slower, is_step) in [(1, 1.5, true), (2, 1.5, false), (2, 2.2, true), (4, 2.2, false)] {
            let (mut history, mut step) = (History::new(700), Step::new(Measure::Latency));
            live(&mut history, &mut step, 0..300, 0.01, 0);
            let raised = live_at(busy, &mut history, &mut step, 300..312, 0.01 * slower, 0);
            assert_eq!(!raised.is_empty(), is_step, "{busy} times the requests, {slower} times as slow");
        }
    }

    #[test]
    fn what_happens_every_night_is_no_step() {
        let (mut history, mut step) = (History::new(700), Step::new(Measure::Latency));
        let mut nights = Vec::new();
        for night in 0..5 {
            let day = night * 1_440;
            live(&mut history, &mut step, day..day + 180, 0.01, 0);
            let raised = live(&mut history, &mut step, day + 180..day + 240, 0.02, 0);
            nights.push(!raised.is_empty());
            live(&mut history, &mut step, day + 240..day + 1_440, 0.01, 0);
        }
        // Once is no habit.
        assert_eq!(nights, [true, true, false, false, false]);
    }

    #[test]
    fn what_happens_every_night_may_be_a_little_worse_by_chance() {
        for (requests, is_step) in [(1, false), (50, true)] {
            let (mut history, mut step) = (History::new(700), Step::new(Measure::Latency));
            for night in 0..4 {
                let day = night * 1_440;
                live_at(requests, &mut history, &mut step, day..day + 180, 0.01, 0);
                live_at(requests, &mut history, &mut step, day + 180..day + 240, 0.014, 0);
                live_at(requests, &mut history, &mut step, day + 240..day + 1_440, 0.01, 0);
            }
            live_at(requests, &mut history, &mut step, 5_760..5_940, 0.01, 0);
            let raised = live_at(requests, &mut history, &mut step, 5_940..5_950, 0.014 * 1.165, 0);
            assert_eq!(!raised.is_empty(), is_step, "{requests}");
        }
    }

    #[test]
    fn what_rises_every_night_may_do_so_from_a_higher_level() {
        for (times, is_step) in [(1.4, false), (1.7, true)] {
            let (mut history, mut step) = (History::new(700), Step::new(Measure::Latency));
            for night in 0..4 {
                let day = night * 1_440;
                live(&mut history, &mut step, day..day + 180, 0.01, 0);
                live(&mut history, &mut step, day + 180..day + 240, 0.014, 0);
                live(&mut history, &mut step, day + 240..day + 1_440, 0.01, 0);
            }
            // A fifth more than in other nights, all night long: of itself too little to be one.
            assert_eq!(live(&mut history, &mut step, 5_760..5_940, 0.0118, 0), []);
            let raised = live(&mut history, &mut step, 5_940..6_000, 0.0118 * times, 0);
            assert_eq!(!raised.is_empty(), is_step, "{times}");
        }
    }
}
