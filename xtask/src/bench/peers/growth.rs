//! How cost grows with what there is more of: a plot for each, and slopes.

use super::plot::{Axis, Line, lines};
use super::row::Row;
use super::{SMALL, Scenario, lineup};
use crate::bench::subject::Proxy;

/// How cost grows with one thing.
pub(in crate::bench) struct Growth {
    /// What there is more of, as files are called.
    pub(in crate::bench) by: &'static str,
    pub(in crate::bench) title: &'static str,
    /// What a slope is in.
    pub(in crate::bench) unit: &'static str,
    /// Slopes of proxies, in that unit.
    pub(in crate::bench) slopes: Vec<(&'static str, f64)>,
    pub(in crate::bench) svg: String,
}

/// A thing there may be more of: the scenarios that have more and less of it, and how much each has.
struct Kind {
    by: &'static str,
    title: &'static str,
    scale: Scale,
    count: fn(&Scenario) -> Option<f64>,
}

/// What a slope is in, and of which points.
#[derive(Clone, Copy)]
struct Scale {
    axis: Axis,
    unit: &'static str,
    /// It is per this much.
    step: f64,
    /// Of points with at least so much.
    from: f64,
}

/// µs per tenfold.
const TENFOLD: Scale = Scale { axis: Axis::Decades, unit: "µs per tenfold", step: 1.0, from: 1.0 };

const KINDS: [Kind; 4] = [
    Kind {
        by: "routes",
        title: "CPU per request, µs, by number of routes, and what ten times as many add",
        scale: TENFOLD,
        count: |scenario| scenario.by_route.then_some(scenario.routes as f64),
    },
    Kind {
        by: "endpoints",
        title: "CPU per request, µs, by number of endpoints, and what ten times as many add",
        scale: TENFOLD,
        count: |scenario| (scenario.endpoints > 1).then_some(scenario.endpoints as f64),
    },
    Kind {
        by: "connections",
        title: "CPU per request, µs, by number of connections, and what ten times as many add from 32 on",
        // With one, a proxy sleeps and is woken for each request: that is the dearest of all, and no part of how cost grows.
        scale: Scale { from: 32.0, ..TENFOLD },
        count: |scenario| {
            let same = Scenario { name: SMALL.name, title: SMALL.title, connections: SMALL.connections, ..*scenario };
            (same == SMALL).then_some(f64::from(scenario.connections))
        },
    },
    Kind {
        by: "body",
        title: "CPU per request, µs, by size of both bodies, KiB, and what 64 KiB more both ways add",
        scale: Scale { axis: Axis::Linear, unit: "µs per 64 KiB", step: 64.0, from: 0.0 },
        count: |scenario| (scenario.body > 0).then_some((scenario.body >> 10) as f64),
    },
];

/// Every growth that the rows show. Rows that do not count are no points.
pub(in crate::bench) fn all(rows: &[Row]) -> Vec<Growth> {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.counts()).collect();
    plugins(&rows).into_iter().chain(KINDS.iter().filter_map(|kind| by_scenario(kind, &rows))).collect()
}

/// What plugins cost, by proxy.
fn plugins(rows: &[&Row]) -> Option<Growth> {
    const KINDS: [(&str, Proxy); 6] = [
        ("plugway", Proxy::Plugway),
        ("Envoy, Wasm", Proxy::Envoy),
        ("Envoy, Lua", Proxy::EnvoyLua),
        ("Envoy, native", Proxy::EnvoyNative),
        ("nginx, Lua", Proxy::Nginx),
        ("Traefik, Wasm", Proxy::Traefik),
    ];
    let line = |(label, proxy): &(&'static str, Proxy)| {
        // Envoy without filters is where all of its lines begin.
        let begins = |row: &Row| row.entry.name == lineup::ENVOY && matches!(*proxy, Proxy::EnvoyLua | Proxy::EnvoyNative);
        let own = rows.iter().filter(|row| row.scenario.name == SMALL.name && (row.entry.proxy == *proxy || begins(row)));
        let points = own.map(|row| (row.entry.plugins as f64, row.cpu_us.median)).collect();
        Line { label, points, own: *proxy == Proxy::Plugway }
    };
    let title = "CPU per request, µs, by number of plugins, and what each adds";
    let scale = Scale { axis: Axis::Linear, unit: "µs each", step: 1.0, from: 0.0 };
    growth("plugins", title, scale, KINDS.iter().map(line).collect())
}

fn by_scenario(kind: &Kind, rows: &[&Row]) -> Option<Growth> {
    let line = |entry: &super::Entry| {
        let own = rows.iter().filter(|row| row.entry.name == entry.name);
        let mut points: Vec<(f64, f64)> = own.filter_map(|row| Some(((kind.count)(&row.scenario)?, row.cpu_us.median))).collect();
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        Line { label: entry.name, points, own: entry.proxy.is_own() }
    };
    growth(kind.by, kind.title, kind.scale, lineup::LINEUP.iter().map(line).collect())
}

fn growth(by: &'static str, title: &'static str, scale: Scale, mut all: Vec<Line<'static>>) -> Option<Growth> {
    let Scale { axis, unit, step, from } = scale;
    all.retain(|line| line.points.iter().filter(|(much, _)| *much >= from).count() > 1);
    let slope = |line: &Line<'static>| {
        let points: Vec<(f64, f64)> = line.points.iter().copied().filter(|(much, _)| *much >= from).collect();
        axis.slope(&points) * step
    };
    let slopes: Vec<_> = all.iter().map(|line| (line.label, slope(line))).collect();
    let named: Vec<f64> = slopes.iter().map(|(_, slope)| *slope).collect();
    (!all.is_empty()).then(|| Growth { by, title, unit, slopes, svg: lines(title, axis, unit, &all, &named) })
}

#[cfg(test)]
mod tests {
    use super::super::row::tests::{in_scenario, rows};
    use super::*;

    #[test]
    fn slopes_are_of_what_there_is_more_of() {
        let mut rows = rows();
        let of = [
            ("routes-1", 10.0),
            ("routes-100", 12.0),
            ("routes-10000", 14.0),
            ("body-64k", 50.0),
            ("body-1m", 350.0),
            ("connections-1", 60.0),
            ("connections-1000", 20.0),
            ("connections-10000", 27.0),
        ];
        for (name, cpu_us) in of {
            rows.push(in_scenario("plugway", name, cpu_us));
        }
        let found = all(&rows);
        let slopes = |by: &str| found.iter().find(|growth| growth.by == by).map(|growth| growth.slopes.clone());
        let near = |by: &str, wanted: f64| {
            let slopes = slopes(by).unwrap();
            assert!(slopes.len() == 1 && slopes[0].0 == "plugway" && (slopes[0].1 - wanted).abs() < 1e-9, "{by}: {slopes:?}");
        };
        near("routes", 1.0);
        near("body", 20.0);
        near("connections", 7.0);
        assert!(slopes("endpoints").is_none());
        assert!(slopes("plugins").is_none(), "rows that do not count are no points");
    }
}
