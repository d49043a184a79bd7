//! A report as comma-separated values (RFC 4180): one table after another, a line with its name before each and an empty one after it.
//! Moments are RFC 3339, latencies microseconds, shares fractions.

use super::data::Report;

pub(super) fn file(report: &Report) -> String {
    let mut out = String::new();
    for table in report.tables() {
        line(&mut out, [format!("# {}", table.id)].into_iter());
        line(&mut out, table.columns.iter().map(|column| (*column).to_owned()));
        for row in &table.rows {
            line(&mut out, row.iter().map(|cell| if cell.is_number() { cell.raw() } else { harmless(cell.raw()) }));
        }
        out.push_str("\r\n");
    }
    out
}

fn line(out: &mut String, cells: impl Iterator<Item = String>) {
    for (number, cell) in cells.enumerate() {
        if number > 0 {
            out.push(',');
        }
        if cell.contains([',', '"', '\r', '\n']) {
            out.push_str(&format!("\"{}\"", cell.replace('"', "\"\"")));
        } else {
            out.push_str(&cell);
        }
    }
    out.push_str("\r\n");
}

/// Names come from clients, and a spreadsheet takes text that begins like this for a formula.
fn harmless(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stay_cells() {
        let mut out = String::new();
        line(&mut out, ["a,b", "say \"hi\"", "plain"].map(str::to_owned).into_iter());
        assert_eq!(out, "\"a,b\",\"say \"\"hi\"\"\",plain\r\n");
        assert_eq!(harmless("=cmd()".into()), "'=cmd()");
    }
}
