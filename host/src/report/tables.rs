//! A report as tables: every number that any format shows stands in one of these.

use super::data::{Latency, Report, Sample, Totals};
use super::{format, time};

/// One table.
pub(super) struct Table {
    /// One word; an anchor of the page.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) columns: Vec<&'static str>,
    pub(super) rows: Vec<Vec<Cell>>,
}

/// One cell: a value, and how it is shown.
#[derive(Debug, Clone)]
pub(super) enum Cell {
    Text(String),
    /// A name that is long and told by its beginning: a digest.
    Digest(String),
    Count(u64),
    /// Part of a whole.
    Share(u64, u64),
    /// A share that is asked for, such as 0.999.
    Promise(f64),
    /// What is left of a whole, less than nothing where it is overspent.
    Left(Option<f64>),
    /// Microseconds.
    Latency(Option<f64>),
    Bytes(u64),
    Number(f64),
    /// Seconds since 1970.
    Moment(i64),
    /// Seconds.
    Span(i64),
}

impl Cell {
    /// For people.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Digest(digest) => digest.chars().take(12).collect(),
            Self::Count(count) => format::whole(*count),
            Self::Share(part, all) => format::share(*part, *all),
            // Promises are made in millionths, which a hundred times a fraction of two is not.
            Self::Promise(share) => format!("{} %", (share * 1e6).round() / 1e4),
            Self::Left(left) => left.map_or_else(|| "–".to_owned(), |left| format!("{:.0} %", left * 100.0)),
            Self::Latency(us) => format::latency_or_none(*us),
            Self::Bytes(bytes) => format::bytes(*bytes),
            Self::Number(number) => format::short(*number),
            Self::Moment(at) => time::second(*at),
            Self::Span(seconds) => format::span(*seconds),
        }
    }

    /// For programs: the value, in the unit of the store.
    pub(super) fn raw(&self) -> String {
        match self {
            Self::Text(text) | Self::Digest(text) => text.clone(),
            Self::Count(count) | Self::Bytes(count) => count.to_string(),
            Self::Share(_, 0) => String::new(),
            Self::Share(part, all) => (*part as f64 / *all as f64).to_string(),
            Self::Left(value) | Self::Latency(value) => value.map(|value| value.to_string()).unwrap_or_default(),
            Self::Number(number) | Self::Promise(number) => number.to_string(),
            Self::Moment(at) => time::rfc3339(*at),
            Self::Span(seconds) => seconds.to_string(),
        }
    }

    /// Whether it stands right, as numbers do.
    pub(super) fn is_number(&self) -> bool {
        !matches!(self, Self::Text(_) | Self::Digest(_) | Self::Moment(_))
    }
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

const TOTALS: [&str; 11] = ["requests", "4xx", "5xx", "5xx share", "mean", "p50", "p95", "p99", "longest", "bytes in", "bytes out"];
const COUNTS: [&str; 9] = ["requests", "4xx", "5xx", "5xx share", "mean", "p50", "p95", "p99", "longest"];

fn totals(totals: &Totals) -> Vec<Cell> {
    let mut cells = counts(totals.requests, totals.client_errors, totals.server_errors, &totals.latency);
    cells.extend([Cell::Bytes(totals.request_bytes), Cell::Bytes(totals.response_bytes)]);
    cells
}

fn counts(requests: u64, client_errors: u64, server_errors: u64, latency: &Latency) -> Vec<Cell> {
    vec![
        Cell::Count(requests),
        Cell::Count(client_errors),
        Cell::Count(server_errors),
        Cell::Share(server_errors, requests),
        Cell::Latency(latency.mean_us),
        Cell::Latency(latency.p50_us),
        Cell::Latency(latency.p95_us),
        Cell::Latency(latency.p99_us),
        Cell::Latency(latency.longest_us.map(|us| us as f64)),
    ]
}

fn with(first: &[&'static str], rest: &[&'static str]) -> Vec<&'static str> {
    first.iter().chain(rest).copied().collect()
}

fn row(first: Vec<Cell>, rest: Vec<Cell>) -> Vec<Cell> {
    first.into_iter().chain(rest).collect()
}

