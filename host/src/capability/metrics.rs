//! `metrics`: what a plugin measures. What a thread has recorded once it finds again without a lock; only a label set that
//! is new to the thread goes through the shared lists.

use std::collections::HashMap;
use std::sync::Arc;

pub use crate::telemetry::{DeclareError, InstrumentKind as Kind, MAX_LABELS};
use crate::telemetry::{Declared, Instruments, PluginUse, Series};

/// Amounts one call may record.
const MAX_AMOUNTS: usize = 16_384;
/// Longest label value, bytes; what is longer is cut.
pub const MAX_VALUE: usize = 256;

/// The instruments of one plugin instance.
#[derive(Debug, Clone)]
pub struct PluginMetrics {
    plugin: Arc<str>,
    thread: usize,
    max_series: usize,
    used: Arc<PluginUse>,
    instruments: Arc<Instruments>,
    declared: Vec<Local>,
}

/// One instrument, as far as this thread knows it.
#[derive(Debug, Clone)]
struct Local {
    declared: Arc<Declared>,
    series: HashMap<Box<[String]>, Arc<Series>>,
    /// Where everything past the limit goes; known once the limit was met, and from then on `series` is complete.
    overflow: Option<Arc<Series>>,
}

impl PluginMetrics {
    /// No instruments yet. `thread` tells cells of different threads apart.
    pub fn new(instruments: &Arc<Instruments>, plugin: &Arc<str>, thread: usize, max_series: usize) -> Self {
        let used = instruments.of_plugin(plugin);
        Self { plugin: Arc::clone(plugin), thread, max_series, used, instruments: Arc::clone(instruments), declared: Vec::new() }
    }

    /// What it records from now on is recorded by another thread.
    pub fn on_thread(&mut self, thread: usize) {
        self.thread = thread;
        for local in &mut self.declared {
            local.series.clear();
            local.overflow = None;
        }
    }

    /// Declares an instrument; the same one again gives the same number.
    ///
    /// # Errors
    /// See [`DeclareError`].
    pub fn declare(&mut self, kind: Kind, name: &str, description: &str, labels: &[String], bounds: &[f64]) -> Result<u32, DeclareError> {
        let declared = self.instruments.declare(&self.used, kind, name, description, labels, bounds)?;
        let known = self.declared.iter().position(|local| Arc::ptr_eq(&local.declared, &declared));
        let number = match known {
            Some(number) => number,
            None => {
                self.declared.push(Local { declared, series: HashMap::new(), overflow: None });
                self.declared.len() - 1
            }
        };
        u32::try_from(number).map_err(|_| DeclareError::TooMany)
    }

