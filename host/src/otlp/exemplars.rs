//! Exemplars: for each bucket of each distribution of durations the last sampled request that fell into it, with its trace.

use std::cell::RefCell;
use std::collections::BTreeMap;

use opentelemetry_proto::tonic::metrics::v1::Exemplar;
use opentelemetry_proto::tonic::metrics::v1::exemplar::Value;

use super::resource::nanos_after;
use crate::telemetry::method_name;
use crate::trace::Story;

/// Distributions that have exemplars at once; each has at most one a bucket.
const MAX_SERIES: usize = 1_000;

/// By route, API, version, method, scheme and status, as metrics tell distributions apart; then by bucket.
#[derive(Default)]
pub(super) struct Exemplars(RefCell<BTreeMap<Series, Vec<(f64, Exemplar)>>>);

type Series = [String; 6];

impl Exemplars {
    /// Keeps a request that was sampled.
    pub(super) fn keep(&self, story: &Story) {
        let Some(trace) = &story.trace else { return };
        let seconds = story.duration.as_secs_f64();
        let exemplar = Exemplar {
            time_unix_nano: nanos_after(story.received, story.duration),
            span_id: trace.span.to_be_bytes().to_vec(),
            trace_id: trace.trace.to_be_bytes().to_vec(),
            value: Some(Value::AsDouble(seconds)),
            ..Default::default()
        };
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let [route, api, version] = [story.route.as_deref().or(Some("none")), story.api.as_deref(), story.version.as_deref()].map(text);
        let key = [route, api, version, method_name(&story.method).to_owned(), story.scheme.to_owned(), story.status.to_string()];
        let mut all = self.0.borrow_mut();
        if all.len() >= MAX_SERIES && !all.contains_key(&key) {
            return;
        }
        let kept = all.entry(key).or_default();
        // What is looked up by bucket later is kept coarsely here: one in each twelfth of an order of magnitude.
        let place = (seconds.max(1e-9).log10() * 12.0).floor();
        match kept.iter_mut().find(|(known, _)| *known == place) {
            Some(known) => known.1 = exemplar,
            None => kept.push((place, exemplar)),
        }
    }

    /// Every series was asked for. What is left is nobody's: of answers that share a distribution, since their route has too many of its own. Where
    /// there is no room any more it goes.
    pub(super) fn make_room(&self) {
        let mut all = self.0.borrow_mut();
        if all.len() >= MAX_SERIES {
            all.clear();
        }
    }

    /// Those of one series since this was asked last, one for each of its buckets at most.
    pub(super) fn take(&self, series: [&str; 6], bounds: &[f64]) -> Vec<Exemplar> {
        let kept = self.0.borrow_mut().remove(&series.map(str::to_owned)).unwrap_or_default();
        let mut by_bucket = BTreeMap::new();
        for (_, exemplar) in kept {
            if let Some(Value::AsDouble(seconds)) = exemplar.value {
                by_bucket.insert(bounds.partition_point(|bound| *bound < seconds), exemplar);
            }
        }
        by_bucket.into_values().collect()
    }
}
