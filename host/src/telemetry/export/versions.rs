//! What is counted of plugins by version. A version is shown for as long as it serves or is tried, so there are few at a time however many there
//! ever were: two while a canary runs, or while requests end on what served before. What earlier ones did is in their plugins' sums alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::{Observer, counter, seconds};
use crate::telemetry::cell::lock;
use crate::telemetry::{Cells, PluginCells, names};

/// One hook of one version.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Of {
    plugin: String,
    /// The beginning of its digest.
    version: String,
    hook: &'static str,
}

impl Of {
    fn labels(self) -> [KeyValue; 3] {
        [("plugin", self.plugin), ("version", self.version), ("hook", self.hook.to_owned())].map(|(name, value)| KeyValue::new(name, value))
    }
}

/// Cells of every version, with what makes a series of theirs.
fn each(cells: &Cells, mut each: impl FnMut(&PluginCells, &dyn Fn(&'static str) -> Of)) {
    for plugin in lock(&cells.plugins).iter().filter(|plugin| !plugin.is_sum()) {
        each(plugin, &|hook| Of { plugin: plugin.name().to_string(), version: plugin.short_digest().to_owned(), hook });
    }
}

/// Calls whose time was taken, and how many nanoseconds that was.
fn timed(cells: &Cells) -> BTreeMap<Of, (u64, u64)> {
    let mut sums = BTreeMap::<_, (u64, u64)>::new();
    each(cells, |plugin, of| {
        for (hook, calls, ns) in plugin.timed() {
            let sum = sums.entry(of(hook)).or_default();
            *sum = (sum.0 + calls, sum.1 + ns);
        }
    });
    sums
}

/// Registers them.
pub(super) fn register(meter: &Meter, cells: &Arc<Cells>) {
    counter(meter, cells, names::VERSION_CALLS, "Calls of hooks, by version.", |cells, observer: Observer<'_>| {
        let mut sums = BTreeMap::<_, u64>::new();
        each(cells, |plugin, of| plugin.calls().for_each(|(hook, count)| *sums.entry(of(hook)).or_default() += count));
        sums.into_iter().for_each(|(of, count)| observer.observe(count, &of.labels()));
    });
    counter(meter, cells, names::VERSION_FAILURES, "Calls that failed or were not made, by version and kind.", |cells, observer| {
        let mut sums = BTreeMap::<_, u64>::new();
        each(cells, |plugin, of| {
            plugin.failures().for_each(|(hook, kind, count)| *sums.entry((of(hook), kind)).or_default() += count);
        });
        for ((of, kind), count) in sums {
            let [plugin, version, hook] = of.labels();
            observer.observe(count, &[plugin, version, hook, KeyValue::new("kind", kind)]);
        }
    });
    counter(meter, cells, names::VERSION_TIMED, "Calls of hooks whose time was taken, by version.", |cells, observer| {
        timed(cells).into_iter().for_each(|(of, (calls, _))| observer.observe(calls, &of.labels()));
    });
    seconds(meter, cells, names::VERSION_TIME, "The time that those calls took together.", |cells, observer| {
        timed(cells).into_iter().for_each(|(of, (_, ns))| observer.observe(ns as f64 / 1e9, &of.labels()));
    });
}
