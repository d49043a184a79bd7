//! What `/metrics` shows, as OTLP has it: the same numbers, gathered the same way, by OpenTelemetry's names where there are any.

use std::time::SystemTime;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prometheus::proto::{LabelPair, Metric as Series, MetricFamily, MetricType};

use super::exemplars::Exemplars;
use super::parts::{MOST, parts};
use super::resource::{integer, nanos, scope, text};

/// The one family that has exemplars: sampled requests are of it.
const DURATION: &str = "plugway_request_duration_seconds";
/// Goes up and down, and is the sum of what gateways have: no gauge, as OpenTelemetry has it.
const IN_FLIGHT: &str = "plugway_requests_in_flight";
/// Families that OpenTelemetry has names for, with their units.
const NAMES: [(&str, &str, &str); 2] =
    [(DURATION, "http.server.request.duration", "s"), (IN_FLIGHT, "http.server.active_requests", "{request}")];
/// Labels that it has names for, in all families about requests.
const LABELS: [(&str, &str); 4] =
    [("route", "http.route"), ("method", "http.request.method"), ("status", "http.response.status_code"), ("scheme", "url.scheme")];
/// What methods are that have no series of their own.
pub(super) const OTHER_METHOD: &str = "_OTHER";
/// What plugins' instruments are called; with their units, which tell some apart.
const OF_PLUGINS: &str = "plugway_plugin_";

/// Everything that was gathered, counted since `began`, in as many messages as it takes.
pub(super) fn requests(
    families: &[MetricFamily],
    began: SystemTime,
    resource: &Resource,
    exemplars: &Exemplars,
) -> impl Iterator<Item = ExportMetricsServiceRequest> {
    let times = (nanos(began), nanos(SystemTime::now()));
    let metrics = families.iter().filter_map(|family| metric(family, times, exemplars));
    parts(metrics.flat_map(|metric| split(metric, MOST)).collect(), MOST).into_iter().map(|metrics| {
        let scope_metrics = vec![ScopeMetrics { scope: Some(scope()), metrics, ..Default::default() }];
        let resource_metrics = ResourceMetrics { resource: Some(resource.clone()), scope_metrics, ..Default::default() };
        ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }
    })
}

/// A metric in pieces of so many bytes: each has some of its series.
fn split(metric: Metric, most: usize) -> Vec<Metric> {
    let Metric { name, unit, description, data, .. } = metric;
    let whole = |data| Metric { name: name.clone(), unit: unit.clone(), description: description.clone(), data, ..Default::default() };
    let pieces: Vec<_> = match data {
        Some(Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic })) => {
            let sum = |data_points| Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic });
            parts(data_points, most).into_iter().map(sum).collect()
        }
        Some(Data::Gauge(Gauge { data_points })) => {
            parts(data_points, most).into_iter().map(|data_points| Data::Gauge(Gauge { data_points })).collect()
        }
        Some(Data::Histogram(Histogram { data_points, aggregation_temporality })) => {
            let histogram = |data_points| Data::Histogram(Histogram { data_points, aggregation_temporality });
            parts(data_points, most).into_iter().map(histogram).collect()
        }
        other => return vec![whole(other)],
    };
    pieces.into_iter().map(|piece| whole(Some(piece))).collect()
}

fn metric(family: &MetricFamily, times: (u64, u64), exemplars: &Exemplars) -> Option<Metric> {
    let series = family.get_metric();
    let number = |value: f64, series: &Series| NumberDataPoint {
        attributes: attributes(series.get_label()),
        start_time_unix_nano: times.0,
        time_unix_nano: times.1,
        value: Some(Value::AsDouble(value)),
        ..Default::default()
    };
    let data = match family.get_field_type() {
        MetricType::COUNTER => Data::Sum(Sum {
            data_points: series.iter().map(|series| number(series.get_counter().get_value(), series)).collect(),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        }),
        MetricType::GAUGE if family.name() == IN_FLIGHT => Data::Sum(Sum {
            data_points: series.iter().map(|series| number(series.get_gauge().get_value(), series)).collect(),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: false,
        }),
        MetricType::GAUGE => Data::Gauge(Gauge {
            data_points: series
                .iter()
                .map(|series| NumberDataPoint { start_time_unix_nano: 0, ..number(series.get_gauge().get_value(), series) })
                .collect(),
        }),
        MetricType::HISTOGRAM => {
            let exemplars = (family.name() == DURATION).then_some(exemplars);
            Data::Histogram(Histogram {
                data_points: series.iter().map(|series| distribution(series, times, exemplars)).collect(),
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
            })
        }
        MetricType::SUMMARY | MetricType::UNTYPED => return None,
    };
    let (name, unit) = name(family.name());
    Some(Metric { name, unit, description: family.help().to_owned(), data: Some(data), ..Default::default() })
}

