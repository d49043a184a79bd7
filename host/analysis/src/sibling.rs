//! An endpoint that is worse than the other endpoints of its upstream, and than it usually is beside them.
//!
//! What they are compared with is what they would have had of the same routes in the same shares (direct standardisation): a tenant that
//! comes or goes changes what an endpoint does, and does not make it worse.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::beside::{Beside, Contrasts};
use crate::contrast::{Contrast, usual_excess};
use crate::incident::{Ended, Evidence, Incident, Severity, Unit};
use crate::ledger::{Finding, Verdict};
use crate::minute::{BLOCK, Minute, Traffic};
use crate::sketch::Sketch;
use crate::statistics::{self, Robust};
use crate::strata::{Span, Strata};

/// Requests below which an endpoint is not judged, nor by fewer of its siblings.
const ENOUGH: u64 = 60;
/// Requests below which its 95th percentile is not: twenty of them are above it.
const ENOUGH_FOR_P95: u64 = 400;
/// Errors below which nothing is said.
const FEW_ERRORS: u64 = 10;
/// Looks in a row that confirm.
const CONFIRM: u32 = 3;
/// How wide differences between siblings scatter at least, as a logarithm.
const SCATTER: f64 = 0.06;
/// Minutes of silence after which an endpoint is forgotten: addresses come and go.
const SILENT: u64 = 4 * 60;

/// One upstream.
#[derive(Debug)]
pub(crate) struct Upstream<S> {
    strata: Strata<S>,
    /// Of the last five minutes, from when they are taken in until they are looked at.
    now: Contrasts,
    pub(crate) endpoints: Vec<Endpoint>,
}

/// How much there is room for, over all upstreams.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) endpoints: usize,
    /// Pairs of a route and an endpoint.
    pub(crate) pairs: usize,
}

/// One endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: Arc<str>,
    beside: Beside,
    /// When it had something to do.
    served: Minute,
    raised: u32,
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

/// What a look at an endpoint found.
pub(crate) struct Found {
    pub(crate) verdict: Verdict,
    pub(crate) finding: Option<Finding>,
}

impl Difference {
    /// By how much it was worse than its siblings, and than it is usually beside them.
    fn of(self, contrast: &Contrast, usual: f64) -> f64 {
        let latency = |[own, theirs]: [f64; 2]| own - theirs - usual;
        match self {
            Self::Errors => contrast.excess(),
            Self::Median => latency(contrast.median),
            Self::P95 => latency(contrast.p95),
        }
    }
}

// === impl Upstream ===

impl<S: Sketch> Upstream<S> {
    pub(crate) fn new() -> Self {
        Self { strata: Strata::default(), now: Contrasts::new(), endpoints: Vec::new() }
    }

    /// Takes in a minute: what endpoints did of routes.
    pub(crate) fn push(&mut self, at: Minute, rows: &[(&Arc<str>, &Arc<str>, &Traffic<S>)], room: &mut Room) {
        let mut serving: BTreeSet<_> = rows.iter().filter(|(.., traffic)| traffic.requests > 0).map(|(_, name, _)| *name).collect();
        for endpoint in &mut self.endpoints {
            if serving.remove(&endpoint.name) {
                endpoint.served = at;
            }
        }
        for name in serving.into_iter().take(room.endpoints) {
            self.endpoints.push(Endpoint::new(Arc::clone(name), at));
            room.endpoints -= 1;
        }
        self.endpoints.retain(|endpoint| endpoint.served.0 + SILENT > at.0);
        self.strata.push(at, rows.iter().copied(), &mut room.pairs);
        self.now = self.strata.contrasts(Span::FiveMinutes);
        let minute = self.strata.contrasts(Span::Minute);
        let of = |contrasts: &Contrasts, name: &str| contrasts.get(name).copied();
        for endpoint in &mut self.endpoints {
            // At the end of a block the last five minutes are the block.
            let block = of(&self.now, &endpoint.name).filter(|_| at.ends_block());
            endpoint.beside.push(at, of(&minute, &endpoint.name), block);
        }
    }

