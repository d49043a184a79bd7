//! One component with every hook that does, on demand, what plugins must not do. The whole-system tests use it for both
//! sides of each limit.
//!
//! Configuration: `{ "mode": "trap", "hook": "request-filter" }`. `hook` names the hook that does it, every one without it;
//! the others pass. With the mode `by-header` each request says what happens to it: its `x-misbehave` header is a mode, so
//! good and bad requests can share a route. `mode::Mode` lists the modes.
//!
//! A refused change does not fail the hook: its outcome (`ok`, `forbidden`, `immutable`, `invalid`, `too-large`) is left in
//! the header `x-result`, where there is one to write, and in the log.

mod authorizer;
mod batch_observer;
mod behaviour;
mod forwarder;
mod guest;
mod mode;
mod observer;
mod outcome_observer;
mod request_filter;
mod response_filter;
mod router;

use guest::{Guest, Hook};

plugway_sdk::export!(Guest: Authorizer, RequestFilter, Router, OutcomeObserver, Forwarder, ResponseFilter, Observer, BatchObserver);
