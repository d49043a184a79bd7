//! Plans that hold for an endpoint whatever the request, by the words of the forwarder that wrote them: it is not asked again.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use super::plan::PlanEdits;
use crate::upstream::{EndpointId, IdHasher};

/// Most plans one plugin has kept on one worker; what comes after that is asked for each time.
const MOST: usize = 16_384;

/// One plugin's, on one worker, for as long as a generation serves.
#[derive(Debug, Default)]
pub(super) struct KeptPlans(HashMap<(u64, EndpointId), Arc<PlanEdits>, BuildHasherDefault<IdHasher>>);

impl KeptPlans {
    /// The one of a configuration for an endpoint.
    pub(super) fn get(&self, config: u32, endpoint: EndpointId) -> Option<Arc<PlanEdits>> {
        // Most plugins are no forwarders.
        if self.0.is_empty() { None } else { self.0.get(&(config.into(), endpoint)).map(Arc::clone) }
    }

    /// Keeps one, where there is room.
    pub(super) fn keep(&mut self, config: u32, endpoint: EndpointId, plan: &Arc<PlanEdits>) {
        if self.0.len() < MOST {
            self.0.insert((config.into(), endpoint), Arc::clone(plan));
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
        let plan = Arc::new(PlanEdits { max_attempts: Some(1), ..PlanEdits::default() });
        kept.keep(0, 1, &plan);
        assert_eq!(kept.get(0, 1).as_deref(), Some(&*plan));
        assert!(kept.get(1, 0).is_none() && kept.get(1, 1).is_none() && kept.get(0, 2).is_none());
        (0..20_000).for_each(|endpoint| kept.keep(2, endpoint, &plan));
        assert_eq!(kept.0.len(), MOST);
        assert!(kept.get(2, 0).is_some() && kept.get(2, 19_999).is_none());
    }
}
