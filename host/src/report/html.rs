//! A report as one page that needs nothing else: style and charts are in it, no script, nothing is loaded from anywhere. What a chart
//! shows stands in a table behind it, for who cannot see it and for who wants the number.

mod charts;

use std::fmt::Write;

use super::chart::escape;
use super::data::{Latency, Report, Totals};
use super::tables::{Cell, Table, samples};
use super::{format, time};

const STYLE: &str = include_str!("html/style.css");

pub(super) fn page(report: &Report) -> String {
    let title = format!("{}, {} to {}", report.title, time::moment(report.counted_since), time::moment(report.until));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        escape(&title)
    );
    head(&mut out, report);
    tiles(&mut out, report);
    section(&mut out, "traffic", "Traffic", &[charts::traffic(report)], &[report.timeline_table()]);
    errors(&mut out, report);
    section(&mut out, "latency", "Latency", &[charts::latency(report)], &[]);
    incidents(&mut out, report);
    objectives(&mut out, report);
    if report.scope != "route" {
        section(&mut out, "routes", "Routes", &[charts::busiest(report), charts::slowest(report)], &[report.routes_table()]);
    }
    section(&mut out, "endpoints", "Endpoints compared", &[charts::endpoints(report)], &[report.endpoints_table()]);
    section(&mut out, "consumers", "Top consumers", &[charts::consumers(report)], &[report.consumers_table()]);
    section(&mut out, "plugins", "Plugin cost", &[charts::plugins(report)], &[report.plugins_table()]);
    requests(&mut out, report);
    notes(&mut out, report);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn head(out: &mut String, report: &Report) {
    let name = report.name.as_deref().unwrap_or("All traffic");
    let what = match report.scope {
        "api" => "API report",
        "route" => "Route report",
        _ => "Gateway report",
    };
    let _ = write!(
        out,
        "<header>\n<p class=\"what\">{what}</p>\n<h1>{}</h1>\n<p class=\"when\"><time datetime=\"{}\">{}</time> to <time datetime=\"{}\">{}</time> · {}, \
         one point each {}</p>\n<p class=\"short\">{}</p>\n</header>\n",
        escape(name),
        time::rfc3339(report.counted_since),
        time::moment(report.counted_since),
        time::rfc3339(report.until),
        time::moment(report.until),
        format::span(report.until - report.counted_since),
        match report.step {
            60 => "minute",
            3_600 => "hour",
            _ => "day (UTC)",
        },
        escape(&report.in_short())
    );
}

/// The few numbers that everybody asks for first.
fn tiles(out: &mut String, report: &Report) {
    let (now, before) = (&report.totals, report.before.as_ref());
    let length = (report.until - report.counted_since).max(1) as f64;
    let length_before = before.map_or(0, |before| report.from - before.from);
    let latency = |of: fn(&Latency) -> Option<f64>| {
        (Cell::Latency(of(&now.latency)), of(&now.latency), before.and_then(|before| of(&before.totals.latency)))
    };
    // The two times are not quite of one length.
    let rate_before = |count: u64| count as f64 / length_before.max(1) as f64;
    let count = |of: fn(&Totals) -> u64| {
        (Cell::Count(of(now)), Some(of(now) as f64 / length), before.map(|before| rate_before(of(&before.totals))))
    };
    let good = Cell::Share(now.requests.saturating_sub(now.server_errors), now.requests);
    let tiles = [
        ("Requests", count(|totals| totals.requests), ""),
        ("Requests a second", (Cell::Number(now.requests as f64 / length), None, None), "on average"),
        ("Answered without a server error", (good, None, None), "of all requests"),
        ("Server errors (5xx)", count(|totals| totals.server_errors), ""),
        ("Half took less than", latency(|latency| latency.p50_us), ""),
        ("95 of 100 took less than", latency(|latency| latency.p95_us), ""),
        ("99 of 100 took less than", latency(|latency| latency.p99_us), ""),
        ("Sent to clients", (Cell::Bytes(now.response_bytes), None, None), "bodies"),
    ];
    out.push_str("<dl class=\"tiles\">\n");
    for (name, (cell, now, before), note) in tiles {
        let change = now.zip(before).and_then(|(now, before)| format::change(now, before));
        let note = change.map_or_else(|| note.to_owned(), |change| format!("{change} against the {} before", format::span(length_before)));
        let (raw, shown) = (cell.raw(), cell.shown());
        let _ = writeln!(out, "<div><dt>{name}</dt><dd data-value=\"{raw}\">{shown}</dd><dd class=\"note\">{note}</dd></div>");
    }
    out.push_str("</dl>\n");
}

/// What went wrong and whose fault it was is what a report is read for: its table stands open.
fn errors(out: &mut String, report: &Report) {
    begin(out, "errors", "Errors");
    if let Some(chart) = charts::errors(report) {
        out.push_str(&chart);
    }
    let (faults, statuses) = (report.faults_table(), report.statuses_table());
    let failed = report.totals.client_errors + report.totals.server_errors > 0;
    match (faults.rows.is_empty(), statuses.rows.is_empty()) {
        (true, false) if failed => out.push_str("<p class=\"none\">What was at fault was not yet counted.</p>\n"),
        (true, true) => out.push_str("<p class=\"none\">Nothing was counted in this time.</p>\n"),
        (true, false) => out.push_str("<p class=\"none\">No request failed.</p>\n"),
        (false, _) => table(out, &faults),
    }
    folded(out, &statuses);
    out.push_str("</section>\n");
}

/// A table that is there for whoever opens it.
fn folded(out: &mut String, table: &Table) {
    if !table.rows.is_empty() {
        let _ = writeln!(out, "<details><summary>{} as a table</summary>", table.title);
        self::table(out, table);
        out.push_str("</details>\n");
    }
}

