//! Families that are given to Prometheus as they are: histograms, for which the SDK has no observable form, the requests
//! counter, whose series (routes times methods times status codes) must never be folded, and gauges of upstreams, which are read together.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::Cells;
use super::cell::lock;
use super::export::each_worker;
use super::histogram::Reading;
use super::instruments::InstrumentKind;
use super::names::{EVENT_LOOP_BUSY, EVENT_LOOP_LAG, HTTP_CLIENT_DURATION, REQUEST_DURATION, REQUESTS};
use super::pools;
use super::route::Answers;

const REQUESTS_HELP: &str = "Requests answered; an error, or an answer that broke off, with its fault and whose it was.";
const DURATION_HELP: &str = "From the request's head to the last byte of its response, seconds.";
const LAG_HELP: &str = "How late a worker ran what was due, seconds.";
const BUSY_HELP: &str = "How much of that lag the worker was itself at work, seconds: the rest it had no core, or slept.";
const HTTP_CLIENT_HELP: &str = "What a plugin's own requests took, answers from the cache included, seconds.";

/// What tells routes apart; empty where a route has none of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Labels {
    pub(super) route: String,
    pub(super) api: String,
    pub(super) version: String,
}

impl Labels {
    pub(super) fn of(route: &super::RouteCells) -> Self {
        let text = |text: &Option<Arc<str>>| text.as_deref().unwrap_or_default().to_owned();
        Self { route: route.name.to_string(), api: text(&route.api), version: text(&route.version) }
    }

    fn pairs(&self) -> [(&'static str, &str); 3] {
        [("route", &self.route), ("api", &self.api), ("version", &self.version)]
    }
}

/// Reads every family when Prometheus asks.
pub(super) struct Families {
    cells: Arc<Cells>,
    duration: Desc,
}

impl Families {
    pub(super) fn new(cells: Arc<Cells>) -> prometheus::Result<Self> {
        let labels = ["route", "api", "version"].map(str::to_owned).to_vec();
        Ok(Self { cells, duration: Desc::new(REQUEST_DURATION.to_owned(), DURATION_HELP.to_owned(), labels, HashMap::new())? })
    }

    fn requests(&self) -> MetricFamily {
        let mut sums = BTreeMap::<_, u64>::new();
        each_worker(&self.cells, |worker, _| {
            worker.each_route(|route| {
                let labels = Labels::of(route);
                route.requests().for_each(|answers| {
                    let Answers { method, status, count, .. } = answers;
                    *sums.entry((labels.clone(), method, status, answers.fault())).or_default() += count;
                });
            });
        });
        let metrics = sums.into_iter().map(|((labels, method, status, (fault, blame)), count)| {
            let status = status.to_string();
            let more = [("method", method), ("status", &status), ("fault", fault), ("blame", blame)];
            let mut metric = labelled(labels.pairs().into_iter().chain(more));
            let mut counter = Counter::default();
            counter.set_value(count as f64);
            metric.set_counter(counter);
            metric
        });
        family(REQUESTS, REQUESTS_HELP, MetricType::COUNTER, metrics.collect())
    }

    fn durations(&self) -> MetricFamily {
        let mut sums = BTreeMap::<_, Reading>::new();
        each_worker(&self.cells, |worker, _| {
            worker.each_route(|route| match sums.entry(Labels::of(route)) {
                Entry::Vacant(entry) => drop(entry.insert(route.duration())),
                Entry::Occupied(mut entry) => entry.get_mut().merge(&route.duration()),
            });
        });
        let metrics = sums.iter().map(|(labels, reading)| distribution(labels.pairs(), reading)).collect();
        family(REQUEST_DURATION, DURATION_HELP, MetricType::HISTOGRAM, metrics)
    }

