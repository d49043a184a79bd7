//! How many series the SDK folds into one of each instrument, because there are more than it keeps: it says that it does, and not how many.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use super::{MAX_SERIES, grows};
use crate::telemetry::names;

/// What the SDK keeps of an instrument that no view is for (metrics SDK, "Cardinality limits").
const DEFAULT_SERIES: usize = 2_000;

/// Series past the limit, of every instrument.
#[derive(Debug, Default)]
pub(in crate::telemetry) struct Folded(Vec<Arc<AtomicUsize>>);

/// Counts what is observed of one instrument.
pub(super) struct Limited {
    most: usize,
    folded: Arc<AtomicUsize>,
}

/// One reading of it.
struct Counting<'a> {
    observer: &'a dyn AsyncInstrument<u64>,
    series: AtomicUsize,
}

impl Folded {
    pub(super) fn instrument(&mut self, name: &str) -> Limited {
        let folded = Arc::<AtomicUsize>::default();
        self.0.push(Arc::clone(&folded));
        Limited { most: if grows(name) { MAX_SERIES } else { DEFAULT_SERIES }, folded }
    }

    /// Last of all: what others came to is known by then.
    pub(super) fn register(self, meter: &Meter) {
        let sum = move || self.0.iter().map(|folded| folded.load(Ordering::Relaxed) as u64).sum();
        meter
            .u64_observable_gauge(names::SERIES_FOLDED)
            .with_description("Series that are added up in one of each metric, with `otel_metric_overflow`, because there are too many.")
            .with_callback(move |observer| observer.observe(sum(), &[]))
            .build();
    }
}

impl Limited {
    pub(super) fn read(&self, observer: &dyn AsyncInstrument<u64>, read: impl FnOnce(&dyn AsyncInstrument<u64>)) {
        let counting = Counting { observer, series: AtomicUsize::new(0) };
        read(&counting);
        self.folded.store(counting.series.into_inner().saturating_sub(self.most), Ordering::Relaxed);
    }
}

impl AsyncInstrument<u64> for Counting<'_> {
    fn observe(&self, measurement: u64, attributes: &[KeyValue]) {
        self.series.fetch_add(1, Ordering::Relaxed);
        self.observer.observe(measurement, attributes);
    }
}
