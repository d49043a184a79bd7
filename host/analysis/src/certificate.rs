//! A certificate that is about to end.

use crate::incident::{Evidence, Severity, Unit};
use crate::ledger::Finding;
use crate::minute::{Certificate, Minute};

/// Minutes of a day.
const DAY: u64 = 24 * 60;
/// A fifth of its life is left, and at most so many days: one of a year is renewed by hand, one of a day by a machine.
const DAYS: u64 = 21;
/// A twentieth of its life is left, and at most so many days.
const DAYS_TO_PAGE: u64 = 3;

/// What there is to say about a certificate.
pub(crate) fn look(at: Minute, certificate: &Certificate) -> Option<Finding> {
    let life = certificate.not_after.0.saturating_sub(certificate.not_before.0);
    let left = certificate.not_after.0.saturating_sub(at.0);
    let soon = (DAYS * DAY).min(life / 5);
    let at_once = (DAYS_TO_PAGE * DAY).min(life / 20);
    let severity = if left <= at_once { Severity::Page } else { Severity::Ticket };
    (left <= soon).then(|| Finding {
        start: certificate.not_after.before(soon).max(certificate.not_before),
        severity,
        weight: 1.0,
        evidence: vec![
            Evidence::new("left", (left * 60) as f64, Unit::Seconds),
            Evidence::new("of a life of", (life * 60) as f64, Unit::Seconds),
        ],
        cause: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_soon_depends_on_its_life() {
        let left = |life: u64, left: u64| {
            let certificate = Certificate { name: "web".into(), not_before: Minute(1_000), not_after: Minute(1_000 + life) };
            look(Minute(1_000 + life - left), &certificate).map(|finding| finding.severity)
        };
        assert_eq!(left(365 * DAY, 22 * DAY), None);
        assert_eq!(left(365 * DAY, 21 * DAY), Some(Severity::Ticket));
        assert_eq!(left(365 * DAY, 3 * DAY), Some(Severity::Page));
        assert_eq!(left(90 * DAY, 19 * DAY), None);
        assert_eq!(left(90 * DAY, 18 * DAY), Some(Severity::Ticket));
        assert_eq!(left(DAY, DAY / 4), None);
        assert_eq!(left(DAY, DAY / 20), Some(Severity::Page));
        let ended = Certificate { name: "web".into(), not_before: Minute(0), not_after: Minute(DAY) };
        assert_eq!(look(Minute(9 * DAY), &ended).map(|finding| finding.severity), Some(Severity::Page));
    }
}
