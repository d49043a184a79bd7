//! Instruments that plugins declare. A worker that replaces an instance declares them again, and a hook makes a series when it first sees a label set: all
//! of these are in maps without a lock, so that whoever reads them keeps nobody waiting. Recording into a series that exists does
//! not even ask these (`capability::metrics` keeps what a thread has seen).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use papaya::{HashMap, HashSet};

use super::cell::Sum;
use super::claims::{self, Claims};
use super::histogram::{Histogram, Reading};

/// What an instrument measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstrumentKind {
    /// A sum that only grows.
    Counter,
    /// A distribution.
    Histogram,
    /// The last value set.
    Gauge,
}

/// Why an instrument cannot be declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeclareError {
    /// Not `[a-z][a-z0-9_]*`, or reserved; the text says which.
    InvalidName(String),
    /// Declared before, by this plugin or another, with another kind, labels or bounds; or one that was would be read as this one.
    Conflict,
    /// More instruments than a plugin may have, or more labels than an instrument.
    TooMany,
}

/// Labels the gateway adds, and the one Prometheus keeps for buckets.
const RESERVED: [&str; 2] = ["plugin", "le"];
/// Instruments of one plugin, over all of its instances and versions: what was once exported is never taken back.
const MAX_INSTRUMENTS: usize = 64;
/// Labels of one instrument.
pub const MAX_LABELS: usize = 8;
/// Buckets of one histogram.
const MAX_BOUNDS: usize = 64;
/// Bounds of a histogram that is declared without any, as the contract has them.
const BOUNDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// What stands for every label of a series past the limit.
const OVERFLOW: &str = "overflow";
/// Stands for the thread of a series that all threads share.
const EVERY_THREAD: usize = usize::MAX;

/// Every declared instrument, by the name it is exported under.
#[derive(Debug, Default)]
pub struct Instruments {
    declared: HashMap<String, Arc<Declared>>,
    /// Asked only for an instrument that is new.
    claims: Claims,
    plugins: HashMap<Arc<str>, Arc<PluginUse>>,
    meter: OnceLock<Meter>,
}

/// How much of its share a plugin has used, over all threads.
#[derive(Debug, Default)]
pub struct PluginUse {
    /// Names of its instruments, as they are exported.
    names: HashSet<String>,
    instruments: AtomicUsize,
    series: AtomicUsize,
    ignored: AtomicU64,
    folded: AtomicU64,
}

/// One declared instrument.
#[derive(Debug)]
pub struct Declared {
    pub(super) name: String,
    pub(super) kind: InstrumentKind,
    pub(super) description: String,
    pub(super) labels: Vec<String>,
    bounds: Vec<f64>,
    /// Label sets that count towards the share of their plugin.
    admitted: HashSet<Labelled>,
    series: HashMap<OfThread, Arc<Series>>,
}

/// Whose series, and its label values.
type Labelled = (Arc<str>, Box<[String]>);

/// What one thread records, by its number. A gauge has one cell for all threads: the last one to set it counts.
type OfThread = (Labelled, usize);

/// What one thread records of one label set.
#[derive(Debug)]
pub enum Series {
    /// A sum.
    Counter(Amount),
    /// A distribution.
    Histogram(Distribution),
    /// A value.
    Gauge(Amount),
}

/// A number of a series.
#[derive(Debug, Default)]
pub struct Amount(Sum);

/// A distribution of a series.
#[derive(Debug)]
pub struct Distribution(Histogram);

impl Instruments {
    pub(super) fn connect(&self, meter: Meter) {
        // Set once, before any plugin runs.
        drop(self.meter.set(meter));
    }

    /// How much a plugin has used.
    pub fn of_plugin(&self, plugin: &Arc<str>) -> Arc<PluginUse> {
        Arc::clone(self.plugins.pin().get_or_insert_with(Arc::clone(plugin), Arc::default))
    }

