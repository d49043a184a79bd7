//! The instruments, and one batch turned into amounts. Calls into the gateway are what costs, so everything is gathered
//! over the batch and told once for each series.

use std::array;
use std::collections::BTreeMap;

use plugway_sdk::metrics::{Counter, Histogram};
use plugway_sdk::{ExchangeRecord, MetricError};

use crate::config::Wanted;
use crate::label::Label;

/// Instruments of any number of labels.
pub(crate) trait Instruments {
    /// Counts and measures the exchanges of one batch.
    fn take(&self, records: &[ExchangeRecord]);
}

/// Declares what is wanted. The SDK's instruments know their number of labels as a constant, the configuration does not.
pub(crate) fn declare(wanted: &Wanted) -> Result<Box<dyn Instruments>, String> {
    Ok(match *wanted.labels.as_slice() {
        [] => Box::new(Set::declare([], wanted)?),
        [a] => Box::new(Set::declare([a], wanted)?),
        [a, b] => Box::new(Set::declare([a, b], wanted)?),
        [a, b, c] => Box::new(Set::declare([a, b, c], wanted)?),
        [a, b, c, d] => Box::new(Set::declare([a, b, c, d], wanted)?),
        [a, b, c, d, e] => Box::new(Set::declare([a, b, c, d, e], wanted)?),
        [a, b, c, d, e, f] => Box::new(Set::declare([a, b, c, d, e, f], wanted)?),
        [a, b, c, d, e, f, g] => Box::new(Set::declare([a, b, c, d, e, f, g], wanted)?),
        [a, b, c, d, e, f, g, h] => Box::new(Set::declare([a, b, c, d, e, f, g, h], wanted)?),
        _ => return Err(MetricError::TooMany.to_string()),
    })
}

/// All instruments of one place, with the same `N` labels each.
struct Set<const N: usize> {
    labels: [Label; N],
    requests: Counter<N>,
    request_bytes: Counter<N>,
    response_bytes: Counter<N>,
    attempts: Counter<N>,
    duration: Histogram<N>,
    upstream_duration: Option<Histogram<N>>,
}

/// One series over one batch.
#[derive(Default)]
struct Sums {
    requests: u64,
    request_bytes: u64,
    response_bytes: u64,
    attempts: u64,
    /// Seconds.
    durations: Vec<f64>,
    upstream_durations: Vec<f64>,
}

impl<const N: usize> Set<N> {
    fn declare(labels: [Label; N], wanted: &Wanted) -> Result<Self, String> {
        let names = labels.map(Label::name);
        let counter = |name: &str, description, unit| {
            let name = [&wanted.prefix, name].concat();
            Counter::declare(&name, description, unit, names).map_err(|error| explained(&name, &error))
        };
        let histogram = |name: &str, description| {
            let name = [&wanted.prefix, name].concat();
            Histogram::declare(&name, description, "s", names, &wanted.bounds).map_err(|error| explained(&name, &error))
        };
        Ok(Self {
            labels,
            requests: counter("requests_total", "Finished exchanges.", "1")?,
            request_bytes: counter("request_bytes_total", "Body bytes received from clients.", "By")?,
            response_bytes: counter("response_bytes_total", "Body bytes sent to clients.", "By")?,
            attempts: counter("upstream_attempts_total", "Attempts made at upstreams.", "1")?,
            duration: histogram("request_duration_seconds", "From the complete request head to the end of the response body.")?,
            upstream_duration: match wanted.upstream_duration {
                true => Some(histogram(
                    "upstream_duration_seconds",
                    "From sending the request to the complete response head, of the last attempt.",
                )?),
                false => None,
            },
        })
    }
}

impl<const N: usize> Instruments for Set<N> {
    fn take(&self, records: &[ExchangeRecord]) {
        // A tree, not a hash table: batches have few series, and a hash table would want random numbers from its host.
        let mut series: BTreeMap<[&str; N], Sums> = BTreeMap::new();
        for record in records {
            let values: [&str; N] = array::from_fn(|place| self.labels.get(place).map_or("", |label| label.value(record)));
            let sums = series.entry(values).or_default();
            sums.durations.push(seconds(record.duration_us));
            if let (Some(_), Some(microseconds)) = (&self.upstream_duration, record.upstream_us) {
                sums.upstream_durations.push(seconds(microseconds));
            }
            sums.requests += 1;
            sums.request_bytes = sums.request_bytes.saturating_add(record.request_bytes);
            sums.response_bytes = sums.response_bytes.saturating_add(record.response_bytes);
            sums.attempts += u64::from(record.attempts);
        }
        for (values, sums) in series {
            self.requests.add(amount(sums.requests), values);
            self.duration.record_all(&sums.durations, values);
            if let Some(histogram) = &self.upstream_duration
                && !sums.upstream_durations.is_empty()
            {
                histogram.record_all(&sums.upstream_durations, values);
            }
            for (counter, sum) in
                [(&self.request_bytes, sums.request_bytes), (&self.response_bytes, sums.response_bytes), (&self.attempts, sums.attempts)]
            {
                if sum > 0 {
                    counter.add(amount(sum), values);
                }
            }
        }
    }
}

/// Names of instruments belong to the whole gateway, for as long as it runs.
fn explained(name: &str, error: &MetricError) -> String {
    match error {
        MetricError::Conflict => format!(
            "`{name}` is there already with other labels or bounds; use the same `labels`, `consumer` and `bounds` everywhere, or \
             give this place a `prefix` of its own"
        ),
        other => format!("`{name}`: {other}"),
    }
}

fn seconds(microseconds: u64) -> f64 {
    amount(microseconds) / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "instruments are floating point; past 2^53 the last digits of a sum mean nothing")]
fn amount(count: u64) -> f64 {
    count as f64
}
