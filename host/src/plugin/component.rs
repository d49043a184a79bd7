//! A plugin's file: read, held against the contract and the grants, compiled, linked. Nothing of it has run yet.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::Engine;
use wasmtime::component::{InstancePre, Linker};

use super::bindings::plugway::gateway as imports;
use super::cache::{self, CompileCache};
use super::compiler::{CompileError, Compiler};
use super::file::ComponentFile;
use super::guest::Guest;
use super::hooks::HookIndices;
use super::host;
use super::rights::{Hook, Rights, RightsError};
use super::wasi;
use crate::config::model::Grants;

/// A component that may be instantiated.
pub struct LoadedComponent {
    /// SHA-256 of its bytes, in hexadecimal.
    pub digest: String,
    /// Size of the file, bytes.
    pub size: usize,
    /// The version of the SDK it was built with, where it says so.
    pub sdk: Option<String>,
    /// What it has and wants.
    pub rights: Rights,
    /// Whether the compiled form came from the cache.
    pub cached: bool,
    linked: Linked,
    /// As it is linked for a plugin that could wait and was not granted it: called as one that cannot.
    without_waiting: Option<Linked>,
}

/// A component that lacks nothing but its state.
pub(super) struct Linked {
    pub(super) pre: InstancePre<Guest>,
    pub(super) indices: HookIndices,
    /// Whether it can only be called as if it might wait.
    pub(super) waits: bool,
}

/// Why a plugin's file was not loaded.
#[derive(Debug)]
pub enum LoadError {
    /// Not a component; a core module or something else.
    NotAComponent(String),
    /// The compiling process did not do its work; nothing is known of the file.
    NotCompiled(String),
    /// Wants what it may not have.
    Rights(RightsError),
    /// Its imports or exports do not have the contract's types.
    Mismatch(String),
}

// === impl LoadedComponent ===

