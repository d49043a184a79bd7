//! Which charts a page has, and what each of them shows.

use std::fmt::Write;

use super::super::chart::{Band, Bar, Line, Spread, Timeline, bars, escape, spreads};
use super::super::data::{Report, Totals};
use super::super::{format, time};
use crate::store::GapKind;

/// Bars of one chart.
const BARS: usize = 12;
/// Endpoints that are compared in one chart.
const ENDPOINTS: usize = 40;
/// Requests below which a route's percentiles say little.
const FEW: u64 = 20;

fn figure(legend: &[(&str, &str)], caption: &str, svg: &str) -> String {
    figure_of("", legend, caption, svg)
}

fn figure_of(class: &str, legend: &[(&str, &str)], caption: &str, svg: &str) -> String {
    let mut out = format!("<figure{class}>\n<figcaption>");
    let _ = write!(out, "<span>{}</span>", escape(caption));
    for (class, text) in legend {
        let _ = write!(out, "<span class=\"key {class}\">{}</span>", escape(text));
    }
    out.push_str("</figcaption>\n");
    out.push_str(svg);
    out.push_str("\n</figure>\n");
    out
}

/// What the bands of a report's timelines are, as far as it has any.
const BANDS: [(&str, &str); 4] =
    [("page", "incident to page for"), ("ticket", "incident"), ("gap", "counts lost"), ("stopped", "gateway stopped")];

/// A timeline says in its legend what its bands are, too.
fn figure_over_time(report: &Report, lines: &[(&str, &str)], caption: &str, svg: &str) -> String {
    let bands = bands(report);
    let shown = BANDS.iter().filter(|(class, _)| bands.iter().any(|band| band.class == *class));
    let legend: Vec<_> = lines.iter().chain(shown).copied().collect();
    figure_of(" class=\"over-time\"", &legend, caption, svg)
}

/// Gaps stand behind every timeline, incidents above it.
fn bands(report: &Report) -> Vec<Band> {
    let gap = |gap: &crate::store::Gap| Band {
        class: if gap.kind == GapKind::Stopped { "stopped" } else { "gap" },
        strip: None,
        since: gap.since,
        until: gap.until,
        title: format!("{} to {}: {}", time::second(gap.since), time::second(gap.until), gap.kind.title()),
    };
    let incident = |incident: &crate::store::Incident| Band {
        class: if incident.severity == "page" { "page" } else { "ticket" },
        strip: Some(u8::from(incident.severity == "page")),
        since: incident.started,
        until: incident.ended.unwrap_or_else(|| report.lasts(incident).0),
        title: incident.title.clone(),
    };
    merged(report.incidents.iter().map(incident).chain(report.gaps.iter().map(gap)).collect())
}

/// Bands of one kind that overlap become one: on top of each other they would hide what they stand behind.
fn merged(mut bands: Vec<Band>) -> Vec<Band> {
    // Those that tell most are drawn last.
    let rank = |band: &Band| std::cmp::Reverse(BANDS.iter().position(|(class, _)| *class == band.class));
    bands.sort_by_key(|band| (rank(band), band.since));
    bands.into_iter().fold(Vec::new(), |mut all: Vec<Band>, band| {
        match all.last_mut().filter(|last| last.class == band.class && band.since <= last.until) {
            Some(last) => {
                last.until = last.until.max(band.until);
                last.title = format!("{}; {}", last.title, band.title);
            }
            None => all.push(band),
        }
        all
    })
}

