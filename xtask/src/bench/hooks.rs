//! `cargo xtask bench hooks`: what each hook, each capability call and chains of plugins take, as figures of
//! `cargo bench -p plugway --bench hooks`, which measures them.

use std::path::Path;

use plugway_harness::error::Context;
use plugway_harness::{Error, Result};
use serde::Deserialize;
use serde_json::Value;

use super::figure::{self, Figure};
use super::origin::Origin;
use super::statistics::Estimate;
use crate::{release, setup, workspace};

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
/// At most this for a token that is known, beyond a call of an authorizer that does nothing.
const GOAL_KNOWN_NS: f64 = 2_000.0;
/// At most this for checking the signature of one that is not, in percent of what ring alone takes.
const GOAL_RS256: f64 = 130.0;
const PLAIN: &str = "hook: authorizer";
const KNOWN: &str = "oauth2: a token it knows";
const CHECK: &str = "call: crypto.verify-jws, RS256";
const UNKNOWN: &str = "oauth2: a token it does not know, RS256";
const RING: &str = "ring: check of the same signature, RS256";

/// Measures, prints, writes JSON.
pub(crate) fn run(options: &[&str]) -> Result<()> {
    let words = ["bench", "--locked", "--package", "plugway", "--bench", "hooks"];
    let mut cargo = match options {
        [] => workspace::cargo(words),
        ["--profiled"] => release::by_profile(&words)?,
        _ => return Err(Error::new(format!("`cargo xtask bench hooks` has no option {}", options.join(" ")))),
    };
    setup::run()?;
    let origin = Origin::now()?;
    let directory = workspace::emptied(workspace::bench_directory().join("criterion"))?;
    let lengths = ["--sample-size", SAMPLES, "--measurement-time", SECONDS, "--warm-up-time", WARM_UP];
    workspace::run(cargo.args(["--", "--noplot"]).args(lengths).env("CRITERION_HOME", &directory))?;
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
    figures.extend(goals(&figures));
    Ok(figures)
}

/// Figures that are made of two: each sample of the one against the median of the other, which was measured beside it.
fn goals(figures: &[Figure]) -> Vec<Figure> {
    let find = |name: &str| figures.iter().find(|figure| figure.name == name);
    let against = |name: &str, (one, other): (&str, &str), unit: &str, goal: Option<f64>, compare: fn(f64, f64) -> f64| {
        let (one, other) = (find(one)?, find(other)?.estimate.median);
        let samples = one.estimate.samples.iter().map(|sample| compare(*sample, other)).collect();
        let estimate = Estimate::of(samples);
        Some(Figure { name: name.to_owned(), unit: unit.to_owned(), estimate, goal, ..one.clone() })
    };
    let known = against("goal: a known token beyond a plain call", (KNOWN, PLAIN), "ns", Some(GOAL_KNOWN_NS), |one, other| one - other);
    let share = |one: f64, other: f64| 100.0 * one / other;
    let check = against("goal: an RS256 check against ring alone", (CHECK, RING), "%", Some(GOAL_RS256), share);
    // What else there is in it takes as long on a processor that is quick at RSA as on one that is not, so this says what a token costs and not how well it is done.
    let decision =
        against("share: the whole decision of a token it does not know, of ring's check alone", (UNKNOWN, RING), "%", None, share);
    [known, check, decision].into_iter().flatten().collect()
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
        let measured = [
            ("b", CHAIN, "[20.0, 60.0]"),
            ("a", "call: a", "[10.0, 20.0]"),
            ("c", PLAIN, "[500.0, 1000.0]"),
            ("d", KNOWN, "[2400.0, 4800.0]"),
            ("e", UNKNOWN, "[27000.0, 54000.0]"),
            ("f", RING, "[20000.0, 40000.0]"),
            ("g", CHECK, "[21000.0, 42000.0]"),
        ];
        for (folder, name, times) in measured {
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
        assert_eq!(found[..3], [("call: a", 10.0, None), (CHECK, 21_000.0, None), (CHAIN, 25.0, Some(2_500.0))]);
        assert_eq!(
            found[7..],
            [
                ("goal: a known token beyond a plain call", 1_900.0, Some(GOAL_KNOWN_NS)),
                ("goal: an RS256 check against ring alone", 105.0, Some(GOAL_RS256)),
                ("share: the whole decision of a token it does not know, of ring's check alone", 135.0, None)
            ]
        );
        assert_eq!(figures[7..].iter().map(Figure::met).collect::<Vec<_>>(), [Some(true), Some(true), None]);
    }
}
