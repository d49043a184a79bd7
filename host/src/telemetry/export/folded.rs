//! How many series of each instrument the SDK does not show, because there are more than it keeps: it says that there are some, and not how
//! many.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use super::{MAX_SERIES, grows};
use crate::telemetry::{Instruments, names};

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
struct Counting<'a, T> {
    observer: &'a dyn AsyncInstrument<T>,
    series: AtomicUsize,
}

impl Folded {
    pub(super) fn instrument(&mut self, name: &str) -> Limited {
        let folded = Arc::<AtomicUsize>::default();
        self.0.push(Arc::clone(&folded));
        Limited { most: if grows(name) { MAX_SERIES } else { DEFAULT_SERIES }, folded }
    }

    /// Last of all: what others came to is known by then. Of plugins' instruments, which come later, it is asked.
    pub(super) fn register(self, meter: &Meter, instruments: &Arc<Instruments>) {
        let instruments = Arc::clone(instruments);
        let own = move || self.0.iter().map(|folded| folded.load(Ordering::Relaxed)).sum::<usize>();
        meter
            .u64_observable_gauge(names::SERIES_FOLDED)
            .with_description(
                "Series that are not shown, because their metric has too many: one with `otel_metric_overflow` stands for them.",
            )
            .with_callback(move |observer| observer.observe((own() + instruments.past(MAX_SERIES)) as u64, &[]))
            .build();
    }
}

impl Limited {
    pub(super) fn read<T: 'static>(&self, observer: &dyn AsyncInstrument<T>, read: impl FnOnce(&dyn AsyncInstrument<T>)) {
        let counting = Counting { observer, series: AtomicUsize::new(0) };
        read(&counting);
        self.folded.store(counting.series.into_inner().saturating_sub(self.most), Ordering::Relaxed);
    }
}

impl<T: 'static> AsyncInstrument<T> for Counting<'_, T> {
    fn observe(&self, measurement: T, attributes: &[KeyValue]) {
        self.series.fetch_add(1, Ordering::Relaxed);
        self.observer.observe(measurement, attributes);
    }
}
