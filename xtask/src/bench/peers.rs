//! `cargo xtask bench peers`: plugway among other proxies, on the same work in the same minutes, in one table.
//!
//! Every scenario of [`super::scenario`] in turn: all proxies are started and stopped in their tracks; round by round each is woken,
//! checked, measured, checked again and stopped, in an order of its own ([`lineup::order`]). What is measured, and why at a rate:
//! ADR 5. A proxy that cannot keep up with the common rate is measured at a share of its own most.

pub(super) mod check;
pub(super) mod columns;
pub(super) mod growth;
mod install;
pub(super) mod lineup;
mod options;
mod page;
mod pause;
pub(super) mod plot;
pub(super) mod row;
mod table;

use std::time::Instant;

use plugway_harness::error::Context;
use plugway_harness::{Error, Result};

use super::origin::Origin;
use super::sample::{self, Lengths, Sample};
use super::scenario::{SMALL, Scenario};
use super::stage::Stage;
pub(super) use super::subject::Entry;
use super::subject::{Built, Subject};
use super::{LOAD_LIMIT, SHARE, allow_descriptors, load, most, two_cores, under_test};
use crate::{interrupt, plugins, workspace};
pub(super) use install::run as install;
use lineup::Version;
use options::Options;
use row::{Beside, Round, Row};

/// What of its own most a proxy is asked for while its CPU time is taken, where that is less than the common rate.
const OWN_SHARE: f64 = 0.7;

/// A sample during which others used more of the proxy's core than this is taken again, as is one of which load and backend were the limit…
const FOREIGN_LIMIT: f64 = 0.1;
/// … at most this often.
const REPEATS: usize = 2;

/// Measures, prints, writes JSON and a page.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let options = Options::parse(words)?;
    let entries = options.entries()?;
    two_cores()?;
    install::run(&entries)?;
    let built = Built {
        gateway: under_test(options.gateway.clone(), options.build())?,
        guest: plugins::build("plugway-bench-guest")?,
        filters: install::filters(&entries)?,
    };
    let versions = lineup::versions(&entries, &built)?;
    interrupt::watch()?;
    let scenarios = options.scenarios()?;
    if let Some(worth) = options.worth() {
        println!("{worth}");
    }
    let mut rows = if options.fresh { Vec::new() } else { earlier()? };
    for scenario in &scenarios {
        let entries: Vec<Entry> = entries.iter().copied().filter(|entry| lineup::belongs(entry, scenario, &options)).collect();
        if let Err(error) = allow_descriptors(scenario.descriptors()) {
            if options.asks_for(scenario) {
                return Err(error);
            }
            println!("\n{} is left out: {error}", scenario.name);
            continue;
        }
        if entries.is_empty() {
            return Err(Error::new(format!("no row that was asked for can be measured in {}", scenario.name)));
        }
        let measured = measure(*scenario, &entries, &built, &options, &versions)?;
        table::print(scenario, &measured);
        rows = row::merge(rows, measured);
        // After each, so that a run that is ended early has left something.
        write(&rows)?;
    }
    println!("\nwritten to target/bench/{FILE} and target/bench/peers.html; rows that were not measured now are as they were");
    Ok(())
}

/// Everything that was measured so far.
pub(super) const FILE: &str = "peers.json";

