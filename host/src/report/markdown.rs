//! A report as text for a ticket or a chat. What is long (each step of the timeline) is left to the other formats.

use std::fmt::Write;

use super::data::Report;
use super::tables::Table;
use super::time;
use crate::config::in_line;

pub(super) fn text(report: &Report) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "# {}: {} to {}\n", harmless(&report.title), time::moment(report.counted_since), time::moment(report.until));
    let _ = writeln!(out, "{}\n", harmless(&report.in_short()));
    for table in report.tables().iter().filter(|table| table.id != "timeline" && !table.rows.is_empty()) {
        write_table(&mut out, table);
    }
    if let Some(said) = report.left_out() {
        let _ = writeln!(out, "{said}\n");
    }
    let _ = writeln!(out, "Latencies are right to {:.0} %. Made {}.", report.latency_accuracy * 100.0, time::second(report.generated_at));
    out
}

fn write_table(out: &mut String, table: &Table) {
    let _ = writeln!(out, "## {}\n", table.title);
    let _ = writeln!(out, "| {} |", table.columns.join(" | "));
    let first = table.rows.first().map(Vec::as_slice).unwrap_or_default();
    let rule: Vec<_> = first.iter().map(|cell| if cell.is_number() { "--:" } else { "---" }).collect();
    let _ = writeln!(out, "| {} |", rule.join(" | "));
    for row in &table.rows {
        let cells: Vec<_> = row.iter().map(|cell| harmless(&cell.shown())).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out.push('\n');
}

/// Names come from clients; they are no markup.
fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' => out.extend(['\\', character]),
            other => out.push(in_line(other, ' ')),
        }
    }
    out
}
