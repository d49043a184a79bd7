//! One route or plugin: its past, and what is open of it.

use std::sync::Arc;

use crate::compare::Limits;
use crate::history::History;
use crate::incident::{Cause, Change, Ended, Incident, Kind, Severity, Subject};
use crate::ledger::{Finding, Ledger, Verdict};
use crate::minute::{Errors, Minute};
use crate::sketch::Sketch;
use crate::step::{Measure, Step};

/// Hours kept of routes and plugins: four weeks, and the hours beside.
const HOURS: usize = 4 * 168 + 2;

/// One route or plugin.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    pub(crate) history: History<S>,
    steps: [(Step, Option<(Kind, Subject)>); 3],
}

impl<S: Sketch> Watched<S> {
    /// Nothing is known of it.
    pub(crate) fn new() -> Self {
        let steps = [Measure::ServerErrors, Measure::ClientErrors, Measure::Latency].map(|measure| (Step::new(measure), None));
        Self { history: History::new(HOURS), steps }
    }
}

/// Looks at every measure of one key, and opens, keeps and closes what there is to say.
pub(crate) fn judge<S: Sketch>(
    watched: &mut Watched<S>,
    subject: &Subject,
    limits: Limits,
    at: Minute,
    ledger: &mut Ledger,
    cause: impl Fn((Minute, u64), Option<Errors>, &Ledger) -> Option<Cause>,
    changes: &mut Vec<Change>,
) {
    let Watched { history, steps } = watched;
    let mut ended = None;
    for (index, (step, opened)) in steps.iter_mut().enumerate() {
        let found = step.look(history, limits, opened.is_some());
        if let Some(found) = found.as_ref().filter(|found| found.verdict == Verdict::Raised) {
            let is_latency = index == 2;
            let errors = history.window(5).map(|window| window.errors).filter(|_| !is_latency);
            let cause = cause((found.start, found.within), errors, ledger);
            let key = opened.clone().unwrap_or_else(|| match &cause {
                Some(Cause::PluginVersion { plugin, .. }) => (Kind::PluginVersion, Subject::Plugin(Arc::clone(plugin))),
                _ => (if is_latency { Kind::Latency } else { Kind::ErrorRate }, subject.clone()),
            });
            let finding = Finding {
                start: found.start,
                severity: if is_latency { Severity::Ticket } else { Severity::Page },
                weight: found.weight,
                evidence: found.evidence.clone(),
                cause,
            };
            changes.extend(ledger.raise(at, key.0, &key.1, finding));
            if opened.is_none() {
                history.mark(found.start);
            }
            *opened = Some(key);
        } else if let (Some((kind, subject)), Some(found)) = (&opened, found) {
            let change = ledger.settle(at, *kind, subject, found.verdict);
            if let Some(Change::Closed(incident)) = &change {
                ended = Some(incident.clone());
            }
            changes.extend(change);
        }
    }
    // One that several measures share ends for all of them.
    for (step, opened) in steps.iter_mut() {
        if opened.as_ref().is_some_and(|(kind, subject)| !ledger.is_open(*kind, subject)) {
            step.release();
            *opened = None;
        }
    }
    if steps.iter().all(|(_, opened)| opened.is_none()) {
        match &ended {
            Some(incident) => release(history, incident),
            None => history.unmark(),
        }
    }
}

/// After an incident a key's times are usual again, or have a new usual.
pub(crate) fn release<S: Sketch>(history: &mut History<S>, incident: &Incident) {
    match incident.end {
        Some((_, Ended::NewLevel)) => history.accept(),
        _ => history.unmark(),
    }
}
