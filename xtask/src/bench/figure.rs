//! A figure by itself: what it is of, how sure it is, and where there is a goal, whether that is met.

use std::path::Path;

use plugway_harness::Result;
use plugway_harness::error::Context;
use serde::{Deserialize, Serialize};

use super::origin::Origin;
use super::statistics::Estimate;
use crate::workspace;

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Figure {
    /// What it is.
    pub(super) name: String,
    /// What it is of: a proxy, a build.
    pub(super) of: String,
    pub(super) unit: String,
    #[serde(flatten)]
    pub(super) estimate: Estimate,
    /// At most this is wanted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) goal: Option<f64>,
    #[serde(flatten)]
    pub(super) origin: Origin,
}

impl Figure {
    /// Whether the goal is met; none where there is no goal.
    pub(super) fn met(&self) -> Option<bool> {
        self.goal.map(|goal| self.estimate.median <= goal)
    }
}

/// Figures on a terminal.
pub(super) fn print(figures: &[Figure]) {
    let width = figures.iter().map(|figure| figure.name.chars().count()).max().unwrap_or_default();
    println!();
    for figure in figures {
        let Estimate { median, low, high, confidence, samples } = &figure.estimate;
        let goal = figure.goal.map_or_else(String::new, |goal| {
            format!("  {} (at most {goal} {})", if figure.met() == Some(true) { "met" } else { "NOT MET" }, figure.unit)
        });
        println!(
            "{:<width$}  {:<24} {median:>12.1} {:<6} {low:.1} to {high:.1} ({} at {:.0} %){goal}",
            figure.name,
            figure.of,
            figure.unit,
            samples.len(),
            confidence * 100.0
        );
    }
}

/// Figures of another run, in the place of those of the same name.
///
/// # Errors
/// When the file cannot be read or written.
pub(super) fn keep(file: &str, new: &[Figure]) -> Result<()> {
    let directory = workspace::bench_directory();
    std::fs::create_dir_all(&directory).context(directory.display())?;
    let path = directory.join(file);
    let mut figures = if path.is_file() { read(&path)? } else { Vec::new() };
    figures.retain(|old| !new.iter().any(|new| (&new.name, &new.of) == (&old.name, &old.of)));
    figures.extend_from_slice(new);
    std::fs::write(&path, text(&figures)?).context(path.display())?;
    println!("\nwritten to target/bench/{file}");
    Ok(())
}

/// Figures as JSON, a line for each.
pub(super) fn text(figures: &[Figure]) -> Result<String> {
    let lines = figures.iter().map(|figure| serde_json::to_string(figure).context("a figure")).collect::<Result<Vec<_>>>()?;
    Ok(format!("[\n{}\n]\n", lines.join(",\n")))
}

/// Figures that were written before.
///
/// # Errors
/// When the file is not there or not such figures.
pub(super) fn read(path: &Path) -> Result<Vec<Figure>> {
    let text = std::fs::read_to_string(path).context(path.display())?;
    serde_json::from_str(&text).context(path.display())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::bench) fn figure(name: &str, value: f64, goal: Option<f64>) -> Figure {
        let origin = Origin { measured_at: "then".to_owned(), commit: "abc".to_owned(), processor: None };
        let estimate = Estimate::of(vec![value; 3]);
        Figure { name: name.to_owned(), of: "plugway".to_owned(), unit: "ms".to_owned(), estimate, goal, origin }
    }

    #[test]
    fn a_goal_is_an_upper_bound() {
        assert_eq!(figure("start", 99.0, Some(100.0)).met(), Some(true));
        assert_eq!(figure("start", 101.0, Some(100.0)).met(), Some(false));
        assert_eq!(figure("start", 1.0, None).met(), None);
    }

    #[test]
    fn figures_are_read_as_they_were_written() {
        let figures = [figure("start", 99.5, Some(100.0)), figure("memory", 40.0, None)];
        let read: Vec<Figure> = serde_json::from_str(&text(&figures).unwrap()).unwrap();
        assert_eq!(read, figures);
    }
}
