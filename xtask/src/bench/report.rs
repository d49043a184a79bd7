//! The bench's table and its JSON.

use std::path::Path;

use plugway_harness::Result;
use plugway_harness::error::Context;
use serde_json::{Value, json};

use super::monitored::MONITORED;
use super::origin::processor;
use super::sample::Sample;
use super::scenario::SMALL;
use super::statistics::Estimate;
use super::subject::{Proxy, Subject};
use super::{Effort, LOAD_LIMIT, NGINX_US};

/// At most this much CPU of nginx's per request without plugins.
const GOAL_RATIO: f64 = 1.2;
/// At most this much CPU per request for each plugin of a chain, microseconds where nginx takes [`NGINX_US`]. Of a single plugin it says less: what having
/// plugins at all costs, such as the alarm of their budgets, is in it once.
const GOAL_PLUGIN_US: f64 = 0.8;
/// At most this for metrics, traces of one request of a hundred and the access log together, microseconds of CPU per request where nginx takes [`NGINX_US`].
const GOAL_MONITORED_US: f64 = 2.0;

/// Everything measured.
pub(super) struct Report {
    rounds: usize,
    seconds: u64,
    /// Requests a second while CPU time was taken.
    rate: f64,
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    plugins: usize,
    cpu_us: Estimate,
    /// To nginx of the same round.
    ratio: Estimate,
    /// CPU per plugin, microseconds: what it costs more than plugway without, in the same round.
    per_plugin_us: Option<Estimate>,
    /// The same of what watches it.
    monitored_us: Option<Estimate>,
    /// Either as a share of what nginx takes in the same round.
    added_share: Estimate,
    per_second: Estimate,
    p50_us: Estimate,
    load_core: f64,
    rss_bytes: u64,
}

impl Report {
    /// `rounds` holds one sample per subject; nginx is the first subject, plugway without plugins the second.
    pub(super) fn new(effort: &Effort, rate: f64, subjects: &[Subject], rounds: &[Vec<Sample>]) -> Result<Self> {
        let column = |index: usize| rounds.iter().map(move |round| round.get(index).cloned()).collect::<Option<Vec<Sample>>>();
        let nginx = column(0).context("nginx was not measured")?;
        let bare = column(1).context("plugway was not measured")?;
        let mut rows = Vec::with_capacity(subjects.len());
        for (index, subject) in subjects.iter().enumerate() {
            let samples = column(index).context(subject.name())?;
            let each = |pick: fn(&Sample) -> f64| Estimate::of(samples.iter().map(pick).collect());
            let plugins = subject.plugins();
            let ratio = samples.iter().zip(&nginx).map(|(own, nginx)| own.cpu_us / nginx.cpu_us).collect();
            let parts = plugins.max(1) as f64;
            let added = || samples.iter().zip(&bare).map(|(own, bare)| (own.cpu_us - bare.cpu_us) / parts);
            let is_monitored = matches!(subject.entry().proxy, Proxy::PlugwayMonitored(_));
            rows.push(Row {
                name: subject.name(),
                plugins,
                cpu_us: each(|sample| sample.cpu_us),
                ratio: Estimate::of(ratio),
                per_plugin_us: (plugins > 0).then(|| Estimate::of(added().collect())),
                monitored_us: is_monitored.then(|| Estimate::of(added().collect())),
                added_share: Estimate::of(added().zip(&nginx).map(|(added, nginx)| added / nginx.cpu_us).collect()),
                per_second: each(|sample| sample.per_second),
                p50_us: each(|sample| sample.p50_us),
                load_core: samples.iter().map(|sample| sample.load_core).fold(0.0, f64::max),
                rss_bytes: samples.iter().map(|sample| sample.rss_bytes).max().unwrap_or_default(),
            });
        }
        Ok(Self { rounds: effort.rounds, seconds: effort.seconds, rate, rows })
    }

