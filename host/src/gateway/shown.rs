//! What the workshop tells of its work to whoever asks: status, metrics, commands. The one place where two threads of the
//! gateway share what changes; neither of them serves requests.

#![allow(clippy::disallowed_types, reason = "taken when a reload is done, and when status or metrics are asked for")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde_json::Value;

use super::canary::OnTrial;
use crate::config::model::Canary;
use crate::incidents;
use crate::proxy::Snapshot;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Shown {
    view: Mutex<Arc<View>>,
    live: Mutex<Vec<(Live, Arc<Snapshot>)>>,
    /// Incidents that last.
    pub(super) incidents: incidents::Open,
}

/// What there is to know of files and swaps.
#[derive(Debug, Default)]
pub(super) struct View {
    /// By plugin.
    pub(super) plugins: BTreeMap<String, Value>,
    /// What is tried, and how, by plugin.
    pub(super) canaries: BTreeMap<String, (OnTrial, Canary)>,
    /// The configuration's file.
    pub(super) configuration: Value,
    /// Files of `plugin_directory` that no plugin is made from.
    pub(super) unnamed_files: Vec<String>,
    /// Plugins that no route uses, and what is wrong with their files.
    pub(super) unused_plugins: Vec<Value>,
    /// How the last reload ended.
    pub(super) last_reload: Value,
}

/// A generation that serves, or still has requests in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Live {
    /// `Snapshot::number`
    pub(super) number: u64,
    /// Since when it serves.
    pub(super) since: SystemTime,
}

impl Shown {
    /// Shows this from now on.
    pub(super) fn show(&self, view: View) {
        *lock(&self.view) = Arc::new(view);
    }

    /// What is shown.
    pub(super) fn view(&self) -> Arc<View> {
        Arc::clone(&lock(&self.view))
    }

    /// A snapshot begins to serve.
    pub(super) fn serves(&self, snapshot: Arc<Snapshot>) {
        lock(&self.live).push((Live { number: snapshot.number, since: SystemTime::now() }, snapshot));
    }

    /// Generations that are alive, the one that serves last. A snapshot that nobody else holds any more is freed here: what it
    /// holds may be large.
    pub(super) fn live(&self) -> Vec<Live> {
        let mut live = lock(&self.live);
        let serving = live.last().map(|(live, _)| live.number);
        live.retain(|(live, snapshot)| Some(live.number) == serving || Arc::strong_count(snapshot) > 1);
        live.iter().map(|(live, _)| *live).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
