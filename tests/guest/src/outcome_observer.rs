//! Remembers which endpoints fail; the router avoids them in the mode `learn`.

use plugway_sdk::{EndpointOutcome, Error, Outcome, OutcomeObserver};

use crate::{Guest, Hook};

impl OutcomeObserver for Guest {
    fn on_outcomes(&mut self, outcomes: &[EndpointOutcome]) -> Result<(), Error> {
        for EndpointOutcome { outcome: Outcome { endpoint, status, fault }, latency_us, .. } in outcomes {
            let status = status.map(|status| status.to_string());
            let ended = fault.as_ref().or(status.as_ref()).map_or("", String::as_str);
            self.outcomes.add(1.0, [ended]);
            self.latency.add(f64::from(*latency_us), [ended]);
            match ended {
                _ if ended.starts_with("upstream-") || ended.starts_with('5') => drop(self.failing.insert(*endpoint)),
                _ => drop(self.failing.remove(endpoint)),
            }
        }
        self.misbehave(self.configured(Hook::OutcomeObserver))
    }
}
