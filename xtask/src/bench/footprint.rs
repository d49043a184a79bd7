//! `cargo xtask bench footprint`: memory, start and compilation, which no request shows.

mod idle;
mod start;
mod swap;

use plugway_harness::Result;

use super::figure::{self, Figure};
use super::origin::Origin;
use super::peers::{Entry, check};
use super::scenario::Scenario;
use super::stage::Stage;
use super::statistics::Estimate;
use super::subject::{Built, Proxy, Subject};
use super::{allow_descriptors, load, scenario, two_cores};
use crate::interrupt;
use crate::{plugins, setup};
use std::time::Duration;

/// Figures that no other bench has.
pub(super) const FILE: &str = "footprint.json";

/// Times each proxy is started and looked at, where that takes long: as few as have an interval of 95 %.
const ROUNDS: usize = 6;
/// Requests before memory is looked at.
const MANY_REQUESTS: f64 = 1e6;
/// Five plugins on two workers then have this at most, MB.
const GOAL_MEMORY_MB: f64 = 40.0;

/// Measures, prints, writes JSON. `--gateway FILE` takes one that is built already.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let gateway = super::only_gateway(words, "footprint")?;
    two_cores()?;
    setup::run()?;
    let built = Built {
        gateway: super::under_test(gateway, super::Build::Ready)?,
        guest: plugins::build("plugway-bench-guest")?,
        filters: Vec::new(),
    };
    interrupt::watch()?;
    let origin = Origin::now()?;
    let mut figures = start::all(&built)?;
    figures.push(swap::all(&built)?);
    figures.push(after_many_requests(&built)?);
    figures.extend(idle::all(&built)?);
    let figures: Vec<Figure> = figures.into_iter().map(|measured| measured.figure(&origin)).collect();
    figure::print(&figures);
    figure::keep(FILE, &figures)
}

/// Something that was measured, some times.
struct Measured {
    name: String,
    of: String,
    unit: &'static str,
    samples: Vec<f64>,
    goal: Option<f64>,
}

impl Measured {
    fn new(name: impl Into<String>, of: impl Into<String>, unit: &'static str, samples: Vec<f64>) -> Self {
        Self { name: name.into(), of: of.into(), unit, samples, goal: None }
    }

    fn at_most(self, goal: f64) -> Self {
        Self { goal: Some(goal), ..self }
    }

    fn figure(self, origin: &Origin) -> Figure {
        let Self { name, of, unit, samples, goal } = self;
        println!("{name}, {of}: {samples:.1?} {unit}");
        Figure { name, of, unit: unit.to_owned(), estimate: Estimate::of(samples), goal, origin: origin.clone() }
    }
}

/// Resident memory of five plugins on two workers when they have served many requests.
fn after_many_requests(built: &Built) -> Result<Measured> {
    let scenario = Scenario::named("workers")?;
    let stage = Stage::start(scenario)?;
    let entry = Entry { name: "plugway", proxy: Proxy::Plugway, plugins: 5, workers: 2 };
    // Once before, so that what is measured finds its plugins compiled.
    drop(Subject::start(entry, &stage, built)?);
    let samples = (0..ROUNDS).map(|_| memory(entry, &stage, built)).collect::<Result<Vec<_>>>()?;
    Ok(Measured::new("memory after a million requests", "plugway, 5 plugins, 2 workers", "MB", samples).at_most(GOAL_MEMORY_MB))
}

fn memory(entry: Entry, stage: &Stage, built: &Built) -> Result<f64> {
    let subject = Subject::start(entry, stage, built)?;
    subject.wake()?;
    check::until_serving(stage, &subject)?;
    let mut answered = 0.0;
    while answered < MANY_REQUESTS {
        interrupt::check()?;
        answered += load::flood(stage, &subject, Duration::from_secs(5))?.requests;
    }
    check::marks(stage, &subject)?;
    Ok(subject.rss_bytes()? as f64 / 1e6)
}