fn timeline(
    report: &Report,
    id: &str,
    title: &str,
    text: fn(f64) -> String,
    titles: impl Fn(&Totals) -> String,
    draw: impl Fn(&Timeline<'_>) -> String,
) -> String {
    let titles: Vec<_> = report.timeline.iter().map(|point| format!("{}: {}", time::moment(point.at), titles(&point.totals))).collect();
    let bands = bands(report);
    let until = report.timeline.last().map_or(report.until, |point| point.at + report.step);
    draw(&Timeline { id, title, from: report.from, until, step: report.step, bands: &bands, titles: &titles, text })
}

fn line(report: &Report, class: &'static str, value: impl Fn(&Totals) -> Option<f64>) -> Line {
    Line { class, values: report.timeline.iter().map(|point| value(&point.totals)).collect() }
}

pub(super) fn traffic(report: &Report) -> Option<String> {
    // The first step may have begun before the store did, and the last one is not over yet: what they have came in less time.
    let seconds = |at: i64| ((at + report.step).min(report.until) - at.max(report.counted_since)).max(1) as f64;
    let layer = |class, of: fn(&Totals) -> u64| {
        let rates = report.timeline.iter().map(|point| Some(of(&point.totals) as f64 / seconds(point.at)));
        Line { class, values: rates.collect() }
    };
    let layers = [
        layer("ok", |totals| totals.requests.saturating_sub(totals.client_errors + totals.server_errors)),
        layer("client", |totals| totals.client_errors),
        layer("server", |totals| totals.server_errors),
    ];
    let said = |totals: &Totals| {
        let [all, client, server] = [totals.requests, totals.client_errors, totals.server_errors].map(format::whole);
        format!("{all} requests, {client} of them 4xx, {server} 5xx")
    };
    let svg = timeline(report, "traffic-chart", "Requests a second over time", format::short, said, |chart| chart.stacked(&layers));
    let legend = [("ok", "answered"), ("client", "4xx"), ("server", "5xx")];
    (report.totals.requests > 0).then(|| figure_over_time(report, &legend, "Requests a second", &svg))
}

pub(super) fn errors(report: &Report) -> Option<String> {
    let percent = |part: u64, all: u64| (all > 0).then(|| part as f64 * 100.0 / all as f64);
    let lines = [
        line(report, "client", |totals| percent(totals.client_errors, totals.requests)),
        line(report, "server", |totals| percent(totals.server_errors, totals.requests)),
    ];
    let said = |totals: &Totals| {
        let [client, server] = [totals.client_errors, totals.server_errors].map(|part| format::share(part, totals.requests));
        format!("4xx {client}, 5xx {server}")
    };
    let text = |value: f64| format!("{} %", format::short(value));
    let svg = timeline(report, "errors-chart", "Share of requests that failed, over time", text, said, |chart| chart.lines(&lines, false));
    let legend = [("client", "4xx"), ("server", "5xx")];
    (report.totals.requests > 0).then(|| figure_over_time(report, &legend, "Share of requests", &svg))
}

pub(super) fn latency(report: &Report) -> Option<String> {
    let lines = [
        line(report, "p99", |totals| totals.latency.p99_us),
        line(report, "p95", |totals| totals.latency.p95_us),
        line(report, "p50", |totals| totals.latency.p50_us),
    ];
    let said = |totals: &Totals| {
        let [p50, p95, p99] = [totals.latency.p50_us, totals.latency.p95_us, totals.latency.p99_us].map(format::latency_or_none);
        format!("p50 {p50}, p95 {p95}, p99 {p99}")
    };
    let svg = timeline(report, "latency-chart", "Latency percentiles over time", format::latency, said, |chart| chart.lines(&lines, true));
    let legend = [("p50", "p50: half took less"), ("p95", "p95"), ("p99", "p99: 99 of 100 took less")];
    report.totals.latency.p50_us.map(|_| figure_over_time(report, &legend, "Head to last byte", &svg))
}

fn route_name(route: &super::super::data::Route) -> String {
    if route.version.is_empty() { route.route.clone() } else { format!("{} ({})", route.route, route.version) }
}

fn parts(requests: u64, client_errors: u64, server_errors: u64) -> Vec<(&'static str, f64)> {
    let answered = requests.saturating_sub(client_errors + server_errors);
    vec![("ok", answered as f64), ("client", client_errors as f64), ("server", server_errors as f64)]
}

pub(super) fn busiest(report: &Report) -> Option<String> {
    let bar = |route: &super::super::data::Route| {
        let totals = &route.totals;
        let all = format::whole(totals.requests);
        Bar {
            name: route_name(route),
            parts: parts(totals.requests, totals.client_errors, totals.server_errors),
            figure: format!("{all} · {}", format::share(totals.requests, report.totals.requests)),
            title: format!("{}: {all} requests, {} 4xx, {} 5xx", route.route, totals.client_errors, totals.server_errors),
        }
    };
    let shown: Vec<_> = report.routes.iter().take(BARS).map(bar).collect();
    let caption = more("Busiest routes, requests", report.routes.len(), report.routes.len(), shown.len());
    (!shown.is_empty())
        .then(|| figure(&[("ok", "answered"), ("client", "4xx"), ("server", "5xx")], &caption, &bars("busiest", "Busiest routes", &shown)))
}

pub(super) fn slowest(report: &Report) -> Option<String> {
    let enough =
        |route: &&super::super::data::Route| route.totals.requests >= FEW || report.routes.iter().all(|route| route.totals.requests < FEW);
    let mut routes: Vec<_> = report.routes.iter().filter(enough).filter(|route| route.totals.latency.p95_us.is_some()).collect();
    routes.sort_by(|a, b| b.totals.latency.p95_us.unwrap_or_default().total_cmp(&a.totals.latency.p95_us.unwrap_or_default()));
    let of = |route: &&super::super::data::Route| spread(route_name(route), &route.totals.latency, false);
    let shown: Vec<_> = routes.iter().take(BARS).filter_map(of).collect();
    let caption = more("Slowest routes, by p95", routes.len(), routes.len(), shown.len());
    let legend = [("p50", "p50"), ("p95", "p95"), ("p99", "p99")];
    (!shown.is_empty()).then(|| figure(&legend, &caption, &spreads("slowest-routes", "Slowest routes", &shown, format::latency)))
}

fn spread(name: String, latency: &super::super::data::Latency, first: bool) -> Option<Spread> {
    let (p50, p95, p99) = (latency.p50_us?, latency.p95_us?, latency.p99_us?);
    let [half, most, nearly] = [p50, p95, p99].map(format::latency);
    Some(Spread {
        title: format!("{name}: p50 {half}, p95 {most}, p99 {nearly}"),
        figure: format!("p95 {most}"),
        name,
        p50,
        p95,
        p99,
        first,
    })
}

pub(super) fn endpoints(report: &Report) -> Option<String> {
    let mut before = ("", "");
    let mut shown = Vec::new();
    for endpoint in report.endpoints.iter().take(ENDPOINTS) {
        let route = (&*endpoint.route, &*endpoint.version);
        let first = route != before;
        before = route;
        let route = if route.1.is_empty() { route.0.to_owned() } else { format!("{} ({})", route.0, route.1) };
        let host = endpoint.endpoint.split_once("://").map_or(&*endpoint.endpoint, |(_, host)| host);
        let Some(mut spread) = spread(format!("{route} {host}"), &endpoint.latency, first) else { continue };
        let failed = format::share(endpoint.server_errors, endpoint.requests);
        spread.title = format!("{}, {} requests, {failed} 5xx", spread.title, format::whole(endpoint.requests));
        if endpoint.server_errors > 0 {
            spread.figure = format!("{} · {failed} 5xx", spread.figure);
        }
        shown.push(spread);
    }
    let caption = more("Latency of each endpoint, by route", report.endpoints.len(), report.endpoints.len(), shown.len());
    let legend = [("p50", "p50"), ("p95", "p95"), ("p99", "p99")];
    (!shown.is_empty()).then(|| figure(&legend, &caption, &spreads("endpoints-chart", "Endpoints compared", &shown, format::latency)))
}

pub(super) fn consumers(report: &Report) -> Option<String> {
    let bar = |consumer: &super::super::data::Consumer| Bar {
        name: consumer.consumer.clone(),
        parts: parts(consumer.requests, consumer.client_errors, consumer.server_errors),
        figure: format!("{} · {}", format::whole(consumer.requests), format::share(consumer.requests, report.totals.requests)),
        title: format!(
            "{}: {} requests, {} 4xx, {} 5xx",
            consumer.consumer,
            format::whole(consumer.requests),
            consumer.client_errors,
            consumer.server_errors
        ),
    };
    let shown: Vec<_> = report.consumers.iter().take(BARS).map(bar).collect();
    let all = usize::try_from(report.consumers_in_all).unwrap_or(usize::MAX);
    let caption = more("Requests of each consumer", all, report.consumers.len(), shown.len());
    let legend = [("ok", "answered"), ("client", "4xx"), ("server", "5xx")];
    (!shown.is_empty()).then(|| figure(&legend, &caption, &bars("consumers-chart", "Top consumers", &shown)))
}

pub(super) fn plugins(report: &Report) -> Option<String> {
    let bar = |plugin: &super::super::data::Plugin| {
        let seconds = plugin.seconds.unwrap_or_default();
        let mean = format::latency_or_none(plugin.mean_ns.map(|ns| ns / 1e3));
        let version: String = plugin.digest.chars().take(8).collect();
        Bar {
            name: format!("{} {version}", plugin.plugin),
            parts: vec![("plugin", seconds)],
            figure: format!("{} · {mean} a call", format::latency(seconds * 1e6)),
            title: format!(
                "{} {}: {} calls, {} in all, {} failures",
                plugin.plugin,
                plugin.digest,
                format::whole(plugin.calls),
                format::latency(seconds * 1e6),
                plugin.failures
            ),
        }
    };
    let shown: Vec<_> = report.plugins.iter().take(BARS).map(bar).collect();
    let all = report.plugins.len();
    let caption = more("Time of workers that each version of a plugin used, whole gateway", all, all, shown.len());
    (!shown.is_empty()).then(|| figure(&[], &caption, &bars("plugins-chart", "Plugin cost", &shown)))
}

pub(super) fn budgets(report: &Report) -> Option<String> {
    let bar = |slo: &crate::store::Slo| {
        let left = slo.budget_left()?;
        Some(Bar {
            name: format!("{} {}", slo.route, slo.name),
            parts: match left {
                left if left <= 0.0 => vec![("server", 1.0)],
                left => vec![("ok", left.min(1.0)), ("used", (1.0 - left).max(0.0))],
            },
            figure: if left > 0.0 { format!("{:.0} % left", left * 100.0) } else { "overspent".to_owned() },
            title: format!("{} of {}: {} good of {}", slo.name, slo.route, slo.good, slo.total),
        })
    };
    let shown: Vec<_> = report.slos.iter().filter_map(bar).collect();
    (!shown.is_empty()).then(|| {
        figure(
            &[("ok", "left"), ("used", "used"), ("server", "overspent")],
            "Error budgets",
            &bars("budgets-chart", "Error budgets", &shown),
        )
    })
}

/// Whoever sees a part should know of the rest, and how many of it the table lists.
fn more(caption: &str, all: usize, listed: usize, shown: usize) -> String {
    if all <= shown {
        return caption.to_owned();
    }
    let rest = if all > listed { format!("the first {listed}") } else { "the others".to_owned() };
    format!("{caption} ({shown} of {all}; {rest} are in the table)")
}