impl Report {
    /// Every table, in the order of the page.
    pub(super) fn tables(&self) -> Vec<Table> {
        vec![
            self.totals_table(),
            self.timeline_table(),
            self.statuses_table(),
            self.faults_table(),
            self.routes_table(),
            self.endpoints_table(),
            self.consumers_table(),
            self.plugins_table(),
            self.incidents_table(),
            self.slos_table(),
            samples("slowest", "Slowest requests", &self.slowest),
            samples("failed", "Latest failed requests", &self.failed),
            self.gaps_table(),
        ]
    }

    pub(super) fn totals_table(&self) -> Table {
        let mut rows = vec![row(vec![text("this time"), Cell::Moment(self.counted_since), Cell::Moment(self.until)], totals(&self.totals))];
        if let Some(before) = &self.before {
            rows.push(row(vec![text("before"), Cell::Moment(before.from), Cell::Moment(self.from)], totals(&before.totals)));
        }
        Table { id: "totals", title: "In all", columns: with(&["which", "from", "until"], &TOTALS), rows }
    }

    pub(super) fn timeline_table(&self) -> Table {
        let rows = self.timeline.iter().map(|point| row(vec![Cell::Moment(point.at)], totals(&point.totals))).collect();
        Table { id: "timeline", title: "Over time", columns: with(&["from"], &TOTALS), rows }
    }

    pub(super) fn statuses_table(&self) -> Table {
        let all = self.totals.requests;
        let of = |status: &super::data::Status| {
            let name = if status.status == 499 { "499 (client left)".to_owned() } else { status.status.to_string() };
            vec![Cell::Text(name), Cell::Count(status.requests), Cell::Share(status.requests, all)]
        };
        let rows = self.statuses.iter().map(of).collect();
        Table { id: "statuses", title: "Statuses", columns: vec!["status", "requests", "share"], rows }
    }

    pub(super) fn faults_table(&self) -> Table {
        let all = self.totals.requests;
        let of = |fault: &super::data::Fault| {
            vec![text(&fault.fault), text(&fault.blame), Cell::Count(fault.requests), Cell::Share(fault.requests, all)]
        };
        let rows = self.faults.iter().map(of).collect();
        Table { id: "faults", title: "Faults", columns: vec!["fault", "whose", "requests", "share"], rows }
    }

    pub(super) fn routes_table(&self) -> Table {
        let of = |route: &super::data::Route| row(vec![text(&route.route), text(&route.api), text(&route.version)], totals(&route.totals));
        let rows = self.routes.iter().map(of).collect();
        Table { id: "routes", title: "Routes", columns: with(&["route", "API", "version"], &TOTALS), rows }
    }

    pub(super) fn endpoints_table(&self) -> Table {
        let of = |endpoint: &super::data::Endpoint| {
            let first = vec![text(&endpoint.route), text(&endpoint.version), text(&endpoint.endpoint)];
            row(first, counts(endpoint.requests, endpoint.client_errors, endpoint.server_errors, &endpoint.latency))
        };
        let rows = self.endpoints.iter().map(of).collect();
        Table { id: "endpoints", title: "Endpoints", columns: with(&["route", "version", "endpoint"], &COUNTS), rows }
    }

    pub(super) fn consumers_table(&self) -> Table {
        let of = |consumer: &super::data::Consumer| {
            let first = vec![text(&consumer.consumer), Cell::Count(consumer.routes)];
            row(first, counts(consumer.requests, consumer.client_errors, consumer.server_errors, &consumer.latency))
        };
        let rows = self.consumers.iter().map(of).collect();
        Table { id: "consumers", title: "Consumers", columns: with(&["consumer", "routes"], &COUNTS), rows }
    }

