//! The same guest with its filters alone. `on_failure = "skip"` is for plugins that authorize nobody, and this one does not.

#![allow(dead_code, reason = "what the other hooks need stands in the same files")]

#[path = "../src/behaviour.rs"]
mod behaviour;
#[path = "../src/guest.rs"]
mod guest;
#[path = "../src/mode.rs"]
mod mode;
#[path = "../src/request_filter.rs"]
mod request_filter;
#[path = "../src/response_filter.rs"]
mod response_filter;

use guest::{Guest, Hook};

plugway_sdk::export!(Guest: RequestFilter, ResponseFilter);
