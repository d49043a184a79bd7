//! `cargo xtask bench report`: `docs/performance.md` and its plots, from the JSON of benches that ran before. What it is made from is
//! committed beside it in `docs/performance/`, raw rounds included, and a test holds the one against the other.

mod goals;
mod tables;

use std::path::{Path, PathBuf};

use plugway_harness::error::Context;
use plugway_harness::{Error, Result};

use super::figure::{self, Figure};
use super::peers::growth;
use super::peers::plot::{self, Bar};
use super::peers::row::{self, Row};
use super::scenario::{self, SMALL, Scenario};
use super::template::{self, Values};
use super::{flame, footprint, hooks, peers};
use crate::workspace;

/// What the document says, with places for what was measured.
const TEMPLATE: &str = include_str!("../../performance.md");
const DOCUMENT: &str = "performance.md";

/// What was measured.
struct Material {
    rows: Vec<Row>,
    footprint: Vec<Figure>,
    hooks: Vec<Figure>,
    flame: Vec<Figure>,
    /// The flame graph, which was drawn when it was measured.
    graph: Option<String>,
}

/// Takes what the benches left in `target/bench`, keeps it in `docs/performance`, and writes the document. `--committed` writes it again
/// from what is kept.
///
/// # Errors
/// When a file cannot be read or written, and, once all are written, when goals are missed for sure.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let kept = directory();
    std::fs::create_dir_all(&kept).context(kept.display())?;
    match words {
        [] => {
            for (file, text) in Material::read(&workspace::bench_directory())?.files()? {
                std::fs::write(kept.join(file), text).context(file)?;
            }
        }
        ["--committed"] => {}
        _ => return Err(Error::new(format!("`cargo xtask bench report` does not understand {}", words.join(" ")))),
    }
    // From what is kept, which has fewer digits.
    let material = Material::read(&kept)?;
    for (name, text) in material.documents()? {
        let file = documents().join(&name);
        std::fs::write(&file, text).context(file.display())?;
        println!("docs/{name}");
    }
    goals::hold(&goals::all(&material))
}

fn documents() -> PathBuf {
    workspace::root().join("docs")
}

fn directory() -> PathBuf {
    documents().join("performance")
}

impl Material {
    /// Everything in a folder; what is not there was not measured.
    fn read(directory: &Path) -> Result<Self> {
        let rows = directory.join(peers::FILE);
        let text = std::fs::read_to_string(&rows).context(format!("{}; `cargo xtask bench peers` writes it", rows.display()))?;
        let figures = |file: &str| {
            let file = directory.join(file);
            if file.is_file() { figure::read(&file) } else { Ok(Vec::new()) }
        };
        Ok(Self {
            rows: row::parse(&text).context(rows.display())?,
            footprint: figures(footprint::FILE)?,
            hooks: figures(hooks::FILE)?,
            flame: figures(flame::FILE)?,
            graph: std::fs::read_to_string(directory.join(flame::GRAPH)).ok(),
        })
    }

    #[cfg(test)]
    fn of_rows(rows: Vec<Row>) -> Self {
        Self { rows, footprint: Vec::new(), hooks: Vec::new(), flame: Vec::new(), graph: None }
    }

    /// What is committed of it, by file.
    fn files(&self) -> Result<Vec<(&'static str, String)>> {
        let mut files = vec![(peers::FILE, row::compact(&self.rows)?)];
        let others = [(footprint::FILE, &self.footprint), (hooks::FILE, &self.hooks), (flame::FILE, &self.flame)];
        for (file, figures) in others {
            if !figures.is_empty() {
                files.push((file, figure::text(figures)?));
            }
        }
        files.extend(self.graph.clone().map(|graph| (flame::GRAPH, graph)));
        Ok(files)
    }