/// Rows of earlier runs: a run of a part adds to them.
fn earlier() -> Result<Vec<Row>> {
    let file = workspace::bench_directory().join(FILE);
    match std::fs::read_to_string(&file) {
        Ok(text) => row::parse(&text).map_err(|error| Error::new(format!("{}: {error}; --fresh begins anew", file.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).context(file.display()),
    }
}

fn write(rows: &[Row]) -> Result<()> {
    let directory = workspace::bench_directory();
    std::fs::create_dir_all(&directory).context(directory.display())?;
    std::fs::write(directory.join(FILE), format!("{:#}\n", row::json(rows)?)).context(FILE)?;
    std::fs::write(directory.join("peers.html"), page::html(rows)).context("peers.html")
}

/// One scenario.
fn measure(scenario: Scenario, entries: &[Entry], built: &Built, options: &Options, versions: &[Version]) -> Result<Vec<Row>> {
    println!("\n{}: {}", scenario.name, scenario.title);
    let origin = Origin::now()?;
    let stage = Stage::start(scenario)?;
    let subjects = entries.iter().map(|entry| Subject::start(*entry, &stage, built)).collect::<Result<Vec<_>>>()?;
    let rates = rates(&stage, &subjects)?;
    let began = Instant::now();
    let count = options.rounds(&scenario);
    let (mut done, all) = (0, count * rates.iter().flatten().count());
    let mut rounds: Vec<Vec<Round>> = subjects.iter().map(|_| Vec::new()).collect();
    for round in 0..count {
        for index in lineup::order(round, entries) {
            let (Some(subject), Some(Some(rate)), Some(own)) = (subjects.get(index), rates.get(index), rounds.get_mut(index)) else {
                continue;
            };
            let measured = one(&stage, subject, options.lengths(&scenario), *rate)?;
            done += 1;
            progress(subject, &measured.sample, (done, all), began);
            own.push(measured);
        }
    }
    Row::all(&scenario, &subjects, rounds, &rates, versions, &origin)
}

fn progress(subject: &Subject, sample: &Sample, (done, all): (usize, usize), began: Instant) {
    let left = began.elapsed().as_secs_f64() / done as f64 * (all - done) as f64;
    println!(
        "{done:>4} of {all}  {:<31} {:>8.2} µs {:>9.0} req/s  p50 {:>7.0} µs  load {:>3.0} %  {:>3.0} s to go",
        subject.name(),
        sample.cpu_us,
        sample.per_second,
        sample.p50_us,
        sample.load_core * 100.0,
        left
    );
}

/// The rate at which each subject's CPU time is taken: the common one is a share of what the first (nginx) can do, and lower
/// where a plugway or another native proxy could not keep up with it; the few that are slower still get a share of their own most.
/// None is who cannot be asked at a rate, and is left out.
fn rates(stage: &Stage, subjects: &[Subject]) -> Result<Vec<Option<f64>>> {
    let mut most = Vec::with_capacity(subjects.len());
    for subject in subjects {
        subject.wake()?;
        check::until_serving(stage, subject)?;
        subject.rest()?;
        pause::until_quiet()?;
        most.push((subject.entry(), self::most(stage, subject).context(subject.name())?));
    }
    let rates = lineup::rates(&most, stage.scenario().connections, SHARE, OWN_SHARE);
    for ((entry, most), rate) in most.iter().zip(&rates) {
        let then = rate.map_or_else(|| format!("left out, {}", row::UNABLE), |rate| format!("its CPU is measured at {rate:.0}"));
        println!("{:<31} answers {most:>7.0} requests a second at most; {then}", entry.name);
    }
    Ok(rates)
}

/// One subject, once: the answers and counters are checked around it, and it is measured again when others were about.
fn one(stage: &Stage, subject: &Subject, lengths: Lengths, rate: f64) -> Result<Round> {
    let mut repeats = 0;
    loop {
        let quiet = pause::until_quiet()?;
        subject.wake()?;
        let measured = checked(stage, subject, lengths, rate).map_err(|error| {
            Error::new(format!("{}: {error}\n{}{}", subject.name(), check::faults(subject), last_lines(&subject.output())))
        });
        subject.rest()?;
        let sample = measured?;
        let undisturbed = sample.foreign <= FOREIGN_LIMIT;
        if (undisturbed && sample.load_core < LOAD_LIMIT) || repeats == REPEATS {
            return Ok(Round { quiet: quiet && undisturbed, repeats, sample, beside: Beside::default() });
        }
        repeats += 1;
    }
}

fn checked(stage: &Stage, subject: &Subject, lengths: Lengths, rate: f64) -> Result<Sample> {
    // Who was at rest may find that the backend has closed a connection meanwhile; HAProxy says 502 then, and is right the next time.
    check::until_serving(stage, subject)?;
    if !lengths.warm_up.is_zero() {
        load::flood(stage, subject, lengths.warm_up)?;
    }
    let counted = check::hooks(subject)?;
    let sample = sample::measure(stage, subject, lengths, rate)?;
    if let (Some(before), Some(after)) = (counted, check::hooks(subject)?) {
        after.since(before).agree(subject.entry().hooks(), sample.answered, stage.scenario())?;
    }
    check::marks(stage, subject)?;
    Ok(sample)
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(5)).copied().collect::<Vec<_>>().join("\n")
}
