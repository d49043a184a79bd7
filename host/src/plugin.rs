//! Plugins: what a file is and wants (`component`, `rights`, `compiler`, `cache`), what any instance is given (`recipe`), the one a
//! worker calls (`slot`, `instance`, `calls`, with the `nursery` that makes more and the
//! `breaker` that leaves a broken one alone), and what it may reach (`host`, `wasi`), within its `budget`.

mod bindings;
mod breaker;
mod budget;
mod cache;
mod calls;
mod compiler;
mod component;
mod engine;
mod guest;
mod hooks;
mod host;
mod instance;
mod names;
mod nursery;
mod output;
mod plan;
mod recipe;
mod rights;
mod slot;
mod ticker;
mod wasi;

pub use bindings::plugway::gateway::types::Value as RecordValue;
pub use cache::CompileCache;
pub use calls::{Decision, EndpointOutcome, ExchangeRecord, Flow, Forwarded, Routed};
pub use compiler::{COMPILE_COMMAND, Compiler, serve_compiler};
pub use component::{LoadError, LoadedComponent};
pub use engine::build as build_engine;
pub use instance::{Failure, FailureKind, Surroundings};
pub use nursery::Nursery;
pub use plan::{PlanDraft, PlanEdits};
pub use recipe::{Configuration, Recipe, SetupError};
pub use rights::{Hook, Rights, RightsError};
pub use slot::{Called, Slot};
pub use ticker::{TICK, Ticker, Turns};
