//! What is counted of plugins: calls, failures and their time by hook, breakers, instances and their memory by version, what
//! capabilities hold for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::{Observer, counter, gauge, seconds};
use crate::telemetry::cell::lock;
use crate::telemetry::held::Held;
use crate::telemetry::plugin::BreakerReading;
use crate::telemetry::{Cells, PluginCells, names};

/// Breakers of every plugin and hook that ever had one open, over all threads.
pub(in crate::telemetry) fn breakers(cells: &Cells) -> BTreeMap<(Arc<str>, &'static str), BreakerReading> {
    let mut sums = BTreeMap::<_, BreakerReading>::new();
    for plugin in lock(&cells.plugins).iter().filter(|plugin| plugin.serves()) {
        for (hook, reading) in plugin.breakers() {
            let sum = sums.entry((Arc::clone(plugin.name()), hook)).or_default();
            sum.open += reading.open;
            sum.opened += reading.opened;
            sum.by_failed_cpu += reading.by_failed_cpu;
        }
    }
    sums
}

/// Calls whose time was taken, and how many nanoseconds that was, by plugin and hook.
fn timed(cells: &Cells) -> BTreeMap<(String, &'static str), (u64, u64)> {
    let mut sums = BTreeMap::<_, (u64, u64)>::new();
    for plugin in lock(&cells.plugins).iter().filter(|plugin| plugin.serves()) {
        for (hook, calls, ns) in plugin.timed() {
            let sum = sums.entry((plugin.name().to_string(), hook)).or_default();
            *sum = (sum.0 + calls, sum.1 + ns);
        }
    }
    sums
}

