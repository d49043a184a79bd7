//! `cargo xtask bench hooks`: what each hook, each capability call and chains of plugins take, as figures of
//! `cargo bench -p plugway --bench hooks`, which measures them.

use std::path::Path;

use plugway_harness::Result;
use plugway_harness::error::Context;
use serde::Deserialize;
use serde_json::Value;

use super::figure::{self, Figure};
use super::origin::Origin;
use super::statistics::Estimate;
use crate::{setup, workspace};

/// Figures of the last run.
pub(super) const FILE: &str = "hooks.json";

/// Samples of each, how long they take together, and the warm-up before, both in seconds.
const SAMPLES: &str = "21";
const SECONDS: &str = "1";
const WARM_UP: &str = "0.5";

/// At most this for a plugin in a chain of five that reads a header and adds one.
const GOAL_PLUGIN_NS: f64 = 500.0;
/// What that goal is of.
pub(super) const CHAIN: &str = "chain of 5: read a header, add a header";

/// Measures, prints, writes JSON.
pub(crate) fn run() -> Result<()> {
    setup::run()?;
    let origin = Origin::now()?;
    let directory = workspace::bench_directory().join("criterion");
    // What an earlier run left is no result of this one.
    if directory.exists() {
        std::fs::remove_dir_all(&directory).context(directory.display())?;
    }
    let words = ["bench", "--locked", "--package", "plugway", "--bench", "hooks", "--", "--noplot"];
    let lengths = ["--sample-size", SAMPLES, "--measurement-time", SECONDS, "--warm-up-time", WARM_UP];
    workspace::run(workspace::cargo(words).args(lengths).env("CRITERION_HOME", &directory))?;
    let figures = figures(&directory, &origin)?;
    figure::print(&figures);
    figure::keep(FILE, &figures)
}

/// Every result in criterion's folder, by name.
fn figures(directory: &Path, origin: &Origin) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for folder in std::fs::read_dir(directory).context(directory.display())? {
        let new = folder.context(directory.display())?.path().join("new");
        if new.is_dir() {
            let name = read(&new.join("benchmark.json"))?.get("full_id").and_then(Value::as_str).map(str::to_owned);
            let sample = Times::deserialize(read(&new.join("sample.json"))?).context(new.display())?;
            figures.push(sample.figure(name.context(new.display())?, origin));
        }
    }
    figures.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(figures)
}

fn read(file: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(file).context(file.display())?;
    serde_json::from_str(&text).context(file.display())
}

/// A file `sample.json` of criterion's: nanoseconds of so many runs each.
#[derive(Deserialize)]
struct Times {
    iters: Vec<f64>,
    times: Vec<f64>,
}

impl Times {
    fn figure(self, name: String, origin: &Origin) -> Figure {
        let each = self.times.iter().zip(&self.iters).map(|(time, runs)| time / runs).collect();
        let goal = (name == CHAIN).then_some(5.0 * GOAL_PLUGIN_NS);
        Figure { name, of: "plugway".to_owned(), unit: "ns".to_owned(), estimate: Estimate::of(each), goal, origin: origin.clone() }
    }
}

#[cfg(test)]
mod tests {
    use plugway_harness::temp::TempDir;

    use super::*;

    #[test]
    fn what_criterion_writes_is_read() {
        let directory = TempDir::new().unwrap();
        for (folder, name, times) in [("b", CHAIN, "[20.0, 60.0]"), ("a", "call: a", "[10.0, 20.0]")] {
            let new = directory.path().join(folder).join("new");
            std::fs::create_dir_all(&new).unwrap();
            std::fs::write(new.join("benchmark.json"), format!("{{\"full_id\":\"{name}\",\"title\":\"t\"}}")).unwrap();
            std::fs::write(new.join("sample.json"), format!("{{\"sampling_mode\":\"Linear\",\"iters\":[1.0,2.0],\"times\":{times}}}"))
                .unwrap();
        }
        std::fs::create_dir(directory.path().join("report")).unwrap();
        let origin = Origin { measured_at: "then".to_owned(), commit: "abc".to_owned(), processor: None };
        let figures = figures(directory.path(), &origin).unwrap();
        let found: Vec<_> = figures.iter().map(|figure| (figure.name.as_str(), figure.estimate.median, figure.goal)).collect();
        assert_eq!(found, [("call: a", 10.0, None), (CHAIN, 25.0, Some(2_500.0))]);
    }
}
