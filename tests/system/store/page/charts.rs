//! Figures in charts: what is said of each bar and each point when one looks at it, derived from the store.

use rusqlite::Connection;

use super::shown::figure;
use super::{Derived, derive, texts};

/// The titles of what a chart shows, save the chart's own.
fn titles(page: &str, chart: &str) -> Vec<String> {
    let (_, from) = page.split_once(&format!("id=\"{chart}-title\"")).unwrap_or_else(|| panic!("the page has no chart {chart}"));
    let svg = from.split("</svg>").next().unwrap();
    svg.split("<title>").skip(1).map(|title| title.split("</title>").next().unwrap().to_owned()).collect()
}

/// `p50 140 µs, p95 255 µs` by its names, and `606 requests, 6 4xx` by what is counted.
fn parts(text: &str) -> Vec<(String, f64, f64)> {
    let part = |part: &str| {
        let (first, rest) = part.split_once(' ').unwrap_or_else(|| panic!("{part:?} of {text:?}"));
        let counted = figure(first).map(|(value, off)| (rest.to_owned(), value, off));
        let named = || figure(rest).map(|(value, off)| (first.to_owned(), value, off));
        // `4xx 0.96 %` begins with what could be a number.
        named().or(counted).unwrap_or_else(|| panic!("{part:?} of {text:?}"))
    };
    text.split(", ").map(part).collect()
}

fn hold(title: &str, said: &str, wanted: &[(&str, f64)]) {
    let parts = parts(said);
    assert_eq!(parts.len(), wanted.len(), "{title}: {parts:?}");
    for ((name, shown, off), (expected, value)) in parts.iter().zip(wanted) {
        assert!(
            name == expected && (shown - value).abs() <= off + value.abs() * 1e-9,
            "{title}: {name} {shown}, derived {expected} {value}"
        );
    }
}

fn latencies(derived: &Derived) -> [(&'static str, f64); 3] {
    [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)].map(|(name, share)| (name, derived.bins.quantile(share).unwrap_or_default()))
}

/// Every chart of a page about the routes that `of` names, whose points are of so many seconds.
pub(super) fn are_right(page: &str, store: &Connection, of: &str, step: i64) {
    let mut points = 0;
    for chart in ["traffic-chart", "errors-chart", "latency-chart"] {
        for title in titles(page, chart) {
            // Incidents and gaps last from one moment to another.
            let Some((at, said)) = title.split_once(" UTC: ").filter(|(at, _)| !at.contains(" to ")) else { continue };
            let at: i64 = store.query_row("SELECT unixepoch(?1)", [at], |row| row.get(0)).unwrap();
            let derived = derive(store, "route", &format!("{of} AND at >= {at} AND at < {at} + {step}"));
            if derived.requests == 0.0 {
                continue;
            }
            points += 1;
            match chart {
                "traffic-chart" => hold(
                    &title,
                    &said.replace("of them ", ""),
                    &[("requests", derived.requests), ("4xx", derived.client), ("5xx", derived.server)],
                ),
                "errors-chart" => {
                    hold(&title, said, &[("4xx", derived.client / derived.requests), ("5xx", derived.server / derived.requests)]);
                }
                _ => hold(&title, said, &latencies(&derived)),
            }
        }
    }
    assert!(points > 0, "no point of a chart was looked at");
    for (chart, kind) in [("busiest", "route"), ("consumers-chart", "consumer")] {
        let Some(true) = Some(page.contains(&format!("id=\"{chart}-title\""))) else { continue };
        for title in titles(page, chart) {
            let (name, said) = title.split_once(": ").unwrap();
            let condition = match kind {
                "route" => format!("r.route = '{name}'"),
                _ => format!("{of} AND m.consumer = (SELECT id FROM consumers WHERE consumer = '{name}')"),
            };
            let derived = derive(store, kind, &condition);
            hold(&title, said, &[("requests", derived.requests), ("4xx", derived.client), ("5xx", derived.server)]);
        }
    }
    if page.contains("id=\"slowest-routes-title\"") {
        for title in titles(page, "slowest-routes") {
            let (name, said) = title.split_once(": ").unwrap();
            let route = name.split(' ').next().unwrap();
            hold(&title, said, &latencies(&derive(store, "route", &format!("r.route = '{route}'"))));
        }
    }
    for title in titles(page, "endpoints-chart") {
        // `orders (v1) 10.0.0.1:80`
        let (name, said) = title.split_once(": ").unwrap();
        let (route, host) = (name.split(' ').next().unwrap(), name.rsplit(' ').next().unwrap());
        let endpoint = format!("r.route = '{route}' AND m.endpoint = (SELECT id FROM endpoints WHERE endpoint = 'http://{host}')");
        let derived = derive(store, "endpoint", &endpoint);
        let rest = [("requests", derived.requests), ("5xx", derived.server / derived.requests)];
        // Its last part is a share of something.
        let said =
            said.strip_suffix(" 5xx").map(|said| said.rsplit_once(", ").map(|(said, share)| format!("{said}, 5xx {share}")).unwrap());
        hold(&title, &said.unwrap(), &[&latencies(&derived)[..], &rest].concat());
    }
    for title in titles(page, "plugins-chart") {
        // `auth DIGEST: 606 calls, 40.6 ms in all, 0 failures`
        let (name, said) = title.split_once(": ").unwrap();
        let (plugin, digest) = name.split_once(' ').unwrap();
        let sql = format!(
            "SELECT sum(calls), sum(calls * ns), sum(failures) FROM (SELECT sum(calls) AS calls, sum(failures) AS failures, 1.0 * sum(timed_ns) / sum(timed) AS ns \
             FROM plugin_minute WHERE plugin = (SELECT id FROM plugins WHERE plugin = '{plugin}' AND digest = '{digest}') GROUP BY hook)"
        );
        let row = texts(store, &sql).remove(0);
        let value = |column: usize| row[column].parse::<f64>().unwrap();
        let said = said.split(", ").map(|part| part.strip_suffix(" in all").map_or(part.to_owned(), |time| format!("time {time}")));
        hold(&title, &said.collect::<Vec<_>>().join(", "), &[("calls", value(0)), ("time", value(1) / 1e3), ("failures", value(2))]);
    }
}
