//! What the plugin contract promises: transactions, phases, order, policies, grants and versions.

mod changes;
mod decisions;
mod headers;
mod loading;
mod order;
mod phases;
mod plans;
mod policies;
mod records;
mod since;
mod spared;
mod told;