    /// Looks at every endpoint; answers in their order, `None` for what cannot be judged. Five minutes are looked at, and at the end of
    /// each quarter of an hour that quarter too: with little traffic it takes longer to tell.
    pub(crate) fn look(&mut self, at: Minute, threshold: f64) -> Vec<Option<Found>> {
        let mut all: Vec<Option<Found>> = self.endpoints.iter().map(|_| None).collect();
        let now = std::mem::take(&mut self.now);
        let quarter = at.ends_block().then(|| self.strata.contrasts(Span::Quarter));
        for (minutes, contrasts) in std::iter::once((BLOCK, now)).chain(quarter.map(|quarter| (3 * BLOCK, quarter))) {
            for (endpoint, found) in self.endpoints.iter_mut().zip(&mut all) {
                let now = contrasts.get(&endpoint.name).filter(|now| now.own.all >= ENOUGH && now.theirs.all >= ENOUGH as f64);
                if now.is_none() && minutes == BLOCK {
                    // A look that says nothing lies between others, which are none in a row then.
                    endpoint.raised = 0;
                }
                let settled = found.as_ref().is_some_and(|found| found.verdict != Verdict::Calm);
                if let Some(now) = now.filter(|_| !settled) {
                    *found = Some(endpoint.judge(now, threshold, minutes));
                }
            }
        }
        all
    }

    /// Errors and requests of each endpoint that served a route in the last five minutes.
    pub(crate) fn of_route(&self, route: &str) -> Vec<(Arc<str>, u64, u64)> {
        self.strata.of_route(route).map(|(endpoint, bad, requests)| (Arc::clone(endpoint), bad, requests)).collect()
    }

    /// Pairs of a route and an endpoint that are kept.
    pub(crate) fn pairs(&self) -> usize {
        self.strata.pairs()
    }
}

// === impl Endpoint ===

impl Endpoint {
    fn new(name: Arc<str>, served: Minute) -> Self {
        Self { name, beside: Beside::default(), served, raised: 0, level: None }
    }

    /// An incident of it is open since then.
    pub(crate) fn mark(&mut self, start: Minute) {
        self.beside.mark(start);
    }

    /// Forgets that it was worse: its times are usual again, or have a new usual.
    pub(crate) fn release(&mut self, incident: &Incident) {
        (self.raised, self.level) = (0, None);
        match incident.end {
            Some((_, Ended::NewLevel)) => self.beside.accept(),
            _ => self.beside.unmark(),
        }
    }

    fn judge(&mut self, now: &Contrast, threshold: f64, minutes: u64) -> Found {
        let errors = self.errors(now, threshold, minutes);
        let [median, p95] = latency(now, self.beside.usual(), threshold);
        let worst = [(Difference::Errors, errors), (Difference::Median, median), (Difference::P95, p95)];
        let lasting = worst.iter().find(|(difference, (worse, _, level, _))| *worse && self.lasts(*difference, *level, minutes));
        if minutes == BLOCK {
            self.raised = if lasting.is_some() { self.raised + 1 } else { 0 };
        }
        let confirmed = minutes > BLOCK || self.raised >= CONFIRM;
        if let Some((difference, (_, weight, level, evidence))) = lasting.filter(|_| confirmed) {
            self.level.get_or_insert((*difference, *level));
            let start = self.start(*difference, *level);
            let finding = Finding { start, severity: Severity::Ticket, weight: *weight, evidence: evidence.clone(), cause: None };
            return Found { verdict: Verdict::Raised, finding: Some(finding) };
        }
        let held =
            self.level.is_some_and(|(of, at)| worst.iter().any(|(difference, (.., level, _))| *difference == of && *level >= 0.4 * at));
        Found { verdict: if held { Verdict::Held } else { Verdict::Calm }, finding: None }
    }

    /// Whether a time was nearer to what is now than to the siblings.
    fn was(&self, difference: Difference, contrast: &Contrast, level: f64) -> bool {
        difference.of(contrast, self.beside.usual().map_or(0.0, |usual| usual.centre)) >= level / 2.0
    }

