//! Plans that hold for an endpoint whatever the request, by the words of the forwarder that wrote them: it is not asked again.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use super::plan::PlanEdits;
use crate::upstream::{EndpointId, IdHasher};

/// Most bytes of the plans that one plugin has kept on one worker; what has no room is asked for each time.
const MOST_BYTES: usize = 4 << 20;
/// Most bytes of one of them.
const MOST_BYTES_OF_ONE: usize = 4 << 10;

/// One plugin's, on one worker, for as long as a generation serves.
#[derive(Debug, Default)]
pub(super) struct KeptPlans {
    plans: HashMap<(u64, EndpointId), Arc<PlanEdits>, BuildHasherDefault<IdHasher>>,
    bytes: usize,
}

impl KeptPlans {
    /// The one of a configuration for an endpoint.
    pub(super) fn get(&self, config: u32, endpoint: EndpointId) -> Option<Arc<PlanEdits>> {
        // Most plugins are no forwarders.
        if self.plans.is_empty() { None } else { self.plans.get(&(config.into(), endpoint)).map(Arc::clone) }
    }

    /// Keeps one, where there is room.
    pub(super) fn keep(&mut self, config: u32, endpoint: EndpointId, plan: &Arc<PlanEdits>) {
        let bytes = plan.bytes();
        if bytes <= MOST_BYTES_OF_ONE && self.bytes + bytes <= MOST_BYTES {
            let before = self.plans.insert((config.into(), endpoint), Arc::clone(plan));
            self.bytes = self.bytes + bytes - before.map_or(0, |before| before.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_kept_by_configuration_and_endpoint_and_not_without_end() {
        let mut kept = KeptPlans::default();
        assert!(kept.get(0, 1).is_none());
        let plan = Arc::new(PlanEdits { path: Some("/a".to_owned()), ..PlanEdits::default() });
        kept.keep(0, 1, &plan);
        assert_eq!(kept.get(0, 1).as_deref(), Some(&*plan));
        assert!(kept.get(1, 0).is_none() && kept.get(1, 1).is_none() && kept.get(0, 2).is_none());
        let large = Arc::new(PlanEdits { path: Some("/".repeat(MOST_BYTES_OF_ONE)), ..PlanEdits::default() });
        kept.keep(0, 2, &large);
        assert!(kept.get(0, 2).is_none(), "too large");
        (0..50_000).for_each(|endpoint| kept.keep(2, endpoint, &plan));
        assert!(kept.bytes <= MOST_BYTES && kept.bytes == kept.plans.len() * plan.bytes());
        assert!(kept.plans.len() > 10_000 && kept.get(2, 0).is_some() && kept.get(2, 49_999).is_none());
    }
}
