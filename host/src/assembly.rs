//! From a checked configuration to something that serves: components loaded, places numbered, instances made ready.
//!
//! Start-up is the first reload: `check`, `run` and a later reload all go through [`Workshop::assemble`], and nothing
//! serves before all of it succeeded.

mod builtin;
mod chains;
mod generation;
mod numbering;
mod sources;

use std::sync::Arc;

use wasmtime::Engine;

use crate::config::model::Config;
use crate::config::{Problem, Problems};
use crate::exchange::RouteFacts;
use crate::plugin::{CompileCache, Compiler, Nursery, Recipe, build_engine};
use crate::proxy::Snapshot;
use crate::route::Table;
use crate::telemetry::Telemetry;
use crate::upstream::{Directory, Registry, Upstream};

pub use builtin::builtin;
pub use chains::EffectiveChain;
pub use generation::Observers;
use numbering::Numbering;

/// What lives as long as the process and is reused by every assembly.
#[derive(Debug)]
pub struct Workshop {
    engine: Engine,
    cache: Option<CompileCache>,
    compiler: Compiler,
    registry: Registry,
    snapshots: u64,
    telemetry: Arc<Telemetry>,
    nursery: Nursery,
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
    on_workers: Vec<usize>,
    on_control: Vec<usize>,
}

/// A plugin that is in use.
#[derive(Debug)]
pub struct AssembledPlugin {
    /// What instances are made from.
    pub recipe: Arc<Recipe>,
    /// Names of the routes it serves.
    pub routes: Vec<String>,
    /// Where each configuration comes from, for messages.
    origins: Vec<numbering::Origin>,
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
        Ok(Self {
            engine: build_engine()?,
            cache,
            compiler,
            registry: Registry::new(),
            snapshots: 0,
            telemetry,
            nursery: Nursery::start()?,
        })
    }

    /// The engine, for its ticker.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Counters.
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    /// Assembles a configuration. Nothing that serves is touched.
    ///
    /// # Errors
    /// Every problem that was found, at once.
    pub fn assemble(&mut self, config: &Config) -> Result<Assembled, Problems> {
        let mut problems = Problems::new(&config.file);
        let upstreams = self.upstreams(config, &mut problems);
        let components = self.components(config, &mut problems);
        let table = self.table(config, &mut problems);
        let mut numbering = Numbering::new(config);
        let chains = chains::build(config, &components, &mut numbering, &mut problems);
        let (Some(table), Some(upstreams), true) = (table, upstreams, problems.is_empty()) else { return Err(problems) };

        self.snapshots += 1;
        let (routes, effective) = chains::routes(config, chains, &upstreams);
        let directory = Arc::new(Directory::new(&upstreams));
        let numbered = numbering.finish(config, &components, &upstreams, &directory);
        let snapshot = Snapshot {
            number: self.snapshots,
            table,
            routes,
            unrouted: Arc::new(RouteFacts { name: "none".into(), api: None, version: None }),
            trusted_proxies: config.trusted_proxies.clone(),
            limits: config.limits.clone(),
            timeouts: config.timeouts.clone(),
            access_log: config.log.access,
        };
        Ok(Assembled {
            snapshot: Arc::new(snapshot),
            plugins: numbered.plugins,
            upstreams,
            chains: effective,
            on_workers: numbered.on_workers,
            on_control: numbered.on_control,
        })
    }

    /// Looks for what is wrong with upstreams and plugin files, each by itself.
    pub fn look_through(&mut self, config: &Config, problems: &mut Problems) {
        self.upstreams(config, problems);
        self.components(config, problems);
    }

    fn upstreams(&mut self, config: &Config, problems: &mut Problems) -> Option<Vec<Arc<Upstream>>> {
        let mut upstreams = Vec::with_capacity(config.upstreams.len());
        for upstream in &config.upstreams {
            match self.registry.assemble(upstream) {
                Ok(assembled) => upstreams.push(assembled),
                Err(error) => problems.push(Problem::error(
                    upstream.position,
                    format!("upstreams.{}.{}", upstream.name, error.setting),
                    error.problem,
                )),
            }
        }
        (upstreams.len() == config.upstreams.len()).then_some(upstreams)
    }

    fn table(&self, config: &Config, problems: &mut Problems) -> Option<Table> {
        match Table::build(&config.routes) {
            Ok(table) => Some(table),
            Err(conflicts) => {
                for conflict in conflicts {
                    let name = |index: usize| config.routes.get(index).map_or("", |route| route.name.as_str());
                    let position = config.routes.get(conflict.second).map(|route| route.position).unwrap_or_default();
                    let message =
                        format!("routes `{}` and `{}` match alike: {}", name(conflict.first), name(conflict.second), conflict.what);
                    let help = "make one of them more specific, or remove it";
                    problems.push(Problem::error(position, format!("routes[{}].match", conflict.second), message).with_suggestion(help));
                }
                None
            }
        }
    }
}
