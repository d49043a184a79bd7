//! When plugins changed their version.

use std::collections::HashMap;
use std::sync::Arc;

use crate::minute::Minute;

/// A plugin's new version.
#[derive(Debug, Clone)]
pub(crate) struct Swap {
    pub(crate) at: Minute,
    pub(crate) version: Arc<str>,
    pub(crate) previous: Arc<str>,
}

/// Versions in effect, and the swap that each came by.
#[derive(Debug, Default)]
pub(crate) struct Swaps {
    plugins: HashMap<Arc<str>, (Arc<str>, Option<Swap>)>,
}

impl Swaps {
    /// This version is in effect.
    pub(crate) fn serves(&mut self, at: Minute, plugin: &Arc<str>, version: &Arc<str>) {
        match self.plugins.get_mut(plugin) {
            Some((now, swap)) if now != version => {
                *swap = Some(Swap { at, version: Arc::clone(version), previous: Arc::clone(now) });
                *now = Arc::clone(version);
            }
            Some(_) => {}
            // What is first heard of is no swap.
            None => drop(self.plugins.insert(Arc::clone(plugin), (Arc::clone(version), None))),
        }
    }

    /// The swap of a plugin that coincides with something that began then, give or take `within` minutes: where a step began is an
    /// estimate, and it is seen after its cause rather than before.
    pub(crate) fn coinciding(&self, plugin: &str, start: Minute, within: u64) -> Option<&Swap> {
        let (_, swap) = self.plugins.get(plugin)?;
        swap.as_ref().filter(|swap| swap.at.0 + within >= start.0 && swap.at.0 <= start.0 + 2 + within / 5)
    }
}
