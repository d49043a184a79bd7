//! What watches plugway while it is measured, and whether it saw everything: a metric, trace or log line that is dropped is cheap.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use plugway_harness::error::Context;
use plugway_harness::gateway::Gateway;
use plugway_harness::otlp::Receiver;
use plugway_harness::{Error, Result};

use super::subject::{Entry, Proxy};
use super::template::Values;
use super::wait_for;
use crate::metrics;

/// With everything that the goal is of, beside a proxy without any of it.
pub(super) const MONITORED: Entry =
    Entry { name: "plugway, monitored", proxy: Proxy::PlugwayMonitored(Monitors::ALL), plugins: 0, workers: 1 };

/// What `cargo xtask bench monitoring` compares: each part by itself, then all of them.
pub(super) const PARTS: [Entry; 6] = [
    Entry { name: "nginx", proxy: Proxy::Nginx, plugins: 0, workers: 1 },
    Entry { name: "plugway", proxy: Proxy::Plugway, plugins: 0, workers: 1 },
    with("plugway + metrics", Monitors { metrics: true, ..Monitors::NONE }),
    with("plugway + traces", Monitors { traces: true, ..Monitors::NONE }),
    with("plugway + access log", Monitors { access_log: true, ..Monitors::NONE }),
    MONITORED,
];

const fn with(name: &'static str, monitors: Monitors) -> Entry {
    Entry { name, proxy: Proxy::PlugwayMonitored(monitors), plugins: 0, workers: 1 }
}

/// Parts of monitoring that the others of a bench do without. What the host counts itself is always on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Monitors {
    /// The plugin that comes with the gateway, on every route.
    pub(super) metrics: bool,
    /// Spans of one request of a hundred, sent by OTLP.
    pub(super) traces: bool,
    /// A line of JSON for every request, to a file.
    pub(super) access_log: bool,
}

/// What of the traces' share may be chance: a hundredth of some ten thousand requests is some hundred.
const CHANCE: f64 = 0.25;
/// The share that is sampled.
const SHARE: f64 = 0.01;
/// Below this many spans chance says nothing.
const FEW: f64 = 200.0;
/// Longest wait until everything has arrived.
const ARRIVAL: Duration = Duration::from_secs(10);

/// Who takes what a subject tells of itself.
pub(super) struct Watching {
    monitors: Monitors,
    receiver: Option<Receiver>,
}

impl Monitors {
    const NONE: Self = Self { metrics: false, traces: false, access_log: false };
    const ALL: Self = Self { metrics: true, traces: true, access_log: true };
}

impl Watching {
    /// Starts who takes it.
    ///
    /// # Errors
    /// When there is no port or thread for it.
    pub(super) fn begin(proxy: Proxy) -> Result<Self> {
        let monitors = match proxy {
            Proxy::PlugwayMonitored(monitors) => monitors,
            _ => Monitors::NONE,
        };
        let receiver = monitors.traces.then(Receiver::start).transpose()?;
        Ok(Self { monitors, receiver })
    }

    /// What a configuration needs to know.
    pub(super) fn values(&self, values: Values) -> Values {
        let Monitors { metrics, traces, access_log } = self.monitors;
        let values = values.flag("metrics", metrics).flag("traces", traces).flag("access_log", access_log);
        values.word("receiver", self.receiver.as_ref().map_or_else(String::new, Receiver::url))
    }

    /// Every request that was answered has been seen by everything that is to see it.
    ///
    /// # Errors
    /// When one was not.
    pub(super) fn check(&self, gateway: &Gateway) -> Result<()> {
        let deadline = Instant::now() + ARRIVAL;
        loop {
            match self.missed(gateway)? {
                None => return Ok(()),
                Some(missed) if Instant::now() >= deadline => return Err(Error::new(missed)),
                Some(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    /// What has not been seen, in words.
    fn missed(&self, gateway: &Gateway) -> Result<Option<String>> {
        let text = wait_for(metrics::read(gateway))?;
        let all = metrics::sum(&text, "plugway_requests_total", &[]);
        let lost = |name| metrics::sum(&text, name, &[]);
        if self.monitors.metrics {
            let counted = metrics::sum(&text, "requests_total", &["plugin=\"metrics\""]);
            if counted + lost("plugway_records_lost_total") < all {
                return Ok(Some(format!("the metrics plugin counted {counted} of {all} requests")));
            }
        }
        if self.monitors.access_log {
            let lines = lines(gateway)? + lost("plugway_access_lines_lost_total");
            if lines < all {
                return Ok(Some(format!("the access log has {lines} lines of {all} requests")));
            }
        }
        if let Some(receiver) = &self.receiver {
            let traced = receiver.traced() as f64;
            if all * SHARE >= FEW && (traced / (all * SHARE) - 1.0).abs() > CHANCE {
                return Ok(Some(format!("{traced} of {all} requests were traced, not one of a hundred")));
            }
        }
        for name in ["plugway_records_lost_total", "plugway_access_lines_lost_total", "plugway_spans_lost_total"] {
            if lost(name) > 0.0 {
                println!("note: {name} is {:.0} after {all:.0} requests", lost(name));
            }
        }
        Ok(None)
    }
}

/// Lines of the access log so far.
fn lines(gateway: &Gateway) -> Result<f64> {
    let file = gateway.directory().join("access.log");
    let mut reader = BufReader::with_capacity(1 << 20, std::fs::File::open(&file).context(file.display())?);
    let mut count = 0.0;
    loop {
        let buffer = reader.fill_buf().context(file.display())?;
        let length = buffer.len();
        if length == 0 {
            return Ok(count);
        }
        count += buffer.iter().filter(|byte| **byte == b'\n').count() as f64;
        reader.consume(length);
    }
}
