//! A stand-in for the gateway, so that a plugin's logic is tested with plain `cargo test`. Native targets only.
//!
//! ```
//! use plugway_sdk::{Error, Flow, NoConfig, Plugin, Request, RequestFilter, header, testing};
//!
//! struct Stamp;
//!
//! impl Plugin for Stamp {
//!     type Config = NoConfig;
//!     fn configure(_: NoConfig) -> Result<Self, Error> {
//!         Ok(Self)
//!     }
//! }
//!
//! impl RequestFilter for Stamp {
//!     fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
//!         request.set_header("x-stamp", "1")?;
//!         Ok(Flow::Next)
//!     }
//! }
//!
//! let stamp = testing::configure::<Stamp>(testing::json!({})).unwrap();
//! let mut request = testing::Request::get("/orders/1").header(header::X_TENANT_ID, "acme").build();
//! assert_eq!(stamp.on_request(&mut request).unwrap(), Flow::Next);
//! assert_eq!(request.header_str("x-stamp").as_deref(), Some("1"));
//! ```
//!
//! [`configure`] gives a [`Configured`] plugin. Its hooks run under the rules of the contract: an authorizer cannot set the
//! path, nobody can set `content-length`, sizes are bounded by the gateway's defaults, and a hook that fails, or answers what the
//! gateway would not take, leaves the request as it was. Time stands still until [`advance`]; random numbers are the same each time; log lines, instruments
//! and endpoint states belong to the test's thread. Signatures are checked for real.

mod attempt;
pub(crate) mod batch;
mod capabilities;
mod configured;
pub(crate) mod crypto;
pub(crate) mod gateway;
pub(crate) mod granted;
mod handle;
mod headers;
mod hosts;
pub(crate) mod http_client;
mod identity;
pub(crate) mod keys;
pub(crate) mod kv;
pub(crate) mod metrics;
mod outcome;
mod output;
mod pass;
mod path;
mod plan;
pub(crate) mod rate_limit;
mod record;
mod request;
mod response;
mod rules;
pub(crate) mod secrets;
pub(crate) mod trace;

pub use serde_json::json;

pub use attempt::{Attempt, endpoint};
pub use capabilities::{EndpointState, advance, remove_endpoint, set_endpoint, set_now, take_logs};
pub use configured::{Configured, configure, in_configure};
pub use granted::deny;
pub use hosts::grant_hosts;
pub use http_client::{HttpAnswer, SentRequest, answer_http, serve_http, take_http_requests};
pub use keys::set_key;
pub use kv::fill_pinned;
pub use metrics::{Instrument, instrument};
pub use outcome::{answered, failed};
pub use plan::{Plan, Planned};
pub use record::record;
pub use request::Request;
pub use response::Response;
pub use secrets::set_secret;
pub use trace::{Note, set_recording, take_notes};

pub(crate) use plan::FakePlan;
pub(crate) use request::FakeRequest;
pub(crate) use response::FakeResponse;

use crate::header::HeaderLine;

/// The name the plugin under test is configured by: the owner of the attributes it sets.
pub const PLUGIN: &str = "plugin";

/// Headers the plugin left for the final response.
pub fn response_headers(request: &crate::Request<'_>) -> Vec<HeaderLine> {
    request.fake().response_headers()
}

/// What a forwarder made of a plan.
pub fn planned(plan: &crate::Plan<'_>) -> Planned {
    plan.fake().planned()
}

#[cfg(test)]
mod tests;