    /// Whether it is so in most of the window: a burst is no incident.
    fn lasts(&self, difference: Difference, level: f64, minutes: u64) -> bool {
        let from = (self.beside.latest().0 + 1).saturating_sub(minutes);
        let beyond = |(at, contrast): &(Minute, Contrast)| at.0 >= from && self.was(difference, contrast, level);
        if minutes == BLOCK { self.beside.recent().filter(beyond).count() >= 4 } else { self.beside.blocks().filter(beyond).count() >= 2 }
    }

    /// The first of the last minutes in a row that are so; one that is not may lie between.
    fn start(&self, difference: Difference, level: f64) -> Minute {
        let (mut first, mut below) = (self.beside.latest(), 0);
        for (at, contrast) in self.beside.recent().rev() {
            if self.was(difference, &contrast, level) {
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

    fn errors(&self, now: &Contrast, threshold: f64, minutes: u64) -> Judged {
        let (own, theirs) = (now.own.value(), now.theirs.value());
        let much = now.own.bad >= FEW_ERRORS && own >= (3.0 * theirs).max(theirs + 0.01);
        // Most endpoints in most minutes are not looked at any further.
        let (usually_above, dispersion) = if much { usual_excess(&self.beside.before(minutes)) } else { (0.0, 1.0) };
        let deviations = statistics::above(now.own, now.theirs, dispersion);
        let open = self.level.is_some();
        let worse = much
            && deviations >= threshold
            // What it always is, it is not now.
            && (open || own >= 2.0 * (theirs + usually_above));
        let evidence = vec![
            Evidence::new("its errors", own, Unit::Share),
            Evidence::new("its siblings' errors", theirs, Unit::Share),
            Evidence::new("standard deviations above them", deviations, Unit::Count),
            Evidence::new("requests looked at", now.own.all as f64, Unit::Count),
        ];
        (worse, own / theirs.max(1e-3), own - theirs, evidence)
    }
}

/// By the median, and by the 95th percentile where there is enough traffic for one.
fn latency(now: &Contrast, usual: Option<Robust>, threshold: f64) -> [Judged; 2] {
    // A median that is high by chance is nearer to its percentile: the wider of both is nearer to how they scatter.
    let ([own, theirs], [own_p95, their_p95]) = (now.median, now.p95);
    let sigma = ((own_p95 - own).max(their_p95 - theirs) / 1.645).clamp(0.05, 2.0);
    // Nor are latencies normal: that siblings are many makes it no surer than twice as many requests would.
    let error = sigma * (1.0 / now.own.all.max(1) as f64 + 1.0 / now.theirs.all.min(now.own.all as f64)).sqrt();
    let Robust { centre, spread } = usual.unwrap_or(Robust { centre: 0.0, spread: 0.1 });
    let judge = |[own, theirs]: [f64; 2], error: f64, times: f64| {
        let difference = own - theirs - centre;
        let deviations = difference / (spread.max(SCATTER).powi(2) + error.powi(2)).sqrt();
        let worse = deviations >= threshold && difference >= times.ln() && own.exp() - theirs.exp() >= 5e-4;
        let evidence = vec![
            Evidence::new("its latency", own.exp(), Unit::Seconds),
            Evidence::new("its siblings' latency", theirs.exp(), Unit::Seconds),
            Evidence::new("standard deviations above them", deviations, Unit::Count),
            Evidence::new("requests looked at", now.own.all as f64, Unit::Count),
        ];
        if difference.is_finite() { (worse, difference.exp(), difference, evidence) } else { (false, 0.0, 0.0, Vec::new()) }
    };
    let median = judge(now.median, 1.2533 * error, 1.5);
    let p95 = if now.own.all >= ENOUGH_FOR_P95 { judge(now.p95, 2.11 * error, 1.8) } else { (false, 0.0, 0.0, Vec::new()) };
    [median, p95]
}

#[cfg(test)]
mod tests;
