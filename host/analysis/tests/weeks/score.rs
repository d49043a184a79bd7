//! What was found of what was put in.

use std::fmt;

use plugway_analysis::{Cause, Incident, Kind, Minute, Subject};

use crate::seeded::Fault;

/// Minutes after its end in which something may still be said of a fault: windows look back an hour, the budget's six.
const AFTER: u64 = 6 * 60;
/// Where something began is an estimate.
const BEFORE: u64 = 10;

#[derive(Debug, Default, Clone)]
pub(crate) struct Score {
    pub(crate) kinds: [OfKind; Kind::ALL.len()],
    pub(crate) weeks: u64,
    pub(crate) quiet_weeks: u64,
    /// Incidents in quiet weeks: all of them are false.
    pub(crate) in_quiet_weeks: u64,
    pub(crate) causes: Causes,
    /// False ones and missed ones, for whoever tunes.
    pub(crate) remarks: Vec<String>,
}

/// Likely causes of incidents about routes and plugins, held against what was put in.
#[derive(Debug, Default, Clone)]
pub(crate) struct Causes {
    /// Incidents that a plugin's version or an endpoint made.
    made: u64,
    /// Of these, those that name it.
    named: u64,
    /// And those that name another plugin, endpoint or consumer.
    mistaken: u64,
    /// Incidents that none of them made.
    unmade: u64,
    /// Of these, those that name one all the same.
    invented: u64,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct OfKind {
    seeded: u64,
    found: u64,
    incidents: u64,
    right: u64,
    delays: Vec<u64>,
}

impl Score {
    /// Judges the incidents of a world.
    pub(crate) fn judge(&mut self, seed: u64, faults: &[Fault], incidents: &[Incident], quiet: impl Fn(Minute) -> bool) {
        for fault in faults {
            let of_kind = &mut self.kinds[fault.kind as usize];
            of_kind.seeded += 1;
            let found = incidents.iter().filter(|incident| incident.kind == fault.kind && incident.subject == fault.subject);
            match found.filter(|incident| explains(fault, incident)).map(|incident| incident.found).min() {
                Some(found) => {
                    of_kind.found += 1;
                    of_kind.delays.push(found.0.saturating_sub(fault.start.0));
                }
                None => {
                    self.remarks.push(format!("seed {seed}: missed {:?} {} {:?} {:?}", fault.kind, fault.subject, fault.harm, fault.start))
                }
            }
        }
        for incident in incidents {
            let of_kind = &mut self.kinds[incident.kind as usize];
            of_kind.incidents += 1;
            let explaining = faults.iter().find(|fault| {
                let named = (fault.kind, &fault.subject) == (incident.kind, &incident.subject)
                    || fault.consequences.iter().any(|(kind, subject)| (*kind, subject) == (incident.kind, &incident.subject));
                named && explains(fault, incident)
            });
            let right = explaining.is_some();
            of_kind.right += u64::from(right);
            if let Some(fault) = explaining
                && !self.causes.judge(fault, incident)
            {
                let (what, cause) = (&incident.subject, &incident.cause);
                self.remarks.push(format!("seed {seed}: cause of {:?} {what}: {cause:?}, for {:?}", incident.kind, fault.harm));
            }
            let in_quiet = quiet(incident.found);
            self.in_quiet_weeks += u64::from(in_quiet);
            if !right {
                let evidence: Vec<_> = incident.evidence.iter().map(ToString::to_string).collect();
                let when = if in_quiet { "quiet" } else { "other" };
                self.remarks.push(format!(
                    "seed {seed}: false ({when}) {:?} {} at {:?}, {:?}: {}",
                    incident.kind,
                    incident.subject,
                    incident.start,
                    incident.cause,
                    evidence.join(", ")
                ));
            }
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (mine, theirs) in self.kinds.iter_mut().zip(other.kinds) {
            mine.seeded += theirs.seeded;
            mine.found += theirs.found;
            mine.incidents += theirs.incidents;
            mine.right += theirs.right;
            mine.delays.extend(theirs.delays);
        }
        self.weeks += other.weeks;
        self.quiet_weeks += other.quiet_weeks;
        self.in_quiet_weeks += other.in_quiet_weeks;
        self.causes.add(&other.causes);
        self.remarks.extend(other.remarks);
    }

    pub(crate) fn recall(&self, kind: Kind) -> f64 {
        let OfKind { seeded, found, .. } = self.kinds[kind as usize];
        found as f64 / seeded.max(1) as f64
    }

    pub(crate) fn precision(&self, kind: Kind) -> f64 {
        let OfKind { incidents, right, .. } = self.kinds[kind as usize];
        if incidents == 0 { 1.0 } else { right as f64 / incidents as f64 }
    }
}

impl Causes {
    /// Counts the cause of an incident that a fault explains. Whether it is the right one, or rightly none.
    fn judge(&mut self, fault: &Fault, incident: &Incident) -> bool {
        // What others are about is their cause.
        if !matches!(incident.subject, Subject::Route(_) | Subject::Plugin(_)) {
            return true;
        }
        let named = match (&incident.cause, &fault.subject) {
            (Some(Cause::PluginVersion { plugin, .. }), Subject::Plugin(own)) => Some(plugin == own),
            (Some(Cause::Endpoint { upstream, endpoint }), Subject::Endpoint { upstream: of, endpoint: own }) => {
                Some((upstream, endpoint) == (of, own))
            }
            (Some(Cause::PluginVersion { .. } | Cause::Endpoint { .. } | Cause::Consumer(_)), _) => Some(false),
            // Whose fault errors are is no cause in the world.
            (Some(Cause::Blame(_)) | None, _) => None,
        };
        match fault.kind {
            Kind::PluginVersion | Kind::Endpoint => {
                self.made += 1;
                self.named += u64::from(named == Some(true));
                self.mistaken += u64::from(named == Some(false));
                named == Some(true)
            }
            _ => {
                self.unmade += 1;
                self.invented += u64::from(named.is_some());
                named.is_none()
            }
        }
    }

