//! How many incidents are open. Only the store's thread sets it.

#![allow(clippy::disallowed_types, reason = "set once a minute, and read when metrics are")]

use std::sync::{Arc, Mutex};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::cell::lock;
use super::export::gauge;
use super::{Cells, names};

/// Open incidents by kind and severity.
#[derive(Debug, Default)]
pub struct IncidentCells(Mutex<Vec<(&'static str, &'static str, u64)>>);

impl IncidentCells {
    /// So many of each kind and severity are open; what is not named is not shown.
    pub fn set(&self, open: Vec<(&'static str, &'static str, u64)>) {
        *lock(&self.0) = open;
    }
}

/// Registers it. It is there only where something looks for incidents.
pub(super) fn register(meter: &Meter, cells: &Arc<Cells>) {
    gauge(meter, cells, names::INCIDENTS_OPEN, "Incidents that last now.", |cells, observer| {
        for (kind, severity, open) in lock(&cells.incidents.0).iter() {
            observer.observe(*open, &[KeyValue::new("kind", *kind), KeyValue::new("severity", *severity)]);
        }
    });
}
