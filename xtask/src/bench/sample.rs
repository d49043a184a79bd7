//! One measurement of one proxy.

use std::fs;
use std::time::Duration;

use plugway_harness::error::Context;
use plugway_harness::{Result, process};

use super::subject::Subject;
use super::{h2load, wrk};

/// One measurement.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    /// CPU time of the proxy's process tree per request, microseconds.
    pub(super) cpu_us: f64,
    /// Requests answered per second when asked for as many as it can.
    pub(super) per_second: f64,
    /// Median latency then, microseconds.
    pub(super) p50_us: f64,
    /// Resident memory afterwards, bytes.
    pub(super) rss_bytes: u64,
    /// Share of the core of load and backend that was busy while CPU time was taken, 0 to 1: near 1 the load, not the proxy, is
    /// what is measured.
    pub(super) load_core: f64,
}

/// Asks a subject for all it can do, which also warms it, then for `per_second` requests, which says what one costs.
pub(super) fn measure(subject: &Subject, duration: Duration, per_second: f64) -> Result<Sample> {
    let most = wrk::run(subject.address(), super::WARM_UP)?;
    let (cpu, core) = (process::cpu_time(subject.pid())?, core_time(1)?);
    let answered = h2load::run(subject.address(), duration, per_second)?;
    let cpu = process::cpu_time(subject.pid())?.saturating_sub(cpu);
    let after = core_time(1)?;
    let (busy, total) = (after.0 - core.0, after.1 - core.1);
    Ok(Sample {
        cpu_us: cpu.as_secs_f64() * 1e6 / answered,
        per_second: most.requests / most.seconds,
        p50_us: most.p50_us,
        rss_bytes: subject.rss_bytes()?,
        load_core: if total > 0.0 { busy / total } else { 0.0 },
    })
}

/// Busy and total ticks of a core (`/proc/stat`, proc(5)): user nice system idle iowait irq softirq steal.
fn core_time(core: usize) -> Result<(f64, f64)> {
    let text = fs::read_to_string("/proc/stat").context("/proc/stat")?;
    let name = format!("cpu{core}");
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(&name)).context(format!("no {name} in /proc/stat"))?;
    let ticks: Vec<f64> = line.split_whitespace().skip(1).take(8).map_while(|word| word.parse().ok()).collect();
    let total: f64 = ticks.iter().sum();
    let idle: f64 = ticks.iter().skip(3).take(2).sum();
    Ok((total - idle, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_has_times() {
        let (busy, total) = core_time(0).unwrap();
        assert!(busy > 0.0 && total >= busy);
    }
}