    fn add(&mut self, other: &Self) {
        self.made += other.made;
        self.named += other.named;
        self.mistaken += other.mistaken;
        self.unmade += other.unmade;
        self.invented += other.invented;
    }

    /// Shares of incidents: whose cause is named where there is one, is another one, and is named where there is none.
    pub(crate) fn shares(&self) -> [f64; 3] {
        [(self.named, self.made), (self.mistaken, self.made), (self.invented, self.unmade)]
            .map(|(part, all)| part as f64 / all.max(1) as f64)
    }
}

impl fmt::Display for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { made, named, mistaken, unmade, invented } = self;
        write!(
            f,
            "of {made} incidents that a version or an endpoint made {named} name it and {mistaken} another; of {unmade} others {invented} name one"
        )
    }
}

fn explains(fault: &Fault, incident: &Incident) -> bool {
    incident.found.0 >= fault.start.0
        && incident.start.0 <= fault.end.0 + AFTER
        && incident.found.0 + BEFORE >= fault.start.0
        && incident.start.0 + if incident.kind == Kind::SloBurn { AFTER } else { BEFORE } >= fault.start.0
        && incident.found.0 <= fault.end.0 + AFTER
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| kind | seeded | found | recall | incidents | right | precision | minutes to find, median |")?;
        writeln!(f, "|---|---|---|---|---|---|---|---|")?;
        for kind in Kind::ALL {
            let OfKind { seeded, found, incidents, right, delays } = &self.kinds[kind as usize];
            let mut delays = delays.clone();
            delays.sort_unstable();
            let median = delays.get(delays.len() / 2).copied().unwrap_or_default();
            let (recall, precision) = (self.recall(kind), self.precision(kind));
            writeln!(f, "| {} | {seeded} | {found} | {recall:.3} | {incidents} | {right} | {precision:.3} | {median} |", kind.as_str())?;
        }
        writeln!(f, "{} weeks, {} of them quiet with {} incidents", self.weeks, self.quiet_weeks, self.in_quiet_weeks)?;
        write!(f, "{}", self.causes)
    }
}
