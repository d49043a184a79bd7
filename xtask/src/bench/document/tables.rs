//! What was measured as tables of Markdown.

use super::goals::Goal;
use crate::bench::figure::Figure;
use crate::bench::origin::Origin;
use crate::bench::peers::columns::{HEAD, STAR, cells, estimate, or_none};
use crate::bench::peers::growth::Growth;
use crate::bench::peers::plot::figures as short;
use crate::bench::peers::row::Row;
use crate::bench::statistics::Estimate;

/// What stands where nothing was measured.
const NOTHING: &str = "Not measured in this run.";

/// A table, or the word that there is none.
fn table<const N: usize>(head: [&str; N], lines: impl IntoIterator<Item = [String; N]>) -> String {
    let lines: Vec<String> = lines.into_iter().map(|cells| format!("| {} |", cells.join(" | "))).collect();
    if lines.is_empty() {
        return NOTHING.to_owned();
    }
    format!("| {} |\n|{}\n{}", head.join(" | "), "---|".repeat(N), lines.join("\n"))
}

/// When and by which commit everything was measured.
pub(super) fn runs<'f>(rows: &[Row], figures: impl IntoIterator<Item = &'f Vec<Figure>>) -> String {
    let figures = figures.into_iter().flatten().map(|figure| &figure.origin);
    let origins: Vec<&Origin> = rows.iter().map(|row| &row.origin).chain(figures).collect();
    let mut times: Vec<&str> = origins.iter().map(|origin| origin.measured_at.as_str()).collect();
    times.sort_unstable();
    let mut commits: Vec<String> = origins.iter().map(|origin| format!("`{}`", origin.commit)).collect();
    commits.sort_unstable();
    commits.dedup();
    let (first, last) = (times.first().copied().unwrap_or_default(), times.last().copied().unwrap_or_default());
    format!("from {first} to {last}, commit {}", commits.join(", "))
}

/// Goals, what was measured of them, and whether they are met.
pub(super) fn goals(goals: &[Goal]) -> String {
    let line = |goal: &Goal| {
        let [median, interval] = or_none(goal.measured.as_ref(), 2);
        let met = match goal.met() {
            Some(true) if goal.is_met_for_sure() => "yes",
            Some(true) => "yes, by its median",
            Some(false) => "**no**",
            None => "not measured",
        };
        [goal.what.clone(), format!("{} {}", goal.wanted, goal.unit), median, interval, met.to_owned()]
    };
    table(["", "at most", "measured", "interval", "met"], goals.iter().map(line))
}

/// The rows of a scenario.
pub(super) fn peers(rows: &[&Row]) -> String {
    let line = |row: &&Row| {
        let mut cells = cells(row);
        if row.entry.proxy.is_own() {
            cells[0] = format!("**{}**", cells[0]);
        }
        cells
    };
    format!("{}{}", table(HEAD, rows.iter().filter(|row| row.is_measured()).map(line)), notes(rows))
}

/// What has to be known of these rows.
fn notes(rows: &[&Row]) -> String {
    let Some(first) = rows.iter().find(|row| row.is_measured()) else { return String::new() };
    let (count, sure) = (first.cpu_us.samples.len(), first.cpu_us.confidence * 100.0);
    let mut notes = vec![format!("{count} rounds, intervals at {sure:.0} %, CPU at {} requests a second unless noted.", short(first.rate))];
    if rows.iter().any(|row| !row.flood_counts()) {
        notes.push(format!("\\* {STAR}"));
    }
    for row in rows {
        let name = row.entry.name;
        if let Some(why) = row.objection() {
            let fate = if row.is_measured() { "does not count" } else { "is left out" };
            notes.push(format!("{name} {fate}: {why}."));
        }
        if !row.is_measured() {
            continue;
        }
        if (row.rate - first.rate).abs() > 0.5 {
            notes.push(format!("{name}: at {} requests a second.", short(row.rate)));
        }
        if let Some(ratio) = &row.to_one_worker {
            let [median, interval] = estimate(ratio, 3);
            notes.push(format!("{name}: {median} x one worker ({interval})."));
        }
        if row.disturbed() > 0 {
            notes.push(format!("{name}: something else ran during {} of its rounds.", row.disturbed()));
        }
    }
    format!("\n\n{}", notes.join("\n"))
}

/// What of a request's CPU time the kernel has, and what is the program's own.
pub(super) fn modes(rows: &[&Row]) -> String {
    let line = |row: &&Row| {
        let kernel = row.kernel_us.as_ref()?;
        let [median, interval] = estimate(kernel, 2);
        let own = row.cpu_us.samples.iter().zip(&kernel.samples).map(|(all, kernel)| all - kernel).collect();
        let [own, own_interval] = estimate(&Estimate::of(own), 2);
        Some([row.entry.name.to_owned(), format!("{:.2}", row.cpu_us.median), median, interval, own, own_interval])
    };
    table(["", "CPU µs", "in the kernel", "interval", "in the program", "interval"], rows.iter().filter_map(line))
}

/// What each proxy says of its version.
pub(super) fn versions(rows: &[Row]) -> String {
    let mut said: Vec<&str> = rows.iter().map(|row| row.version.as_str()).collect();
    said.sort_unstable();
    said.dedup();
    said.iter().map(|version| format!("- {version}")).collect::<Vec<_>>().join("\n")
}

/// The slopes of a growth.
pub(super) fn slopes(growth: &Growth) -> String {
    let said: Vec<String> = growth.slopes.iter().map(|(name, slope)| format!("{name} {} {}", short(*slope), growth.unit)).collect();
    said.join(", ")
}

/// Where time goes, and which share of all of it.
pub(super) fn places(figures: &[Figure]) -> String {
    let all: f64 = figures.iter().map(|figure| figure.estimate.median).sum();
    let line = |figure: &Figure| {
        let own = figure.estimate.median;
        [figure.name.clone(), format!("{} {}", short(own), figure.unit), format!("{:.0} %", 100.0 * own / all)]
    };
    table(["", "CPU", "share"], figures.iter().map(line))
}

/// Figures by themselves.
pub(super) fn figures(figures: &[Figure]) -> String {
    let line = |figure: &Figure| {
        let Estimate { median, low, high, samples, .. } = &figure.estimate;
        let goal = figure.goal.map_or_else(String::new, |goal| format!("{goal} {}", figure.unit));
        [
            figure.name.clone(),
            figure.of.clone(),
            format!("{} {}", short(*median), figure.unit),
            format!("{} to {}", short(*low), short(*high)),
            samples.len().to_string(),
            goal,
        ]
    };
    table(["", "of", "median", "interval", "times", "at most"], figures.iter().map(line))
}
