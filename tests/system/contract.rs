//! What the plugin contract promises: transactions, phases, order, policies, grants and versions.

mod changes;
mod decisions;
mod headers;
mod kept_from_clients;
mod loading;
mod order;
mod phases;
mod plans;
mod policies;
mod prefetched;
mod records;
mod since;
mod spared;
mod told;
