//! What was found out about one proxy in one scenario, and its JSON. Rounds are what is kept; everything else follows from them.

use plugway_harness::Result;
use plugway_harness::error::Context;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::lineup::{self, ENVOY, LINEUP, Version};
use super::{Entry, Sample, Scenario, Subject};
use crate::bench::LOAD_LIMIT;
use crate::bench::origin::Origin;
use crate::bench::statistics::Estimate;
use crate::bench::subject::Proxy;

/// Below this share of the wanted rate CPU time per request is not comparable: fewer requests are answered at once.
const PACE_LIMIT: f64 = 0.9;

/// Why a row was left out: a connection is asked for one request a second at least.
pub(super) const UNABLE: &str = "it answers too few to be asked for one request a second on each connection";

/// One measurement and how it came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Round {
    #[serde(flatten)]
    pub(super) sample: Sample,
    /// Nothing else ran.
    pub(super) quiet: bool,
    /// How often it was measured again because something else did.
    pub(super) repeats: usize,
    /// What others took in the same round.
    #[serde(flatten, default)]
    pub(super) beside: Beside,
}

/// CPU time per request of other rows in the same round, microseconds; none where they were not measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Beside {
    #[serde(rename = "nginx_cpu_us", default, skip_serializing_if = "Option::is_none")]
    nginx: Option<f64>,
    #[serde(rename = "envoy_cpu_us", default, skip_serializing_if = "Option::is_none")]
    envoy: Option<f64>,
    /// The same proxy without plugins.
    #[serde(rename = "bare_cpu_us", default, skip_serializing_if = "Option::is_none")]
    bare: Option<f64>,
    /// The same proxy with one worker.
    #[serde(rename = "one_worker_cpu_us", default, skip_serializing_if = "Option::is_none")]
    single: Option<f64>,
}

/// What is kept of a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    name: String,
    scenario: String,
    version: String,
    #[serde(flatten)]
    origin: Origin,
    #[serde(rename = "cpu_measured_at_requests_per_second")]
    rate: f64,
    rounds: Vec<Round>,
}

/// One row.
#[derive(Debug, Clone)]
pub(in crate::bench) struct Row {
    pub(in crate::bench) entry: Entry,
    pub(in crate::bench) scenario: Scenario,
    pub(in crate::bench) version: String,
    /// When, where and with what it was measured.
    pub(in crate::bench) origin: Origin,
    /// Requests a second at which CPU time was taken, or would have been.
    pub(in crate::bench) rate: f64,
    pub(in crate::bench) cpu_us: Estimate,
    /// To nginx and to Envoy in the same round; none where that was not measured.
    pub(in crate::bench) to_nginx: Option<Estimate>,
    pub(in crate::bench) to_envoy: Option<Estimate>,
    /// What each of its plugins adds, microseconds: to the same proxy without in the same round.
    pub(in crate::bench) per_plugin_us: Option<Estimate>,
    /// To the same proxy with one worker in the same round.
    pub(in crate::bench) to_one_worker: Option<Estimate>,
    pub(in crate::bench) per_second: Estimate,
    pub(in crate::bench) p50_us: Estimate,
    pub(in crate::bench) p99_us: Estimate,
    pub(in crate::bench) p999_us: Estimate,
    pub(in crate::bench) rss_mb: Estimate,
    /// What of the CPU time passed in the kernel, microseconds a request; none where that was not read.
    pub(in crate::bench) kernel_us: Option<Estimate>,
    rounds: Vec<Round>,
}

impl Row {
    /// The rows of a scenario; `rounds` are by subject.
    pub(super) fn all(
        scenario: &Scenario,
        subjects: &[Subject],
        rounds: Vec<Vec<Round>>,
        rates: &[Option<f64>],
        versions: &[Version],
        origin: &Origin,
    ) -> Result<Vec<Self>> {
        let entries: Vec<Entry> = subjects.iter().map(Subject::entry).collect();
        let rounds = beside(&entries, rounds);
        let mut rows = Vec::with_capacity(entries.len());
        for ((entry, rounds), rate) in entries.iter().zip(rounds).zip(rates) {
            let version = version(entry.proxy, versions).context(entry.name)?;
            let rate = rate.unwrap_or_else(|| f64::from(scenario.connections));
            rows.push(Self::new(*entry, *scenario, version, origin.clone(), rate, rounds));
        }
        Ok(rows)
    }

