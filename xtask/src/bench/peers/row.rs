//! What was found out about one proxy in one scenario, and its JSON.

use plugway_harness::Result;
use plugway_harness::error::Context;
use serde_json::{Map, Value, json};

use super::lineup::{ENVOY, LINEUP, Version};
use super::{Entry, Sample, Scenario, Subject};
use crate::bench::LOAD_LIMIT;
use crate::bench::report::processor;
use crate::bench::statistics::Estimate;
use crate::bench::subject::Proxy;

/// Below this share of the wanted rate CPU time per request is not comparable: fewer requests are answered at once.
const PACE_LIMIT: f64 = 0.9;

/// One measurement and how it came about.
#[derive(Debug, Clone)]
pub(super) struct Round {
    pub(super) sample: Sample,
    /// Nothing else ran.
    pub(super) quiet: bool,
    /// How often it was measured again because something else did.
    pub(super) repeats: usize,
}

/// One row.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) entry: Entry,
    pub(super) scenario: Scenario,
    pub(super) version: String,
    /// Requests a second at which CPU time was taken.
    pub(super) rate: f64,
    pub(super) cpu_us: Estimate,
    /// To nginx and to Envoy in the same round; none where that was not measured.
    pub(super) to_nginx: Option<Estimate>,
    pub(super) to_envoy: Option<Estimate>,
    pub(super) per_second: Estimate,
    pub(super) p50_us: Estimate,
    pub(super) p99_us: Estimate,
    pub(super) p999_us: Estimate,
    pub(super) rss_mb: Estimate,
    rounds: Vec<Round>,
}

impl Row {
    /// The rows of a scenario; `rounds` are by subject.
    pub(super) fn all(
        scenario: &Scenario,
        subjects: &[Subject],
        rounds: &[Vec<Round>],
        rates: &[f64],
        versions: &[Version],
    ) -> Result<Vec<Self>> {
        let entries: Vec<Entry> = subjects.iter().map(Subject::entry).collect();
        let of = |name: &str| entries.iter().zip(rounds).find(|(entry, _)| entry.name == name).map(|(_, rounds)| rounds.as_slice());
        let (nginx, envoy) = (of(LINEUP.first().map_or("", |entry| entry.name)), of(ENVOY));
        let mut rows = Vec::with_capacity(entries.len());
        for ((entry, rounds), rate) in entries.iter().zip(rounds).zip(rates) {
            let version = version(entry.proxy, versions).context(entry.name)?;
            rows.push(Self::new(*entry, *scenario, version, *rate, rounds, nginx, envoy));
        }
        Ok(rows)
    }

    pub(super) fn new(
        entry: Entry,
        scenario: Scenario,
        version: &str,
        rate: f64,
        rounds: &[Round],
        nginx: Option<&[Round]>,
        envoy: Option<&[Round]>,
    ) -> Self {
        let each = |pick: fn(&Sample) -> f64| Estimate::of(rounds.iter().map(|round| pick(&round.sample)).collect());
        let ratio = |of: &[Round]| Estimate::of(rounds.iter().zip(of).map(|(own, of)| own.sample.cpu_us / of.sample.cpu_us).collect());
        Self {
            entry,
            scenario,
            version: version.to_owned(),
            rate,
            cpu_us: each(|sample| sample.cpu_us),
            to_nginx: nginx.map(ratio),
            to_envoy: envoy.map(ratio),
            per_second: each(|sample| sample.per_second),
            p50_us: each(|sample| sample.p50_us),
            p99_us: each(|sample| sample.p99_us),
            p999_us: each(|sample| sample.p999_us),
            rss_mb: each(|sample| sample.rss_bytes as f64 / 1e6),
            rounds: rounds.to_vec(),
        }
    }

    /// The busiest that load and backend kept their core while CPU time was taken, 0 to 1.
    pub(super) fn load_core(&self) -> f64 {
        self.rounds.iter().map(|round| round.sample.load_core).fold(0.0, f64::max)
    }

    /// The smallest share of the wanted requests that were answered while CPU time was taken.
    pub(super) fn kept_up(&self) -> f64 {
        self.rounds.iter().map(|round| round.sample.paced / self.rate).fold(1.0, f64::min)
    }

