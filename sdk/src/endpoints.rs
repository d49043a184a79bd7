//! What the gateway knows of endpoints, for all workers together. An id that is no member any more is not available and
//! has zeros.

use std::time::Duration;

use crate::routing::EndpointId;
use crate::sys;

/// Whether requests may be sent there now.
pub fn available(endpoint: EndpointId) -> bool {
    sys::endpoints::available(endpoint)
}

/// Requests being answered right now.
pub fn in_flight(endpoint: EndpointId) -> u32 {
    sys::endpoints::in_flight(endpoint)
}

/// Moving average of the time to the response head; zero before the first answer.
pub fn latency(endpoint: EndpointId) -> Duration {
    Duration::from_micros(sys::endpoints::latency_us(endpoint).into())
}

/// Requests being answered right now by every endpoint of that endpoint's upstream.
pub fn upstream_in_flight(endpoint: EndpointId) -> u32 {
    sys::endpoints::upstream_in_flight(endpoint)
}
