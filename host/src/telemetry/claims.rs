//! Names that plugins' instruments take. One has more than its own: Prometheus shows a histogram as three series, and OTLP has no
//! `_total`. Two of one name would be read as one.

use papaya::HashMap;

use super::instruments::{DeclareError, InstrumentKind};
use super::names::{PLUGIN_RECORDS_FOLDED, PLUGIN_RECORDS_IGNORED};

/// What plugins' instruments are called by: every one of them has it before its name.
const OF_PLUGINS: &str = "plugway_plugin_";
const TOTAL: &str = "_total";

/// By each name that is taken the instrument it is taken by, as it is exported.
#[derive(Debug, Default)]
pub(super) struct Claims(HashMap<String, String>);

impl Claims {
    /// Takes all of an instrument's names, where nobody else has one of them and it `may` be. Of two that want one name at the same time, one or both
    /// have none.
    pub(super) fn take(&self, kind: InstrumentKind, exported: &str, may: impl FnOnce() -> bool) -> Result<(), DeclareError> {
        let (taken, mut own) = (self.0.pin(), Vec::new());
        let are_free = names(kind, exported).all(|name| match taken.try_insert(name.clone(), exported.to_owned()) {
            Ok(_) => {
                own.push(name);
                true
            }
            Err(known) => known.current == exported,
        });
        let took = match are_free {
            true if may() => Ok(()),
            true => Err(DeclareError::TooMany),
            false => Err(DeclareError::Conflict),
        };
        if took.is_err() {
            for name in &own {
                taken.remove(name);
            }
        }
        took
    }
}

/// The name an instrument is exported by.
pub(super) fn exported(kind: InstrumentKind, name: &str) -> String {
    match kind {
        InstrumentKind::Counter => format!("{OF_PLUGINS}{}{TOTAL}", name.trim_end_matches(TOTAL)),
        InstrumentKind::Histogram | InstrumentKind::Gauge => format!("{OF_PLUGINS}{name}"),
    }
}

/// Whether the gateway itself exports something by one of these names.
pub(super) fn is_the_gateways(kind: InstrumentKind, exported: &str) -> bool {
    let own = [PLUGIN_RECORDS_FOLDED, PLUGIN_RECORDS_IGNORED];
    names(kind, exported).any(|name| own.iter().any(|own| *own == name || own.trim_end_matches(TOTAL) == name))
}

fn names(kind: InstrumentKind, exported: &str) -> impl Iterator<Item = String> + '_ {
    let parts: &[&str] = if kind == InstrumentKind::Histogram { &["_bucket", "_sum", "_count"] } else { &[] };
    let bare = exported.trim_end_matches(TOTAL);
    [bare, exported].into_iter().map(str::to_owned).chain(parts.iter().map(move |part| format!("{exported}{part}")))
}

#[cfg(test)]
mod tests {
    use super::InstrumentKind::{Counter, Gauge, Histogram};
    use super::*;

    #[test]
    fn two_that_would_be_read_as_one_are_not_both_declared() {
        for (one, other) in [
            ((Histogram, "size"), (Gauge, "size_bucket")),
            ((Histogram, "size"), (Gauge, "size_count")),
            ((Histogram, "size"), (Histogram, "size_sum")),
            ((Histogram, "jobs"), (Counter, "jobs_count_total")),
            ((Gauge, "sent"), (Counter, "sent")),
            ((Gauge, "sent_total"), (Gauge, "sent")),
            ((Histogram, "sent_total"), (Gauge, "sent")),
        ] {
            for (first, second) in [(one, other), (other, one)] {
                let claims = Claims::default();
                let take = |(kind, name)| claims.take(kind, &exported(kind, name), || true);
                assert_eq!((take(first), take(first)), (Ok(()), Ok(())), "its own");
                assert_eq!(take(second), Err(DeclareError::Conflict), "{first:?} {second:?}");
            }
        }
        let claims = Claims::default();
        for (kind, name) in [(Counter, "sent"), (Counter, "sent_bytes"), (Histogram, "size"), (Gauge, "size_max"), (Counter, "buckets")] {
            assert_eq!(claims.take(kind, &exported(kind, name), || true), Ok(()), "{name}");
        }
        assert_eq!(claims.take(Histogram, "more", || false), Err(DeclareError::TooMany));
        assert_eq!(claims.take(Gauge, "more_sum", || true), Ok(()), "what may not be has no names");
    }

    #[test]
    fn the_gateways_own_names_are_nobodys() {
        for (kind, name) in
            [(Counter, "records_folded"), (Gauge, "records_ignored_total"), (Gauge, "records_folded"), (Histogram, "records_ignored")]
        {
            assert!(is_the_gateways(kind, &exported(kind, name)), "{name}");
        }
        assert!(!is_the_gateways(Counter, &exported(Counter, "records")));
    }
}