    /// Declares an instrument of whoever has used that much, or finds the same one.
    ///
    /// # Errors
    /// See [`DeclareError`].
    pub fn declare(
        &self,
        used: &PluginUse,
        kind: InstrumentKind,
        name: &str,
        description: &str,
        labels: &[String],
        bounds: &[f64],
    ) -> Result<Arc<Declared>, DeclareError> {
        let growing = bounds.windows(2).all(|pair| matches!(pair, [low, high] if low < high));
        if labels.len() > MAX_LABELS || bounds.len() > MAX_BOUNDS {
            return Err(DeclareError::TooMany);
        }
        if let Some(bad) = std::iter::once(name).chain(labels.iter().map(String::as_str)).find(|name| !is_name(name)) {
            return Err(DeclareError::InvalidName(bad.to_owned()));
        }
        if let Some(twice) = labels.iter().enumerate().find(|(at, label)| labels.iter().take(*at).any(|other| other == *label)) {
            return Err(DeclareError::InvalidName(twice.1.clone()));
        }
        if !growing || bounds.iter().any(|bound| !bound.is_finite()) {
            return Err(DeclareError::InvalidName("bounds must be finite and grow".to_owned()));
        }
        let exported = claims::exported(kind, name);
        if claims::is_the_gateways(kind, &exported) {
            return Err(DeclareError::InvalidName(name.to_owned()));
        }
        let bounds = if bounds.is_empty() { &BOUNDS[..] } else { bounds };
        let again = |known: &Arc<Declared>| {
            let same = known.kind == kind && known.labels == labels && (kind != InstrumentKind::Histogram || known.bounds == bounds);
            if same { Ok(Arc::clone(known)) } else { Err(DeclareError::Conflict) }
        };
        let declared = self.declared.pin();
        let known = declared.get(&exported).map(&again).transpose()?;
        if let Some(known) = known {
            return if used.admits(&exported) { Ok(known) } else { Err(DeclareError::TooMany) };
        }
        self.claims.take(kind, &exported, || used.admits(&exported))?;
        let new = Arc::new(Declared {
            name: exported.clone(),
            kind,
            description: description.to_owned(),
            labels: labels.to_vec(),
            bounds: bounds.to_vec(),
            admitted: HashSet::new(),
            series: HashMap::new(),
        });
        if let Err(faster) = declared.try_insert(exported, Arc::clone(&new)) {
            return again(faster.current);
        }
        if let Some(meter) = self.meter.get() {
            observe(meter, &new);
        }
        Ok(new)
    }

    pub(super) fn each(&self, mut each: impl FnMut(&Declared)) {
        let declared = self.declared.pin();
        let in_order: BTreeMap<_, _> = declared.iter().collect();
        in_order.values().for_each(|declared| each(declared));
    }

    /// Series past so many of an instrument. Histograms are not the SDK's, and have all of theirs.
    pub(super) fn past(&self, most: usize) -> usize {
        let declared = self.declared.pin();
        declared.values().filter(|declared| declared.kind != InstrumentKind::Histogram).map(|declared| declared.past(most)).sum()
    }

    /// Plugin, records ignored, records folded into `overflow`.
    pub(super) fn uses(&self) -> Vec<(Arc<str>, u64, u64)> {
        let uses = self.plugins.pin();
        let in_order: BTreeMap<_, _> = uses.iter().collect();
        in_order
            .into_iter()
            .map(|(plugin, used)| (Arc::clone(plugin), used.ignored.load(Ordering::Relaxed), used.folded.load(Ordering::Relaxed)))
            .collect()
    }
}

/// Lets the SDK read an instrument when metrics are read. Histograms have no observable form there; `export` reads them.
fn observe(meter: &Meter, declared: &Arc<Declared>) {
    let read = Arc::clone(declared);
    let (name, description) = (declared.name.clone(), declared.description.clone());
    match declared.kind {
        InstrumentKind::Counter => {
            let name = name.trim_end_matches("_total").to_owned();
            let callback = move |observer: &dyn opentelemetry::metrics::AsyncInstrument<f64>| {
                read.each_amount(|labels, amount| observer.observe(amount, labels));
            };
            meter.f64_observable_counter(name).with_description(description).with_callback(callback).build();
        }
        InstrumentKind::Gauge => {
            let callback = move |observer: &dyn opentelemetry::metrics::AsyncInstrument<f64>| {
                read.each_amount(|labels, amount| observer.observe(amount, labels));
            };
            meter.f64_observable_gauge(name).with_description(description).with_callback(callback).build();
        }
        InstrumentKind::Histogram => {}
    }
}

impl Declared {
    /// How many label values a record has.
    pub fn label_count(&self) -> usize {
        self.labels.len()
    }

