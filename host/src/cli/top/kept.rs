//! One frame of what a store has kept: its last minutes, in lines that fit.

use std::path::Path;

use plugway::report::{Report, format, time};

use super::lines::{FIGURES, INCIDENTS, Size, cut, heading, incident_row, percent, rate, rest, row, spread, written};

/// Lines that are there whatever happens.
const FIXED: usize = 8;

pub(super) fn frame(report: &Report, file: &Path, size: Size) -> String {
    let columns = size.columns();
    let seconds = (report.until - report.counted_since).max(1) as f64;
    let lasting: Vec<_> = report.incidents.iter().filter(|incident| incident.ended.is_none()).collect();
    let mut lines = Vec::new();
    let span = format!("{} to {}", time::clock(report.counted_since), time::second(report.until));
    let room = columns.saturating_sub(span.len() + "plugway store ".len() + 1);
    lines.push(spread(&format!("plugway store {}", cut(&file.display().to_string(), room)), &span, columns));
    let totals = &report.totals;
    lines.push(format!(
        "{} req/s   4xx {}   5xx {}   p50 {}   p95 {}   p99 {}",
        rate(totals.requests as f64 / seconds),
        percent(totals.client_errors as f64, totals.requests as f64),
        percent(totals.server_errors as f64, totals.requests as f64),
        format::latency_or_none(totals.latency.p50_us),
        format::latency_or_none(totals.latency.p95_us),
        format::latency_or_none(totals.latency.p99_us)
    ));
    lines.extend(report.gaps.last().map(|gap| format!("! {} to {}: {}", time::clock(gap.since), time::clock(gap.until), gap.kind.title())));
    lines.extend(
        lasting
            .iter()
            .rev()
            .take(INCIDENTS)
            .map(|incident| incident_row(&incident.severity, report.until - incident.started, &incident.title, columns)),
    );
    rest(&mut lines, lasting.len().saturating_sub(INCIDENTS));
    lines.push(String::new());

    let room = size.lines.saturating_sub(FIXED + lines.len());
    let of_routes = report.routes.len().min((room / 2).max(3));
    lines.push(heading(&format!("{:<1$}", "ROUTE", columns - FIGURES), " REQ/S    4XX    5XX            P50      P95      P99"));
    for route in report.routes.iter().take(of_routes) {
        let name = if route.version.is_empty() { route.route.clone() } else { format!("{} ({})", route.route, route.version) };
        let (totals, latency) = (&route.totals, &route.totals.latency);
        let figures = format!(
            "{:>6} {:>6} {:>6}       {:>8} {:>8} {:>8}",
            rate(totals.requests as f64 / seconds),
            percent(totals.client_errors as f64, totals.requests as f64),
            percent(totals.server_errors as f64, totals.requests as f64),
            format::latency_or_none(latency.p50_us),
            format::latency_or_none(latency.p95_us),
            format::latency_or_none(latency.p99_us)
        );
        lines.push(row(&name, columns - FIGURES, &figures));
    }
    rest(&mut lines, report.routes.len() - of_routes);

    let room = room.saturating_sub(of_routes);
    let of_endpoints = report.endpoints.len().min((room / 2).max(3));
    if !report.endpoints.is_empty() {
        lines.push(String::new());
        lines.push(heading(&format!("{:<1$}", "ENDPOINT", columns - FIGURES), "   ROUTE                REQ/S    5XX      P50      P99"));
    }
    for endpoint in report.endpoints.iter().take(of_endpoints) {
        let figures = format!(
            "   {:<18} {:>7} {:>6} {:>8} {:>8}",
            cut(&endpoint.route, 18),
            rate(endpoint.requests as f64 / seconds),
            percent(endpoint.server_errors as f64, endpoint.requests as f64),
            format::latency_or_none(endpoint.latency.p50_us),
            format::latency_or_none(endpoint.latency.p99_us)
        );
        lines.push(row(&endpoint.endpoint, columns - FIGURES, &figures));
    }
    rest(&mut lines, report.endpoints.len() - of_endpoints);

    let of_plugins = report.plugins.len().min(room.saturating_sub(of_endpoints).max(3));
    if !report.plugins.is_empty() {
        lines.push(String::new());
        lines.push(heading(&format!("{:<1$}", "PLUGIN", columns - FIGURES), "  VERSION       CALLS/S  FAILURES  TIME OF A CALL"));
    }
    for plugin in report.plugins.iter().take(of_plugins) {
        let version = plugin.digest.trim_start_matches("sha256:").chars().take(12).collect::<String>();
        let figures = format!(
            "  {version:<12} {:>8} {:>9} {:>15}",
            rate(plugin.calls as f64 / seconds),
            format::short(plugin.failures as f64),
            format::latency_or_none(plugin.mean_ns.map(|ns| ns / 1e3))
        );
        lines.push(row(&plugin.plugin, columns - FIGURES, &figures));
    }
    rest(&mut lines, report.plugins.len() - of_plugins);
    written(lines, size)
}
