//! `cargo xtask soak`: a gateway under steady load while its plugin is swapped and its configuration reloaded, over and over, and
//! a verdict. h2load makes the load, for as long as changes come; beside it a few clients look at every answer, and streams stay open over all of it; changes come at
//! fixed moments, or as soon as the one before serves.
//!
//! Everything but the gateway and its compiling process runs at low priority, and what a worker waits for a core is none of its
//! stalls: on a machine with few cores, or one whose hypervisor takes them away for milliseconds, that would be what is judged.

mod answers;
mod changes;
mod clients;
mod load;
mod report;
mod streams;
mod verdict;
mod watch;
mod world;

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use plugway_harness::error::Context;
use plugway_harness::peers::H2LOAD;
use plugway_harness::{Error, Result};

use crate::{interrupt, plugins, setup, workspace};
use changes::Changes;
use clients::{Clients, Floor};
use load::{Load, ROUND};
use streams::Streams;
use verdict::Figures;
use watch::Watch;
use world::World;

/// Changes before anything is measured: allocators and caches have the size that they will keep.
const WARM_UP: u32 = 15;
/// Every so many changes one is the configuration's.
const RELOAD_EVERY: u32 = 5;
/// From one change to the next.
const PACE: Duration = Duration::from_millis(500);
/// So many times as long as they should take all changes may take: where a change serves late the next one comes late. What was not
/// made by then is not made.
const SLOWER: u32 = 3;
/// Nice value of all but the gateway.
const NICE: i32 = 10;

/// How much to do.
#[derive(Debug, PartialEq)]
struct Plan {
    changes: u32,
    json: Option<PathBuf>,
    /// Instead of the one of this checkout.
    gateway: Option<PathBuf>,
}

impl Plan {
    fn parse(options: &[&str]) -> Result<Self> {
        let (mut quick, mut minutes, mut json, mut gateway) = (false, None, None, None);
        let mut words = options.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().copied().context(format!("{word} wants a value"));
            match *word {
                "--quick" => quick = true,
                "--minutes" => {
                    let value = value()?;
                    let number = value.parse::<u32>().ok().filter(|number| (1..=1440).contains(number));
                    minutes = Some(number.context(format!("--minutes takes a number from 1 to 1440, not `{value}`"))?);
                }
                "--gateway" => gateway = Some(std::path::absolute(value()?).context("--gateway")?),
                "--json" => json = Some(PathBuf::from(value()?)),
                other => return Err(Error::new(format!("`cargo xtask soak` knows no `{other}`; see `cargo xtask help`"))),
            }
        }
        if quick && minutes.is_some() {
            return Err(Error::new("--quick and --minutes are two different lengths"));
        }
        let long = u128::from(minutes.unwrap_or(20)) * 60_000 / PACE.as_millis();
        let changes = if quick { 250 } else { u32::try_from(long).unwrap_or(u32::MAX) };
        Ok(Self { changes, json, gateway })
    }

    /// The longest that the changes may take.
    fn at_most(&self) -> Duration {
        PACE * self.changes * SLOWER
    }
}

/// Runs, prints, judges.
///
/// # Errors
/// When it cannot be run, or a limit was broken.
pub(crate) fn run(options: &[&str]) -> Result<()> {
    let plan = Plan::parse(options)?;
    setup::guest_target()?;
    if H2LOAD.find().is_err() {
        setup::install(&[H2LOAD.package])?;
    }
    let gateway = plan.gateway.clone().map_or_else(workspace::release_gateway, Ok)?;
    let guest = plugins::build_example("plugway-test-guest", "filters")?;
    interrupt::watch()?;
    let figures = soak(&plan, &World::start(&gateway, &guest)?)?;
    let broken = figures.broken();
    report::print(&figures, &broken);
    if let Some(file) = &plan.json {
        report::write(&figures, &broken, file)?;
    }
    if broken.is_empty() { Ok(()) } else { Err(Error::new(format!("limits were broken:\n  {}", broken.join("\n  ")))) }
}

fn soak(plan: &Plan, world: &World) -> Result<Figures> {
    // What is started from here on has it too; the gateway runs.
    rustix::process::nice(NICE).context("nice")?;
    let floor = Floor::new();
    let mut changes = Changes::new(world, &floor);
    let mut watch = Watch::new(world);

    // Before the first change, to the very end.
    let streams = Streams::open(world.gateway.address("web")?)?;
    // The same work as later, so that memory has the same reasons to be used.
    let warm = Load::start(world.gateway.address("web")?, ROUND)?;
    let clients = Clients::start(world, &floor)?;
    for number in 1..=WARM_UP {
        changes.make(number)?;
        interrupt::check()?;
    }
    warm.finish()?;
    let warmed = clients.stop();
    if let Some(wrong) = warmed.wrong.first() {
        return Err(Error::new(format!("answers were wrong before anything was measured: {wrong}")));
    }
    let before = watch.settled()?;

    let load = Load::start(world.gateway.address("web")?, ROUND)?;
    let clients = Clients::start(world, &floor)?;
    let (began, since) = (Instant::now(), SystemTime::now());
    let made = changes.steadily(plan, WARM_UP, began, |done| {
        if !load.goes_on() {
            return Err(Error::new("the load ended before the changes"));
        }
        watch.progress(plan.changes, done, began, &clients)
    });
    println!();
    let made = match made {
        // Where the load ended by itself it says why.
        Err(error) if load.goes_on() => return Err(error),
        made => made,
    };
    let load = load.finish()?;
    let seconds = began.elapsed().as_secs_f64();
    let (made, checked) = (made?, clients.stop());
    let after = watch.settled()?;
    let flowed = streams.end();
    Ok(Figures { load, checked, flowed, made, planned: plan.changes, before, after, since, seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_understood() {
        let changes = |options: &[&str]| Plan::parse(options).map(|plan| plan.changes).ok();
        assert_eq!(changes(&["--quick"]), Some(250));
        assert_eq!(changes(&[]), Some(2400));
        assert_eq!(changes(&["--minutes", "3"]), Some(360));
        assert_eq!(Plan::parse(&["--quick"]).unwrap().at_most(), Duration::from_secs(375));
        assert_eq!(Plan::parse(&["--json", "out"]).unwrap().json, Some(PathBuf::from("out")));
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for options in
            [&["--minutes"][..], &["--minutes", "0"], &["--minutes", "x"], &["--slow"], &["--quick", "--minutes", "3"], &["--json"]]
        {
            assert!(Plan::parse(options).is_err(), "{options:?}");
        }
    }
}