    /// Everything that is made from it, by file in `docs`.
    fn documents(&self) -> Result<Vec<(String, String)>> {
        let growths = growth::all(&self.rows);
        let small = self.of(&SMALL);
        let bars: Vec<Bar<'_>> = small.iter().filter(|row| row.is_measured()).map(|row| bar(row)).collect();
        let mut files = vec![(plot_file("small"), plot::file(&plot::bars("CPU per request, µs", &bars)))];
        files.extend(growths.iter().map(|growth| (plot_file(growth.by), plot::file(&growth.svg))));
        let others = scenario::ALL.iter().filter(|scenario| scenario.name != SMALL.name && !self.of(scenario).is_empty());
        let values = Values::default()
            .word("runs", tables::runs(&self.rows, [&self.footprint, &self.hooks, &self.flame]))
            .word("processor", processor(&self.rows))
            .word("goals", tables::goals(&goals::all(self)))
            .word("small", tables::peers(&small))
            .word("system_calls", tables::modes(&small))
            .word("versions", tables::versions(&self.rows))
            .word("footprint", tables::figures(&self.footprint))
            .word("hooks", tables::figures(&self.hooks))
            .word("places", tables::places(&self.flame))
            .flag("graph", self.graph.is_some())
            .list(
                "growth",
                growths.iter().map(|growth| {
                    Values::default().word("title", growth.title).word("plot", plot_file(growth.by)).word("slopes", tables::slopes(growth))
                }),
            )
            .list(
                "scenario",
                others.map(|scenario| {
                    Values::default()
                        .word("name", scenario.name)
                        .word("title", scenario.title)
                        .word("table", tables::peers(&self.of(scenario)))
                }),
            );
        files.push((DOCUMENT.to_owned(), template::fill(TEMPLATE, &values)?));
        Ok(files)
    }

    /// The rows of a scenario.
    fn of(&self, scenario: &Scenario) -> Vec<&Row> {
        self.rows.iter().filter(|row| row.scenario.name == scenario.name).collect()
    }
}

fn bar(row: &Row) -> Bar<'_> {
    let estimate = &row.cpu_us;
    Bar {
        label: row.entry.name,
        value: estimate.median,
        low: estimate.low,
        high: estimate.high,
        dots: &estimate.samples,
        own: row.entry.proxy.is_own(),
        faint: !row.counts(),
    }
}

fn plot_file(name: &str) -> String {
    format!("performance/{name}.svg")
}

fn processor(rows: &[Row]) -> String {
    let mut names: Vec<&str> = rows.iter().filter_map(|row| row.origin.processor.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() { "a processor that has no name".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::super::figure::tests::figure;
    use super::super::peers::row::tests::{in_scenario, rows};
    use super::*;

    #[test]
    fn the_committed_document_is_what_the_committed_rounds_make() {
        for (name, text) in Material::read(&directory()).unwrap().documents().unwrap() {
            let written = std::fs::read_to_string(documents().join(&name)).unwrap();
            assert!(written == text, "docs/{name} was changed by hand, or its template was: `cargo xtask bench report --committed`");
        }
    }

    #[test]
    fn everything_that_was_measured_is_in_it() {
        let mut rows = rows();
        rows.extend([in_scenario("plugway", "routes-1", 10.0), in_scenario("plugway", "routes-100", 12.0)]);
        let material = Material {
            footprint: vec![figure("start", 99.0, Some(100.0))],
            hooks: vec![figure("hook: router", 140.0, None)],
            ..Material::of_rows(rows)
        };
        let documents = material.documents().unwrap();
        let text = |name: &str| documents.iter().find(|(file, _)| file == name).map(|(_, text)| text.as_str()).unwrap();
        let page = text(DOCUMENT);
        for part in ["plugway + 10 plugins", "performance/routes.svg", "| start |", "| hook: router |", "routes-100", "1.00 µs per tenfold"]
        {
            assert!(page.contains(part), "{part} in {page}");
        }
        assert!(text("performance/small.svg").contains("Envoy + 5 Wasm"));
        let kept: Vec<_> = material.files().unwrap().into_iter().map(|(file, _)| file).collect();
        assert_eq!(kept, ["peers.json", "footprint.json", "hooks.json"]);
    }
}