/// Prometheus counts what is below each bound, OTLP what is between two.
fn distribution(series: &Series, (began, now): (u64, u64), exemplars: Option<&Exemplars>) -> HistogramDataPoint {
    let histogram = series.get_histogram();
    let finite = || histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite());
    let bounds: Vec<f64> = finite().map(|bucket| bucket.upper_bound()).collect();
    let mut below = 0;
    let mut counts: Vec<u64> = Vec::with_capacity(bounds.len() + 1);
    for bucket in finite() {
        counts.push(bucket.cumulative_count().saturating_sub(below));
        below = bucket.cumulative_count();
    }
    counts.push(histogram.get_sample_count().saturating_sub(below));
    let label = |name: &str| series.get_label().iter().find(|label| label.name() == name).map_or("", LabelPair::value);
    let mut attributes = attributes(series.get_label());
    let exemplars = exemplars.map(|exemplars| {
        let status = label("status");
        if status.starts_with('5') {
            attributes.push(text("error.type", status));
        }
        exemplars.take(["route", "api", "version", "method", "scheme", "status"].map(label), &bounds)
    });
    HistogramDataPoint {
        attributes,
        start_time_unix_nano: began,
        time_unix_nano: now,
        count: histogram.get_sample_count(),
        sum: Some(histogram.get_sample_sum()),
        bucket_counts: counts,
        explicit_bounds: bounds,
        exemplars: exemplars.unwrap_or_default(),
        ..Default::default()
    }
}

/// What is empty is not there.
fn attributes(labels: &[LabelPair]) -> Vec<KeyValue> {
    let named = labels.iter().filter(|label| !label.value().is_empty());
    named
        .map(|label| {
            let name = LABELS.iter().find(|(known, _)| *known == label.name()).map_or(label.name(), |(_, name)| name);
            match label.value().parse() {
                Ok(status) if label.name() == "status" => integer(name, status),
                _ if (label.name(), label.value()) == ("method", "other") => text(name, OTHER_METHOD),
                _ => text(name, label.value()),
            }
        })
        .collect()
}

/// OpenTelemetry's name, or that of `/metrics` with its unit and what it is beside it instead of in it; and the unit, by UCUM.
fn name(exported: &str) -> (String, String) {
    if let Some((_, name, unit)) = NAMES.iter().find(|(known, ..)| *known == exported) {
        return ((*name).to_owned(), (*unit).to_owned());
    }
    let unit = ["seconds", "bytes"].into_iter().find(|unit| exported.trim_end_matches("_total").ends_with(unit));
    let symbol = match unit {
        Some("seconds") => "s",
        Some(_) => "By",
        None => "1",
    };
    let bare = exported.trim_end_matches("_total");
    let named = unit.filter(|_| !exported.starts_with(OF_PLUGINS));
    let bare = named.and_then(|unit| bare.strip_suffix(unit)?.strip_suffix('_')).unwrap_or(bare);
    let name = bare.strip_prefix("plugway_").map_or_else(|| bare.to_owned(), |rest| format!("plugway.{rest}"));
    (name, symbol.to_owned())
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn names_are_opentelemetrys_where_it_has_one() {
        for (exported, expected, unit) in [
            ("plugway_request_duration_seconds", "http.server.request.duration", "s"),
            ("plugway_requests_in_flight", "http.server.active_requests", "{request}"),
            ("plugway_requests_total", "plugway.requests", "1"),
            ("plugway_worker_event_loop_lag_seconds", "plugway.worker_event_loop_lag", "s"),
            ("plugway_kv_bytes", "plugway.kv", "By"),
            ("plugway_store_size_bytes", "plugway.store_size", "By"),
            ("plugway_plugin_sent_bytes_total", "plugway.plugin_sent_bytes", "By"),
            ("plugway_plugin_sent_total", "plugway.plugin_sent", "1"),
        ] {
            assert_eq!(name(exported), (expected.to_owned(), unit.to_owned()));
        }
    }
    #[test]
    fn a_metric_that_is_too_large_has_its_series_in_several_messages() {
        let point = |value: f64| NumberDataPoint { value: Some(Value::AsDouble(value)), ..Default::default() };
        let sum = |data_points| Sum { data_points, aggregation_temporality: AggregationTemporality::Cumulative.into(), is_monotonic: true };
        let data = Some(Data::Sum(sum((0..1_000_u32).map(|value| point(value.into())).collect())));
        let metric = Metric { name: "plugway.requests".to_owned(), unit: "1".to_owned(), data, ..Default::default() };
        assert_eq!(split(metric.clone(), 1 << 20), std::slice::from_ref(&metric));
        let pieces = split(metric, 2_000);
        assert!(pieces.len() > 4 && pieces.iter().all(|piece| piece.encoded_len() < 2_100), "{}", pieces.len());
        let mut values = Vec::new();
        for piece in pieces {
            let Some(Data::Sum(Sum { data_points, is_monotonic: true, .. })) = piece.data else { unreachable!("a sum was split") };
            assert_eq!((piece.name.as_str(), piece.unit.as_str()), ("plugway.requests", "1"));
            values.extend(data_points.into_iter().map(|point| point.value));
        }
        assert_eq!(values, (0..1_000_u32).map(|value| Some(Value::AsDouble(value.into()))).collect::<Vec<_>>());
    }
}
