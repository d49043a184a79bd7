//! The wasmtime engine every plugin runs on.

use wasmtime::{Config, Enabled, Engine, Inlining, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use crate::config::defaults;

/// The largest memory any plugin may be given, bytes.
const MAX_MEMORY: usize = defaults::MOST_PLUGIN_MEMORY;
/// Entries of a guest's function table; interpreters compiled to Wasm have tens of thousands.
const MAX_TABLE_ELEMENTS: usize = 100_000;

/// Builds the engine, with room for so many instances, all plugins and workers together: slots are address space until used. One is
/// enough today; nothing outside this file assumes that there is only one.
pub fn build(instances: u32) -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(instances)
        // Of the Rust SDK's components each has four: its own, two that its tools add, and the one that has its hooks at hand.
        .total_core_instances(instances * 4)
        .total_memories(instances)
        .total_tables(instances * 2)
        // Calls that run in turns, each on a stack of its own. Beside what an instance sets aside its 2 MiB are nothing.
        .total_stacks(instances)
        .max_component_instance_size(8 << 20)
        .max_core_instance_size(8 << 20)
        .max_core_instances_per_component(200)
        .max_memories_per_component(4)
        .max_tables_per_component(64)
        .max_memory_size(MAX_MEMORY)
        .table_elements(MAX_TABLE_ELEMENTS)
        // Keeping pages warm costs their memory per slot ever used, whether or not the plugin needs them again.
        .linear_memory_keep_resident(0usize)
        .table_keep_resident(0usize)
        .max_unused_warm_slots(16)
        .pagemap_scan(Enabled::No);

    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // Costs 0.3 us a call and is not needed before WASI 0.3.
        .concurrency_support(false)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        // With any of it the code of all functions is held until every one can be put into the others, which is most of a compiler's memory and a fifth of its
        // time, for some twenty instructions of a plugin's call (docs/adr/0041).
        .compiler_inlining(Inlining::No)
        // All that 32 bits can address, and a guard behind it: then no access of a guest needs a check of its own. It is address
        // space, not memory.
        .memory_reservation(4 << 30)
        .memory_guard_size(32 << 20)
        .max_wasm_stack(512 << 10)
        // The rest of it is for what guests call: as much as a thread has.
        .async_stack_size(2 << 20)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16))
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}
