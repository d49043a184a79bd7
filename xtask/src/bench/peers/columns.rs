//! What is shown of a row, by whoever shows it: the terminal, the page, the document.

use super::plot::figures;
use super::row::Row;
use crate::bench::statistics::Estimate;

/// The columns, the row's name first.
pub(in crate::bench) const HEAD: [&str; 13] = [
    "",
    "CPU µs",
    "interval",
    "x nginx",
    "interval",
    "x Envoy",
    "interval",
    "µs per plugin",
    "req/s",
    "p50 µs",
    "p99 µs",
    "p99.9 µs",
    "RSS MB",
];

/// What stands in them. Requests per second that are not the proxy's own have a star.
pub(in crate::bench) fn cells(row: &Row) -> [String; 13] {
    let [cpu, cpu_interval] = estimate(&row.cpu_us, 2);
    let [nginx, nginx_interval] = or_none(row.to_nginx.as_ref(), 3);
    let [envoy, envoy_interval] = or_none(row.to_envoy.as_ref(), 3);
    let [added, _] = or_none(row.per_plugin_us.as_ref(), 2);
    [
        row.entry.name.to_owned(),
        cpu,
        cpu_interval,
        nginx,
        nginx_interval,
        envoy,
        envoy_interval,
        added,
        figures(row.per_second.median) + if row.flood_counts() { "" } else { "*" },
        figures(row.p50_us.median),
        figures(row.p99_us.median),
        figures(row.p999_us.median),
        format!("{:.1}", row.rss_mb.median),
    ]
}

/// A median and its interval.
pub(in crate::bench) fn estimate(estimate: &Estimate, digits: usize) -> [String; 2] {
    let Estimate { median, low, high, .. } = estimate;
    [format!("{median:.digits$}"), format!("{low:.digits$} to {high:.digits$}")]
}

/// The same, nothing where there is none.
pub(in crate::bench) fn or_none(found: Option<&Estimate>, digits: usize) -> [String; 2] {
    found.map_or_else(Default::default, |found| estimate(found, digits))
}

/// What the star says.
pub(in crate::bench) const STAR: &str =
    "Load and backend were above 90 % of their core: the proxy can do more than that, and has its latencies at that rate.";
