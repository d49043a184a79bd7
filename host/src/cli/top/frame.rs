//! One frame: what happened between two looks, in lines that fit.

use plugway::report::{format, time};
use serde_json::Value;

use super::lines::{FIGURES, INCIDENTS, Size, cut, heading, incident_row, percent, rate, rest, row, spread, written};
use super::reading::{Reading, RouteReading};

/// Lines that are there whatever happens.
const FIXED: usize = 10;

pub(super) fn frame(before: &Reading, after: &Reading, address: &str, size: Size) -> String {
    let seconds = after.at.saturating_duration_since(before.at).as_secs_f64().max(0.001);
    let columns = size.columns();
    let mut lines = Vec::new();
    let mut routes: Vec<_> = after.routes.iter().map(|(name, reading)| (name, reading.since(before.routes.get(name)))).collect();
    head(&mut lines, before, after, &routes.iter().map(|(_, since)| since).collect::<Vec<_>>(), address, (seconds, columns));
    routes.sort_by(|a, b| b.1.requests.total_cmp(&a.1.requests));
    let room = size.lines.saturating_sub(FIXED + list(&after.status, "incidents").len().min(INCIDENTS + 1));
    let (endpoints, plugins) = (endpoints(&after.status), list(&after.status, "plugins"));
    // Routes have half of the room, the others what is left.
    let of_routes = routes.len().min((room / 2).max(3));
    lines.push(heading(&format!("{:<1$}", "ROUTE", columns - FIGURES), " REQ/S    4XX    5XX IN FL      P50      P95      P99"));
    for ((name, version), since) in routes.iter().take(of_routes) {
        let name = if version.is_empty() { name.clone() } else { format!("{name} ({version})") };
        let quantile = |share| format::latency_or_none(since.quantile(share).map(|seconds| seconds * 1e6));
        lines.push(row(
            &name,
            columns - FIGURES,
            &format!(
                "{:>6} {:>6} {:>6} {:>5} {:>8} {:>8} {:>8}",
                rate(since.requests / seconds),
                percent(since.client_errors, since.requests),
                percent(since.server_errors, since.requests),
                format::short(since.in_flight),
                quantile(0.5),
                quantile(0.95),
                quantile(0.99)
            ),
        ));
    }
    rest(&mut lines, routes.len() - of_routes);
    let room = room.saturating_sub(of_routes);
    let of_endpoints = endpoints.len().min((room / 2).max(3));
    if !endpoints.is_empty() {
        lines.push(String::new());
        lines.push(heading(&format!("{:<1$}", "ENDPOINT", columns - FIGURES), "   UPSTREAM              IN FL   CONNS  LATENCY  STATE"));
    }
    for (upstream, endpoint) in endpoints.iter().take(of_endpoints) {
        let number = |name: &str| endpoint.get(name).and_then(Value::as_f64).unwrap_or_default();
        let available = endpoint.get("available").and_then(Value::as_bool).unwrap_or_default();
        lines.push(row(
            text(endpoint, "url"),
            columns - FIGURES,
            &format!(
                "   {:<20} {:>7} {:>7} {:>8}  {}",
                cut(upstream, 20),
                format::short(number("in_flight")),
                format::short(number("connections")),
                format::latency_or_none(Some(number("latency_us")).filter(|us| *us > 0.0)),
                if available { "up" } else { "down" }
            ),
        ));
    }
    rest(&mut lines, endpoints.len() - of_endpoints);
    if !plugins.is_empty() {
        lines.push(String::new());
        lines.push(heading(&format!("{:<1$}", "PLUGIN", columns - FIGURES), "  VERSION       CALLS/S  FAILURES  INSTANCES  BREAKERS"));
    }
    let of_plugins = plugins.len().min(room.saturating_sub(of_endpoints).max(3));
    for plugin in plugins.iter().take(of_plugins) {
        lines.push(plugin_row(plugin, &before.status, seconds, columns));
    }
    rest(&mut lines, plugins.len() - of_plugins);
    written(lines, size)
}

fn head(
    lines: &mut Vec<String>,
    before: &Reading,
    after: &Reading,
    routes: &[&RouteReading],
    address: &str,
    (seconds, columns): (f64, usize),
) {
    let status = &after.status;
    let sum = |of: fn(&RouteReading) -> f64| routes.iter().map(|since| of(since)).sum::<f64>();
    let (requests, client, server) = (sum(|since| since.requests), sum(|since| since.client_errors), sum(|since| since.server_errors));
    let up = status.get("uptime_seconds").and_then(Value::as_i64).unwrap_or_default();
    let draining = if status.get("draining").and_then(Value::as_bool).unwrap_or_default() { ", draining" } else { "" };
    let left = format!("plugway {} at {address}, up {}{draining}", text(status, "version"), format::span(up));
    lines.push(spread(&left, &time::second(after.now), columns));
    let workers = list(status, "workers");
    let of = |name: &str| workers.iter().filter_map(|worker| worker.get(name).and_then(Value::as_f64)).sum::<f64>();
    lines.push(format!(
        "{} req/s   4xx {}   5xx {}   in flight {}   connections {}",
        rate(requests / seconds),
        percent(client, requests),
        percent(server, requests),
        format::short(sum(|since| since.in_flight)),
        format::short(of("open_connections"))
    ));
    let known = list(&before.status, "workers");
    let each: Vec<_> = (workers.iter().enumerate())
        .map(|(number, worker)| {
            let requests =
                |worker: Option<&Value>| worker.and_then(|worker| worker.get("requests")).and_then(Value::as_f64).unwrap_or_default();
            rate((requests(Some(worker)) - requests(known.get(number))).max(0.0) / seconds)
        })
        .collect();
    let lag = workers.iter().filter_map(|worker| worker.get("event_loop_lag_max_us").and_then(Value::as_f64)).fold(0.0, f64::max);
    let store = match status.get("store") {
        Some(Value::Object(store)) => {
            let writable = store.get("writable").and_then(Value::as_bool).unwrap_or_default();
            let size = format::bytes(store.get("size_bytes").and_then(Value::as_u64).unwrap_or_default());
            if writable { format!("store {size}") } else { "store CANNOT BE WRITTEN".to_owned() }
        }
        _ => "no store".to_owned(),
    };
    // Sixty-four workers do not fit into a line.
    let each = if each.len() > 6 { format!("{} workers", each.len()) } else { format!("workers {}", each.join(" + ")) };
    lines.push(format!("{each}   longest lag {}   {store}", format::latency(lag)));
    let incidents = list(status, "incidents");
    lines.extend(incidents.iter().take(INCIDENTS).map(|incident| {
        let lasts = after.now - incident.get("started").and_then(Value::as_i64).unwrap_or(after.now);
        incident_row(text(incident, "severity"), lasts, text(incident, "title"), columns)
    }));
    rest(lines, incidents.len().saturating_sub(INCIDENTS));
    lines.push(String::new());
}

