//! From a checked configuration to something that serves: components loaded, places numbered, instances made ready.
//!
//! Start-up is the first reload: `check`, `run` and a later reload all go through [`Workshop::assemble`], and nothing
//! serves before all of it succeeded.

mod builtin;
mod chains;
mod generation;
mod numbering;
mod observers;
mod retirement;
mod room;
mod sources;
mod timers;
mod trust;

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use wasmtime::Engine;

use crate::capability::granted::Kept;
use crate::capability::secrets::Secret;
use crate::config::model::{Config, Route, SecretSource};
use crate::config::{Problem, Problems};
use crate::exchange::RouteFacts;
use crate::http_client::{HttpClient, HttpService};
use crate::pipeline::Plugins;
use crate::plugin::{CompileCache, Compiler, LoadedComponent, Nursery, Recipe, Ticker, build_engine};
use crate::proxy::Snapshot;
use crate::route::Table;
use crate::telemetry::{PluginVersion, Telemetry};
use crate::tls_files::SettingError;
use crate::trace::Rate;
use crate::upstream::{Directory, Registry, Upstream};

pub use builtin::builtin;
use chains::Built;
pub use chains::EffectiveChain;
use numbering::{Numbered, Numbering};
pub use observers::{Observers, Observing};
pub use sources::{Bytes, Content, Supplied, Supplies, Unread, Version, read, read_all};
use trust::Vouched;
pub use trust::trusted_keys;

/// What lives as long as the process and is reused by every assembly.
#[derive(Debug)]
pub struct Workshop {
    engine: Engine,
    cache: Option<CompileCache>,
    compiler: Compiler,
    registry: Registry,
    kept: Kept,
    snapshots: u64,
    telemetry: Arc<Telemetry>,
    nursery: Nursery,
    retired: mpsc::Sender<Plugins>,
    vouched: Vouched,
    /// Held: guests are interrupted as long as it is there.
    _ticker: Ticker,
    /// Started by the first plugin that may make requests.
    http: Option<HttpService>,
}

/// A configuration, assembled. Instances are made from it for each worker.
#[derive(Debug)]
pub struct Assembled {
    /// What workers read.
    pub snapshot: Arc<Snapshot>,
    /// Plugins that are in use.
    pub plugins: Vec<AssembledPlugin>,
    /// Upstreams, as the configuration numbers them.
    pub upstreams: Vec<Arc<Upstream>>,
    /// What each route runs, for people.
    pub chains: Vec<EffectiveChain>,
    /// What is allowed and most likely not meant.
    pub warnings: Vec<Problem>,
    on_workers: Vec<usize>,
    on_control: Vec<usize>,
    /// How many requests are sampled, for all workers together.
    rate: Arc<Rate>,
}

/// What a configuration comes to before any instance is made, with gaps where something is wrong.
struct Draft {
    table: Option<Table>,
    upstreams: Vec<Option<Arc<Upstream>>>,
    chains: Vec<Built>,
    numbered: Numbered,
    warnings: Vec<Problem>,
}

impl Assembled {
    /// Plugins that are in use, and what that version of each is made from.
    pub fn components(&self, version: Version) -> impl Iterator<Item = (String, Arc<LoadedComponent>)> {
        let of_it = self.plugins.iter().filter(move |plugin| plugin.version == version);
        of_it.map(|plugin| (plugin.recipe.name.to_string(), Arc::clone(&plugin.recipe.component)))
    }
}

/// A version of a plugin that is in use.
#[derive(Debug)]
pub struct AssembledPlugin {
    /// What instances are made from.
    pub recipe: Arc<Recipe>,
    /// Which version it is.
    pub version: Version,
    /// What its calls are counted as besides the plugin's, while a canary runs.
    pub counted_as: Option<PluginVersion>,
    /// Who vouches for its file: the name of a trusted key.
    pub signed_by: Option<Arc<str>>,
    /// Names of the routes it serves.
    pub routes: Vec<String>,
    /// Where each configuration comes from, for messages: the use of the plugin that has it first.
    origins: Vec<String>,
}

