//! The rows as one HTML page with plots, complete in itself.

use super::columns::{HEAD, cells};
use super::growth;
use super::plot::{Bar, bars, escape, figures};
use super::row::Row;
use crate::bench::origin::{Origin, processor};
use crate::bench::statistics::Estimate;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}\
.wide{overflow-x:auto}table{white-space:nowrap;border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:13px}\
td,th{padding:.2rem .6rem;text-align:right;border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}\
figure{margin:1.5rem 0}figcaption{font-weight:600}svg{width:100%;height:auto;font-size:12px}svg text{fill:#1b1b1b}\
.peer rect{fill:#9fb3c8}.own rect{fill:#2a7f62}.faint{opacity:.45}.interval{stroke:#000;stroke-width:2}.dot{fill:#000;opacity:.35}\
.axis{fill:none;stroke:#888}.line{fill:none;stroke:#6b8299;stroke-width:2}.own .line{stroke:#2a7f62;stroke-width:3}.note{color:#555}\
@media(prefers-color-scheme:dark){body{color:#e8e8e8;background:#161616}svg text{fill:#e8e8e8}td,th{border-color:#333}\
.interval{stroke:#fff}.dot{fill:#fff}.note{color:#aaa}}";

/// A plot of every scenario: what it shows, how it is picked, and whether it is taken while the proxy is asked for all it can.
type Measure = (&'static str, fn(&Row) -> &Estimate, bool);
const MEASURES: [Measure; 6] = [
    ("CPU per request, µs (less is better)", |row| &row.cpu_us, false),
    ("Requests per second (more is better)", |row| &row.per_second, true),
    ("Median latency at full speed, µs", |row| &row.p50_us, true),
    ("Latency of 99 % at full speed, µs", |row| &row.p99_us, true),
    ("Latency of 99.9 % at full speed, µs", |row| &row.p999_us, true),
    ("Resident memory, MB", |row| &row.rss_mb, false),
];

/// The page.
pub(super) fn html(rows: &[Row]) -> String {
    let mut scenarios: Vec<&Row> = Vec::new();
    for row in rows {
        if !scenarios.iter().any(|known| known.scenario.name == row.scenario.name) {
            scenarios.push(row);
        }
    }
    let growths: String = growth::all(rows).iter().map(|growth| figure(growth.title, &growth.svg)).collect();
    let sections: String = scenarios.iter().map(|first| section(first, rows)).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>plugway among other proxies</title>\n<style>{STYLE}</style>\n<h1>plugway among other proxies</h1>\n\
         <p>What <code>cargo xtask bench peers</code> measured on one machine ({}), when stands below each table: one worker on one core, load and backend on another, rounds \
         interleaved. Bars are medians, black lines their intervals, dots single rounds. Pale bars do not count: load and backend were \
         above 90 % of their core, so it is they who are shown, or fewer requests were sent than to the others.</p>\n<h2>How cost grows</h2>\n{growths}{sections}<h2>Versions</h2>\n<ul>{}</ul>\n</html>\n",
        escape(&processor().unwrap_or_default()),
        versions(rows)
    )
}

fn section(first: &Row, rows: &[Row]) -> String {
    let (rows, left_out): (Vec<&Row>, Vec<&Row>) =
        rows.iter().filter(|row| row.scenario.name == first.scenario.name).partition(|row| row.is_measured());
    let plots: String = MEASURES.iter().map(|measure| plot(measure, &rows)).collect();
    let notes = left_out
        .iter()
        .map(|row| format!("<p class=\"note\">{} is left out: {}.</p>\n", row.entry.name, row.objection().unwrap_or_default()));
    let title = &first.scenario;
    format!("<h2 id=\"{0}\">{0}</h2>\n<p>{1}</p>\n{2}{3}{plots}", title.name, escape(title.title), table(&rows), notes.collect::<String>())
}

fn plot((title, pick, flood): &Measure, rows: &[&Row]) -> String {
    let bar = |row: &&'_ Row| {
        let estimate = pick(row);
        (row.entry, estimate.clone(), if *flood { row.flood_counts() } else { row.counts() })
    };
    let values: Vec<_> = rows.iter().map(bar).collect();
    let shown = values.iter().map(|(entry, estimate, counts)| Bar {
        label: entry.name,
        value: estimate.median,
        low: estimate.low,
        high: estimate.high,
        dots: &estimate.samples,
        own: entry.proxy.is_own(),
        faint: !counts,
    });
    figure(title, &bars(title, &shown.collect::<Vec<_>>()))
}

fn figure(title: &str, svg: &str) -> String {
    format!("<figure><figcaption>{}</figcaption>{svg}</figure>\n", escape(title))
}

fn table(rows: &[&Row]) -> String {
    let head: String = HEAD.iter().chain(&["CPU at req/s", "load"]).map(|cell| format!("<th>{cell}</th>")).collect();
    let body: String = rows
        .iter()
        .map(|row| {
            let more = [figures(row.rate), format!("{:.0} %", row.load_core() * 100.0)];
            let cells = cells(row).into_iter().chain(more);
            let cells: String = cells.map(|cell| format!("<td>{}</td>", escape(&cell))).collect();
            format!("<tr class=\"{}\">{cells}</tr>\n", if row.counts() { "" } else { "faint" })
        })
        .collect();
    let about = rows.first().map_or_else(String::new, |row| {
        let Origin { measured_at, commit, .. } = &row.origin;
        let (count, sure) = (row.cpu_us.samples.len(), row.cpu_us.confidence * 100.0);
        format!("Medians of {count} rounds, intervals at {sure:.0} %. Measured at {measured_at}, commit {commit}.")
    });
    format!("<div class=\"wide\"><table><tr>{head}</tr>\n{body}</table></div>\n<p class=\"note\">{about}</p>\n")
}

fn versions(rows: &[Row]) -> String {
    let mut said: Vec<&str> = rows.iter().map(|row| row.version.as_str()).collect();
    said.sort_unstable();
    said.dedup();
    said.iter().map(|version| format!("<li>{}</li>", escape(version))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::row::tests::{in_scenario, left_out, rows};
    use super::*;

    #[test]
    fn the_page_loads_nothing_and_has_every_plot() {
        let page = html(&rows());
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
        assert_eq!(page.matches("<svg").count(), MEASURES.len(), "every measure; no growth, since one row alone counts");
        assert!(page.contains("plugway + 10 plugins"));
    }

    #[test]
    fn who_was_left_out_has_a_note_and_no_bar() {
        let page = html(&[in_scenario("nginx", "connections-10000", 10.0), left_out("Envoy", "connections-10000")]);
        assert_eq!(page.matches("Envoy").count(), 2, "its note, and the column of ratios");
        assert!(page.contains("Envoy is left out: it answers too few to be asked for one request a second on each connection."));
    }
}
