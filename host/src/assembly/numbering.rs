//! Numbers for what hooks are called by: which instance, and which configuration of it.
//!
//! Equal configurations share a number, so ten thousand routes with the same scopes are one configuration and one call of
//! `configure` per instance.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::AssembledPlugin;
use super::sources::Components;
use crate::capability::granted::Kept;
use crate::capability::secrets::Secret;
use crate::config::model::{Config, PluginUse};
use crate::pipeline::Place;
use crate::plugin::{Configuration, Hook, LoadedComponent, Recipe};
use crate::upstream::{Directory, Upstream};

/// Who calls an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// A worker, for a request.
    Worker,
    /// The control side, with batches.
    Control,
}

/// Numbers given so far.
#[derive(Debug)]
pub(super) struct Numbering {
    plugins: Vec<Numbers>,
    on_workers: Vec<usize>,
    on_control: Vec<usize>,
}

#[derive(Debug, Default)]
struct Numbers {
    known: HashMap<(String, Option<usize>), u32>,
    /// Upstream by number, where the configuration is a router's.
    configurations: Vec<(String, Option<usize>)>,
    origins: Vec<String>,
    routes: Vec<String>,
    worker_slot: Option<usize>,
    control_slot: Option<usize>,
}

/// Every number given.
#[derive(Debug)]
pub(super) struct Numbered {
    pub(super) plugins: Vec<AssembledPlugin>,
    /// Indices into `plugins`.
    pub(super) on_workers: Vec<usize>,
    pub(super) on_control: Vec<usize>,
}

impl Numbering {
    pub(super) fn new(config: &Config) -> Self {
        let plugins = config.plugins.iter().map(|_| Numbers::default()).collect();
        Self { plugins, on_workers: Vec::new(), on_control: Vec::new() }
    }

    /// Numbers one use of a plugin. `upstream` is what a router learns the members of.
    pub(super) fn place(&mut self, config: &Config, used: &PluginUse, route: &str, side: Side, upstream: Option<usize>) -> Option<Place> {
        let plugin = config.plugins.get(used.plugin)?;
        let numbers = self.plugins.get_mut(used.plugin)?;
        let json = serde_json::Value::Object(used.config.clone()).to_string();
        let next = u32::try_from(numbers.configurations.len()).ok()?;
        let id = *numbers.known.entry((json.clone(), upstream)).or_insert(next);
        if id == next {
            numbers.configurations.push((json, upstream));
            numbers.origins.push(used.key.clone());
        }
        if numbers.routes.last().is_none_or(|last| last != route) {
            numbers.routes.push(route.to_owned());
        }
        let (slot, list) = match side {
            Side::Worker => (&mut numbers.worker_slot, &mut self.on_workers),
            Side::Control => (&mut numbers.control_slot, &mut self.on_control),
        };
        let slot = *slot.get_or_insert_with(|| {
            list.push(used.plugin);
            list.len() - 1
        });
        Some(Place { slot, config: id, name: Arc::from(plugin.name.as_str()), version: Arc::default(), on_failure: used.on_failure })
    }

    /// Makes recipes of the plugins that are in use.
    pub(super) fn finish(
        self,
        config: &Config,
        components: &Components,
        upstreams: &[Option<Arc<Upstream>>],
        directory: &Arc<Directory>,
        kept: &mut Kept,
        secrets: &BTreeMap<String, Secret>,
    ) -> Numbered {
        let mut plugins = Vec::new();
        let mut renumbered = BTreeMap::new();
        for ((index, numbers), (model, component)) in
            self.plugins.into_iter().enumerate().zip(config.plugins.iter().zip(&components.loaded))
        {
            // Without a secret it was granted it could only complain, and what is wrong with the secret is known.
            let is_whole = model.grants.named_secrets().all(|name| secrets.contains_key(name));
            let Some(component) = component.as_ref().filter(|_| is_whole && !numbers.configurations.is_empty()) else { continue };
            let configurations = numbers
                .configurations
                .into_iter()
                .map(|(json, upstream)| Configuration {
                    json: Arc::from(json),
                    upstream: upstream.and_then(|upstream| upstreams.get(upstream)?.clone()),
                })
                .collect();
            let recipe = Recipe {
                name: Arc::from(model.name.as_str()),
                component: Arc::clone(component),
                isolation: model.isolation,
                budget: Arc::new(model.budget.clone()),
                configurations,
                granted: kept.granted(model, secrets),
                endpoints: Arc::clone(directory),
            };
            renumbered.insert(index, plugins.len());
            let signed_by = components.signers.get(index).cloned().flatten();
            plugins.push(AssembledPlugin { recipe: Arc::new(recipe), signed_by, routes: numbers.routes, origins: numbers.origins });
        }
        let renumber = |list: Vec<usize>| list.iter().filter_map(|index| renumbered.get(index).copied()).collect();
        Numbered { on_workers: renumber(self.on_workers), on_control: renumber(self.on_control), plugins }
    }
}

/// The upstream a router's configuration goes with: its members are part of what it is told.
pub(super) fn members_for(component: &LoadedComponent, upstream: usize) -> Option<usize> {
    component.has(Hook::Router).then_some(upstream)
}
