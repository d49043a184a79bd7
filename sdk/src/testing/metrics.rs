//! Instruments of the double.

use std::cell::RefCell;

use super::rules::{self, Phase};
use crate::bindings::imports::plugway::gateway::metrics::{Kind, MetricError};

/// The gateway's limits on one plugin.
const MAX_INSTRUMENTS: usize = 64;
const MAX_LABELS: usize = 8;

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
    INSTRUMENTS.with_borrow(|all| all.iter().find(|instrument| instrument.name == name).cloned())
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

    /// The last amount with these label values: what a gauge shows.
    pub fn last(&self, labels: &[&str]) -> Option<f64> {
        self.amounts(labels).last().copied()
    }
}

pub(crate) fn declare(kind: Kind, name: &str, description: &str, unit: &str, labels: &[&str], bounds: &[f64]) -> Result<u32, MetricError> {
    if rules::phase() != Phase::Setup {
        return Err(MetricError::TooLate);
    }
    if let Some(illegal) = std::iter::once(&name).chain(labels).find(|name| !is_legal(name)) {
        return Err(MetricError::InvalidName((*illegal).to_owned()));
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
        let place = match all.iter().position(|known| known.name == name) {
            Some(place) if all.get(place).is_some_and(|known| known.kind == new.kind && known.labels == new.labels) => place,
            Some(_) => return Err(MetricError::Conflict),
            None if all.len() >= MAX_INSTRUMENTS || new.labels.len() > MAX_LABELS => return Err(MetricError::TooMany),
            None => {
                all.push(new);
                all.len() - 1
            }
        };
        u32::try_from(place).map_err(|_| MetricError::TooMany)
    })
}

pub(crate) fn record(instrument: u32, amount: f64, labels: &[&str]) {
    INSTRUMENTS.with_borrow_mut(|all| {
        let Some(instrument) = usize::try_from(instrument).ok().and_then(|place| all.get_mut(place)) else { return };
        let is_wrong = instrument.labels.len() != labels.len() || (instrument.kind == Kind::Counter && amount < 0.0);
        if !is_wrong {
            instrument.recorded.push((amount, labels.iter().map(|label| (*label).to_owned()).collect()));
        }
    });
}

pub(crate) fn record_all(instrument: u32, amounts: &[f64], labels: &[&str]) {
    amounts.iter().for_each(|amount| record(instrument, *amount, labels));
}

fn is_legal(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
