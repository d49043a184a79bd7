//! Error budgets that burn: multi-window, multi-burn-rate alerts (Site Reliability Workbook, chapter 5, table 5-8).

use std::collections::VecDeque;

use crate::incident::{Evidence, Severity, Unit};
use crate::ledger::{Finding, Verdict};
use crate::minute::{Minute, Traffic};
use crate::sketch::Sketch;

/// An objective of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct Slo {
    /// Share of requests that must not fail by gateway, plugin or upstream, such as 0.999.
    pub availability: Option<f64>,
    /// How fast they must be.
    pub latency: Option<LatencyObjective>,
    /// Over so many days.
    pub days: u32,
}

/// How fast requests must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyObjective {
    /// Seconds that a request may take.
    pub under: f64,
    /// Share of requests that must not take longer, such as 0.99.
    pub share: f64,
}

/// One pair of windows of the alerts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alert {
    /// Minutes of the long window: that much of the budget is gone.
    pub long: u64,
    /// Minutes of the short one: it still burns.
    pub short: u64,
    /// Share of the budget that the long window may take.
    pub budget: f64,
    /// How soon to look.
    pub severity: Severity,
}

/// For a period of 30 days: burn rates of 14.4, 6, 3 and 1.
pub const WINDOWS: [Alert; 4] = [
    Alert { long: 60, short: 5, budget: 0.02, severity: Severity::Page },
    Alert { long: 6 * 60, short: 30, budget: 0.05, severity: Severity::Page },
    Alert { long: 24 * 60, short: 2 * 60, budget: 0.1, severity: Severity::Ticket },
    Alert { long: 3 * 24 * 60, short: 6 * 60, budget: 0.1, severity: Severity::Ticket },
];

/// Bad requests in the long window below which nothing is said: with little traffic, one of them would burn at any rate.
const FEW: u64 = 10;
/// Minutes kept: the longest window.
const KEPT: usize = 3 * 24 * 60;
/// Lengths of every window, minutes.
const LENGTHS: [u64; 8] = [5, 30, 60, 120, 360, 360, 1440, 4320];

/// What is left of an error budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// `availability` or `latency`.
    pub objective: &'static str,
    /// The share that is promised.
    pub target: f64,
    /// Days it is promised over.
    pub days: u32,
    /// Requests of those days, as far as they are known.
    pub requests: u64,
    /// How many of them were bad.
    pub bad: u64,
    /// The share of the budget that is left; below zero where the promise is broken.
    pub left: f64,
    /// How fast it burnt in the last hour; 1 uses it up exactly.
    pub burn_rate: f64,
}

impl Alert {
    /// The burn rate from which it says something: what uses up its share of the budget in its long window.
    pub fn burn_rate(&self, days: u32) -> f64 {
        self.budget * f64::from(days) * 24.0 * 60.0 / self.long as f64
    }
}

/// One objective's recent minutes.
#[derive(Debug)]
pub(crate) struct Burn {
    pub(crate) objective: &'static str,
    target: f64,
    days: u32,
    /// Seconds, where it is about latency.
    under: Option<f64>,
    minutes: VecDeque<Narrow>,
    /// By window.
    sums: [Counted; LENGTHS.len()],
    /// By hour of the period.
    hours: VecDeque<(u64, Counted)>,
    /// The last minute that was taken in.
    latest: Option<Minute>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counted {
    all: u64,
    bad: u64,
}

/// A minute: three days of them are kept for each promise. Nobody answers four thousand million requests in one.
#[derive(Debug, Default, Clone, Copy)]
struct Narrow {
    all: u32,
    bad: u32,
}

impl From<Counted> for Narrow {
    fn from(Counted { all, bad }: Counted) -> Self {
        let narrow = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Self { all: narrow(all), bad: narrow(bad) }
    }
}

impl From<Narrow> for Counted {
    fn from(Narrow { all, bad }: Narrow) -> Self {
        Self { all: all.into(), bad: bad.into() }
    }
}

impl Burn {
    /// One for each objective.
    pub(crate) fn of(slo: &Slo) -> Vec<Self> {
        let burn = |objective, target, under| Self {
            objective,
            target,
            days: slo.days,
            under,
            minutes: VecDeque::with_capacity(KEPT),
            sums: Default::default(),
            hours: VecDeque::new(),
            latest: None,
        };
        let availability = slo.availability.map(|target| burn("availability", target, None));
        let latency = slo.latency.map(|latency| burn("latency", latency.share, Some(latency.under)));
        availability.into_iter().chain(latency).collect()
    }

    /// Whether it is about the same promise.
    pub(crate) fn same(&self, other: &Self) -> bool {
        (self.objective, self.target, self.days, self.under) == (other.objective, other.target, other.days, other.under)
    }