    /// Records amounts of one series; what cannot be recorded is ignored, and counted.
    pub fn record(&mut self, instrument: u32, amounts: &[f64], labels: &[String]) {
        let count = amounts.len() as u64;
        let local = usize::try_from(instrument).ok().and_then(|number| self.declared.get_mut(number));
        let takes = |local: &&mut Local| amounts.len() <= MAX_AMOUNTS && local.declared.label_count() == labels.len();
        let Some(local) = local.filter(takes) else { return self.used.ignored(count) };
        if labels.iter().any(|value| value.len() > MAX_VALUE) {
            let cut: Vec<String> =
                labels.iter().map(|value| value.get(..value.floor_char_boundary(MAX_VALUE)).unwrap_or_default().to_owned()).collect();
            return self.record(instrument, amounts, &cut);
        }
        let series = match (local.series.get(labels), &local.overflow) {
            (Some(series), _) => series,
            (None, Some(overflow)) => {
                self.used.folded(count);
                overflow
            }
            (None, None) => match local.declared.series(&self.plugin, &self.used, self.max_series, self.thread, labels) {
                Some(series) => local.series.entry(labels.into()).or_insert(series),
                None => {
                    local.series.extend(local.declared.all(&self.plugin, self.thread));
                    self.used.folded(count);
                    local.overflow.insert(local.declared.overflow(&self.plugin, self.thread))
                }
            },
        };
        match amounts.iter().filter(|amount| !series.record(**amount)).count() {
            0 => {}
            refused => self.used.ignored(refused as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Telemetry;

    fn labels(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    fn lines(telemetry: &Telemetry, of: &str) -> Vec<String> {
        let text = String::from_utf8(telemetry.render()).unwrap();
        text.lines().filter(|line| line.starts_with(of)).map(str::to_owned).collect()
    }

    #[test]
    fn threads_share_series_and_what_is_past_the_limit_is_folded() {
        let telemetry = Telemetry::new().unwrap();
        let plugin: Arc<str> = "p".into();
        let [mut first, mut second] = [0, 1].map(|thread| PluginMetrics::new(telemetry.instruments(), &plugin, thread, 2));
        let counter = first.declare(Kind::Counter, "seen", "Seen.", &labels(&["who"]), &[]).unwrap();
        assert_eq!(second.declare(Kind::Counter, "seen", "Seen.", &labels(&["who"]), &[]), Ok(counter));
        for who in ["a", "b", "c", "d"] {
            first.record(counter, &[1.0], &labels(&[who]));
        }
        second.record(counter, &[2.0], &labels(&["b"]));
        second.record(counter, &[1.0], &labels(&["d"]));
        second.record(counter, &[1.0], &labels(&["b"]));
        assert_eq!(
            lines(&telemetry, "plugway_plugin_seen_total{"),
            [
                "plugway_plugin_seen_total{plugin=\"p\",who=\"a\"} 1",
                "plugway_plugin_seen_total{plugin=\"p\",who=\"b\"} 4",
                "plugway_plugin_seen_total{plugin=\"p\",who=\"overflow\"} 3",
            ]
        );
        assert_eq!(lines(&telemetry, "plugway_plugin_records_folded_total{"), ["plugway_plugin_records_folded_total{plugin=\"p\"} 3"]);
    }

    #[test]
    fn what_cannot_be_recorded_is_counted() {
        let telemetry = Telemetry::new().unwrap();
        let mut metrics = PluginMetrics::new(telemetry.instruments(), &"p".into(), 0, 10);
        let counter = metrics.declare(Kind::Counter, "n", "", &[], &[]).unwrap();
        metrics.record(counter, &[-1.0], &[]);
        metrics.record(counter, &[f64::NAN], &[]);
        metrics.record(counter, &[1.0], &labels(&["one too many"]));
        metrics.record(counter + 1, &[1.0], &[]);
        metrics.record(counter, &[1.0, -1.0, 2.0], &[]);
        assert_eq!(lines(&telemetry, "plugway_plugin_n_total{"), ["plugway_plugin_n_total{plugin=\"p\"} 3"]);
        assert_eq!(lines(&telemetry, "plugway_plugin_records_ignored_total{"), ["plugway_plugin_records_ignored_total{plugin=\"p\"} 5"]);
    }

    #[test]
    fn gauges_keep_the_last_value_and_histograms_add_up_over_threads() {
        let telemetry = Telemetry::new().unwrap();
        let plugin: Arc<str> = "p".into();
        for thread in [0, 1] {
            let mut metrics = PluginMetrics::new(telemetry.instruments(), &plugin, thread, 10);
            let gauge = metrics.declare(Kind::Gauge, "level", "", &[], &[]).unwrap();
            let histogram = metrics.declare(Kind::Histogram, "size", "", &[], &[1.0]).unwrap();
            metrics.record(gauge, &[thread as f64], &[]);
            metrics.record(histogram, &[0.5 + thread as f64], &[]);
        }
        assert_eq!(lines(&telemetry, "plugway_plugin_level{"), ["plugway_plugin_level{plugin=\"p\"} 1"]);
        assert_eq!(
            lines(&telemetry, "plugway_plugin_size"),
            [
                "plugway_plugin_size_bucket{plugin=\"p\",le=\"1\"} 1",
                "plugway_plugin_size_bucket{plugin=\"p\",le=\"+Inf\"} 2",
                "plugway_plugin_size_sum{plugin=\"p\"} 2",
                "plugway_plugin_size_count{plugin=\"p\"} 2",
            ]
        );
    }

    #[test]
    fn names_are_checked() {
        let telemetry = Telemetry::new().unwrap();
        let mut metrics = PluginMetrics::new(telemetry.instruments(), &"p".into(), 0, 10);
        for (name, label) in [("Bad", "ok"), ("ok", "le"), ("ok", "plugin"), ("", "ok"), ("a-b", "ok")] {
            assert!(
                matches!(metrics.declare(Kind::Counter, name, "", &labels(&[label]), &[]), Err(DeclareError::InvalidName(_))),
                "{name} {label}"
            );
        }
        metrics.declare(Kind::Counter, "ok", "", &labels(&["a"]), &[]).unwrap();
        assert_eq!(metrics.declare(Kind::Counter, "ok", "", &labels(&["b"]), &[]), Err(DeclareError::Conflict));
        assert_eq!(metrics.declare(Kind::Gauge, "ok_total", "", &labels(&["a"]), &[]), Err(DeclareError::Conflict));
        assert!(matches!(metrics.declare(Kind::Counter, "records_folded", "", &[], &[]), Err(DeclareError::InvalidName(_))));
        metrics.declare(Kind::Histogram, "size", "", &[], &[]).unwrap();
        assert_eq!(metrics.declare(Kind::Gauge, "size_count", "", &[], &[]), Err(DeclareError::Conflict));
        assert!(matches!(metrics.declare(Kind::Histogram, "h", "", &[], &[2.0, 1.0]), Err(DeclareError::InvalidName(_))));
        assert_eq!(metrics.declare(Kind::Counter, "n", "", &vec!["a".to_owned(); 9], &[]), Err(DeclareError::TooMany));
    }

    #[test]
    fn a_plugin_has_so_many_instruments_whatever_becomes_of_its_instances() {
        let telemetry = Telemetry::new().unwrap();
        let instance = |plugin: &str| PluginMetrics::new(telemetry.instruments(), &plugin.into(), 0, 1_000);
        let declare = |plugin: &str, name: &str| {
            let mut metrics = instance(plugin);
            let gauge = metrics.declare(Kind::Gauge, name, "", &[], &[])?;
            metrics.record(gauge, &[1.0], &[]);
            Ok::<_, DeclareError>(())
        };
        // Each of them by an instance of its own, and by a name that nobody had before.
        let declared: Vec<_> = (0..200).map(|number| declare("p", &format!("n{number}"))).collect();
        assert!(
            declared[..64].iter().all(Result::is_ok) && declared[64..].iter().all(|no| *no == Err(DeclareError::TooMany)),
            "{declared:?}"
        );
        assert_eq!(lines(&telemetry, "plugway_plugin_n").len(), 64);
        // What it has it may declare again, and what another has is no more of its own.
        assert_eq!(declare("p", "n63"), Ok(()));
        assert_eq!(declare("q", "own"), Ok(()));
        assert_eq!(declare("p", "own"), Err(DeclareError::TooMany));
        assert_eq!(instance("p").declare(Kind::Counter, "m1", "", &["a".to_owned()], &[]), Err(DeclareError::TooMany));
        assert_eq!(instance("p").declare(Kind::Gauge, "n1", "", &["a".to_owned()], &[]), Err(DeclareError::Conflict));
    }
}