    /// Why its CPU time does not count, if it does not.
    pub(super) fn objection(&self) -> Option<&'static str> {
        if self.load_core() >= LOAD_LIMIT {
            Some("load and backend were the limit")
        } else if self.kept_up() < PACE_LIMIT {
            Some("it was asked for less than the others")
        } else {
            None
        }
    }

    /// Whether its CPU time counts.
    pub(super) fn counts(&self) -> bool {
        self.objection().is_none()
    }

    /// Whether its requests per second and latency are the proxy's own, not the load generator's.
    pub(super) fn flood_counts(&self) -> bool {
        self.rounds.iter().all(|round| round.sample.flood_load_core < LOAD_LIMIT)
    }

    /// Rounds during which something else ran.
    pub(super) fn disturbed(&self) -> usize {
        self.rounds.iter().filter(|round| !round.quiet).count()
    }

    fn json(&self) -> Value {
        let mut row = json!({
            "name": self.entry.name,
            "scenario": self.scenario.name,
            "scenario_title": self.scenario.title,
            "plugins": self.entry.plugins,
            "version": self.version,
            "processor": processor(),
            "connections": self.scenario.connections,
            "cpu_measured_at_requests_per_second": self.rate,
            "counts": self.counts(),
            "objection": self.objection(),
            "throughput_and_latency_count": self.flood_counts(),
            "load_core_busy_max": self.load_core(),
            "rounds_disturbed": self.disturbed(),
            "rounds": self.rounds.iter().map(Round::json).collect::<Vec<_>>(),
        });
        if let Some(fields) = row.as_object_mut() {
            let estimates = [
                ("cpu_us_per_request", Some(&self.cpu_us)),
                ("cpu_ratio_to_nginx", self.to_nginx.as_ref()),
                ("cpu_ratio_to_envoy", self.to_envoy.as_ref()),
                ("requests_per_second", Some(&self.per_second)),
                ("p50_us", Some(&self.p50_us)),
                ("p99_us", Some(&self.p99_us)),
                ("p999_us", Some(&self.p999_us)),
                ("rss_mb", Some(&self.rss_mb)),
            ];
            for (name, estimate) in estimates {
                insert(fields, name, estimate);
            }
        }
        row
    }
}

/// `NAME`: the median, `NAME_interval`: its interval, both null where there is nothing to compare with.
fn insert(fields: &mut Map<String, Value>, name: &str, estimate: Option<&Estimate>) {
    fields.insert(name.to_owned(), json!(estimate.map(|estimate| estimate.median)));
    let interval = estimate.map(|estimate| json!({ "low": estimate.low, "high": estimate.high, "confidence": estimate.confidence }));
    fields.insert(format!("{name}_interval"), json!(interval));
}

impl Round {
    fn json(&self) -> Value {
        let sample = &self.sample;
        json!({
            "cpu_us_per_request": sample.cpu_us,
            "paced_requests_per_second": sample.paced,
            "requests_per_second": sample.per_second,
            "p50_us": sample.p50_us,
            "p99_us": sample.p99_us,
            "p999_us": sample.p999_us,
            "rss_bytes": sample.rss_bytes,
            "load_core_busy": sample.load_core,
            "load_core_busy_at_most": sample.flood_load_core,
            "proxy_core_foreign": sample.foreign,
            "quiet": self.quiet,
            "repeats": self.repeats,
        })
    }
}

fn version(proxy: Proxy, versions: &[Version]) -> Option<&str> {
    versions.iter().find(|(known, _)| *known == proxy).map(|(_, version)| version.as_str())
}

/// All rows as one list.
pub(super) fn json(rows: &[Row]) -> Value {
    Value::Array(rows.iter().map(Row::json).collect())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::bench::scenario::SMALL;

    fn round(cpu_us: f64, load_core: f64) -> Round {
        let sample = Sample {
            cpu_us,
            paced: 100.0,
            per_second: 1e6 / cpu_us,
            p50_us: 300.0,
            p99_us: 900.0,
            p999_us: 2_000.0,
            rss_bytes: 12_500_000,
            load_core,
            flood_load_core: 0.99,
            foreign: 0.0,
            answered: 10.0,
        };
        Round { sample, quiet: true, repeats: 0 }
    }

    /// nginx at 10 µs and every other row at twice that.
    pub(in crate::bench::peers) fn rows() -> Vec<Row> {
        let nginx = [round(9.0, 0.5), round(10.0, 0.5), round(11.0, 0.5)];
        let other = [round(18.0, 0.5), round(20.0, 0.95), round(22.0, 0.5)];
        let row = |entry: &Entry| {
            let own = if entry.name == "nginx" { &nginx } else { &other };
            Row::new(*entry, SMALL, "1.0", 100.0, own, Some(&nginx), None)
        };
        LINEUP.iter().map(row).collect()
    }

    #[test]
    fn the_json_is_a_list_of_rows_with_flat_numbers() {
        let json = json(&rows());
        let row = json.as_array().unwrap().iter().find(|row| row["plugins"] == 10).unwrap();
        assert_eq!((row["name"].as_str(), row["scenario"].as_str()), (Some("plugway + 10 plugins"), Some("small")));
        let numbers = ["cpu_us_per_request", "requests_per_second", "p50_us", "p99_us", "rss_mb", "cpu_ratio_to_nginx"];
        let numbers = numbers.map(|name| row[name].as_f64().unwrap());
        assert_eq!(numbers, [20.0, 50_000.0, 300.0, 900.0, 12.5, 2.0]);
        assert_eq!((&row["cpu_us_per_request_interval"]["low"], &row["cpu_us_per_request_interval"]["high"]), (&json!(18.0), &json!(22.0)));
        assert!(row["cpu_ratio_to_envoy"].is_null());
        assert_eq!(row["rounds"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn a_row_at_another_rate_does_not_count() {
        let mut slow = round(10.0, 0.5);
        slow.sample.paced = 80.0;
        let row = Row::new(LINEUP[0], SMALL, "1.0", 100.0, &[round(10.0, 0.5), slow], None, None);
        assert_eq!((row.counts(), row.objection()), (false, Some("it was asked for less than the others")));
    }

    #[test]
    fn a_row_whose_load_was_too_busy_does_not_count() {
        let rows = rows();
        assert!(rows[0].counts() && !rows[1].counts());
        assert!(!rows[0].flood_counts());
    }
}