impl Workshop {
    /// A workshop that keeps compiled components in the configuration's cache folder.
    ///
    /// # Errors
    /// When the engine cannot be made on this machine.
    pub fn open(config: &Config, telemetry: Arc<Telemetry>, compiler: Compiler) -> wasmtime::Result<Self> {
        let cache = match CompileCache::open(&config.cache_directory) {
            Ok(cache) => Some(cache),
            Err(error) => {
                let directory = config.cache_directory.display();
                tracing::warn!(%directory, %error, "Compiled plugins are not kept: the cache folder cannot be used");
                None
            }
        };
        let engine = build_engine(config.limits.max_plugin_instances)?;
        Ok(Self {
            _ticker: Ticker::start(&engine)?,
            http: None,
            engine,
            cache,
            compiler,
            registry: Registry::new(config.workers),
            kept: Kept::new(Arc::clone(&telemetry)),
            snapshots: 0,
            telemetry,
            nursery: Nursery::start()?,
            retired: retirement::start()?,
            vouched: Vouched::default(),
        })
    }

    /// Counters.
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    /// Assembles a configuration, each plugin from what it is supplied with. Nothing that serves is touched.
    ///
    /// # Errors
    /// Every problem that was found, at once.
    pub fn assemble(&mut self, config: &Config, supplies: Supplies) -> Result<Assembled, Problems> {
        let mut problems = Problems::new(&config.file);
        let draft = self.draft(config, supplies, &Problems::new(&config.file), &mut problems);
        if !problems.is_empty() {
            self.try_out(config, &draft.numbered.plugins, &mut problems);
        }
        let upstreams: Option<Vec<_>> = draft.upstreams.into_iter().collect();
        let (Some(table), Some(upstreams), true) = (draft.table, upstreams, problems.is_empty()) else { return Err(problems) };

        let Numbered { plugins, on_workers, on_control } = draft.numbered;
        if let Some(problem) = room::too_little(config, &on_workers, &on_control) {
            problems.push(problem);
            return Err(problems);
        }
        let shortage = room::shortage(config, &plugins, &on_workers, &on_control);
        self.snapshots += 1;
        let (routes, effective) = chains::routes(config, draft.chains, &upstreams);
        let snapshot = Snapshot {
            number: self.snapshots,
            table,
            routes,
            unrouted: Arc::new(RouteFacts { name: "none".into(), api: None, version: None }),
            trusted_proxies: config.trusted_proxies.clone(),
            client_address_header: config.client_address_header,
            keep_underscores: config.keep_underscores,
            limits: config.limits.clone(),
            timeouts: config.timeouts.clone(),
        };
        Ok(Assembled {
            snapshot: Arc::new(snapshot),
            plugins,
            upstreams,
            chains: effective,
            warnings: draft.warnings.into_iter().chain(shortage).chain(trust::open_folder(config)).collect(),
            on_workers,
            on_control,
            rate: Arc::new(Rate::new(config.tracing.max_per_second, Instant::now())),
        })
    }

    /// Looks for everything that is wrong with what is left of a configuration and does not follow from what is `known` to be wrong.
    pub fn look_through(&mut self, config: &Config, known: &Problems, problems: &mut Problems) {
        let draft = self.draft(config, read_all(config), known, problems);
        self.try_out(config, &draft.numbered.plugins, problems);
    }

    /// Everything but instances.
    fn draft(&mut self, config: &Config, supplies: Supplies, known: &Problems, problems: &mut Problems) -> Draft {
        let upstreams = self.upstreams(config, known, problems);
        let mut components = self.components(config, supplies, known, problems);
        let warnings = std::mem::take(&mut components.warnings);
        let table = table(config, known, problems);
        let mut numbering = Numbering::default();
        let chains = chains::build(config, &components, &mut numbering, known, problems);
        let directory = Arc::new(Directory::new(upstreams.iter().flatten()));
        let secrets = secrets(config, known, problems);
        let clients = self.http_clients(config, &upstreams, problems);
        let numbered = numbering.finish(config, &components, &upstreams, &directory, (&mut self.kept, &secrets, &clients));
        Draft { table, upstreams, chains, numbered, warnings }
    }