    /// The series of a label set for one thread; `None` when it would be one more than the plugin may have.
    pub fn series(&self, plugin: &Arc<str>, used: &PluginUse, max_series: usize, thread: usize, values: &[String]) -> Option<Arc<Series>> {
        let labelled: Labelled = (Arc::clone(plugin), Box::from(values));
        let admitted = self.admitted.pin();
        if !admitted.contains(&labelled) {
            used.series.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |series| (series < max_series).then_some(series + 1)).ok()?;
            if !admitted.insert(labelled.clone()) {
                // Another thread was faster, and has counted it.
                used.series.fetch_sub(1, Ordering::Relaxed);
            }
        }
        Some(self.of_thread(labelled, thread))
    }

    /// The series everything past the limit is folded into.
    pub fn overflow(&self, plugin: &Arc<str>, thread: usize) -> Arc<Series> {
        let values = self.labels.iter().map(|_| OVERFLOW.to_owned()).collect();
        self.of_thread((Arc::clone(plugin), values), thread)
    }

    /// Every label set of a plugin, made ready for one thread. When the plugin has no series left this is all it will
    /// ever have.
    pub fn all(&self, plugin: &Arc<str>, thread: usize) -> Vec<(Box<[String]>, Arc<Series>)> {
        let admitted = self.admitted.pin();
        let own = admitted.iter().filter(|(owner, _)| owner == plugin);
        own.map(|labelled| (labelled.1.clone(), self.of_thread(labelled.clone(), thread))).collect()
    }

    fn of_thread(&self, labelled: Labelled, thread: usize) -> Arc<Series> {
        let thread = if self.kind == InstrumentKind::Gauge { EVERY_THREAD } else { thread };
        let new = || {
            Arc::new(match self.kind {
                InstrumentKind::Counter => Series::Counter(Amount::default()),
                InstrumentKind::Gauge => Series::Gauge(Amount::default()),
                InstrumentKind::Histogram => Series::Histogram(Distribution(Histogram::new(&self.bounds))),
            })
        };
        Arc::clone(self.series.pin().get_or_insert_with((labelled, thread), new))
    }

    /// How many more label sets there are than that.
    fn past(&self, most: usize) -> usize {
        let series = self.series.pin();
        // Every thread has a series of its own for a label set, so there are no more of these.
        if series.len() <= most {
            return 0;
        }
        let sets: BTreeSet<_> = series.keys().map(|(labelled, _)| labelled).collect();
        sets.len().saturating_sub(most)
    }

    /// What all threads have of each label set, in the order of these.
    fn by_labels(&self) -> BTreeMap<Labelled, Vec<Arc<Series>>> {
        let mut sets = BTreeMap::<_, Vec<_>>::new();
        for ((labelled, _), series) in &self.series.pin() {
            sets.entry(labelled.clone()).or_default().push(Arc::clone(series));
        }
        sets
    }

    fn each_amount(&self, mut each: impl FnMut(&[KeyValue], f64)) {
        for ((plugin, values), threads) in self.by_labels() {
            let amounts = threads.iter().map(|series| match &**series {
                Series::Counter(amount) | Series::Gauge(amount) => amount.0.get(),
                Series::Histogram(_) => 0.0,
            });
            let mut labels = vec![KeyValue::new("plugin", plugin.to_string())];
            labels.extend(self.labels.iter().zip(values).map(|(label, value)| KeyValue::new(label.clone(), value)));
            each(&labels, amounts.sum());
        }
    }

    pub(super) fn each_distribution(&self, mut each: impl FnMut(&str, &[String], Reading)) {
        for ((plugin, values), threads) in self.by_labels() {
            let mut sum: Option<Reading> = None;
            for series in &threads {
                let Series::Histogram(Distribution(histogram)) = &**series else { continue };
                let reading = histogram.read();
                match &mut sum {
                    None => sum = Some(reading),
                    Some(sum) => sum.merge(&reading),
                }
            }
            if let Some(sum) = sum {
                each(&plugin, &values, sum);
            }
        }
    }
}

impl PluginUse {
    /// Whether it has that instrument, or may have one more.
    fn admits(&self, exported: &str) -> bool {
        let names = self.names.pin();
        if names.contains(exported) {
            return true;
        }
        let one_more = |count: usize| (count < MAX_INSTRUMENTS).then_some(count + 1);
        if self.instruments.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            return false;
        }
        if !names.insert(exported.to_owned()) {
            // Another thread was faster, and has counted it.
            self.instruments.fetch_sub(1, Ordering::Relaxed);
        }
        true
    }

    /// Records were ignored: unknown instrument, negative amount, wrong number of labels.
    pub fn ignored(&self, records: u64) {
        self.ignored.fetch_add(records, Ordering::Relaxed);
    }

    /// Records were folded into the overflow series.
    pub fn folded(&self, records: u64) {
        self.folded.fetch_add(records, Ordering::Relaxed);
    }
}

impl Series {
    /// Adds to a counter, records in a histogram, sets a gauge; `false` for an amount the kind does not take.
    pub fn record(&self, amount: f64) -> bool {
        match self {
            Self::Counter(_) if amount < 0.0 || !amount.is_finite() => return false,
            Self::Histogram(_) if !amount.is_finite() => return false,
            Self::Counter(sum) => sum.0.add(amount),
            Self::Gauge(value) => value.0.set(amount),
            Self::Histogram(histogram) => histogram.0.record(amount),
        }
        true
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && name.len() <= 64
        && !RESERVED.contains(&name)
}
