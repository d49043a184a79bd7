//! Plugins: what a file is and wants (`file`, `rights`, `signature`, `component`, `compiler`, `cache`), what any instance is given (`recipe`), the one a
//! worker calls (`slot`, `instance`, `calls`, with the `supply` and the `nursery` that make more and the
//! `breaker` that leaves a broken one alone), and what it may reach (`host`, `wasi`), within its `budget`.

mod batch;
mod bindings;
mod breaker;
mod budget;
mod cache;
mod calls;
mod compiler;
mod component;
mod computing;
mod engine;
mod file;
mod guest;
mod hooks;
mod host;
mod instance;
mod kept_plans;
mod names;
mod nursery;
mod output;
mod plan;
mod pool;
mod recipe;
mod record;
mod reserve;
mod rights;
mod signature;
mod slot;
mod supply;
mod texts;
mod ticker;
mod waiting;
mod wasi;

pub use batch::{EndedBatch, EndedRow};
pub use bindings::plugway::gateway::types::Value as RecordValue;
pub use budget::{InstanceMemory, thread_cpu_time};
pub use cache::{CompileCache, guard};
pub use calls::{Decision, EndpointOutcome, Flow, Forwarded, Routed, authorize, on_request, on_response, on_tick};
pub use compiler::{COMPILE_COMMAND, Compiler, serve_compiler};
pub use component::{LoadError, LoadedComponent};
pub use computing::Computing;
pub use engine::build as build_engine;
pub use file::{ComponentFile, Import};
pub use instance::{Failure, FailureKind, Surroundings};
pub use nursery::Nursery;
pub use plan::{PlanDraft, PlanEdits};
pub use recipe::{Configuration, Recipe, SetupError};
pub use record::{ExchangeRecord, Named, ToldRecord};
pub use reserve::Reserve;
pub use rights::{Hook, Rights, RightsError};
pub use signature::{KeyError, SignatureFile, SignatureFileError, Signer, SigningKey, TrustedKeys, Untrusted, VerifyingKey};
pub use slot::{Called, Slot};
pub use texts::{Text, Texts};
pub use ticker::{TICK, Ticker};
pub use waiting::Holder;
