//! From cells to `/metrics`: counters and gauges that are observable instruments of the OpenTelemetry SDK, read when Prometheus
//! asks. What has no observable form there, or more series than it should keep, is in `families`.

mod folded;
mod plugins;
mod versions;

use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter, MeterProvider};
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use prometheus::Registry;

use super::Cells;
use super::cell::{Count, lock};
use super::families::{Families, Labels};
use super::names;
use super::worker::WorkerCells;

pub(super) use folded::Folded;
pub(super) use plugins::breakers;

/// Series the SDK keeps of an instrument that grows with the configuration, before it folds the rest. It takes the memory for
/// all of them at once, so the others have its default.
const MAX_SERIES: usize = 10_000;
/// Instruments with a series for every route, upstream, label set of a plugin, or hook of a version.
const GROWING: [&str; 5] = ["plugway_requests_in_flight", "plugway_upstream_", "plugway_plugin_", "plugway_version_", "plugway_slo_"];

fn grows(name: &str) -> bool {
    GROWING.iter().any(|growing| name.starts_with(growing))
}

/// Registers everything.
pub(super) fn register(registry: &Registry, cells: &Arc<Cells>) -> Result<SdkMeterProvider, String> {
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .without_target_info()
        .scope_info_enabled(false)
        .build()
        .map_err(|error| error.to_string())?;
    let provider = SdkMeterProvider::builder()
        .with_reader(exporter)
        .with_view(|instrument: &Instrument| {
            grows(instrument.name()).then(|| Stream::builder().with_cardinality_limit(MAX_SERIES).build().ok()).flatten()
        })
        .build();
    let meter = provider.meter("plugway");
    requests(&meter, cells);
    super::slo::register(&meter, cells);
    connections(&meter, cells);
    upstreams(&meter, cells);
    plugins::register(&meter, cells);
    versions::register(&meter, cells);
    canaries(&meter, cells);
    reloads(&meter, cells);
    super::stored::register(&meter, cells);
    super::incidents::register(&meter, cells);
    super::process::register(&meter, cells);
    std::mem::take(&mut *lock(&cells.folded)).register(&meter, &cells.instruments);
    cells.instruments.connect(meter);
    let families = Families::new(Arc::clone(cells)).map_err(|error| error.to_string())?;
    registry.register(Box::new(families)).map_err(|error| error.to_string())?;
    Ok(provider)
}

pub(super) type Observer<'a> = &'a dyn AsyncInstrument<u64>;

