//! Numbers for what hooks are called by: which instance, and which configuration of it.
//!
//! Equal configurations share a number, so ten thousand routes with the same scopes are one configuration and one call of
//! `configure` per instance.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::AssembledPlugin;
use super::sources::{Components, Version};
use crate::capability::granted::Kept;
use crate::capability::log::LineRate;
use crate::capability::secrets::Secret;
use crate::config::model::{Config, PluginUse, Trial};
use crate::http_client::HttpClient;
use crate::pipeline::Place;
use crate::plugin::{Configuration, Hook, LoadedComponent, Recipe};
use crate::telemetry::PluginVersion;
use crate::upstream::{Directory, Upstream};

/// Who calls an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// A worker, for a request.
    Worker,
    /// The control side, with batches.
    Control,
}

/// A version of a plugin.
type Key = (usize, Version);

/// Numbers given so far.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    plugins: BTreeMap<Key, Numbers>,
    on_workers: Vec<Key>,
    on_control: Vec<Key>,
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
    /// Numbers one use of a version of a plugin. `upstream` is what a router learns the members of.
    pub(super) fn place(
        &mut self,
        config: &Config,
        (used, version): (&PluginUse, Version),
        route: &str,
        side: Side,
        upstream: Option<usize>,
    ) -> Option<Place> {
        let plugin = config.plugins.get(used.plugin)?;
        let numbers = self.plugins.entry((used.plugin, version)).or_default();
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
            list.push((used.plugin, version));
            list.len() - 1
        });
        let name = Arc::from(plugin.name.as_str());
        Some(Place { slot, config: id, name, version: Arc::default(), on_failure: used.on_failure, shadow: None })
    }

    /// Makes recipes of the plugins that are in use.
    pub(super) fn finish(
        self,
        config: &Config,
        components: &Components,
        upstreams: &[Option<Arc<Upstream>>],
        directory: &Arc<Directory>,
        (kept, secrets, clients): (&mut Kept, &BTreeMap<String, Secret>, &[Option<Arc<HttpClient>>]),
    ) -> Numbered {
        let mut plugins = Vec::new();
        let mut renumbered = BTreeMap::new();
        for ((index, version), numbers) in self.plugins {
            let Some((model, loaded)) = config.plugins.get(index).zip(components.of(index, version)) else { continue };
            // Without a secret it was granted, or an upstream it may ask, it could only complain, and what is wrong with that is known.
            let is_there = |name: &String| upstreams.iter().flatten().any(|upstream| *upstream.name == **name);
            let mut asked = model.grants.http_client.iter().flat_map(|grant| &grant.upstreams);
            if !model.grants.named_secrets().all(|name| secrets.contains_key(name)) || !asked.all(is_there) {
                continue;
            }
            let configurations = numbers
                .configurations
                .into_iter()
                .map(|(json, upstream)| Configuration {
                    json: Arc::from(json),
                    upstream: upstream.and_then(|upstream| upstreams.get(upstream)?.clone()),
                })
                .collect();
            let is_shadow = version == Version::Canary && model.canary.as_ref().is_some_and(|canary| canary.trial == Trial::Shadow);
            let recipe = Recipe {
                name: Arc::from(model.name.as_str()),
                component: Arc::clone(&loaded.component),
                isolation: model.isolation,
                budget: Arc::new(model.budget.clone()),
                log_rate: Arc::new(LineRate::new(model.budget.log_lines_per_second)),
                configurations,
                granted: if is_shadow { kept.granted_aside(model, secrets) } else { kept.granted(model, secrets) },
                http_client: clients.get(index).cloned().flatten(),
                endpoints: Arc::clone(directory),
            };
            let is_on_trial = components.canaries.contains_key(&index);
            renumbered.insert((index, version), plugins.len());
            plugins.push(AssembledPlugin {
                counted_as: is_on_trial.then(|| PluginVersion { digest: Arc::from(recipe.component.short_digest()), is_shadow }),
                recipe: Arc::new(recipe),
                version,
                signed_by: loaded.signer.clone(),
                routes: numbers.routes,
                origins: numbers.origins,
            });
        }
        let renumber = |list: Vec<Key>| list.iter().filter_map(|key| renumbered.get(key).copied()).collect();
        Numbered { on_workers: renumber(self.on_workers), on_control: renumber(self.on_control), plugins }
    }
}

/// The upstream a router's configuration goes with: its members are part of what it is told.
pub(super) fn members_for(component: &LoadedComponent, upstream: usize) -> Option<usize> {
    component.has(Hook::Router).then_some(upstream)
}
