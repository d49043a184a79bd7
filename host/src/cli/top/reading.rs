//! One look at a gateway.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;

/// What was read at one moment.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) at: Instant,
    /// Seconds since 1970.
    pub(super) now: i64,
    pub(super) routes: BTreeMap<RouteName, RouteReading>,
    pub(super) status: Value,
}

/// What tells routes apart, in the order they are shown without traffic.
pub(super) type RouteName = (String, String);

/// Counters of one route.
#[derive(Debug, Clone, Default)]
pub(super) struct RouteReading {
    pub(super) requests: f64,
    pub(super) client_errors: f64,
    pub(super) server_errors: f64,
    pub(super) in_flight: f64,
    /// Upper bound in seconds and requests at or below it, by bound.
    pub(super) buckets: Vec<(f64, f64)>,
}

impl Reading {
    pub(super) fn new(metrics: &str, status: Value, at: Instant, now: i64) -> Self {
        let mut routes: BTreeMap<RouteName, RouteReading> = BTreeMap::new();
        for series in metrics.lines().filter_map(series) {
            let label = |name: &str| series.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str());
            let Some(route) = label("route") else { continue };
            let reading = routes.entry((route.to_owned(), label("version").unwrap_or_default().to_owned())).or_default();
            match series.name {
                "plugway_requests_total" => {
                    reading.requests += series.value;
                    match label("status").and_then(|status| status.chars().next()) {
                        Some('4') => reading.client_errors += series.value,
                        Some('5') => reading.server_errors += series.value,
                        _ => {}
                    }
                }
                "plugway_requests_in_flight" => reading.in_flight += series.value,
                "plugway_request_duration_seconds_bucket" => {
                    let bound = label("le").and_then(|bound| bound.replace("+Inf", "inf").parse().ok()).unwrap_or(f64::INFINITY);
                    // A route that a reload gave to another API has two series.
                    match reading.buckets.iter_mut().find(|(known, _)| *known == bound) {
                        Some((_, count)) => *count += series.value,
                        None => reading.buckets.push((bound, series.value)),
                    }
                }
                _ => {}
            }
        }
        routes.values_mut().for_each(|reading| reading.buckets.sort_by(|a, b| a.0.total_cmp(&b.0)));
        Self { at, now, routes, status }
    }
}

impl RouteReading {
    /// What was counted since.
    pub(super) fn since(&self, before: Option<&Self>) -> Self {
        let zero = Self::default();
        // A gateway that was restarted counts from the beginning.
        let before = before.filter(|before| before.requests <= self.requests).unwrap_or(&zero);
        let below = |bound: f64| before.buckets.iter().find(|(known, _)| *known >= bound).map_or(0.0, |(_, count)| *count);
        Self {
            requests: self.requests - before.requests,
            client_errors: self.client_errors - before.client_errors,
            server_errors: self.server_errors - before.server_errors,
            in_flight: self.in_flight,
            buckets: self.buckets.iter().map(|(bound, count)| (*bound, count - below(*bound))).collect(),
        }
    }

    /// Seconds below which a share of the requests was, between the bounds of its bucket as if they were spread evenly.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        let all = self.buckets.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
        let (mut lower, mut below) = (0.0, 0.0);
        for (bound, count) in &self.buckets {
            if *count >= all * share {
                let inside = if *count > below { (all * share - below) / (count - below) } else { 1.0 };
                return Some(if bound.is_finite() { lower + (bound - lower) * inside } else { lower });
            }
            (lower, below) = (*bound, *count);
        }
        None
    }
}

struct Series<'a> {
    name: &'a str,
    labels: Vec<(String, String)>,
    value: f64,
}

/// One line of Prometheus' text format.
fn series(line: &str) -> Option<Series<'_>> {
    if line.starts_with('#') {
        return None;
    }
    let (key, value) = line.rsplit_once(' ')?;
    let (name, labels) = key.split_once('{').unwrap_or((key, ""));
    Some(Series { name, labels: labels_of(labels), value: value.parse().ok()? })
}

/// `name="value",…}`; values have `\\`, `\"` and `\n` escaped.
fn labels_of(text: &str) -> Vec<(String, String)> {
    let (mut labels, mut rest) = (Vec::new(), text);
    while let Some((name, tail)) = rest.split_once("=\"") {
        let (mut value, mut end, mut escaped) = (String::new(), tail.len(), false);
        for (at, character) in tail.char_indices() {
            match (escaped, character) {
                (true, 'n') => value.push('\n'),
                (true, other) => value.push(other),
                (false, '\\') => {}
                (false, '"') => {
                    end = at + 1;
                    break;
                }
                (false, other) => value.push(other),
            }
            escaped = !escaped && character == '\\';
        }
        labels.push((name.trim_start_matches(',').to_owned(), value));
        rest = tail.get(end..).unwrap_or_default();
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = r#"# HELP plugway_requests_total Requests answered.
plugway_requests_total{route="a\"b",api="",version="v1",method="GET",status="200"} 90
plugway_requests_total{route="a\"b",api="",version="v1",method="GET",status="404"} 8
plugway_requests_total{route="a\"b",api="",version="v1",method="GET",status="503"} 2
plugway_requests_in_flight{route="a\"b",api="",version="v1"} 3
plugway_request_duration_seconds_bucket{route="a\"b",api="",version="v1",le="0.001"} 50
plugway_request_duration_seconds_bucket{route="a\"b",api="",version="v1",le="0.002"} 90
plugway_request_duration_seconds_bucket{route="a\"b",api="",version="v1",le="+Inf"} 100
"#;

    #[test]
    fn counts_of_a_route_are_read_and_subtracted() {
        let look = |metrics: &str| Reading::new(metrics, Value::Null, Instant::now(), 0);
        let after = look(METRICS);
        let reading = after.routes.get(&("a\"b".to_owned(), "v1".to_owned())).unwrap();
        assert_eq!((reading.requests, reading.client_errors, reading.server_errors, reading.in_flight), (100.0, 8.0, 2.0, 3.0));
        let near = |found: Option<f64>, wanted: f64| (found.unwrap() - wanted).abs() < 1e-9;
        assert!(near(reading.quantile(0.5), 0.001) && near(reading.quantile(0.7), 0.0015) && near(reading.quantile(0.99), 0.002));
        let before = look(&METRICS.replace(" 90\n", " 40\n").replace(" 100\n", " 50\n"));
        let since = reading.since(before.routes.values().next());
        assert_eq!((since.requests, since.client_errors), (50.0, 0.0));
        assert_eq!(since.buckets.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [0.0, 50.0, 50.0]);
        // Of another API until a reload.
        let both = look(&format!("{METRICS}{}", METRICS.replace("api=\"\"", "api=\"shop\"")));
        let both = both.routes.values().next().unwrap();
        assert_eq!((both.requests, both.buckets.len()), (200.0, 3));
        assert_eq!([0.5, 0.7, 0.99].map(|share| both.quantile(share)), [0.5, 0.7, 0.99].map(|share| reading.quantile(share)));
        // Restarted: nothing is subtracted.
        let restarted = before.routes.values().next().unwrap().since(Some(reading));
        assert_eq!(restarted.requests, 50.0);
    }
}
