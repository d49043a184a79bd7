//! `cargo xtask bench`: CPU time per request beside nginx on the same machine in the same minutes. Requests per second and
//! latency wander with whatever else a machine does; CPU time of a process tree per request repeats within some percent, and
//! a ratio to nginx measured alternately is what is compared from machine to machine.
//!
//! The proxy under test runs alone on core 0 with one worker; load and backend share core 1. wrk shows throughput and latency;
//! CPU time is taken at one rate for all (`h2load`).

mod h2load;
mod report;
mod sample;
mod statistics;
mod subject;
mod wrk;

use std::time::Duration;

use plugway_harness::nginx::Nginx;
use plugway_harness::{Error, Result};

use crate::{plugins, setup, workspace};
use report::Report;
use sample::Sample;
use subject::Subject;

/// Connections kept open.
const CONNECTIONS: u32 = 32;

/// What of nginx's throughput every proxy is asked for while its CPU time is taken: load and backend stay below 90 % of their
/// core, and every subject below its own.
const SHARE: f64 = 0.5;

/// Runs before a subject is measured, as fast as it can: connections to the backend are open, caches warm.
const WARM_UP: Duration = Duration::from_secs(1);

/// How much to measure.
#[derive(Debug)]
pub(crate) struct Effort {
    rounds: usize,
    seconds: u64,
}

/// What a number that is written down anywhere should come from.
pub(crate) const FULL: Effort = Effort { rounds: 15, seconds: 3 };
/// A first look.
pub(crate) const QUICK: Effort = Effort { rounds: 3, seconds: 2 };

/// Measures, prints, writes JSON.
pub(crate) fn run(effort: &Effort) -> Result<()> {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return Err(Error::new("the bench needs two cores: one for the proxy, one for the load"));
    }
    setup::run()?;
    let gateway = workspace::release_gateway()?;
    let guest = plugins::build("plugway-bench-guest")?;

    let backend = backend()?;
    let nginx = Subject::nginx(backend.address())?;
    let most = wrk::run(nginx.address(), WARM_UP)?;
    let subjects = [
        nginx,
        Subject::plugway("plugway", &gateway, &guest, 0, backend.address())?,
        Subject::plugway("plugway + 1 plugin", &gateway, &guest, 1, backend.address())?,
        Subject::plugway("plugway + 5 plugins", &gateway, &guest, 5, backend.address())?,
    ];
    let rate = (SHARE * most.requests / most.seconds).round();
    println!("nginx answers {:.0} requests a second at most; each proxy's CPU is measured at {rate:.0}", most.requests / most.seconds);
    let rounds = measure(effort, &subjects, rate)?;
    let report = Report::new(effort, rate, &subjects, &rounds)?;
    report.print();
    report.write(&workspace::root().join("target").join("bench").join("latest.json"))
}

/// One sample of each subject per round, in turn, each round beginning with another one.
fn measure(effort: &Effort, subjects: &[Subject], rate: f64) -> Result<Vec<Vec<Sample>>> {
    let mut rounds = Vec::with_capacity(effort.rounds);
    for round in 0..effort.rounds {
        let mut samples = vec![None; subjects.len()];
        for step in 0..subjects.len() {
            let index = (round + step) % subjects.len();
            let (Some(subject), Some(sample)) = (subjects.get(index), samples.get_mut(index)) else { continue };
            subject.wake()?;
            let measured = sample::measure(subject, Duration::from_secs(effort.seconds), rate)?;
            subject.rest()?;
            println!("round {:>2}  {:<20} {:>6.2} µs", round + 1, subject.name(), measured.cpu_us);
            *sample = Some(measured);
        }
        rounds.push(samples.into_iter().flatten().collect());
    }
    Ok(rounds)
}

/// nginx that answers every request with 64 bytes.
fn backend() -> Result<Nginx> {
    let body = "0123456789abcdef".repeat(4);
    Nginx::start(&subject::LOAD_CORE, |port| {
        format!("    keepalive_requests 1000000000;\n    server {{ listen 127.0.0.1:{port} reuseport; return 200 '{body}'; }}")
    })
}