/// Instruments that are read from the cells. What the SDK would fold of one is counted.
macro_rules! instruments {
    ($($(#[$doc:meta])* $name:ident: $number:ty, $builder:ident;)*) => {
        $(
            $(#[$doc])*
            pub(super) fn $name(
                meter: &Meter,
                cells: &Arc<Cells>,
                name: &'static str,
                help: &'static str,
                read: impl Fn(&Cells, &dyn AsyncInstrument<$number>) + Send + Sync + 'static,
            ) {
                let cells = Arc::clone(cells);
                // The exporter adds it to counters.
                let name = name.trim_end_matches("_total");
                let limited = lock(&cells.folded).instrument(name);
                let callback = move |observer: &dyn AsyncInstrument<$number>| limited.read(observer, |counting| read(&cells, counting));
                meter.$builder(name).with_description(help).with_callback(callback).build();
            }
        )*
    };
}

instruments! {
    /// What only grows.
    counter: u64, u64_observable_counter;
    /// What comes and goes.
    gauge: u64, u64_observable_gauge;
    /// A counter of seconds, and parts of them.
    seconds: f64, f64_observable_counter;
    /// A gauge of what is no whole number.
    fraction: f64, f64_observable_gauge;
}

pub(super) fn each_worker(cells: &Cells, mut each: impl FnMut(&WorkerCells, KeyValue)) {
    for worker in lock(&cells.workers).iter() {
        each(worker, KeyValue::new("worker", worker.index.to_string()));
    }
}

fn requests(meter: &Meter, cells: &Arc<Cells>) {
    gauge(meter, cells, names::REQUESTS_IN_FLIGHT, "Requests being answered, by route.", |cells, observer| {
        let mut sums = BTreeMap::<_, u64>::new();
        each_worker(cells, |worker, _| worker.each_route(|route| *sums.entry(Labels::of(route)).or_default() += route.in_flight()));
        for (Labels { route, api, version }, count) in sums {
            let labels = [("route", route), ("api", api), ("version", version)].map(|(name, value)| KeyValue::new(name, value));
            observer.observe(count, &labels);
        }
    });
    counter(meter, cells, names::WORKER_REQUESTS, "Requests answered, by worker.", |cells, observer| {
        each_worker(cells, |worker, label| {
            observer.observe(worker.answered(), &[label]);
        });
    });
    counter(meter, cells, names::FAULTS, "Requests that met a fault, by its code and whose it was.", |cells, observer| {
        let mut sums = BTreeMap::<_, u64>::new();
        each_worker(cells, |worker, _| {
            worker.faults().for_each(|(fault, count)| *sums.entry((fault.code(), fault.blame().as_str())).or_default() += count)
        });
        for ((code, blame), count) in sums {
            observer.observe(count, &[KeyValue::new("fault", code), KeyValue::new("blame", blame)]);
        }
    });
    counter(
        meter,
        cells,
        names::ACCESS_LINES_LOST,
        "Lines of the access log that were dropped: nobody took them in time, or they could not be written.",
        |cells, observer| {
            let mut sum = cells.access_lines_lost.get();
            each_worker(cells, |worker, _| sum += worker.access_lines_lost.get());
            observer.observe(sum, &[]);
        },
    );
    counter(
        meter,
        cells,
        names::LOG_LINES_LOST,
        "Lines of the log that were dropped: standard error took them too slowly, or not at all.",
        |_, observer| observer.observe(super::logs::lost(), &[]),
    );
    counter(meter, cells, names::SPANS_SENT, "Spans that the OTLP receiver took.", |cells, observer| {
        observer.observe(cells.spans_sent.get(), &[])
    });
    counter(
        meter,
        cells,
        names::SPANS_LOST,
        "Spans of sampled requests that were dropped: too many waited, or the OTLP receiver did not take them.",
        |cells, observer| {
            let mut sum = cells.spans_lost.get();
            each_worker(cells, |worker, _| sum += worker.spans_lost.get());
            observer.observe(sum, &[]);
        },
    );
    counter(
        meter,
        cells,
        names::OTLP_FAILURES,
        "Times something could not be sent by OTLP; it may have been sent again.",
        |cells, observer| {
            observer.observe(cells.otlp_failed.get(), &[]);
        },
    );
    counter(meter, cells, names::RECORDS_LOST, "Exchange records no observer got.", |cells, observer| {
        let mut sum = cells.lost_on_control.get();
        each_worker(cells, |worker, _| sum += worker.records_lost.get());
        observer.observe(sum, &[]);
    });
}

fn connections(meter: &Meter, cells: &Arc<Cells>) {
    type Field = fn(&super::ListenerCells) -> &Count;
    let by_listener = |field: Field| {
        move |cells: &Cells, observer: Observer<'_>| {
            each_worker(cells, |worker, label| {
                worker.each_listener(|listener| {
                    observer.observe(field(listener).get(), &[KeyValue::new("listener", listener.name.to_string()), label.clone()]);
                });
            });
        }
    };
    counter(meter, cells, names::CONNECTIONS, "Client connections accepted.", by_listener(|listener| &listener.connections));
    gauge(meter, cells, names::CONNECTIONS_OPEN, "Client connections open now.", by_listener(|listener| &listener.open));
    counter(meter, cells, names::TLS_HANDSHAKES, "TLS handshakes done.", by_listener(|listener| &listener.handshakes));
    counter(meter, cells, names::TLS_HANDSHAKES_FAILED, "TLS handshakes that failed.", by_listener(|listener| &listener.failed_handshakes));
    counter(
        meter,
        cells,
        names::ACCEPT_PAUSES,
        "Times accepting waited: the gateway was full or out of file descriptors.",
        |cells, observer| {
            each_worker(cells, |worker, label| observer.observe(worker.accept_pauses.get(), &[label]));
        },
    );
}

fn upstreams(meter: &Meter, cells: &Arc<Cells>) {
    counter(
        meter,
        cells,
        names::UPSTREAM_ATTEMPTS,
        "Attempts towards upstreams; `fault` is empty where one was answered.",
        |cells, observer| {
            let mut sums = BTreeMap::<_, u64>::new();
            each_worker(cells, |worker, _| {
                worker.each_upstream(|upstream| {
                    *sums.entry((upstream.upstream.to_string(), "")).or_default() += upstream.answered.get();
                    upstream
                        .failed()
                        .for_each(|(fault, count)| *sums.entry((upstream.upstream.to_string(), fault.code())).or_default() += count);
                });
            });
            for ((upstream, fault), count) in sums {
                observer.observe(count, &[KeyValue::new("upstream", upstream), KeyValue::new("fault", fault)]);
            }
        },
    );
    counter(meter, cells, names::STALE_ENDPOINTS, "Times a router named an endpoint that is no member.", |cells, observer| {
        each_worker(cells, |worker, label| observer.observe(worker.stale_endpoints.get(), &[label]));
    });
}

fn reloads(meter: &Meter, cells: &Arc<Cells>) {
    counter(meter, cells, names::RELOADS, "Reloads, by how they ended.", |cells, observer| {
        cells.reloads.results().into_iter().for_each(|(result, count)| observer.observe(count, &[KeyValue::new("result", result)]));
    });
    let live = "Generations alive: the one that serves, and those with requests in flight.";
    gauge(meter, cells, names::GENERATIONS_LIVE, live, |cells, observer| observer.observe(cells.reloads.generations(), &[]));
    gauge(meter, cells, names::REJECTED_FILE, "1 for each file that is not taken as it is now.", |cells, observer| {
        for (file, digest, why) in cells.reloads.files() {
            observer.observe(1, &[KeyValue::new("file", file), KeyValue::new("digest", digest), KeyValue::new("why", why)]);
        }
    });
}

fn canaries(meter: &Meter, cells: &Arc<Cells>) {
    let share = "Of the clients, 0 to 1, that meet a canary; 0 in shadow.";
    fraction(meter, cells, names::CANARY_SHARE, share, |cells, observer| {
        for running in cells.canaries.running() {
            observer.observe(running.share, &[KeyValue::new("plugin", running.plugin), KeyValue::new("version", running.version)]);
        }
    });
    counter(meter, cells, names::CANARIES_ENDED, "Canaries that ended, by how.", |cells, observer| {
        for (plugin, end, count) in cells.canaries.ends() {
            observer.observe(count, &[KeyValue::new("plugin", plugin), KeyValue::new("end", end.as_str())]);
        }
    });
    type Labelled = BTreeMap<(String, String, &'static str, &'static str), u64>;
    counter(
        meter,
        cells,
        names::SHADOW_COMPARISONS,
        "Calls of a canary beside the serving version's, by what came of it.",
        |cells, observer| {
            let mut sums = Labelled::new();
            for plugin in lock(&cells.plugins).iter().filter(|plugin| Arc::strong_count(plugin) > 1) {
                let Some(version) = plugin.version() else { continue };
                for (hook, result, count) in plugin.comparisons() {
                    *sums.entry((plugin.name().to_string(), version.digest.to_string(), hook, result)).or_default() += count;
                }
            }
            for ((plugin, version, hook, result), count) in sums {
                let (plugin, version) = (KeyValue::new("plugin", plugin), KeyValue::new("version", version));
                observer.observe(count, &[plugin, version, KeyValue::new("hook", hook), KeyValue::new("result", result)]);
            }
        },
    );
}
