//! The rows of a scenario on a terminal.

use super::Scenario;
use super::columns::{HEAD, STAR, cells, estimate};
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
    let mut lines = vec![format!("{}   load", line(&HEAD.map(str::to_owned)))];
    for row in rows.iter().filter(|row| row.is_measured()) {
        let why = row.objection().map_or_else(String::new, |why| format!("  DOES NOT COUNT: {why}"));
        lines.push(format!("{} {:>4.0} %{why}", line(&cells(row)), row.load_core() * 100.0));
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
        lines.push(format!("* {STAR}"));
    }
    for row in rows {
        if let Some(ratio) = &row.to_one_worker {
            lines.push(format!("{}: {:.3} x one worker ({})", row.entry.name, ratio.median, estimate(ratio, 3)[1]));
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

/// Columns below each other.
fn line(cells: &[String; HEAD.len()]) -> String {
    let cell = |(head, text): (&&str, &String)| match *head {
        "" => format!("{text:<31}"),
        "interval" => format!(" {text:>16}"),
        head => format!(" {text:>0$}", head.chars().count().max(9)),
    };
    HEAD.iter().zip(cells).map(cell).collect()
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