impl LoadedComponent {
    /// SHA-256 of a component's bytes, in hexadecimal.
    pub fn digest(bytes: &[u8]) -> String {
        hex(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
    }

    /// As much of its digest as tells versions apart.
    pub fn short_digest(&self) -> &str {
        Self::short(&self.digest)
    }

    /// As much of a digest as tells versions apart.
    pub fn short(digest: &str) -> &str {
        digest.get(..12).unwrap_or(digest)
    }

    /// Loads a component from its bytes. What it may do is read from them, never from its compiled form; so one that wants what no
    /// plugin gets is not compiled at all.
    ///
    /// # Errors
    /// When it is no component, cannot be compiled, or was built for another contract.
    pub fn load(
        engine: &Engine,
        cache: Option<&CompileCache>,
        compiler: &Compiler,
        digest: String,
        bytes: &[u8],
    ) -> Result<Arc<Self>, LoadError> {
        let started = Instant::now();
        let file = ComponentFile::read(bytes)?;
        let rights = Rights::read(&file).map_err(LoadError::Rights)?;
        let from_cache = cache.and_then(|cache| cache.get(engine, &digest));
        let cached = from_cache.is_some();
        let component = match from_cache {
            Some(component) => component,
            None => {
                let compiled = compiler.compile(engine, bytes)?;
                let component = cache::adopt(engine, &compiled).map_err(|error| LoadError::NotAComponent(format!("{error:#}")))?;
                if let Some(cache) = cache {
                    cache.put(engine, &digest, &compiled);
                }
                component
            }
        };
        let linked = |waits| {
            let pre = link(engine, &rights, waits)?.instantiate_pre(&component)?;
            Ok(Linked { indices: HookIndices::find(&pre, &component, &rights, waits)?, pre, waits })
        };
        let mismatch = |error: wasmtime::Error| LoadError::Mismatch(format!("{error:#}"));
        let without_waiting = rights.can_do_without_waiting().then(|| linked(false)).transpose().map_err(mismatch)?;
        let linked = linked(rights.waits()).map_err(mismatch)?;
        tracing::debug!(
            digest,
            cached,
            elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "A component was loaded"
        );
        Ok(Arc::new(Self { digest, size: bytes.len(), sdk: file.sdk, rights, cached, linked, without_waiting }))
    }

    /// Holds what it wants against what one plugin was granted.
    ///
    /// # Errors
    /// When it wants what was not granted.
    pub fn check(&self, grants: &Grants) -> Result<(), LoadError> {
        self.rights.check(grants).map_err(LoadError::Rights)
    }

    /// Whether bytes could be loaded with what one plugin was granted, as far as they say so themselves: nothing is compiled.
    ///
    /// # Errors
    /// When they are no component, or want what they do not get.
    pub fn look_at(bytes: &[u8], grants: &Grants) -> Result<(), LoadError> {
        let file = ComponentFile::read(bytes)?;
        Rights::read(&file).and_then(|rights| rights.check(grants)).map_err(LoadError::Rights)
    }

    /// Whether it exports that hook.
    pub fn has(&self, hook: Hook) -> bool {
        self.rights.hooks.contains(&hook)
    }

    /// How it is linked for a plugin that was granted requests of its own, or was not.
    pub(super) fn linked(&self, may_fetch: bool) -> &Linked {
        self.without_waiting.as_ref().filter(|_| !may_fetch).unwrap_or(&self.linked)
    }
}

/// Links what every plugin has and what it asks for, and nothing else; what waits so that it can, or as a trap.
fn link(engine: &Engine, rights: &Rights, waits: bool) -> wasmtime::Result<Linker<Guest>> {
    type Has = wasmtime::component::HasSelf<Guest>;
    let mut linker = Linker::new(engine);
    wasi::add_to_linker(&mut linker)?;
    imports::types::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
    imports::configuring::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
    imports::header_names::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
    imports::header_lines::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
    imports::request::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
    imports::response::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
    imports::routing::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
    imports::attempt::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
    imports::forward_plan::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
    imports::log::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
    imports::clock::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
    imports::random::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
    imports::metrics::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
    imports::trace::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
    imports::batch::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
    imports::endpoints::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
    imports::granted::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
    if rights.capabilities.contains(&"crypto") {
        imports::crypto::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
    }
    if rights.capabilities.contains(&"kv") {
        imports::kv::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
    }
    if rights.capabilities.contains(&"rate-limit") {
        imports::rate_limit::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
    }
    if rights.capabilities.contains(&"http-client") {
        imports::http_client::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
        if !waits {
            host::refuse_to_send(&mut linker)?;
        }
    }
    if rights.capabilities.contains(&"secrets") {
        imports::secrets::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
    }
    if rights.capabilities.contains(&"keys") {
        imports::keys::add_to_linker::<_, Has>(&mut linker, |guest| guest)?;
    }
    Ok(linker)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Debug for LoadedComponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedComponent").field("digest", &self.digest).field("rights", &self.rights).finish_non_exhaustive()
    }
}

// === impl LoadError ===

impl LoadError {
    /// Why, in one word.
    pub fn why(&self) -> &'static str {
        match self {
            Self::NotAComponent(_) => "not-a-component",
            Self::NotCompiled(_) => "not-compiled",
            Self::Rights(RightsError::WrongVersion { .. }) => "wrong-version",
            Self::Rights(RightsError::NotGranted { .. }) => "not-granted",
            Self::Rights(RightsError::UnknownImport(_)) => "unknown-import",
            Self::Rights(_) => "hooks",
            Self::Mismatch(_) => "wrong-contract",
        }
    }

    /// What to do about it.
    pub fn remedy(&self, plugin: &str) -> String {
        match self {
            Self::NotAComponent(_) => "give it a component, e.g. from `cargo build --release --target wasm32-wasip2`".to_owned(),
            Self::NotCompiled(_) => "see that the gateway may start its own program, and has memory and time for it".to_owned(),
            Self::Rights(error) => error.remedy(plugin),
            Self::Mismatch(_) => "rebuild it against the wit/ folder of this gateway".to_owned(),
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAComponent(why) => write!(f, "it is not a WebAssembly component: {why}"),
            Self::NotCompiled(why) => write!(f, "it could not be compiled: {why}"),
            Self::Rights(error) => error.fmt(f),
            Self::Mismatch(why) => write!(f, "it does not fit the contract: {why}"),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<CompileError> for LoadError {
    fn from(error: CompileError) -> Self {
        match error {
            CompileError::Refused(why) => Self::NotAComponent(why),
            CompileError::Failed(why) => Self::NotCompiled(why),
        }
    }
}
