//! Instruments of the double.

use std::cell::RefCell;

use super::rules::{self, Phase};
use crate::bindings::imports::plugway::gateway::metrics::{Kind, MetricError};

/// The gateway's limits on one plugin.
const MAX_INSTRUMENTS: usize = 64;
const MAX_LABELS: usize = 8;
const MAX_BOUNDS: usize = 64;
const LONGEST_NAME: usize = 64;
/// Amounts one call may record.
const MAX_AMOUNTS: usize = 16_384;
/// Labels the gateway adds, and the one Prometheus keeps for buckets.
const RESERVED: [&str; 2] = ["plugin", "le"];
/// What the gateway itself exports beside the instruments of plugins.
const OF_THE_GATEWAY: [&str; 2] = ["records_folded", "records_ignored"];
const TOTAL: &str = "_total";
/// Bounds of a histogram that is declared without any.
const BOUNDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// An instrument the plugin declared, with everything it recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Instrument {
    /// What it measures.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Its unit.
    pub unit: String,
    /// Its labels' names.
    pub labels: Vec<String>,
    /// Its buckets' upper bounds.
    pub bounds: Vec<f64>,
    /// Every amount with its labels' values, oldest first.
    pub recorded: Vec<(f64, Vec<String>)>,
}

thread_local! {
    static INSTRUMENTS: RefCell<Vec<Instrument>> = const { RefCell::new(Vec::new()) };
}

/// The instrument of that name, if the plugin declared it.
pub fn instrument(name: &str) -> Option<Instrument> {
    INSTRUMENTS.with_borrow(|all| all.iter().find(|instrument| instrument.is(name)).cloned())
}

impl Instrument {
    /// Every amount recorded with these label values.
    pub fn amounts(&self, labels: &[&str]) -> Vec<f64> {
        self.recorded.iter().filter(|(_, values)| values == labels).map(|(amount, _)| *amount).collect()
    }

    /// The sum of all amounts with these label values: what a counter shows.
    pub fn sum(&self, labels: &[&str]) -> f64 {
        self.amounts(labels).iter().sum()
    }

    /// Whether it is that name's: of a counter with `_total` or without.
    fn is(&self, name: &str) -> bool {
        self.name == name || (self.kind == Kind::Counter && exported(self.kind, &self.name) == exported(self.kind, name))
    }

    /// The last amount with these label values: what a gauge shows.
    pub fn last(&self, labels: &[&str]) -> Option<f64> {
        self.amounts(labels).last().copied()
    }
}

pub(crate) fn declare(kind: Kind, name: &str, description: &str, unit: &str, labels: &[&str], bounds: &[f64]) -> Result<u32, MetricError> {
    if rules::phase() != Phase::Setup {
        return Err(MetricError::TooLate);
    }
    if labels.len() > MAX_LABELS || bounds.len() > MAX_BOUNDS {
        return Err(MetricError::TooMany);
    }
    let twice = labels.iter().enumerate().find(|(place, label)| labels.iter().take(*place).any(|other| other == *label));
    let illegal = std::iter::once(&name).chain(labels).find(|name| !is_legal(name)).or(twice.map(|(_, label)| label));
    if let Some(illegal) = illegal {
        return Err(MetricError::InvalidName((*illegal).to_owned()));
    }
    let growing = bounds.windows(2).all(|pair| matches!(pair, [low, high] if low < high));
    if !growing || !bounds.iter().all(|bound| bound.is_finite()) {
        return Err(MetricError::InvalidName("bounds must be finite and grow".to_owned()));
    }
    let exported = exported(kind, name);
    if taken(kind, &exported).iter().any(|name| OF_THE_GATEWAY.contains(&name.trim_end_matches(TOTAL))) {
        return Err(MetricError::InvalidName(name.to_owned()));
    }
    let new = Instrument {
        kind,
        name: name.to_owned(),
        description: description.to_owned(),
        unit: unit.to_owned(),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        bounds: bounds.to_vec(),
        recorded: Vec::new(),
    };
    INSTRUMENTS.with_borrow_mut(|all| {
        let place = match all.iter().position(|known| self::exported(known.kind, &known.name) == exported) {
            Some(place) if all.get(place).is_some_and(|known| known.same(&new)) => place,
            Some(_) => return Err(MetricError::Conflict),
            None if all.iter().any(|known| known.shares_a_name(&new)) => return Err(MetricError::Conflict),
            None if all.len() >= MAX_INSTRUMENTS => return Err(MetricError::TooMany),
            None => {
                all.push(new);
                all.len() - 1
            }
        };
        u32::try_from(place).map_err(|_| MetricError::TooMany)
    })
}

impl Instrument {
    /// Whether it is declared as the other is.
    fn same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.labels == other.labels && (self.kind != Kind::Histogram || self.bounds() == other.bounds())
    }

    fn bounds(&self) -> &[f64] {
        if self.bounds.is_empty() { &BOUNDS } else { &self.bounds }
    }

    /// Whether something would be exported by one name for both.
    fn shares_a_name(&self, other: &Self) -> bool {
        let names = |instrument: &Self| taken(instrument.kind, &exported(instrument.kind, &instrument.name));
        let own = names(self);
        names(other).iter().any(|name| own.contains(name))
    }
}

/// The name it is exported by, without what all of them begin with.
fn exported(kind: Kind, name: &str) -> String {
    match kind {
        Kind::Counter => format!("{}{TOTAL}", name.trim_end_matches(TOTAL)),
        Kind::Histogram | Kind::Gauge => name.to_owned(),
    }
}

/// Names that are its own then: Prometheus shows a histogram as three series, and OTLP has no `_total`.
fn taken(kind: Kind, exported: &str) -> Vec<String> {
    let parts: &[&str] = if kind == Kind::Histogram { &["_bucket", "_sum", "_count"] } else { &[] };
    let own = [exported.trim_end_matches(TOTAL), exported].map(str::to_owned);
    own.into_iter().chain(parts.iter().map(|part| format!("{exported}{part}"))).collect()
}

pub(crate) fn record(instrument: u32, amount: f64, labels: &[&str]) {
    INSTRUMENTS.with_borrow_mut(|all| {
        let Some(instrument) = usize::try_from(instrument).ok().and_then(|place| all.get_mut(place)) else { return };
        let is_wrong = instrument.labels.len() != labels.len()
            || (instrument.kind == Kind::Counter && amount < 0.0)
            || (instrument.kind != Kind::Gauge && !amount.is_finite());
        if !is_wrong {
            instrument.recorded.push((amount, labels.iter().map(|label| (*label).to_owned()).collect()));
        }
    });
}

pub(crate) fn record_all(instrument: u32, amounts: &[f64], labels: &[&str]) {
    if amounts.len() <= MAX_AMOUNTS {
        amounts.iter().for_each(|amount| record(instrument, *amount, labels));
    }
}

fn is_legal(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && name.len() <= LONGEST_NAME
        && !RESERVED.contains(&name)
}
