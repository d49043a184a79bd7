//! The instruments, and one batch turned into amounts. Calls into the gateway are what costs, so everything is gathered
//! over the batch and told once for each series.

use std::array;
use std::collections::BTreeMap;

use plugway_sdk::metrics::{Counter, Histogram};
use plugway_sdk::{Batch, MetricError};

use crate::config::Wanted;
use crate::label::Label;

/// Instruments of any number of labels.
pub(crate) trait Instruments {
    /// Counts and measures the exchanges of one batch.
    fn take(&self, batch: &Batch<'_>);
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
    fn take(&self, batch: &Batch<'_>) {
        let columns = self.labels.map(|label| label.column(batch));
        let mut series = Series::<N>::default();
        let mut upstream = self.upstream_duration.is_some().then(|| batch.upstream_durations_us().into_iter());
        let bytes = batch.request_bytes().into_iter().zip(batch.response_bytes());
        let numbers = batch.durations_us().into_iter().zip(batch.attempts()).zip(bytes);
        for (row, ((duration_us, attempts), (request_bytes, response_bytes))) in numbers.enumerate() {
            let key = array::from_fn(|label| columns.get(label).and_then(|column| column.places.get(row)).copied().unwrap_or_default());
            let sums = series.sums(key);
            sums.durations.push(seconds(duration_us));
            if let Some(microseconds) = upstream.as_mut().and_then(Iterator::next).flatten() {
                sums.upstream_durations.push(seconds(microseconds));
            }
            sums.requests += 1;
            sums.request_bytes = sums.request_bytes.saturating_add(request_bytes);
            sums.response_bytes = sums.response_bytes.saturating_add(response_bytes);
            sums.attempts += u64::from(attempts);
        }
        for (key, sums) in series.all {
            let values: [&str; N] =
                array::from_fn(|label| columns.get(label).zip(key.get(label)).map_or("", |(column, place)| column.value(*place)));
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

/// The series of one batch, by the places of their labels' values.
struct Series<const N: usize> {
    all: Vec<([u32; N], Sums)>,
    /// A tree, not a hash table: batches have few series, and a hash table would want random numbers from its host.
    known: BTreeMap<[u32; N], usize>,
    last: usize,
}

impl<const N: usize> Default for Series<N> {
    fn default() -> Self {
        Self { all: Vec::new(), known: BTreeMap::new(), last: 0 }
    }
}

impl<const N: usize> Series<N> {
    /// Those of a key. Mostly it is the one before.
    fn sums(&mut self, key: [u32; N]) -> &mut Sums {
        if self.all.get(self.last).is_none_or(|(last, _)| *last != key) {
            self.last = *self.known.entry(key).or_insert(self.all.len());
            if self.last == self.all.len() {
                self.all.push((key, Sums::default()));
            }
        }
        match self.all.get_mut(self.last) {
            Some((_, sums)) => sums,
            None => unreachable!("every place in `known` is one of `all`"),
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