fn plugin_row(plugin: &Value, before: &Value, seconds: f64, columns: usize) -> String {
    let name = text(plugin, "name");
    let number = |plugin: &Value, name: &str| plugin.get(name).and_then(Value::as_f64).unwrap_or_default();
    let known = list(before, "plugins");
    let calls = known.iter().find(|known| text(known, "name") == name).map_or(0.0, |known| number(known, "calls"));
    let open: f64 = list(plugin, "breakers").iter().map(|breaker| number(breaker, "open")).sum();
    let version = text(plugin, "digest").trim_start_matches("sha256:").chars().take(12).collect::<String>();
    row(
        name,
        columns - FIGURES,
        &format!(
            "  {version:<12} {:>8} {:>9} {:>10}  {}",
            rate((number(plugin, "calls") - calls).max(0.0) / seconds),
            format::short(number(plugin, "failures")),
            format::short(number(plugin, "instances")),
            if open > 0.0 { format!("{} OPEN", format::short(open)) } else { "closed".to_owned() }
        ),
    )
}

fn endpoints(status: &Value) -> Vec<(&str, &Value)> {
    list(status, "upstreams")
        .iter()
        .flat_map(|upstream| list(upstream, "endpoints").iter().map(|endpoint| (text(upstream, "name"), endpoint)))
        .collect()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::*;

    fn look(requests: u64, at: Instant) -> Reading {
        let name = "a-route-with-a-name-that-is-far-too-long-for-eighty-columns";
        let metrics = format!(
            "plugway_requests_total{{route=\"{name}\",version=\"v1\",status=\"200\"}} {requests}\n\
             plugway_request_duration_seconds_bucket{{route=\"{name}\",version=\"v1\",le=\"0.005\"}} {requests}\n\
             plugway_request_duration_seconds_bucket{{route=\"{name}\",version=\"v1\",le=\"+Inf\"}} {requests}\n"
        );
        let status = json!({
            "version": "0.1.0", "uptime_seconds": 3_700, "draining": false, "store": { "writable": true, "size_bytes": 2048 },
            "workers": [{ "requests": requests, "open_connections": 4, "event_loop_lag_max_us": 900 }],
            "incidents": [{ "severity": "page", "started": 1_795_665_600, "title": "More requests of route orders fail\u{1b}: 12.00 %, 0.10 % in the hour before" }],
            "plugins": [{ "name": "auth\u{7}", "digest": "sha256:0123456789abcdef", "calls": requests, "failures": 0, "instances": 2, "breakers": [] }],
            "upstreams": [{ "name": "up", "endpoints": [
                { "url": "http://127.0.0.1:9000", "in_flight": 1, "connections": 2, "latency_us": 800, "available": false }] }],
        });
        Reading::new(&metrics, status, at, 1_795_665_906)
    }

    #[test]
    fn everything_fits_into_eighty_columns_and_the_lines_there_are() {
        let now = Instant::now();
        let (before, after) = (look(100, now), look(300, now + Duration::from_secs(2)));
        let all = frame(&before, &after, "127.0.0.1:9901", Size { columns: 80, lines: usize::MAX, colours: false });
        for wanted in [
            "plugway 0.1.0 at 127.0.0.1:9901, up 1 h 1 min",
            "2026-11-26 04:05:06 UTC",
            "100 req/s",
            "2.5 ms",
            "down",
            "auth?",
            "0123456789ab",
            "store 2 KiB",
            "! page for 5 min 6 s: More requests of route orders fail?: 12.00 %,",
            "900 µs",
        ] {
            assert!(all.contains(wanted), "{wanted} in\n{all}");
        }
        assert!(all.lines().all(|line| line.chars().count() <= 80), "{all}");
        assert!(!all.contains('\u{1b}') && !all.contains('\u{7}'));
        let low = frame(&before, &after, "127.0.0.1:9901", Size { columns: 80, lines: 12, colours: true });
        assert!(low.lines().count() < 12);
        assert!(low.contains("\u{1b}[7mROUTE"));
    }
}
