//! From cells to `/metrics`. Counters and gauges are observable instruments of the OpenTelemetry SDK, read when Prometheus
//! asks; histograms, which have no observable form there, come from a collector beside it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter, MeterProvider};
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use prometheus::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::Cells;
use super::cell::{Count, lock};
use super::histogram::Reading;
use super::instruments::InstrumentKind;
use super::worker::WorkerCells;

/// Series the SDK keeps of one instrument before it folds the rest: routes times methods times status codes.
const MAX_SERIES: usize = 100_000;
const DURATION: &str = "plugway_request_duration_seconds";
const DURATION_HELP: &str = "From the request's head to the last byte of its response, seconds.";
const LAG: &str = "plugway_worker_event_loop_lag_seconds";
const LAG_HELP: &str = "How late a worker ran what was due, seconds.";

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
        .with_view(|_: &Instrument| Stream::builder().with_cardinality_limit(MAX_SERIES).build().ok())
        .build();
    let meter = provider.meter("plugway");
    requests(&meter, cells);
    connections(&meter, cells);
    upstreams(&meter, cells);
    plugins(&meter, cells);
    cells.instruments.connect(meter);
    let histograms = Histograms::new(Arc::clone(cells)).map_err(|error| error.to_string())?;
    registry.register(Box::new(histograms)).map_err(|error| error.to_string())?;
    Ok(provider)
}

type Observer<'a> = &'a dyn AsyncInstrument<u64>;