fn of_hook((plugin, hook): (String, &'static str)) -> [KeyValue; 2] {
    [KeyValue::new("plugin", plugin), KeyValue::new("hook", hook)]
}

fn of_version(plugin: String, version: String) -> [KeyValue; 2] {
    [KeyValue::new("plugin", plugin), KeyValue::new("version", version)]
}

/// Registers them.
pub(super) fn register(meter: &Meter, cells: &Arc<Cells>) {
    counter(meter, cells, names::HOOK_CALLS, "Calls of plugins' hooks.", |cells, observer| {
        let mut sums = BTreeMap::<_, u64>::new();
        for plugin in lock(&cells.plugins).iter().filter(|plugin| plugin.serves()) {
            plugin.calls().for_each(|(hook, count)| *sums.entry((plugin.name().to_string(), hook)).or_default() += count);
        }
        for ((plugin, hook), count) in sums {
            observer.observe(count, &[KeyValue::new("plugin", plugin), KeyValue::new("hook", hook)]);
        }
    });
    counter(meter, cells, names::HOOK_FAILURES, "Calls that failed or were not made, by kind.", |cells, observer| {
        let mut sums = BTreeMap::<_, u64>::new();
        for plugin in lock(&cells.plugins).iter().filter(|plugin| plugin.serves()) {
            plugin.failures().for_each(|(hook, kind, count)| *sums.entry((plugin.name().to_string(), hook, kind)).or_default() += count);
        }
        for ((plugin, hook, kind), count) in sums {
            observer.observe(count, &[KeyValue::new("plugin", plugin), KeyValue::new("hook", hook), KeyValue::new("kind", kind)]);
        }
    });
    let by_hook = |read: fn(BreakerReading) -> u64| {
        move |cells: &Cells, observer: Observer<'_>| {
            for ((plugin, hook), reading) in breakers(cells) {
                observer.observe(read(reading), &[KeyValue::new("plugin", plugin.to_string()), KeyValue::new("hook", hook)]);
            }
        }
    };
    gauge(meter, cells, names::BREAKERS_OPEN, "Breakers open now, over all workers.", by_hook(|reading| reading.open));
    counter(meter, cells, names::BREAKERS_OPENED, "Times a breaker opened, or stayed open after a try.", by_hook(|reading| reading.opened));
    let by_plugin = |read: fn(&PluginCells) -> u64| {
        move |cells: &Cells, observer: Observer<'_>| {
            let mut sums = BTreeMap::<_, u64>::new();
            for plugin in lock(&cells.plugins).iter().filter(|plugin| plugin.serves()) {
                *sums.entry(plugin.name().to_string()).or_default() += read(plugin);
            }
            sums.into_iter().for_each(|(plugin, count)| observer.observe(count, &[KeyValue::new("plugin", plugin)]));
        }
    };
    gauge(meter, cells, names::INSTANCES, "Plugin instances alive, by version.", |cells, observer| {
        let mut sums = BTreeMap::<_, u64>::new();
        for plugin in lock(&cells.plugins).iter().filter(|plugin| !plugin.is_sum()) {
            *sums.entry((plugin.name().to_string(), plugin.short_digest().to_owned())).or_default() += plugin.instances();
        }
        sums.into_iter().for_each(|((plugin, version), count)| observer.observe(count, &of_version(plugin, version)));
    });
    let memory = "Bytes that instances of plugins use, linear memory and tables, by version.";
    gauge(meter, cells, names::INSTANCE_MEMORY, memory, |cells, observer| {
        let observe = |plugin: &str, version: &str, bytes| observer.observe(bytes, &of_version(plugin.to_owned(), version.to_owned()));
        lock(&cells.holders).each(Held::InstanceMemory, observe);
    });
    counter(meter, cells, names::HOOK_TIMED, "Calls of hooks whose time was taken: one of 64.", |cells, observer| {
        timed(cells).into_iter().for_each(|(of, (calls, _))| observer.observe(calls, &of_hook(of)));
    });
    seconds(meter, cells, names::HOOK_TIME, "The time that those calls took together.", |cells, observer| {
        timed(cells).into_iter().for_each(|(of, (_, ns))| observer.observe(ns as f64 / 1e9, &of_hook(of)));
    });
    counter(meter, cells, names::INSTANCES_STARTED, "Plugin instances made.", by_plugin(PluginCells::started));
    counter(
        meter,
        cells,
        names::HOOK_CALLS_OUTLIVED,
        "Calls that waited and went on to their end after their client had left.",
        by_plugin(PluginCells::outlived_calls),
    );
    let help = "CPU time of calls that failed, and of what replaced their instances.";
    seconds(meter, cells, names::FAILED_CPU, help, |cells, observer| {
        let mut sums = BTreeMap::<_, f64>::new();
        for plugin in lock(&cells.plugins).iter().filter(|plugin| plugin.serves()) {
            *sums.entry(plugin.name().to_string()).or_default() += plugin.failed_cpu().as_secs_f64();
        }
        sums.into_iter().for_each(|(plugin, spent)| observer.observe(spent, &[KeyValue::new("plugin", plugin)]));
    });
    counter(meter, cells, names::HTTP_CLIENT_REQUESTS, "Requests of plugins' own, by how they ended.", |cells, observer| {
        for client in lock(&cells.http_clients).iter() {
            let labels = |outcome| [KeyValue::new("plugin", client.plugin().to_string()), KeyValue::new("outcome", outcome)];
            client.counted().for_each(|(outcome, count)| observer.observe(count, &labels(outcome)));
        }
    });
    gauge(meter, cells, names::HTTP_CLIENT_IN_FLIGHT, "Requests of plugins' own on their way now.", |cells, observer| {
        for client in lock(&cells.http_clients).iter() {
            observer.observe(client.flying(), &[KeyValue::new("plugin", client.plugin().to_string())]);
        }
    });
    counter(meter, cells, names::OUTCOMES_LOST, "Outcomes of attempts that a router was not told.", by_plugin(PluginCells::lost));
    counter(meter, cells, names::BUDGET_HITS, "Times a plugin met a budget, by its key in [plugins.NAME.budget].", |cells, observer| {
        let labels = |plugin: &Arc<str>, key| [KeyValue::new("plugin", plugin.to_string()), KeyValue::new("budget", key)];
        for hits in lock(&cells.budgets).iter() {
            hits.counted().for_each(|(key, count)| observer.observe(count, &labels(hits.plugin(), key)));
        }
        for (plugin, _, folded) in cells.instruments.uses().into_iter().filter(|(.., folded)| *folded > 0) {
            observer.observe(folded, &labels(&plugin, "max_series"));
        }
    });
    counter(meter, cells, names::PLUGIN_RECORDS_IGNORED, "Metric records of plugins that were ignored.", |cells, observer| {
        for (plugin, ignored, _) in cells.instruments.uses() {
            observer.observe(ignored, &[KeyValue::new("plugin", plugin.to_string())]);
        }
    });
    counter(meter, cells, names::PLUGIN_RECORDS_FOLDED, "Metric records of plugins past max_series.", |cells, observer| {
        for (plugin, _, folded) in cells.instruments.uses() {
            observer.observe(folded, &[KeyValue::new("plugin", plugin.to_string())]);
        }
    });
    let held = |measure: Held, label: &'static str| {
        move |cells: &Cells, observer: Observer<'_>| {
            lock(&cells.holders).each(measure, |name, _, amount| observer.observe(amount, &[KeyValue::new(label, name.to_owned())]));
        }
    };
    gauge(meter, cells, names::RATE_LIMIT_KEYS, "Buckets of rate limits that are kept.", held(Held::RateLimitKeys, "plugin"));
    counter(
        meter,
        cells,
        names::RATE_LIMIT_SHARED,
        "Takes from a bucket that keys shared for want of room.",
        held(Held::RateLimitShared, "plugin"),
    );
    gauge(meter, cells, names::KV_ENTRIES, "Entries of key-value stores.", held(Held::KvEntries, "plugin"));
    gauge(meter, cells, names::KV_BYTES, "Bytes that entries of key-value stores take.", held(Held::KvBytes, "plugin"));
    counter(meter, cells, names::KV_EVICTED, "Entries that had to go for others.", held(Held::KvEvicted, "plugin"));
    gauge(meter, cells, names::SIGNATURES, "Good signatures that the capability crypto remembers.", held(Held::Signatures, "plugin"));
    gauge(meter, cells, names::SIGNATURE_BYTES, "Bytes that remembered signatures take.", held(Held::SignatureBytes, "plugin"));
    counter(
        meter,
        cells,
        names::SIGNATURES_EVICTED,
        "Remembered signatures that had to go for others.",
        held(Held::SignaturesEvicted, "plugin"),
    );
    counter(
        meter,
        cells,
        names::SIGNATURES_FOUND,
        "Checks of signatures that were answered from what is remembered.",
        held(Held::SignaturesFound, "plugin"),
    );
}