fn begin(out: &mut String, id: &str, title: &str) {
    let _ = writeln!(out, "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{}</h2>", escape(title));
}

/// Charts, and the tables behind them. Without anything to show it says so: whoever misses a section should know why.
fn section(out: &mut String, id: &str, title: &str, charts: &[Option<String>], tables: &[Table]) {
    begin(out, id, title);
    let mut shown = 0;
    for chart in charts.iter().flatten() {
        out.push_str(chart);
        shown += 1;
    }
    for table in tables.iter().filter(|table| !table.rows.is_empty()) {
        folded(out, table);
        shown += 1;
    }
    if shown == 0 {
        out.push_str("<p class=\"none\">Nothing was counted in this time.</p>\n");
    }
    out.push_str("</section>\n");
}

fn incidents(out: &mut String, report: &Report) {
    begin(out, "incidents", "Incidents");
    if report.incidents.is_empty() {
        out.push_str("<p class=\"none\">None was found.</p>\n");
    }
    for incident in &report.incidents {
        let lasts = || {
            let (until, said) = report.lasts(incident);
            (until, said.to_owned())
        };
        let (until, said) = incident.ended.map_or_else(lasts, |ended| (ended, format!("until {}", time::second(ended))));
        let length = until - incident.started;
        let _ = write!(
            out,
            "<article class=\"incident {}\">\n<h3>{}</h3>\n<p class=\"when\">{} · since {}, {said} ({})</p>\n",
            if incident.severity == "page" { "page" } else { "ticket" },
            escape(&incident.title),
            escape(&incident.severity),
            time::second(incident.started),
            format::span(length.max(0)),
        );
        if !incident.cause.is_empty() {
            let _ = writeln!(out, "<p><strong>Likely cause:</strong> {}</p>", escape(&incident.cause));
        }
        evidence(out, &incident.evidence);
        out.push_str("</article>\n");
    }
    out.push_str("</section>\n");
}

/// An object of figures becomes a list; anything else stands as it is.
fn evidence(out: &mut String, evidence: &str) {
    match serde_json::from_str(evidence) {
        Ok(serde_json::Value::Object(figures)) if !figures.is_empty() => {
            out.push_str("<dl class=\"evidence\">");
            for (name, figure) in figures {
                let figure = figure.as_str().map_or_else(|| figure.to_string(), str::to_owned);
                let figure = figure.parse().map_or(figure, format::whole);
                let _ = write!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escape(&name.replace('_', " ")), escape(&figure));
            }
            out.push_str("</dl>\n");
        }
        Ok(serde_json::Value::Object(_)) => {}
        _ => {
            let _ = writeln!(out, "<p>{}</p>", escape(evidence));
        }
    }
}

fn objectives(out: &mut String, report: &Report) {
    begin(out, "slos", "Objectives and their budgets");
    if report.slos.is_empty() {
        out.push_str("<p class=\"none\">No route has an objective.</p>\n");
    } else {
        if let Some(chart) = charts::budgets(report) {
            out.push_str(&chart);
        }
        table(out, &report.slos_table());
    }
    out.push_str("</section>\n");
}

fn requests(out: &mut String, report: &Report) {
    begin(out, "requests", "Requests in detail");
    out.push_str(
        "<p>The slowest requests of every minute are kept, and the first of those that failed; all of them are counted above.</p>\n",
    );
    for table in [samples("slowest", "Slowest requests", &report.slowest), samples("failed", "Latest failed requests", &report.failed)] {
        if table.rows.is_empty() {
            let _ = writeln!(out, "<p class=\"none\">{}: none are kept of this time.</p>", table.title);
        } else {
            let _ = writeln!(out, "<h3>{}</h3>", table.title);
            self::table(out, &table);
        }
    }
    out.push_str("</section>\n");
}

fn notes(out: &mut String, report: &Report) {
    begin(out, "notes", "How to read this");
    if !report.gaps.is_empty() {
        out.push_str("<h3>Gaps</h3>\n");
        table(out, &report.gaps_table());
    }
    if let Some(said) = report.left_out() {
        let _ = writeln!(out, "<p><strong>{}</strong></p>", escape(&said));
    }
    let _ = write!(
        out,
        "<p>Counts are exact: every request the gateway answered in this time is in them, also those that matched no route. Latencies are from a request's head \
         to the last byte of its response; percentiles are right to {:.0} % of their value. Plugin time is that of one call in 64, \
         multiplied. Status 499 is a client that left before it was answered. What has changed is said of rates, against the time before in whole steps. All times are UTC.</p>\n<footer>plugway {} · made {}</footer>\n</section>\n",
        report.latency_accuracy * 100.0,
        env!("CARGO_PKG_VERSION"),
        time::second(report.generated_at)
    );
}

pub(super) fn table(out: &mut String, table: &Table) {
    let _ = write!(
        out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table>\n<caption>{0}</caption>\n<thead><tr>",
        table.title
    );
    let numbers: Vec<_> = table.rows.first().into_iter().flatten().map(Cell::is_number).collect();
    let class = |column: usize| if numbers.get(column).copied().unwrap_or_default() { " class=\"number\"" } else { "" };
    for (number, column) in table.columns.iter().enumerate() {
        let _ = write!(out, "<th scope=\"col\"{}>{}</th>", class(number), escape(column));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (number, cell) in row.iter().enumerate() {
            let class = if matches!(cell, Cell::Moment(_)) { " class=\"moment\"" } else { class(number) };
            let _ = write!(out, "<td{} data-value=\"{}\">{}</td>", class, escape(&cell.raw()), escape(&cell.shown()));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table></div>\n");
}