fn counter(
    meter: &Meter,
    cells: &Arc<Cells>,
    name: &'static str,
    help: &'static str,
    read: impl Fn(&Cells, Observer<'_>) + Send + Sync + 'static,
) {
    let cells = Arc::clone(cells);
    meter.u64_observable_counter(name).with_description(help).with_callback(move |observer| read(&cells, observer)).build();
}

fn gauge(
    meter: &Meter,
    cells: &Arc<Cells>,
    name: &'static str,
    help: &'static str,
    read: impl Fn(&Cells, Observer<'_>) + Send + Sync + 'static,
) {
    let cells = Arc::clone(cells);
    meter.u64_observable_gauge(name).with_description(help).with_callback(move |observer| read(&cells, observer)).build();
}

fn each_worker(cells: &Cells, mut each: impl FnMut(&WorkerCells, KeyValue)) {
    for worker in lock(&cells.workers).iter() {
        each(worker, KeyValue::new("worker", worker.index.to_string()));
    }
}

fn route_labels(route: &super::RouteCells) -> Vec<KeyValue> {
    let text = |text: &Option<Arc<str>>| text.as_deref().unwrap_or_default().to_owned();
    vec![
        KeyValue::new("route", route.name.to_string()),
        KeyValue::new("api", text(&route.api)),
        KeyValue::new("version", text(&route.version)),
    ]
}

fn requests(meter: &Meter, cells: &Arc<Cells>) {
    counter(meter, cells, "plugway_requests", "Requests answered.", |cells, observer| {
        // Workers' series are summed here: the SDK takes the last value it is given for a label set.
        let mut sums = BTreeMap::<_, u64>::new();
        each_worker(cells, |worker, _| {
            worker.each_route(|route| {
                for (method, status, count) in route.requests() {
                    let key = (Arc::clone(&route.name), route.api.clone(), route.version.clone(), method, status);
                    *sums.entry(key).or_default() += count;
                }
            });
        });
        for ((name, api, version, method, status), count) in sums {
            let text = |text: Option<Arc<str>>| text.map_or_else(String::new, |text| text.to_string());
            let labels = [
                KeyValue::new("route", name.to_string()),
                KeyValue::new("api", text(api)),
                KeyValue::new("version", text(version)),
                KeyValue::new("method", method),
                KeyValue::new("status", status.to_string()),
            ];
            observer.observe(count, &labels);
        }
    });
    gauge(meter, cells, "plugway_requests_in_flight", "Requests being answered, by route and worker.", |cells, observer| {
        each_worker(cells, |worker, label| {
            worker.each_route(|route| {
                let mut labels = route_labels(route);
                labels.push(label.clone());
                observer.observe(route.in_flight(), &labels);
            });
        });
    });
    counter(meter, cells, "plugway_worker_requests", "Requests answered, by worker.", |cells, observer| {
        each_worker(cells, |worker, label| {
            let mut sum = 0;
            worker.each_route(|route| sum += route.requests().map(|(_, _, count)| count).sum::<u64>());
            observer.observe(sum, &[label]);
        });
    });
    counter(meter, cells, "plugway_faults", "Requests that met a fault, by its code and whose it was.", |cells, observer| {
        let mut sums = BTreeMap::<_, u64>::new();
        each_worker(cells, |worker, _| {
            worker.faults().for_each(|(fault, count)| *sums.entry((fault.code(), fault.blame().as_str())).or_default() += count)
        });
        for ((code, blame), count) in sums {
            observer.observe(count, &[KeyValue::new("fault", code), KeyValue::new("blame", blame)]);
        }
    });
    counter(meter, cells, "plugway_records_lost", "Exchange records no observer got.", |cells, observer| {
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
    counter(meter, cells, "plugway_connections", "Client connections accepted.", by_listener(|listener| &listener.connections));
    gauge(meter, cells, "plugway_connections_open", "Client connections open now.", by_listener(|listener| &listener.open));
    counter(meter, cells, "plugway_tls_handshakes", "TLS handshakes done.", by_listener(|listener| &listener.handshakes));
    counter(
        meter,
        cells,
        "plugway_tls_handshakes_failed",
        "TLS handshakes that failed.",
        by_listener(|listener| &listener.failed_handshakes),
    );
    counter(
        meter,
        cells,
        "plugway_accept_pauses",
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
        "plugway_upstream_attempts",
        "Attempts towards upstreams; `fault` is empty where one was answered.",
        |cells, observer| {
            each_worker(cells, |worker, label| {
                worker.each_upstream(|upstream| {
                    let labels = |fault: &'static str| {
                        [KeyValue::new("upstream", upstream.upstream.to_string()), KeyValue::new("fault", fault), label.clone()]
                    };
                    observer.observe(upstream.answered.get(), &labels(""));
                    for (fault, count) in upstream.failed() {
                        observer.observe(count, &labels(fault.code()));
                    }
                });
            });
        },
    );
    counter(meter, cells, "plugway_stale_endpoints", "Times a router named an endpoint that is no member.", |cells, observer| {
        each_worker(cells, |worker, label| observer.observe(worker.stale_endpoints.get(), &[label]));
    });
}

fn plugins(meter: &Meter, cells: &Arc<Cells>) {
    counter(meter, cells, "plugway_hook_calls", "Calls of plugins' hooks.", |cells, observer| {
        let mut sums = BTreeMap::<_, u64>::new();
        for plugin in lock(&cells.plugins).iter() {
            plugin.calls().for_each(|(hook, count)| *sums.entry((plugin.name().to_string(), hook)).or_default() += count);
        }
        for ((plugin, hook), count) in sums {
            observer.observe(count, &[KeyValue::new("plugin", plugin), KeyValue::new("hook", hook)]);
        }
    });
    counter(meter, cells, "plugway_hook_failures", "Calls that failed, by kind.", |cells, observer| {
        let mut sums = BTreeMap::<_, u64>::new();
        for plugin in lock(&cells.plugins).iter() {
            plugin.failures().for_each(|(hook, kind, count)| *sums.entry((plugin.name().to_string(), hook, kind)).or_default() += count);
        }
        for ((plugin, hook, kind), count) in sums {
            observer.observe(count, &[KeyValue::new("plugin", plugin), KeyValue::new("hook", hook), KeyValue::new("kind", kind)]);
        }
    });
    let by_plugin = |read: fn(&super::PluginCells) -> u64| {
        move |cells: &Cells, observer: Observer<'_>| {
            let mut sums = BTreeMap::<_, u64>::new();
            for plugin in lock(&cells.plugins).iter() {
                *sums.entry(plugin.name().to_string()).or_default() += read(plugin);
            }
            sums.into_iter().for_each(|(plugin, count)| observer.observe(count, &[KeyValue::new("plugin", plugin)]));
        }
    };
    gauge(meter, cells, "plugway_instances", "Plugin instances alive.", by_plugin(super::PluginCells::instances));
    counter(meter, cells, "plugway_instances_started", "Plugin instances made.", by_plugin(super::PluginCells::started));
    counter(meter, cells, "plugway_plugin_records_ignored", "Metric records of plugins that were ignored.", |cells, observer| {
        for (plugin, ignored, _) in cells.instruments.uses() {
            observer.observe(ignored, &[KeyValue::new("plugin", plugin.to_string())]);
        }
    });
    counter(meter, cells, "plugway_plugin_records_folded", "Metric records of plugins past max_series.", |cells, observer| {
        for (plugin, _, folded) in cells.instruments.uses() {
            observer.observe(folded, &[KeyValue::new("plugin", plugin.to_string())]);
        }
    });
}

/// Reads every histogram when Prometheus asks.
struct Histograms {
    cells: Arc<Cells>,
    duration: Desc,
}

impl Histograms {
    fn new(cells: Arc<Cells>) -> prometheus::Result<Self> {
        let labels = ["route", "api", "version"].map(str::to_owned).to_vec();
        Ok(Self { cells, duration: Desc::new(DURATION.to_owned(), DURATION_HELP.to_owned(), labels, HashMap::new())? })
    }
}

impl Collector for Histograms {
    fn desc(&self) -> Vec<&Desc> {
        // Plugins declare others while the gateway runs; the registry takes families it was not told of.
        vec![&self.duration]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut durations = BTreeMap::<_, Reading>::new();
        let mut lags = Vec::new();
        each_worker(&self.cells, |worker, _| {
            lags.push(metric([("worker", &*worker.index.to_string())], &worker.lag()));
            worker.each_route(|route| {
                let reading = route.duration();
                let key = (Arc::clone(&route.name), route.api.clone(), route.version.clone());
                match durations.entry(key) {
                    Entry::Vacant(entry) => drop(entry.insert(reading)),
                    Entry::Occupied(mut entry) => entry.get_mut().merge(&reading),
                }
            });
        });
        let durations = durations.iter().map(|((route, api, version), reading)| {
            metric(
                [("route", &**route), ("api", api.as_deref().unwrap_or_default()), ("version", version.as_deref().unwrap_or_default())],
                reading,
            )
        });
        let mut families = vec![family(DURATION, DURATION_HELP, durations.collect()), family(LAG, LAG_HELP, lags)];
        self.cells.instruments.each(|declared| {
            if declared.kind == InstrumentKind::Histogram {
                let mut metrics = Vec::new();
                declared.each_distribution(|plugin, values, reading| {
                    let labels = declared.labels.iter().map(String::as_str).zip(values.iter().map(String::as_str));
                    metrics.push(metric(std::iter::once(("plugin", plugin)).chain(labels), &reading));
                });
                families.push(family(&declared.name, &declared.description, metrics));
            }
        });
        families
    }
}

fn family(name: &str, help: &str, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(MetricType::HISTOGRAM);
    family.set_metric(metrics);
    family
}

fn metric<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>, reading: &Reading) -> Metric {
    let labels = labels.into_iter().map(|(name, value)| {
        let mut label = LabelPair::default();
        label.set_name(name.to_owned());
        label.set_value(value.to_owned());
        label
    });
    let mut metric = Metric::from_label(labels.collect());
    let buckets = reading.buckets.iter().map(|(bound, below)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(*below);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(reading.count);
    histogram.set_sample_sum(reading.sum);
    metric.set_histogram(histogram);
    metric
}

impl fmt::Debug for Histograms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histograms").finish_non_exhaustive()
    }
}
