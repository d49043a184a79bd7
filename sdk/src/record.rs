//! Finished exchanges.

pub use crate::bindings::observer::exports::plugway::gateway::observer::ExchangeRecord;
