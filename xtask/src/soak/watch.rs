//! What the gateway says of itself, and what the kernel says of it.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use plugway_harness::error::Context;
use plugway_harness::{Error, Result, process};
use serde_json::Value;

use super::changes::Made;
use super::clients::Clients;
use super::verdict::STALL;
use super::world::World;
use crate::metrics;

/// Memory has settled when it has not grown or shrunk by this much, bytes, for [`STEADY`].
const SAME: u64 = 256 * 1024;
const STEADY: Duration = Duration::from_secs(2);
/// Longest wait for that, and for generations to end.
const SETTLE: Duration = Duration::from_secs(12);
/// Without a terminal a line comes so often.
const LINES: Duration = Duration::from_secs(10);

/// The gateway at rest.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    /// Resident memory, bytes.
    pub(super) rss: u64,
    pub(super) live_generations: u64,
    pub(super) plugin_instances: u64,
    pub(super) swapped: u64,
    pub(super) rejected: u64,
    pub(super) workers: Vec<Lag>,
}

/// How late a worker ran what was due, since its start.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Lag {
    pub(super) highest_us: u64,
    /// How much of a lag it was itself at work, the highest. For the rest it had no core, or slept.
    pub(super) highest_busy_us: u64,
    pub(super) measured: u64,
    /// At work for more than [`STALL`] of it.
    pub(super) stalls: u64,
    /// Late above [`STALL`], for whatever reason.
    pub(super) late: u64,
    /// What the gateway says of the highest; an earlier one says nothing.
    pub(super) longest: Option<Longest>,
}

/// A worker's longest stall.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Longest {
    /// Seconds since 1970.
    pub(super) at: f64,
    /// What the worker was at.
    pub(super) during: String,
}

pub(super) struct Watch<'w> {
    world: &'w World,
    shown: Option<Instant>,
}

impl<'w> Watch<'w> {
    pub(super) fn new(world: &'w World) -> Self {
        Self { world, shown: None }
    }

    /// The gateway when nothing changes any more, or when that was waited for long enough.
    pub(super) fn settled(&self) -> Result<State> {
        let deadline = Instant::now() + SETTLE;
        let mut steady = (self.world.gateway.rss_bytes()?, Instant::now());
        loop {
            std::thread::sleep(Duration::from_millis(100));
            let state = self.state()?;
            if state.rss.abs_diff(steady.0) > SAME || state.live_generations > 1 {
                steady = (state.rss, Instant::now());
            }
            if steady.1.elapsed() >= STEADY || Instant::now() >= deadline {
                return Ok(state);
            }
        }
    }

    fn state(&self) -> Result<State> {
        let status = self.world.status()?;
        let text = self.world.admin("GET", "/metrics")?;
        let reloads = |result: &str| metrics::sum(&text, "plugway_reloads_total", &[&format!("result=\"{result}\"")]).round() as u64;
        Ok(State {
            rss: process::rss_bytes(self.world.gateway.pid())?,
            live_generations: status.pointer("/generations/live").and_then(Value::as_array).context("`generations` in /status")?.len()
                as u64,
            plugin_instances: status.pointer("/plugins/0/instances").and_then(Value::as_u64).context("`instances` in /status")?,
            swapped: reloads("swapped"),
            rejected: reloads("rejected"),
            workers: lags(&status, &text)?,
        })
    }

    /// One line.
    pub(super) fn progress(&mut self, of: u32, made: &Made, began: Instant, clients: &Clients) -> Result<()> {
        let terminal = std::io::stdout().is_terminal();
        let is_due = self.shown.is_none_or(|shown| shown.elapsed() >= LINES);
        if !terminal && !is_due {
            return Ok(());
        }
        self.shown = Some(Instant::now());
        let (answers, failures) = clients.counts();
        let highest = lags(&self.world.status()?, &self.world.admin("GET", "/metrics")?)?.iter().map(|lag| lag.highest_busy_us).max();
        let line = format!(
            "{:>4} s  {} of {of} changes ({} swaps, {} reloads)  checked {answers}, wrong {failures}  RSS {:.1} MB  longest stall {:.1} ms",
            began.elapsed().as_secs(),
            made.swaps + made.reloads,
            made.swaps,
            made.reloads,
            self.world.gateway.rss_bytes()? as f64 / 1e6,
            highest.unwrap_or_default() as f64 / 1e3
        );
        if terminal {
            print!("\r\u{1b}[2K{line}");
        } else {
            println!("{line}");
        }
        std::io::stdout().flush().context("standard output")
    }
}

/// Of every worker; the highest is in `/status`, how many were above the limit in `/metrics`.
fn lags(status: &Value, text: &str) -> Result<Vec<Lag>> {
    let workers = status.get("workers").and_then(Value::as_array).context("`workers` in /status")?;
    let lag = |(index, worker): (usize, &Value)| {
        let series = |name: &str, more: &[&str]| {
            let of_worker = format!("worker=\"{index}\"");
            metrics::sum(text, &format!("plugway_worker_event_loop_{name}"), &[&[of_worker.as_str()], more].concat()).round() as u64
        };
        // The two are read one after the other: each is compared with itself.
        let above = |name: &str| {
            let within = series(&format!("{name}_seconds_bucket"), &[&format!("le=\"{}\"", STALL.as_secs_f64())]);
            series(&format!("{name}_seconds_count"), &[]).saturating_sub(within)
        };
        let measured = series("busy_seconds_count", &[]);
        if measured == 0 {
            return Err(Error::new(format!("worker {index} has not measured its event loop's lag")));
        }
        let highest = |key: &str| worker.get(key).and_then(Value::as_u64).context(format!("`{key}` in /status"));
        Ok(Lag {
            highest_us: highest("event_loop_lag_max_us")?,
            highest_busy_us: highest("event_loop_busy_max_us")?,
            measured,
            stalls: above("busy"),
            late: above("lag"),
            longest: longest(worker),
        })
    };
    workers.iter().enumerate().map(lag).collect()
}

fn longest(worker: &Value) -> Option<Longest> {
    let stall = worker.get("longest_stall")?;
    Some(Longest { at: stall.get("at")?.as_f64()?, during: stall.get("during")?.as_str()?.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lags_are_read_for_each_worker() {
        let worker = |lag: u32, busy: u32| serde_json::json!({ "event_loop_lag_max_us": lag, "event_loop_busy_max_us": busy });
        let mut status = serde_json::json!({ "workers": [worker(9000, 900), worker(8000, 7000)] });
        status["workers"][1]["longest_stall"] = serde_json::json!({ "at": 1.5, "lag_us": 8000, "busy_us": 7000, "during": "swap" });
        let series = |name: &str, worker: u32, within: u32| {
            format!(
                "plugway_worker_event_loop_{name}_seconds_bucket{{worker=\"{worker}\",le=\"0.005\"}} {within}\n\
                 plugway_worker_event_loop_{name}_seconds_count{{worker=\"{worker}\"}} 50\n"
            )
        };
        let text = series("busy", 0, 50) + &series("lag", 0, 48) + &series("busy", 1, 47) + &series("lag", 1, 46);
        let lags = lags(&status, &text).unwrap();
        let lag =
            |highest_us, late, highest_busy_us, stalls| Lag { highest_us, highest_busy_us, measured: 50, stalls, late, longest: None };
        let longest = Some(Longest { at: 1.5, during: "swap".to_owned() });
        assert_eq!(lags, [lag(9000, 2, 900, 0), Lag { longest, ..lag(8000, 4, 7000, 3) }]);
        assert!(super::lags(&status, "").is_err());
    }
}
