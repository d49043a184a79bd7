//! Outcomes of the double.

use crate::routing::{EndpointId, EndpointOutcome, Outcome};

/// An attempt that an endpoint answered with this status after 10 ms.
pub fn answered(endpoint: EndpointId, status: u16) -> EndpointOutcome {
    ended(Outcome { endpoint, status: Some(status), fault: None })
}

/// An attempt that failed with this fault code, e.g. `upstream-connect-failed`, after 10 ms.
pub fn failed(endpoint: EndpointId, fault: &str) -> EndpointOutcome {
    ended(Outcome { endpoint, status: None, fault: Some(fault.to_owned()) })
}

fn ended(outcome: Outcome) -> EndpointOutcome {
    EndpointOutcome { config_id: 0, outcome, latency_us: 10_000 }
}
