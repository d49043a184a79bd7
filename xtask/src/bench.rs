//! `cargo xtask bench`: CPU time per request beside nginx on the same machine in the same minutes. Requests per second and
//! latency wander with whatever else a machine does; CPU time of a process tree per request repeats within some percent, and
//! a ratio to nginx measured alternately is what is compared from machine to machine.
//!
//! The proxy under test runs alone on core 0 with one worker; wrk and the backend share core 1.

mod report;
mod statistics;
mod subject;
mod wrk;

use std::time::Duration;

use plugway_harness::nginx::Nginx;
use plugway_harness::{Error, Result};

use crate::{plugins, setup, workspace};
use report::Report;
use subject::Subject;
use wrk::Sample;

/// Connections kept open.
const CONNECTIONS: u32 = 32;

/// Runs before a subject is measured: connections to the backend are open, caches warm.
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
    let subjects = [
        Subject::nginx(backend.address())?,
        Subject::plugway("plugway", &gateway, &guest, 0, backend.address())?,
        Subject::plugway("plugway + 1 plugin", &gateway, &guest, 1, backend.address())?,
        Subject::plugway("plugway + 5 plugins", &gateway, &guest, 5, backend.address())?,
    ];
    let rounds = measure(effort, &subjects)?;
    let report = Report::new(effort, &subjects, &rounds)?;
    report.print();
    report.write(&workspace::root().join("target").join("bench").join("latest.json"))
}

/// One sample of each subject per round, in turn, each round beginning with another one.
fn measure(effort: &Effort, subjects: &[Subject]) -> Result<Vec<Vec<Sample>>> {
    let mut rounds = Vec::with_capacity(effort.rounds);
    for round in 0..effort.rounds {
        let mut samples = vec![None; subjects.len()];
        for step in 0..subjects.len() {
            let index = (round + step) % subjects.len();
            let (Some(subject), Some(sample)) = (subjects.get(index), samples.get_mut(index)) else { continue };
            subject.wake()?;
            wrk::run(subject.address(), WARM_UP)?;
            let measured = wrk::measure(subject, Duration::from_secs(effort.seconds))?;
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