    /// Takes in a minute.
    pub(crate) fn push<S: Sketch>(&mut self, at: Minute, traffic: &Traffic<S>) {
        let bad = match self.under {
            None => traffic.errors.server(),
            Some(under) => traffic.latency.above(under),
        };
        let counted = Counted { all: traffic.requests, bad: bad.min(traffic.requests) };
        self.take(at, counted);
        self.add(at.hour(), counted);
    }

    /// Takes in what was counted of an hour of an earlier run. Within it nothing is known, so it is as if each minute had the same.
    pub(crate) fn learn(&mut self, hour: u64, all: u64, bad: u64) {
        let part = |of: u64, minute: u64| of * (minute + 1) / 60 - of * minute / 60;
        (0..60).for_each(|minute| self.take(Minute(hour * 60 + minute), Counted { all: part(all, minute), bad: part(bad, minute) }));
        self.add(hour, Counted { all, bad });
    }

    /// Adds a minute to the windows. Those that are missing before it had no traffic.
    fn take(&mut self, at: Minute, counted: Counted) {
        let missing = self.latest.map_or(0, |latest| at.0.saturating_sub(latest.0 + 1)).min(KEPT as u64);
        (0..missing).for_each(|_| self.slide(Counted::default()));
        self.slide(counted);
        self.latest = Some(at);
    }

    fn slide(&mut self, counted: Counted) {
        let narrow = Narrow::from(counted);
        // What is added is what will leave again.
        let counted = Counted::from(narrow);
        // Before it is added, so that there is room for no more than are kept.
        let oldest = if self.minutes.len() == KEPT { self.minutes.pop_back() } else { None };
        self.minutes.push_front(narrow);
        for (sum, length) in self.sums.iter_mut().zip(LENGTHS) {
            let leaves =
                usize::try_from(length).ok().and_then(|length| self.minutes.get(length).copied().or(oldest.filter(|_| length == KEPT)));
            let leaves = leaves.map(Counted::from).unwrap_or_default();
            sum.all = sum.all + counted.all - leaves.all;
            sum.bad = sum.bad + counted.bad - leaves.bad;
        }
    }

    fn add(&mut self, hour: u64, counted: Counted) {
        match self.hours.back_mut() {
            Some((last, sum)) if *last == hour => {
                sum.all += counted.all;
                sum.bad += counted.bad;
            }
            _ => self.hours.push_back((hour, counted)),
        }
        let oldest = hour.saturating_sub(u64::from(self.days) * 24);
        while self.hours.front().is_some_and(|(hour, _)| *hour <= oldest) {
            self.hours.pop_front();
        }
    }

    /// Whether latency is what it is about, and beyond how many seconds.
    pub(crate) fn under(&self) -> Option<f64> {
        self.under
    }

    /// Looks at every pair of windows.
    pub(crate) fn look(&self, at: Minute) -> (Verdict, Option<Finding>) {
        let raised = WINDOWS.iter().find(|alert| {
            let rate = alert.burn_rate(self.days);
            self.rate(alert.long) >= rate && self.rate(alert.short) >= rate && self.sum(alert.long).bad >= FEW
        });
        let Some(alert) = raised else {
            // What is over is seen in the short window; half a rate is no end yet.
            let held = WINDOWS.iter().any(|alert| {
                let rate = alert.burn_rate(self.days);
                self.rate(alert.long) >= rate && self.rate(alert.short) >= rate / 2.0
            });
            return (if held { Verdict::Held } else { Verdict::Calm }, None);
        };
        let budget = self.budget();
        let start = self.start(at, alert);
        let evidence = vec![
            Evidence::new("burn rate of the long window", self.rate(alert.long), Unit::Times),
            Evidence::new("burn rate of the short window", self.rate(alert.short), Unit::Times),
            Evidence::new("long window", (alert.long * 60) as f64, Unit::Seconds),
            Evidence::new("bad requests in the long window", self.sum(alert.long).bad as f64, Unit::Count),
            Evidence::new("left of the budget", budget.left, Unit::Share),
        ];
        let finding = Finding { start, severity: alert.severity, weight: self.rate(alert.long), evidence, cause: None };
        (Verdict::Raised, Some(finding))
    }

    /// Where the burning began: the first minute that was below the promise in the last run in which every quarter of an hour was.
    fn start(&self, at: Minute, alert: &Alert) -> Minute {
        let long = usize::try_from(alert.long).unwrap_or(KEPT);
        let minutes: Vec<_> = self.minutes.iter().take(long).collect();
        let burns = |chunk: &[&Narrow]| {
            let (all, bad) = chunk.iter().fold((0, 0), |(all, bad), minute| (all + u64::from(minute.all), bad + u64::from(minute.bad)));
            bad as f64 >= (1.0 - self.target) * all as f64 && bad > 0
        };
        let ago = minutes.chunks(15).take_while(|chunk| burns(chunk)).map(<[_]>::len).sum::<usize>();
        let ago = ago - minutes.iter().take(ago).rev().take_while(|minute| !burns(&[*minute])).count();
        at.before((ago as u64).saturating_sub(1))
    }

