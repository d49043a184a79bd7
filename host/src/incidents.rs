//! Incidents: what the analysis of `plugway_analysis` finds in the monitoring store, told where operators look.
//!
//! The store's thread lends its connection after each minute ([`Watch`]). What analysis knows is never written down: after a start it is
//! derived again from what the store has, and `analysed` in the store says until when incidents were told, so that none is told twice.

#![allow(clippy::disallowed_types, reason = "what is open is taken once a minute, and when status is asked for")]

mod certificates;
mod list;
mod minute;
mod past;
mod told;
mod watch;
mod watched;

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

pub use list::{Asked, ListError, list};
pub use watch::Watch;
pub use watched::Watched;

use crate::store::Incident;

/// What is open now, for whoever shows it.
#[derive(Debug, Clone, Default)]
pub struct Open(Arc<Mutex<Vec<(i64, Incident)>>>);

impl Open {
    /// As JSON, the latest first.
    pub fn json(&self) -> Vec<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(number, incident)| told::json(*number, incident)).collect()
    }

    fn set(&self, open: Vec<(i64, Incident)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = open;
    }
}

#[cfg(test)]
mod tests;