    pub(super) fn new(entry: Entry, scenario: Scenario, version: &str, origin: Origin, rate: f64, rounds: Vec<Round>) -> Self {
        let each = |pick: fn(&Sample) -> f64| Estimate::of(rounds.iter().map(|round| pick(&round.sample)).collect());
        let compared = |beside: fn(&Beside) -> Option<f64>, compare: &dyn Fn(f64, f64) -> f64| {
            let values: Vec<f64> =
                rounds.iter().filter_map(|round| beside(&round.beside).map(|other| compare(round.sample.cpu_us, other))).collect();
            (!values.is_empty()).then(|| Estimate::of(values))
        };
        let ratio = |own: f64, other: f64| own / other;
        let added = |own: f64, other: f64| (own - other) / entry.plugins as f64;
        Self {
            entry,
            scenario,
            version: version.to_owned(),
            origin,
            rate,
            cpu_us: each(|sample| sample.cpu_us),
            to_nginx: compared(|beside| beside.nginx, &ratio),
            to_envoy: compared(|beside| beside.envoy, &ratio),
            per_plugin_us: compared(|beside| beside.bare, &added),
            to_one_worker: compared(|beside| beside.single, &ratio),
            per_second: each(|sample| sample.per_second),
            p50_us: each(|sample| sample.p50_us),
            p99_us: each(|sample| sample.p99_us),
            p999_us: each(|sample| sample.p999_us),
            rss_mb: each(|sample| sample.rss_bytes as f64 / 1e6),
            kernel_us: kernel_us(&rounds),
            rounds,
        }
    }

    /// What each plugin adds, in hundredths of what nginx takes for the request, round by round.
    pub(in crate::bench) fn per_plugin_of_nginx(&self) -> Option<Estimate> {
        let share = |round: &Round| {
            let (bare, nginx) = round.beside.bare.zip(round.beside.nginx)?;
            Some(100.0 * (round.sample.cpu_us - bare) / self.entry.plugins as f64 / nginx)
        };
        let shares: Vec<f64> = self.rounds.iter().filter_map(share).collect();
        (!shares.is_empty()).then(|| Estimate::of(shares))
    }

    /// The busiest that load and backend kept their core while CPU time was taken, 0 to 1.
    pub(in crate::bench) fn load_core(&self) -> f64 {
        self.rounds.iter().map(|round| round.sample.load_core).fold(0.0, f64::max)
    }

    /// The share of the wanted requests that were answered while CPU time was taken. Of a median, a moment in which the machine was slow is no part.
    fn kept_up(&self) -> f64 {
        Estimate::of(self.rounds.iter().map(|round| round.sample.paced / self.rate).collect()).median
    }

    /// Whether there is anything to show: not of who could not be asked at any rate.
    pub(in crate::bench) fn is_measured(&self) -> bool {
        !self.rounds.is_empty()
    }

    /// Why its CPU time does not count, if it does not.
    pub(in crate::bench) fn objection(&self) -> Option<&'static str> {
        if !self.is_measured() {
            Some(UNABLE)
        } else if self.load_core() >= LOAD_LIMIT {
            Some("load and backend were the limit")
        } else if self.kept_up() < PACE_LIMIT {
            Some("it answered less than it was asked for")
        } else {
            None
        }
    }

    /// Whether its CPU time counts.
    pub(in crate::bench) fn counts(&self) -> bool {
        self.objection().is_none()
    }

    /// Whether its requests per second and latency are the proxy's own, not the load generator's.
    pub(in crate::bench) fn flood_counts(&self) -> bool {
        self.rounds.iter().all(|round| round.sample.flood_load_core < LOAD_LIMIT)
    }

    /// Rounds during which something else ran.
    pub(in crate::bench) fn disturbed(&self) -> usize {
        self.rounds.iter().filter(|round| !round.quiet).count()
    }

    /// Its place in a table of everything.
    pub(super) fn order(&self) -> (Option<usize>, Option<usize>) {
        (
            crate::bench::scenario::ALL.iter().position(|scenario| scenario.name == self.scenario.name),
            LINEUP.iter().position(|entry| entry.name == self.entry.name),
        )
    }

    /// A row that was written before; none where this bench has no such row any more.
    fn read(value: &Value) -> Result<Option<Self>> {
        let kept = Kept::deserialize(value).context("a row")?;
        let scenario = Scenario::named(&kept.scenario).ok();
        let entry = LINEUP.into_iter().find(|entry| entry.name == kept.name);
        Ok(scenario.zip(entry).map(|(scenario, entry)| Self::new(entry, scenario, &kept.version, kept.origin, kept.rate, kept.rounds)))
    }

    fn kept(&self) -> Kept {
        let Self { entry, scenario, version, origin, rate, rounds, .. } = self;
        let (name, scenario) = (entry.name.to_owned(), scenario.name.to_owned());
        Kept { name, scenario, version: version.clone(), origin: origin.clone(), rate: *rate, rounds: rounds.clone() }
    }

    fn json(&self) -> Result<Value> {
        let mut row = serde_json::to_value(self.kept()).context("a row")?;
        if let Some(fields) = row.as_object_mut() {
            let more = [
                ("scenario_title", json!(self.scenario.title)),
                ("plugins", json!(self.entry.plugins)),
                ("workers", json!(self.entry.workers)),
                ("connections", json!(self.scenario.connections)),
                ("counts", json!(self.counts())),
                ("objection", json!(self.objection())),
                ("throughput_and_latency_count", json!(self.flood_counts())),
                ("load_core_busy_max", json!(self.load_core())),
                ("rounds_disturbed", json!(self.disturbed())),
            ];
            fields.extend(more.map(|(name, value)| (name.to_owned(), value)));
            let estimates = [
                ("cpu_us_per_request", Some(&self.cpu_us)),
                ("cpu_ratio_to_nginx", self.to_nginx.as_ref()),
                ("cpu_ratio_to_envoy", self.to_envoy.as_ref()),
                ("cpu_us_per_plugin", self.per_plugin_us.as_ref()),
                ("cpu_ratio_to_one_worker", self.to_one_worker.as_ref()),
                ("requests_per_second", Some(&self.per_second)),
                ("p50_us", Some(&self.p50_us)),
                ("p99_us", Some(&self.p99_us)),
                ("p999_us", Some(&self.p999_us)),
                ("rss_mb", Some(&self.rss_mb)),
                ("cpu_kernel_us_per_request", self.kernel_us.as_ref()),
            ];
            for (name, estimate) in estimates {
                insert(fields, name, estimate.filter(|_| self.is_measured()));
            }
        }
        Ok(row)
    }
}

