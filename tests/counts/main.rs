//! What a request costs in counts that hardly depend on the machine: a change that makes its path dearer fails here, whatever else runs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_types,
    reason = "a test that cannot go on ends, and may wait for others"
)]

mod allocations;
mod bare;
mod counter;
mod instructions;
mod load;

#[global_allocator]
static ALLOCATOR: counter::Counting = counter::Counting;
