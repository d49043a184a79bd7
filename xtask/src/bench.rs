//! `cargo xtask bench`: CPU time per request beside nginx on the same machine in the same minutes. Requests per second and
//! latency wander with whatever else a machine does; CPU time of a process tree per request repeats within some percent, and
//! a ratio to nginx measured alternately is what is compared from machine to machine.
//!
//! The proxy under test runs alone on core 0 with one worker; load and backend share core 1. wrk shows throughput and latency;
//! CPU time is taken at one rate for all (`h2load`).

mod document;
mod exercise;
mod figure;
mod flame;
mod footprint;
mod h2load;
mod hooks;
mod load;
mod monitored;
mod origin;
mod peers;
mod report;
mod sample;
mod scenario;
mod stage;
mod statistics;
mod subject;
mod template;
mod wrk;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use plugway_harness::error::Context;
use plugway_harness::{Error, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::release::Standing;
use crate::{interrupt, plugins, release, setup, workspace};
pub(crate) use document::run as run_report;
pub(crate) use exercise::exercise;
pub(crate) use flame::run as run_flame;
pub(crate) use footprint::run as run_footprint;
pub(crate) use hooks::run as run_hooks;
pub(crate) use load::quantile;
pub(crate) use peers::run as run_peers;
use report::Report;
use sample::{Lengths, Sample};
use stage::Stage;
use subject::{Built, Entry, Proxy, Subject};

/// The gateway of a bench that takes nothing but `--gateway FILE`: none without it.
fn only_gateway(words: &[&str], bench: &str) -> Result<Option<PathBuf>> {
    match words {
        [] => Ok(None),
        ["--gateway", file] => std::path::absolute(file).context("--gateway").map(Some),
        _ => Err(Error::new(format!("`cargo xtask bench {bench}` does not understand {}", words.join(" ")))),
    }
}

/// What of nginx's throughput every proxy is asked for while its CPU time is taken: load and backend stay below 90 % of their
/// core, and every subject below its own.
const SHARE: f64 = 0.5;

/// What nginx took for a small request on the machine on which goals in µs were set: on another one they are as many hundredths of nginx's.
const NGINX_US: f64 = 10.5;

/// Above this share of its core the load is what is measured.
const LOAD_LIMIT: f64 = 0.9;

/// Runs before a subject is measured, as fast as it can: connections to the backend are open, caches warm.
const WARM_UP: Duration = Duration::from_secs(1);

/// What `cargo xtask bench` compares.
const PAIRS: [Entry; 5] = [
    Entry { name: "nginx", proxy: Proxy::Nginx, plugins: 0, workers: 1 },
    Entry { name: "plugway", proxy: Proxy::Plugway, plugins: 0, workers: 1 },
    Entry { name: "plugway + 1 plugin", proxy: Proxy::Plugway, plugins: 1, workers: 1 },
    Entry { name: "plugway + 5 plugins", proxy: Proxy::Plugway, plugins: 5, workers: 1 },
    monitored::MONITORED,
];

/// How much to measure.
#[derive(Debug)]
struct Effort {
    rounds: usize,
    seconds: u64,
}

/// What a number that is written down anywhere should come from, and a first look.
const EFFORTS: [Effort; 2] = [Effort { rounds: 15, seconds: 3 }, Effort { rounds: 3, seconds: 2 }];
/// What is looked for in parts of monitoring is a tenth of what a request costs, and a shared machine wanders by more within seconds: many short
/// turns, one after another, see through that where few long ones do not.
const TURNS: [Effort; 2] = [Effort { rounds: 41, seconds: 1 }, Effort { rounds: 11, seconds: 1 }];

/// Measures plugway and its plugins, prints, writes JSON. `--quick` takes a first look, `--plain` what cargo builds, `--gateway FILE` one that is
/// built already.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    compare(words, &EFFORTS, &PAIRS, "latest.json")
}

/// The same of what parts of monitoring cost.
pub(crate) fn run_monitoring(words: &[&str]) -> Result<()> {
    compare(words, &TURNS, &monitored::PARTS, "monitoring.json")
}