    /// The same by method, status and scheme, for who can tell that many series apart.
    pub(super) fn durations_by_answer(&self) -> MetricFamily {
        let mut sums = BTreeMap::<_, Reading>::new();
        each_worker(&self.cells, |worker, _| {
            worker.each_route(|route| {
                let labels = Labels::of(route);
                route.durations().for_each(|(answer, reading)| match sums.entry((labels.clone(), answer)) {
                    Entry::Vacant(entry) => drop(entry.insert(reading)),
                    Entry::Occupied(mut entry) => entry.get_mut().merge(&reading),
                });
            });
        });
        let metrics = sums.iter().map(|((labels, answer), reading)| {
            let status = if answer.status == 0 { String::new() } else { answer.status.to_string() };
            let scheme = if answer.tls { "https" } else { "http" };
            let more = [("method", answer.method), ("status", &status), ("scheme", scheme)];
            distribution(labels.pairs().into_iter().chain(more), reading)
        });
        family(REQUEST_DURATION, DURATION_HELP, MetricType::HISTOGRAM, metrics.collect())
    }

    fn of_event_loops(&self) -> [MetricFamily; 2] {
        let (mut lags, mut busy) = (Vec::new(), Vec::new());
        each_worker(&self.cells, |worker, _| {
            let index = worker.index.to_string();
            lags.push(distribution([("worker", &*index)], &worker.lag()));
            busy.push(distribution([("worker", &*index)], &worker.busy()));
        });
        [family(EVENT_LOOP_LAG, LAG_HELP, MetricType::HISTOGRAM, lags), family(EVENT_LOOP_BUSY, BUSY_HELP, MetricType::HISTOGRAM, busy)]
    }

    fn of_clients(&self) -> MetricFamily {
        let mut metrics = Vec::new();
        for client in lock(&self.cells.http_clients).iter() {
            metrics.push(distribution([("plugin", &**client.plugin())], &client.duration()));
        }
        family(HTTP_CLIENT_DURATION, HTTP_CLIENT_HELP, MetricType::HISTOGRAM, metrics)
    }

    fn of_pools(&self) -> impl Iterator<Item = MetricFamily> {
        let gauges = pools::gauges(&self.cells).into_iter().filter(|gauge| !gauge.series.is_empty());
        gauges.map(|pools::Gauge { name, help, series }| {
            let metrics = series.iter().map(|(upstream, value)| {
                let mut metric = labelled([("upstream", &**upstream)]);
                let mut gauge = Gauge::default();
                gauge.set_value(*value as f64);
                metric.set_gauge(gauge);
                metric
            });
            family(name, help, MetricType::GAUGE, metrics.collect())
        })
    }

    fn of_plugins(&self, families: &mut Vec<MetricFamily>) {
        self.cells.instruments.each(|declared| {
            if declared.kind == InstrumentKind::Histogram {
                let mut metrics = Vec::new();
                declared.each_distribution(|plugin, values, reading| {
                    let labels = declared.labels.iter().map(String::as_str).zip(values.iter().map(String::as_str));
                    metrics.push(distribution(std::iter::once(("plugin", plugin)).chain(labels), &reading));
                });
                families.push(family(&declared.name, &declared.description, MetricType::HISTOGRAM, metrics));
            }
        });
    }
}

impl Collector for Families {
    fn desc(&self) -> Vec<&Desc> {
        // The registry takes families it was not told of, as those that plugins declare while the gateway runs.
        vec![&self.duration]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = vec![self.requests(), self.durations()];
        families.extend(self.of_event_loops());
        let clients = self.of_clients();
        // A family without a metric is none.
        families.extend((!clients.get_metric().is_empty()).then_some(clients));
        families.extend(self.of_pools());
        self.of_plugins(&mut families);
        families
    }
}

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn labelled<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Metric {
    let labels = labels.into_iter().map(|(name, value)| {
        let mut label = LabelPair::default();
        label.set_name(name.to_owned());
        label.set_value(value.to_owned());
        label
    });
    Metric::from_label(labels.collect())
}

fn distribution<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>, reading: &Reading) -> Metric {
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
    let mut metric = labelled(labels);
    metric.set_histogram(histogram);
    metric
}

impl fmt::Debug for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Families").finish_non_exhaustive()
    }
}
