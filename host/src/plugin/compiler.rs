//! Turning components into native code, in a process of its own or in this one.
//!
//! A compiler leaves memory behind that its process never gives back: 30 MB after five small plugins, 270 MB after one
//! interpreter. So the program hands each component to a child, which is this program again, and that memory ends with the
//! child. Who is no `plugway` program, such as a bench, has nobody to hand it to and compiles here.

mod at_hand;
mod child;
mod frame;
mod parent;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use wasmtime::Engine;

pub(super) use at_hand::VERSION;
pub use child::serve as serve_compiler;

use crate::config::defaults;

/// The subcommand by which this program serves as the compiling process; it calls [`serve_compiler`].
pub const COMPILE_COMMAND: &str = "compile-component";

/// Where components are compiled.
#[derive(Debug)]
pub struct Compiler(Place);

#[derive(Debug)]
enum Place {
    Here,
    Child(Program),
}

/// What is started to compile. Only this module makes one: whatever it names is trusted with native code.
#[derive(Debug)]
struct Program {
    file: PathBuf,
    arguments: Vec<OsString>,
}

/// Native code that this program made, here or in a child that it started. It has not been outside of either, which is
/// why `cache::adopt` may load it.
pub(super) struct Artefact(Vec<u8>);

/// Why a component was not compiled.
#[derive(Debug)]
pub(super) enum CompileError {
    /// The compiler does not take it.
    Refused(String),
    /// The compiling process did not do its work.
    Failed(String),
}

// === impl Compiler ===

impl Compiler {
    /// Compiles in this process.
    pub fn in_process() -> Self {
        Self(Place::Here)
    }

    /// Compiles in a child: the running program, started again as [`COMPILE_COMMAND`]. Only for programs that know that
    /// subcommand.
    ///
    /// # Errors
    /// When the running program's file cannot be named.
    pub fn this_program() -> io::Result<Self> {
        // What runs, not what lies where it was started from: an upgrade may have replaced or removed the file since.
        let running = Path::new("/proc/self/exe");
        let file = if running.exists() { running.to_owned() } else { std::env::current_exe()? };
        Ok(Self(Place::Child(Program { file, arguments: vec![COMPILE_COMMAND.into()] })))
    }

    /// Compiles a component for an engine. Blocks the calling thread for as long as that takes.
    pub(super) fn compile(&self, engine: &Engine, bytes: &[u8]) -> Result<Artefact, CompileError> {
        let Place::Child(program) = &self.0 else { return compile(engine, bytes) };
        match program.start() {
            Ok(child) => parent::converse(child, bytes, defaults::PLUGIN_COMPILE),
            Err(error) => {
                // A sandbox may forbid starting programs; that costs memory, not the plugin.
                tracing::warn!(%error, "The compiling process cannot be started; compiling in the gateway, where it leaves memory behind");
                compile(engine, bytes)
            }
        }
    }
}

/// Compiles in the process it is called in, whichever that is.
fn compile(engine: &Engine, bytes: &[u8]) -> Result<Artefact, CompileError> {
    let at_hand = at_hand::hooks(bytes);
    let bytes = at_hand.as_deref().unwrap_or(bytes);
    engine.precompile_component(bytes).map(Artefact).map_err(|error| CompileError::Refused(format!("{error:#}")))
}

// === impl Artefact ===

impl Artefact {
    pub(super) fn code(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Artefact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Artefact({} bytes)", self.0.len())
    }
}
