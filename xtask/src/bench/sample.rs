//! One measurement of one proxy.

use std::fs;
use std::time::{Duration, Instant};

use plugway_harness::error::Context;
use plugway_harness::{Result, process};

use super::load;
use super::stage::Stage;
use super::subject::Subject;

/// One measurement.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    /// CPU time of the proxy's process tree per request, microseconds.
    pub(super) cpu_us: f64,
    /// Requests answered per second while it was taken.
    pub(super) paced: f64,
    /// Requests answered per second when asked for as many as it can.
    pub(super) per_second: f64,
    /// Latency then, microseconds.
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
    /// Resident memory afterwards, bytes.
    pub(super) rss_bytes: u64,
    /// Share of the core of load and backend that was busy while CPU time was taken, 0 to 1: near 1 the load, not the proxy, is
    /// what is measured.
    pub(super) load_core: f64,
    /// The same while the proxy was asked for all it can.
    pub(super) flood_load_core: f64,
    /// Share of the proxy's core that others used while CPU time was taken, stolen time included.
    pub(super) foreign: f64,
    /// Requests that both load generators saw answered.
    pub(super) answered: f64,
}

/// How long a proxy is asked for all it can do, which also warms it, and how long at a rate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lengths {
    pub(super) flood: Duration,
    pub(super) paced: Duration,
}

/// Asks a subject for all it can do, then for `per_second` requests, which says what one costs.
pub(super) fn measure(stage: &Stage, subject: &Subject, lengths: Lengths, per_second: f64) -> Result<Sample> {
    let before = core_time(1)?;
    let most = load::flood(stage, subject, lengths.flood)?;
    let flood_load_core = share(before, core_time(1)?);
    let (own, began) = (process::cpu_time(subject.pid())?, Instant::now());
    let (proxies, loads) = (core_time(0)?, core_time(1)?);
    let answered = load::paced(stage, subject, lengths.paced, per_second)?;
    let (proxies, loads) = (share(proxies, core_time(0)?), share(loads, core_time(1)?));
    let elapsed = began.elapsed();
    let own = process::cpu_time(subject.pid())?.saturating_sub(own);
    Ok(Sample {
        cpu_us: own.as_secs_f64() * 1e6 / answered,
        paced: answered / elapsed.as_secs_f64(),
        per_second: most.per_second(),
        p50_us: most.p50_us,
        p99_us: most.p99_us,
        p999_us: most.p999_us,
        rss_bytes: subject.rss_bytes()?,
        load_core: loads,
        flood_load_core,
        foreign: (proxies - own.as_secs_f64() / elapsed.as_secs_f64()).max(0.0),
        answered: most.requests + answered,
    })
}

/// Busy and total ticks of a core (`/proc/stat`, proc(5)): user nice system idle iowait irq softirq steal.
pub(super) fn core_time(core: usize) -> Result<(f64, f64)> {
    let text = fs::read_to_string("/proc/stat").context("/proc/stat")?;
    let name = format!("cpu{core}");
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(&name)).context(format!("no {name} in /proc/stat"))?;
    let ticks: Vec<f64> = line.split_whitespace().skip(1).take(8).map_while(|word| word.parse().ok()).collect();
    let total: f64 = ticks.iter().sum();
    let idle: f64 = ticks.iter().skip(3).take(2).sum();
    Ok((total - idle, total))
}

/// The busy share of a core between two readings.
pub(super) fn share(before: (f64, f64), after: (f64, f64)) -> f64 {
    let (busy, total) = (after.0 - before.0, after.1 - before.1);
    if total > 0.0 { busy / total } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_has_times() {
        let (busy, total) = core_time(0).unwrap();
        assert!(busy > 0.0 && total >= busy);
        assert_eq!(share((10.0, 100.0), (40.0, 160.0)), 0.5);
        assert_eq!(share((10.0, 100.0), (10.0, 100.0)), 0.0);
    }
}