    /// What makes the requests of each plugin that may make any, as the configuration numbers them.
    fn http_clients(
        &mut self,
        config: &Config,
        upstreams: &[Option<Arc<Upstream>>],
        problems: &mut Problems,
    ) -> Vec<Option<Arc<HttpClient>>> {
        let mut clients = Vec::with_capacity(config.plugins.len());
        for plugin in &config.plugins {
            let Some(grant) = &plugin.grants.http_client else {
                clients.push(None);
                continue;
            };
            if self.http.is_none() {
                match HttpService::start() {
                    Ok(service) => self.http = Some(service),
                    Err(error) => {
                        let message = format!("the thread that makes requests of plugins does not start: {error}");
                        problems.push(config.problem(format!("plugins.{}.grants.http-client", plugin.name), message));
                    }
                }
            }
            let reached = upstreams.iter().flatten().filter(|upstream| grant.upstreams.iter().any(|name| **name == *upstream.name));
            clients
                .push(self.http.as_ref().map(|service| service.client(&plugin.name, grant, reached.cloned().collect(), &self.telemetry)));
        }
        clients
    }

    fn upstreams(&mut self, config: &Config, known: &Problems, problems: &mut Problems) -> Vec<Option<Arc<Upstream>>> {
        let mut upstreams = Vec::with_capacity(config.upstreams.len());
        for upstream in &config.upstreams {
            let table = format!("upstreams.{}", upstream.name);
            let assembled = self.registry.assemble(upstream);
            let assembled = assembled.map_err(|errors| {
                for SettingError { setting, problem } in errors {
                    problems.push(config.problem(format!("{table}.{setting}"), problem));
                }
            });
            // Members that are known to be wrong are missing, which nobody should be told.
            upstreams.push(assembled.ok().filter(|_| !known.concern(&table)));
        }
        upstreams
    }
}

/// Secrets that plugins were granted, by name, without those that cannot be read.
fn secrets(config: &Config, known: &Problems, problems: &mut Problems) -> BTreeMap<String, Secret> {
    let mut secrets = BTreeMap::new();
    for secret in &config.secrets {
        let table = format!("secrets.{}", secret.name);
        let is_granted = config.plugins.iter().any(|plugin| plugin.grants.named_secrets().any(|name| *name == secret.name));
        if !is_granted || known.concern(&table) {
            continue;
        }
        match Secret::read(&secret.source) {
            Ok(read) => drop(secrets.insert(secret.name.clone(), read)),
            Err(why) => {
                let key = if matches!(secret.source, SecretSource::File(_)) { "file" } else { "env" };
                problems.push(config.problem(format!("{table}.{key}"), why));
            }
        }
    }
    secrets
}

/// The route table, without routes whose match is known to be wrong.
fn table(config: &Config, known: &Problems, problems: &mut Problems) -> Option<Table> {
    let is_right = |route: &&Route| !known.concern(&format!("{}.match", route.key));
    let routes: Vec<_> = config.routes.iter().filter(is_right).collect();
    match Table::build(routes.iter().copied()) {
        Ok(table) => Some(table),
        Err(conflicts) => {
            for conflict in conflicts {
                let (Some(first), Some(second)) = (routes.get(conflict.first), routes.get(conflict.second)) else { continue };
                // One without a name is named by its key.
                let name = |route: &Route| if route.name.is_empty() { route.key.clone() } else { route.name.clone() };
                let message = format!("routes `{}` and `{}` match alike: {}", name(first), name(second), conflict.what);
                let help = "make one of them more specific, or remove it";
                problems.push(config.problem(format!("{}.match", second.key), message).with_suggestion(help));
            }
            None
        }
    }
}