    /// What is left.
    pub(crate) fn budget(&self) -> Budget {
        let (requests, bad) = self.hours.iter().fold((0, 0), |(all, bad), (_, hour)| (all + hour.all, bad + hour.bad));
        let allowed = (1.0 - self.target) * requests as f64;
        let left = if bad == 0 { 1.0 } else { 1.0 - bad as f64 / allowed };
        Budget { objective: self.objective, target: self.target, days: self.days, requests, bad, left, burn_rate: self.rate(60) }
    }

    fn sum(&self, length: u64) -> Counted {
        LENGTHS.iter().position(|known| *known == length).and_then(|index| self.sums.get(index)).copied().unwrap_or_default()
    }

    fn rate(&self, length: u64) -> f64 {
        let Counted { all, bad } = self.sum(length);
        if all == 0 { 0.0 } else { bad as f64 / all as f64 / (1.0 - self.target) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::minute::Errors;
    use crate::sketch::LogHistogram;

    fn burn(availability: f64) -> Burn {
        Burn::of(&Slo { availability: Some(availability), latency: None, days: 30 }).remove(0)
    }

    fn push(burn: &mut Burn, from: u64, minutes: u64, bad: u64) -> Option<(u64, Severity)> {
        let mut first = None;
        for at in from..from + minutes {
            let errors = Errors { upstream: bad, ..Errors::default() };
            burn.push(Minute(at), &Traffic::<LogHistogram> { requests: 1_000, errors, latency: LogHistogram::default() });
            if let (Verdict::Raised, Some(finding)) = burn.look(Minute(at)) {
                first.get_or_insert((at, finding.severity));
            }
        }
        first
    }

    #[test]
    fn rates_are_those_of_the_workbook() {
        assert_eq!(WINDOWS.map(|alert| (alert.burn_rate(30) * 10.0).round() / 10.0), [14.4, 6.0, 3.0, 1.0]);
        assert!((WINDOWS[0].burn_rate(7) - 3.36).abs() < 1e-9);
    }

    #[test]
    fn the_faster_it_burns_the_sooner_somebody_is_called() {
        for (bad, minutes, severity) in [(100, 10, Severity::Page), (8, 360, Severity::Page), (4, 1_440, Severity::Ticket)] {
            let mut slow = burn(0.999);
            assert_eq!(push(&mut slow, 0, 4_320, 0), None);
            let (at, found) = push(&mut slow, 4_320, 4_320, bad).unwrap();
            assert!(at < 4_320 + minutes && found == severity, "{bad}: {at}, {found:?}");
        }
        let mut sudden = burn(0.999);
        assert_eq!(push(&mut sudden, 0, 1_000, 0), None);
        push(&mut sudden, 1_000, 8, 500).unwrap();
        assert_eq!(sudden.look(Minute(1_007)).1.unwrap().start, Minute(1_000), "not the quarter of an hour it was in");
        let mut broken = burn(0.999);
        assert!(push(&mut broken, 0, 10_000, 2).is_some(), "twice what is allowed");
        let mut better = burn(0.99);
        assert_eq!(push(&mut better, 0, 10_000, 9), None);
        assert!((better.budget().left - 0.1).abs() < 1e-9);
    }

    #[test]
    fn hours_of_an_earlier_run_are_in_the_windows_and_in_what_is_left() {
        let mut restarted = burn(0.999);
        (1_000..1_048).for_each(|hour| restarted.learn(hour, 60_000, 0));
        (1_048..1_060).for_each(|hour| restarted.learn(hour, 60_000, 400));
        assert!((restarted.rate(360) - 400.0 / 60.0).abs() < 1e-9);
        let (verdict, finding) = restarted.look(Minute(1_060 * 60 - 1));
        assert_eq!((verdict, finding.unwrap().severity), (Verdict::Raised, Severity::Page));
        assert_eq!(restarted.budget().requests, 60 * 60_000);
        // It was away for a day.
        push(&mut restarted, 1_084 * 60, 1, 0);
        assert_eq!((restarted.rate(360), restarted.sum(4_320).bad), (0.0, 12 * 400));
    }

    #[test]
    fn slow_requests_burn_the_budget_of_latency() {
        let slo = Slo { availability: None, latency: Some(LatencyObjective { under: 0.3, share: 0.99 }), days: 30 };
        let mut burn = Burn::of(&slo).remove(0);
        let mut latency = LogHistogram::default();
        latency.record(0.1, 50);
        latency.record(0.5, 50);
        (0..60).for_each(|at| {
            burn.push(Minute(at), &Traffic { requests: 100, errors: Errors::default(), latency: latency.clone() });
        });
        let (verdict, finding) = burn.look(Minute(59));
        assert_eq!((verdict, finding.unwrap().start), (Verdict::Raised, Minute(0)));
        assert!((burn.budget().burn_rate - 50.0).abs() < 1e-9);
    }
}