    pub(super) fn plugins_table(&self) -> Table {
        let of = |plugin: &super::data::Plugin| {
            let kinds: Vec<_> = plugin.kinds.iter().map(|(kind, count)| format!("{kind} {}", format::whole(*count))).collect();
            vec![
                text(&plugin.plugin),
                Cell::Digest(plugin.digest.clone()),
                Cell::Count(plugin.calls),
                Cell::Count(plugin.failures),
                Cell::Text(kinds.join(", ")),
                Cell::Latency(plugin.mean_ns.map(|ns| ns / 1e3)),
                Cell::Latency(plugin.p99_ns.map(|ns| ns / 1e3)),
                Cell::Latency(plugin.seconds.map(|seconds| seconds * 1e6)),
            ]
        };
        let columns = vec!["plugin", "version", "calls", "failures", "by kind", "mean of a call", "p99 of a call", "time in all"];
        // They are counted by hook and not by route, so in a report of some routes the table says whose they are.
        let title = if self.scope == "gateway" { "Plugins" } else { "Plugins of the whole gateway" };
        Table { id: "plugins", title, columns, rows: self.plugins.iter().map(of).collect() }
    }

    pub(super) fn incidents_table(&self) -> Table {
        let of = |incident: &crate::store::Incident| {
            vec![
                Cell::Moment(incident.started),
                incident.ended.map_or_else(|| text(self.lasts(incident).1), Cell::Moment),
                text(&incident.severity),
                text(&incident.kind),
                text(&incident.route),
                text(&incident.subject),
                text(&incident.title),
                text(&incident.cause),
                Cell::Text(evidence(&incident.evidence)),
            ]
        };
        let columns = vec!["from", "until", "severity", "kind", "route", "about", "what", "likely cause", "evidence"];
        Table { id: "incidents", title: "Incidents", columns, rows: self.incidents.iter().map(of).collect() }
    }

    pub(super) fn slos_table(&self) -> Table {
        let of = |slo: &crate::store::Slo| {
            let (good, total) = (slo.good.unsigned_abs(), slo.total.unsigned_abs());
            vec![
                text(&slo.name),
                text(&slo.route),
                Cell::Promise(slo.objective),
                Cell::Span(slo.window_seconds),
                Cell::Share(good, total),
                Cell::Count(total),
                Cell::Left(slo.budget_left()),
            ]
        };
        let columns = vec!["objective", "route", "at least", "over", "good", "requests", "budget left"];
        Table { id: "slos", title: "Objectives", columns, rows: self.slos.iter().map(of).collect() }
    }

    pub(super) fn gaps_table(&self) -> Table {
        let of = |gap: &crate::store::Gap| {
            let why = gap.kind.title();
            let lost = gap.lost.map_or_else(|| text(""), |lost| Cell::Count(lost.unsigned_abs()));
            vec![Cell::Moment(gap.since), Cell::Moment(gap.until), Cell::Span(gap.until - gap.since), text(why), lost]
        };
        let columns = vec!["from", "until", "how long", "why", "requests lost"];
        Table { id: "gaps", title: "Gaps", columns, rows: self.gaps.iter().map(of).collect() }
    }
}

/// Figures as text: `errors now 12.00 %, errors in the hour before 0.10 %`.
fn evidence(evidence: &str) -> String {
    let Ok(serde_json::Value::Object(figures)) = serde_json::from_str(evidence) else { return evidence.to_owned() };
    let figure = |(name, figure): (&String, &serde_json::Value)| {
        format!("{name} {}", figure.as_str().map_or_else(|| figure.to_string(), str::to_owned))
    };
    figures.iter().map(figure).collect::<Vec<_>>().join(", ")
}

pub(super) fn samples(id: &'static str, title: &'static str, samples: &[Sample]) -> Table {
    let of = |sample: &Sample| {
        vec![
            Cell::Moment(sample.at_us.div_euclid(1_000_000)),
            text(&sample.request_id),
            text(&sample.route),
            text(&format!("{} {}", sample.method, sample.path)),
            Cell::Text(sample.status.to_string()),
            text(&sample.fault),
            Cell::Latency(Some(sample.duration_us as f64)),
            Cell::Latency(sample.upstream_us.map(|us| us as f64)),
            Cell::Count(u64::from(sample.attempts)),
            text(&sample.endpoint),
            text(&sample.consumer),
        ]
    };
    let columns =
        vec!["ended", "request id", "route", "request", "status", "fault", "took", "upstream took", "attempts", "endpoint", "consumer"];
    Table { id, title, columns, rows: samples.iter().map(of).collect() }
}
