//! Opens, updates and closes incidents. A verdict must be confirmed before one opens and has to stay away before it closes, so that
//! what wavers around a threshold is one incident.

use std::collections::HashMap;

use crate::incident::{Cause, Change, Ended, Evidence, Incident, Kind, Severity, Subject};
use crate::minute::Minute;

/// Minutes without a sign of it before an incident ends.
const QUIET: u64 = 15;
/// Minutes without any word of its subject before it ends.
const SILENT: u64 = 60;
/// How long something may be unusual before it is what is usual.
const DAY: u64 = 24 * 60;

/// What a detector says of a subject at a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Enough to open one.
    Raised,
    /// Enough to keep one open.
    Held,
    /// Nothing.
    Calm,
    /// Too little to tell.
    Unknown,
}

/// What an incident is opened or updated with.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub(crate) start: Minute,
    pub(crate) severity: Severity,
    /// How bad: a greater one updates the evidence.
    pub(crate) weight: f64,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) cause: Option<Cause>,
}

/// Open incidents.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    open: HashMap<(Kind, Subject), Open>,
    next: u64,
}

#[derive(Debug)]
struct Open {
    incident: Incident,
    weight: f64,
    last_sign: Minute,
    last_word: Minute,
}

impl Ledger {
    /// Whether one of that kind is open.
    pub(crate) fn is_open(&self, kind: Kind, subject: &Subject) -> bool {
        // The map's key is owned; what is asked here happens once a minute and subject.
        self.open.contains_key(&(kind, subject.clone()))
    }

    /// Every open one.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Incident> + '_ {
        self.open.values().map(|open| &open.incident)
    }

    /// Opens one, or makes an open one worse.
    pub(crate) fn raise(&mut self, at: Minute, kind: Kind, subject: &Subject, finding: Finding) -> Option<Change> {
        let Finding { start, severity, weight, evidence, cause } = finding;
        if let Some(open) = self.open.get_mut(&(kind, subject.clone())) {
            open.last_sign = at;
            open.last_word = at;
            let worse = weight > open.weight * 1.2 || severity > open.incident.severity;
            if worse {
                open.weight = open.weight.max(weight);
                open.incident.severity = open.incident.severity.max(severity);
                open.incident.evidence = evidence;
                open.incident.measured = at;
                open.incident.cause = cause.or_else(|| open.incident.cause.take());
            }
            return worse.then(|| Change::Updated(open.incident.clone()));
        }
        let (number, found, measured) = (self.next, at, at);
        let incident = Incident { number, kind, subject: subject.clone(), severity, start, found, end: None, evidence, measured, cause };
        self.next += 1;
        let open = Open { incident: incident.clone(), weight, last_sign: at, last_word: at };
        self.open.insert((kind, subject.clone()), open);
        Some(Change::Opened(incident))
    }

    /// Takes in what is no reason to open one; closes one that has ended.
    pub(crate) fn settle(&mut self, at: Minute, kind: Kind, subject: &Subject, verdict: Verdict) -> Option<Change> {
        let key = (kind, subject.clone());
        let open = self.open.get_mut(&key)?;
        match verdict {
            Verdict::Raised | Verdict::Held => (open.last_sign, open.last_word) = (at, at),
            Verdict::Calm => open.last_word = at,
            Verdict::Unknown => {}
        }
        let ended = if at.0 >= open.last_word.0 + SILENT {
            (open.last_word, Ended::Silent)
        } else if verdict == Verdict::Calm && at.0 >= open.last_sign.0 + QUIET {
            (open.last_sign, Ended::Recovered)
        } else if !matches!(kind, Kind::Certificate | Kind::SloBurn) && at.0 >= open.incident.start.0 + DAY {
            // A certificate does not become any better by waiting, nor does a budget.
            (at, Ended::NewLevel)
        } else {
            return None;
        };
        self.close(&key, ended)
    }

    /// Ends one at once.
    pub(crate) fn close(&mut self, key: &(Kind, Subject), ended: (Minute, Ended)) -> Option<Change> {
        let mut incident = self.open.remove(key)?.incident;
        incident.end = Some(ended);
        Some(Change::Closed(incident))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(weight: f64) -> Finding {
        Finding { start: Minute(8), severity: Severity::Ticket, weight, evidence: Vec::new(), cause: None }
    }

    #[test]
    fn one_opens_gets_worse_and_ends_where_its_last_sign_was() {
        let (mut ledger, subject) = (Ledger::default(), Subject::Route("a".into()));
        let mut raise = |at, weight| ledger.raise(Minute(at), Kind::Latency, &subject, finding(weight));
        assert!(matches!(raise(10, 2.0), Some(Change::Opened(incident)) if incident.start == Minute(8) && incident.found == Minute(10)));
        assert_eq!(raise(11, 2.1), None, "hardly worse");
        assert!(
            matches!(raise(12, 4.0), Some(Change::Updated(incident)) if (incident.found, incident.measured) == (Minute(10), Minute(12)))
        );
        let mut settle = |at, verdict| ledger.settle(Minute(at), Kind::Latency, &subject, verdict);
        assert_eq!(settle(13, Verdict::Held), None);
        assert_eq!(settle(27, Verdict::Calm), None);
        assert!(
            matches!(settle(28, Verdict::Calm), Some(Change::Closed(incident)) if incident.end == Some((Minute(13), Ended::Recovered)))
        );
        assert_eq!(settle(29, Verdict::Calm), None);
    }

    #[test]
    fn silence_ends_one_and_a_day_makes_it_usual() {
        let (mut ledger, subject) = (Ledger::default(), Subject::Route("a".into()));
        let ended = |change: Option<Change>| change.map(|change| matches!(change, Change::Closed(incident) if incident.end.is_some()));
        ledger.raise(Minute(10), Kind::Latency, &subject, finding(1.0));
        assert_eq!(ended(ledger.settle(Minute(69), Kind::Latency, &subject, Verdict::Unknown)), None);
        assert_eq!(ended(ledger.settle(Minute(70), Kind::Latency, &subject, Verdict::Unknown)), Some(true));
        for kind in [Kind::Latency, Kind::Certificate] {
            ledger.raise(Minute(10), kind, &subject, finding(1.0));
            assert_eq!(ended(ledger.settle(Minute(8 + DAY), kind, &subject, Verdict::Held)), (kind == Kind::Latency).then_some(true));
        }
    }
}
