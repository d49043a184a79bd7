//! The rows of a scenario on a terminal.

use super::Scenario;
use super::row::Row;
use crate::bench::statistics::Estimate;

/// Wanted width of an interval, as a share of its median.
const WIDE: f64 = 0.04;

/// Prints a table and what to know about it.
pub(super) fn print(scenario: &Scenario, rows: &[Row]) {
    println!("\n{}: {}\n", scenario.name, scenario.title);
    for line in lines(rows) {
        println!("{line}");
    }
}

fn lines(rows: &[Row]) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<31} {:>8} {:>16} {:>8} {:>16} {:>8} {:>16} {:>9} {:>9}  {:>7} {:>7} {:>7} {:>7} {:>6}",
        "",
        "µs CPU",
        "interval",
        "x nginx",
        "interval",
        "x Envoy",
        "interval",
        "µs/plugin",
        "req/s",
        "p50 µs",
        "p99 µs",
        "p99.9",
        "RSS MB",
        "load"
    )];
    for row in rows.iter().filter(|row| row.is_measured()) {
        let ratio = |estimate: &Option<Estimate>| estimate.as_ref().map_or_else(String::new, |ratio| format!("{:.3}", ratio.median));
        let around = |estimate: &Option<Estimate>| estimate.as_ref().map_or_else(String::new, |ratio| interval(ratio, 3));
        lines.push(format!(
            "{:<31} {:>8.2} {:>16} {:>8} {:>16} {:>8} {:>16} {:>9} {:>9.0}{} {:>7.0} {:>7.0} {:>7.0} {:>7.1} {:>4.0} %{}",
            row.entry.name,
            row.cpu_us.median,
            interval(&row.cpu_us, 2),
            ratio(&row.to_nginx),
            around(&row.to_nginx),
            ratio(&row.to_envoy),
            around(&row.to_envoy),
            ratio(&row.per_plugin_us),
            row.per_second.median,
            if row.flood_counts() { ' ' } else { '*' },
            row.p50_us.median,
            row.p99_us.median,
            row.p999_us.median,
            row.rss_mb.median,
            row.load_core() * 100.0,
            row.objection().map_or_else(String::new, |why| format!("  DOES NOT COUNT: {why}"))
        ));
    }
    lines.push(String::new());
    if let Some(row) = rows.iter().find(|row| row.is_measured()) {
        let count = row.cpu_us.samples.len();
        let sure = row.cpu_us.confidence * 100.0;
        lines.push(format!(
            "medians of {count} rounds with intervals at {sure:.0} %; CPU at {:.0} requests a second unless noted",
            row.rate
        ));
    }
    if rows.iter().any(|row| !row.flood_counts()) {
        lines.push(
            "* load and backend were above 90 % of their core: the proxy can do more than that, and has its latencies at that rate"
                .to_owned(),
        );
    }
    for row in rows {
        if let Some(ratio) = &row.to_one_worker {
            lines.push(format!("{}: {:.3} x one worker ({})", row.entry.name, ratio.median, interval(ratio, 3)));
        }
    }
    for row in rows.iter().filter(|row| !row.is_measured()) {
        lines.push(format!("{} is left out: {}", row.entry.name, row.objection().unwrap_or_default()));
    }
    let common = rows.first().map_or(0.0, |row| row.rate);
    for row in rows.iter().filter(|row| row.is_measured() && (row.rate - common).abs() > 0.5) {
        lines.push(format!("{}: CPU at {:.0} requests a second, a share of the most it answers", row.entry.name, row.rate));
    }
    for row in rows.iter().filter(|row| row.disturbed() > 0) {
        lines.push(format!("{}: something else ran during {} of its rounds", row.entry.name, row.disturbed()));
    }
    let widest = rows.iter().filter_map(|row| row.to_nginx.as_ref()).map(Estimate::relative_width).fold(0.0, f64::max);
    if widest > WIDE {
        lines.push(format!("the widest interval of a ratio is {:.1} % of it; below 4 % is wanted for a number to keep", widest * 100.0));
    }
    lines
}

fn interval(estimate: &Estimate, digits: usize) -> String {
    format!("{:.digits$} to {:.digits$}", estimate.low, estimate.high)
}

#[cfg(test)]
mod tests {
    use super::super::row::tests::{in_scenario, left_out, rows};
    use super::*;

    #[test]
    fn every_row_is_there_and_says_when_it_does_not_count() {
        let rows = rows();
        let lines = lines(&rows);
        assert!(lines[1].starts_with("nginx  ") && lines[1].contains("10.00") && !lines[1].contains("DOES NOT COUNT"));
        assert!(lines[17].starts_with("plugway + 10 plugins") && lines[17].contains("2.000") && lines[15].contains("DOES NOT COUNT"));
        assert!(lines.iter().any(|line| line.starts_with("medians of 3 rounds with intervals at 75 %")));
    }

    #[test]
    fn who_was_left_out_has_a_note_and_no_line() {
        let lines = lines(&[in_scenario("nginx", "connections-10000", 10.0), left_out("Envoy", "connections-10000")]);
        let of_envoy: Vec<&String> = lines.iter().filter(|line| line.contains("Envoy ")).skip(1).collect();
        assert_eq!(of_envoy, ["Envoy is left out: it answers too few to be asked for one request a second on each connection"]);
    }
}