fn kernel_us(rounds: &[Round]) -> Option<Estimate> {
    let each: Option<Vec<f64>> = rounds.iter().map(|round| Some(round.sample.kernel? * round.sample.cpu_us)).collect();
    each.filter(|each| !each.is_empty()).map(Estimate::of)
}

/// `NAME`: the median, `NAME_interval`: its interval, both null where there is nothing to compare with.
fn insert(fields: &mut Map<String, Value>, name: &str, estimate: Option<&Estimate>) {
    fields.insert(name.to_owned(), json!(estimate.map(|estimate| estimate.median)));
    let interval = estimate.map(|estimate| json!({ "low": estimate.low, "high": estimate.high, "confidence": estimate.confidence }));
    fields.insert(format!("{name}_interval"), json!(interval));
}

/// Notes in each round what the rows it is compared with took in the same.
fn beside(entries: &[Entry], mut rounds: Vec<Vec<Round>>) -> Vec<Vec<Round>> {
    let cpu: Vec<Vec<f64>> = rounds.iter().map(|rounds| rounds.iter().map(|round| round.sample.cpu_us).collect()).collect();
    let of = |name: Option<&str>| entries.iter().zip(&cpu).find(|(entry, _)| Some(entry.name) == name).map(|(_, cpu)| cpu);
    let (nginx, envoy) = (of(LINEUP.first().map(|entry| entry.name)), of(Some(ENVOY)));
    for (entry, rounds) in entries.iter().zip(&mut rounds) {
        let (bare, single) = (of(lineup::bare(entry).map(|bare| bare.name)), of(lineup::single(entry).map(|single| single.name)));
        for (number, round) in rounds.iter_mut().enumerate() {
            let at = |cpu: Option<&Vec<f64>>| cpu.and_then(|cpu| cpu.get(number)).copied();
            round.beside = Beside { nginx: at(nginx), envoy: at(envoy), bare: at(bare), single: at(single) };
        }
    }
    rounds
}

fn version(proxy: Proxy, versions: &[Version]) -> Option<&str> {
    versions.iter().find(|(known, _)| *known == proxy).map(|(_, version)| version.as_str())
}

/// All rows as one list.
pub(super) fn json(rows: &[Row]) -> Result<Value> {
    rows.iter().map(Row::json).collect::<Result<Vec<_>>>().map(Value::Array)
}

/// What is kept of all rows, a line for each, numbers with as many digits as say something: the form that is committed.
pub(in crate::bench) fn compact(rows: &[Row]) -> Result<String> {
    let line = |row: &Row| Ok(shorten(serde_json::to_value(row.kept()).context("a row")?).to_string());
    let lines = rows.iter().map(line).collect::<Result<Vec<_>>>()?;
    Ok(format!("[\n{}\n]\n", lines.join(",\n")))
}

/// Numbers that are no integers with five digits.
fn shorten(value: Value) -> Value {
    match value {
        Value::Array(values) => values.into_iter().map(shorten).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, shorten(value))).collect(),
        Value::Number(number) if number.is_f64() => {
            let short = number.as_f64().and_then(|number| format!("{number:.4e}").parse::<f64>().ok());
            short.map_or(Value::Null, |short| if short.fract() == 0.0 { json!(short as i64) } else { json!(short) })
        }
        value => value,
    }
}

/// Rows that were written before, as JSON of either form.
///
/// # Errors
/// When it is something else.
pub(in crate::bench) fn parse(text: &str) -> Result<Vec<Row>> {
    let values: Vec<Value> = serde_json::from_str(text).context("rows")?;
    let rows = values.iter().map(Row::read).collect::<Result<Vec<_>>>()?;
    Ok(rows.into_iter().flatten().collect())
}

/// Puts new rows in the place of old ones of the same name and scenario; all are in the order of the table.
pub(super) fn merge(mut old: Vec<Row>, new: Vec<Row>) -> Vec<Row> {
    old.retain(|old| !new.iter().any(|new| new.order() == old.order()));
    old.extend(new);
    old.sort_by_key(Row::order);
    old
}

#[cfg(test)]
pub(in crate::bench) mod tests;
