//! What plugins may use, in plain Rust: no wasmtime here. `plugin::host` adapts each to the contract.

pub mod crypto;
pub mod granted;
pub mod keys;
pub mod kv;
pub mod log;
pub mod metrics;
pub mod rate_limit;
pub mod secrets;
pub mod signatures;