/// The first entry is nginx, the second what others are compared with.
fn compare(words: &[&str], [full, quick]: &[Effort; 2], entries: &[Entry], file: &str) -> Result<()> {
    let (mut effort, mut gateway, mut build, mut words) = (full, None, Build::Shipped, words.iter());
    while let Some(word) = words.next() {
        match *word {
            "--quick" => (effort, build) = (quick, if build == Build::Plain { build } else { Build::Ready }),
            "--plain" => build = Build::Plain,
            "--gateway" => gateway = Some(std::path::absolute(words.next().context("--gateway needs a file")?).context("--gateway")?),
            _ => return Err(Error::new(format!("`cargo xtask bench` has no option {word}; it has --quick, --plain and --gateway FILE"))),
        }
    }
    two_cores()?;
    setup::run()?;
    interrupt::watch()?;
    let built = Built { gateway: under_test(gateway, build)?, guest: plugins::build("plugway-bench-guest")?, filters: Vec::new() };

    let stage = Stage::start(scenario::SMALL)?;
    let subjects = entries.iter().map(|entry| Subject::start(*entry, &stage, &built)).collect::<Result<Vec<_>>>()?;
    let most = subjects.first().map_or(Ok(0.0), |nginx| most(&stage, nginx))?;
    let rate = (SHARE * most).round();
    println!("nginx answers {most:.0} requests a second at most; each proxy's CPU is measured at {rate:.0}");
    let rounds = measure(effort, &stage, &subjects, rate)?;
    subjects.iter().try_for_each(Subject::check_watched)?;
    let report = Report::new(effort, rate, &subjects, &rounds)?;
    report.print();
    report.write(&workspace::bench_directory().join(file))
}

/// What is measured where no gateway was named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Build {
    /// What is shipped. Where that is not there, it is made, which takes more than half an hour.
    Shipped,
    /// What is shipped if it is there, or else a build as cargo makes it: for a first look.
    Ready,
    /// A build as cargo makes it.
    Plain,
}

/// The gateway that was named, or one of these sources.
///
/// # Errors
/// When it does not build.
fn under_test(named: Option<PathBuf>, build: Build) -> Result<PathBuf> {
    if let Some(gateway) = named {
        return Ok(gateway);
    }
    let plain = |why: &str| {
        println!("note: a plain release build is measured{why}; what is shipped is what `cargo xtask release` makes");
        workspace::release_gateway()
    };
    match (build, release::standing()?) {
        (Build::Shipped | Build::Ready, Standing::Ready(gateway)) => {
            println!("note: target/dist/plugway is measured, which `cargo xtask release` made of these sources");
            Ok(gateway)
        }
        (Build::Shipped, Standing::Missing) => {
            println!(
                "note: what is shipped is measured, and made first, as by `cargo xtask release`: more than half an hour of CPU time, once \
                 for these sources. --plain measures what cargo builds"
            );
            release::run().map_err(|error| Error::new(format!("{error}\nwithout it, --plain measures what cargo builds")))?;
            Ok(release::shipped())
        }
        (Build::Shipped, Standing::Uncommitted) => plain(", since sources were changed and not committed"),
        (Build::Ready | Build::Plain, _) => plain(""),
    }
}

fn two_cores() -> Result<()> {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return Err(Error::new("the bench needs two cores: one for the proxy, one for the load"));
    }
    Ok(())
}

/// Files of a program that are no sockets of its connections, at most.
const OTHER_FILES: u64 = 400;

/// Lets every program that is started from here have that many sockets.
///
/// # Errors
/// When the system allows fewer, which only root may change.
fn allow_descriptors(sockets: u64) -> Result<()> {
    let wanted = sockets + OTHER_FILES;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let maximum = maximum.map(|maximum| maximum.max(wanted));
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
        .context(format!("{wanted} open files, which only root may allow (`ulimit -Hn`); --scenario chooses others"))
}

fn wait_for<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("runtime")?.block_on(future)
}

/// Requests a second that a resting subject answers when asked for all it can.
fn most(stage: &Stage, subject: &Subject) -> Result<f64> {
    subject.wake()?;
    let most = load::flood(stage, subject, WARM_UP)?;
    subject.rest()?;
    Ok(most.per_second())
}

/// One sample of each subject per round, in turn, each round beginning with another one.
fn measure(effort: &Effort, stage: &Stage, subjects: &[Subject], rate: f64) -> Result<Vec<Vec<Sample>>> {
    let lengths = Lengths { warm_up: Duration::ZERO, flood: WARM_UP, paced: Duration::from_secs(effort.seconds) };
    let mut rounds = Vec::with_capacity(effort.rounds);
    for round in 0..effort.rounds {
        let mut samples = vec![None; subjects.len()];
        for step in 0..subjects.len() {
            let index = (round + step) % subjects.len();
            let (Some(subject), Some(sample)) = (subjects.get(index), samples.get_mut(index)) else { continue };
            interrupt::check()?;
            subject.wake()?;
            let measured = sample::measure(stage, subject, lengths, rate)?;
            subject.rest()?;
            println!("round {:>2}  {:<20} {:>6.2} µs", round + 1, subject.name(), measured.cpu_us);
            *sample = Some(measured);
        }
        rounds.push(samples.into_iter().flatten().collect());
    }
    Ok(rounds)
}
