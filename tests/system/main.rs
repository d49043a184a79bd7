//! The gateway as a whole: the real program, real sockets, real TLS, real components.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_types,
    reason = "a test that cannot go on ends, and may wait for others"
)]

mod access_log;
mod admin;
mod api_key;
mod batches;
mod bodies;
mod bounded_load;
mod breaker;
mod budgets;
mod builtins;
mod commands;
mod common;
mod compiling;
mod contract;
mod drain;
mod facts;
mod files_run_out;
mod forwarded;
mod frames;
mod guest;
mod hash_keys;
mod hello;
mod http_client;
mod incidents;
mod inspect;
mod isolation;
mod issuer;
mod keys;
mod kv;
mod layers;
mod limits;
mod memory;
mod misbehaving;
mod monitoring;
mod oauth2;
mod outcomes;
mod plans;
mod proxy;
mod rate_limit;
mod reload;
mod secrets;
mod signing;
mod smuggling;
mod store;
mod thread_time;
mod threads;
mod timer;
mod tls;
mod toolchains;
mod top;
mod traces;
mod upstream_tls;
mod why;
