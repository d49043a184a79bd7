//! One measurement of one proxy.

use std::fs;
use std::time::{Duration, Instant};

use plugway_harness::error::Context;
use plugway_harness::process::Modes;
use plugway_harness::{Result, process};
use serde::{Deserialize, Serialize};

use super::stage::Stage;
use super::subject::Subject;
use super::{h2load, load};

/// From the start of so many connections to a measurement: they are made, and the rate holds.
const SETTLE: Duration = Duration::from_secs(3);
/// How much longer the load runs than the measurement, which must not see its end.
const TAIL: Duration = Duration::from_secs(1);

/// One measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Sample {
    /// CPU time of the proxy's process tree per request, microseconds.
    #[serde(rename = "cpu_us_per_request")]
    pub(super) cpu_us: f64,
    /// Requests answered per second while it was taken.
    #[serde(rename = "paced_requests_per_second")]
    pub(super) paced: f64,
    /// Requests answered per second when asked for as many as it can.
    #[serde(rename = "requests_per_second")]
    pub(super) per_second: f64,
    /// Latency then, microseconds.
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
    /// Resident memory afterwards, bytes.
    pub(super) rss_bytes: u64,
    /// Share of the core of load and backend that was busy while CPU time was taken, 0 to 1: near 1 the load, not the proxy, is
    /// what is measured. Where all share both cores, of both.
    #[serde(rename = "load_core_busy")]
    pub(super) load_core: f64,
    /// The same while the proxy was asked for all it can.
    #[serde(rename = "load_core_busy_at_most")]
    pub(super) flood_load_core: f64,
    /// Share of the proxy's core that others used while CPU time was taken, stolen time included. Where all share both cores, of
    /// both, what load and backend used left out.
    #[serde(rename = "proxy_core_foreign")]
    pub(super) foreign: f64,
    /// Requests that both load generators saw answered.
    #[serde(default)]
    pub(super) answered: f64,
    /// What of the CPU time passed in the kernel, 0 to 1.
    #[serde(rename = "cpu_kernel_share", default, skip_serializing_if = "Option::is_none")]
    pub(super) kernel: Option<f64>,
}

/// How long a proxy is warmed, asked for all it can do, which also warms it, and asked at a rate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lengths {
    /// Before the first, unmeasured; zero where the first is what warms.
    pub(super) warm_up: Duration,
    pub(super) flood: Duration,
    pub(super) paced: Duration,
}

/// Asks a subject for all it can do, then for `per_second` requests, which says what one costs.
pub(super) fn measure(stage: &Stage, subject: &Subject, lengths: Lengths, per_second: f64) -> Result<Sample> {
    let before = Cores::now()?;
    let most = load::flood(stage, subject, lengths.flood)?;
    let flood_load_core = Cores::now()?.load_since(before, stage);
    let Paced { before, after, requests, answered } = paced(stage, subject, lengths.paced, per_second)?;
    let elapsed = (after.at - before.at).as_secs_f64();
    let own = after.own.saturating_sub(before.own).as_secs_f64();
    Ok(Sample {
        cpu_us: own * 1e6 / requests,
        paced: requests / elapsed,
        per_second: most.per_second(),
        p50_us: most.p50_us,
        p99_us: most.p99_us,
        p999_us: most.p999_us,
        rss_bytes: subject.rss_bytes()?,
        load_core: after.cores.load_since(before.cores, stage),
        flood_load_core,
        foreign: after.foreign_since(&before, stage),
        answered: most.requests + answered,
        kernel: after.modes.kernel_share_since(before.modes),
    })
}

/// What a stretch at a rate was.
struct Paced {
    before: Reading,
    after: Reading,
    /// Answered between the two.
    requests: f64,
    /// Answered in all.
    answered: f64,
}

fn paced(stage: &Stage, subject: &Subject, duration: Duration, per_second: f64) -> Result<Paced> {
    if !stage.scenario().settles() {
        let before = Reading::take(stage, subject)?;
        let answered = load::paced(stage, subject, duration, per_second)?;
        return Ok(Paced { before, after: Reading::take(stage, subject)?, requests: answered, answered });
    }
    // Thousands of connections are made before it is measured, and the backend says how many requests came meanwhile.
    let load = h2load::begin(stage, subject, SETTLE + duration + TAIL, per_second)?;
    std::thread::sleep(SETTLE);
    let (before, first) = (Reading::take(stage, subject)?, stage.answered()?);
    std::thread::sleep(duration);
    let (after, last) = (Reading::take(stage, subject)?, stage.answered()?);
    // The second look is a request too.
    Ok(Paced { before, after, requests: last - first - 1.0, answered: load.finish(stage)? })
}

/// Clocks of a moment.
struct Reading {
    at: Instant,
    /// CPU time of the proxy.
    own: Duration,
    /// CPU time of the backend, and of load generators that have ended.
    others: Duration,
    modes: Modes,
    cores: Cores,
}

impl Reading {
    fn take(stage: &Stage, subject: &Subject) -> Result<Self> {
        let others = stage.backend_time()? + process::cpu_time_of_ended_children(std::process::id())?;
        let (own, modes) = (process::cpu_time(subject.pid())?, Modes::now(subject.pid())?);
        Ok(Self { at: Instant::now(), own, others, modes, cores: Cores::now()? })
    }

    /// The share that neither the proxy nor, where they share its cores, load and backend used.
    fn foreign_since(&self, before: &Self, stage: &Stage) -> f64 {
        let elapsed = (self.at - before.at).as_secs_f64();
        let own = self.own.saturating_sub(before.own).as_secs_f64() / elapsed;
        let others = self.others.saturating_sub(before.others).as_secs_f64() / elapsed;
        let [proxy, load] = self.cores.since(before.cores);
        let foreign = if stage.scenario().workers { f64::midpoint(proxy, load) - f64::midpoint(own, others) } else { proxy - own };
        foreign.max(0.0)
    }
}

/// Busy and total ticks of both cores.
#[derive(Clone, Copy)]
struct Cores([(f64, f64); 2]);

impl Cores {
    fn now() -> Result<Self> {
        Ok(Self([core_time(0)?, core_time(1)?]))
    }

    /// The busy share of each since an earlier moment.
    fn since(self, before: Self) -> [f64; 2] {
        let ([zero, one], [zero_before, one_before]) = (self.0, before.0);
        [share(zero_before, zero), share(one_before, one)]
    }

    /// The busy share of what load and backend run on.
    fn load_since(self, before: Self, stage: &Stage) -> f64 {
        let [proxy, load] = self.since(before);
        if stage.scenario().workers { f64::midpoint(proxy, load) } else { load }
    }
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