    /// The table.
    pub(super) fn print(&self) {
        let confidence = self.rows.first().map_or(0.0, |row| row.ratio.confidence) * 100.0;
        println!("\nCPU time per request, HTTP/1.1, {} connections, 64-byte body, one worker on one core", SMALL.connections);
        println!(
            "at {:.0} requests a second; medians of {} rounds of {} s; intervals at {confidence:.0} %",
            self.rate, self.rounds, self.seconds
        );
        println!("req/s and p50: as fast as wrk and the proxy can; added: by each plugin, or by all that watches\n");
        println!(
            "{:<20} {:>8} {:>9} {:>17} {:>11} {:>17} {:>9} {:>8} {:>7} {:>6}",
            "", "µs", "x nginx", "interval", "µs added", "interval", "req/s", "p50 µs", "RSS MB", "load"
        );
        for row in &self.rows {
            let interval = |estimate: &Estimate| format!("{:.3} to {:.3}", estimate.low, estimate.high);
            let (added, added_interval) =
                row.added_us().map_or_else(Default::default, |added| (format!("{:.3}", added.median), interval(added)));
            println!(
                "{:<20} {:>8.2} {:>9.3} {:>17} {added:>11} {added_interval:>17} {:>9.0} {:>8.0} {:>7.1} {:>4.0} %",
                row.name,
                row.cpu_us.median,
                row.ratio.median,
                interval(&row.ratio),
                row.per_second.median,
                row.p50_us.median,
                row.rss_bytes as f64 / 1e6,
                row.load_core * 100.0
            );
        }
        println!();
        for (holds, what) in self.goals() {
            println!("{}  {what}", if holds { "met    " } else { "NOT MET" });
        }
        for row in &self.rows {
            if row.load_core > LOAD_LIMIT {
                println!("note: while {} was measured, load and backend kept their core {:.0} % busy", row.name, row.load_core * 100.0);
            }
        }
        let widest = self.rows.iter().map(|row| row.ratio.relative_width()).fold(0.0, f64::max);
        if widest > 0.04 {
            println!("note: the widest interval of a ratio is {:.1} % of it; below 4 % is wanted for a number to keep", widest * 100.0);
        }
    }

    fn goals(&self) -> Vec<(bool, String)> {
        let mut goals = Vec::new();
        for row in self.rows.iter().skip(1) {
            if row.plugins == 0 && row.monitored_us.is_none() {
                let ratio = row.ratio.median;
                goals.push((ratio <= GOAL_RATIO, format!("{}: {ratio:.3} x nginx, at most {GOAL_RATIO}", row.name)));
            }
            if row.plugins > 1 {
                goals.extend(row.added_at_most(GOAL_PLUGIN_US, &format!("{}: each in the chain", row.name)));
            }
        }
        let monitored = self.rows.iter().find(|row| row.name == MONITORED.name);
        goals.extend(monitored.and_then(|row| row.added_at_most(GOAL_MONITORED_US, "metrics, traces of 1 % and access log together")));
        goals
    }

    /// Writes everything as JSON.
    pub(super) fn write(&self, file: &Path) -> Result<()> {
        if let Some(directory) = file.parent() {
            std::fs::create_dir_all(directory).context(directory.display())?;
        }
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        let goals: Vec<Value> = self.goals().into_iter().map(|(met, goal)| json!({ "goal": goal, "met": met })).collect();
        let report = json!({
            "rounds": self.rounds, "seconds": self.seconds, "connections": SMALL.connections, "requests_per_second_measured": self.rate, "processor": processor(),
            "results": rows, "goals": goals,
        });
        std::fs::write(file, format!("{report:#}\n")).context(file.display())?;
        println!("\nwritten to target/bench/{}", file.file_name().unwrap_or_default().display());
        Ok(())
    }
}

impl Row {
    /// CPU of each plugin, or of what watches it, beside plugway without.
    fn added_us(&self) -> Option<&Estimate> {
        self.per_plugin_us.as_ref().or(self.monitored_us.as_ref())
    }

    /// Whether what it adds is within a goal: as a share of what nginx takes in the same round, which tells a slow machine from a slow gateway.
    fn added_at_most(&self, goal_us: f64, what: &str) -> Option<(bool, String)> {
        let added = self.added_us()?.median;
        let [share, wanted] = [self.added_share.median, goal_us / NGINX_US].map(|share| 100.0 * share);
        let words =
            format!("{what}: {share:.1} % of nginx's, at most {wanted:.1} ({added:.3} µs here; {goal_us} µs where nginx takes {NGINX_US})");
        Some((share <= wanted, words))
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "plugins": self.plugins,
            "cpu_us_per_request": self.cpu_us.json(),
            "ratio_to_nginx": self.ratio.json(),
            "cpu_us_per_plugin": self.per_plugin_us.as_ref().map(Estimate::json),
            "cpu_added_of_nginx": self.added_us().map(|_| self.added_share.json()),
            "cpu_us_monitoring": self.monitored_us.as_ref().map(Estimate::json),
            "requests_per_second": self.per_second.json(),
            "p50_us": self.p50_us.json(),
            "load_core_busy_max": self.load_core,
            "rss_bytes": self.rss_bytes,
        })
    }
}
