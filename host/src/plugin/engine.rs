//! The wasmtime engine every plugin runs on, and the ticker that lets budgets be checked.
//!
//! Epochs only wake the budget check; what it compares is thread CPU time (see `budget`), because an epoch alone is wall
//! time and would end healthy plugins on a busy machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::{Config, Enabled, Engine, EngineWeak, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use crate::config::defaults;

/// How often a running guest is interrupted to have its CPU time checked. 1 ms bounds how far a budget is overrun; the
/// ticker costs about 1 % of one core.
pub const TICK: Duration = Duration::from_millis(1);

/// Instances at most, all plugins and workers together. Slots are address space until used.
const MAX_INSTANCES: u32 = 4096;
/// The largest memory any plugin may be given, bytes.
const MAX_MEMORY: usize = defaults::MOST_PLUGIN_MEMORY;
/// Entries of a guest's function table; interpreters compiled to Wasm have tens of thousands.
const MAX_TABLE_ELEMENTS: usize = 100_000;

/// Builds the engine. One is enough today; nothing outside this file assumes that there is only one.
pub fn build() -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(MAX_INSTANCES)
        .total_core_instances(MAX_INSTANCES * 4)
        .total_memories(MAX_INSTANCES)
        .total_tables(MAX_INSTANCES * 2)
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
        // All that 32 bits can address, and a guard behind it: then no access of a guest needs a check of its own. It is address
        // space, not memory.
        .memory_reservation(4 << 30)
        .memory_guard_size(32 << 20)
        .max_wasm_stack(512 << 10)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16))
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

/// Advances the engine's epoch every [`TICK`] until dropped.
#[derive(Debug)]
pub struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts ticking.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(engine: &Engine) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let engine = engine.weak();
        let thread = std::thread::Builder::new().name("plugway-ticker".into()).spawn(move || tick(&engine, &seen))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It ends within one tick.
            drop(thread.join());
        }
    }
}

fn tick(engine: &EngineWeak, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(TICK);
        match engine.upgrade() {
            Some(engine) => engine.increment_epoch(),
            None => return,
        }
    }
}
