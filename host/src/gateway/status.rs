//! What `/status` shows: what is configured, what serves it, and how it is doing.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::Addresses;
use crate::assembly::Assembled;
use crate::config::model::Config;
use crate::server::admin::Administered;
use crate::telemetry::Telemetry;

/// The state the admin listener shows.
#[derive(Debug)]
pub(super) struct Status {
    pub(super) draining: Cell<bool>,
    started: Instant,
    workers: usize,
    listeners: Vec<(String, String)>,
    assembled: Assembled,
    telemetry: Arc<Telemetry>,
}

impl Status {
    pub(super) fn new(config: &Config, addresses: &Addresses, assembled: Assembled, telemetry: Arc<Telemetry>) -> Self {
        let listeners = addresses.listeners.iter().map(|(name, address)| (name.clone(), address.to_string())).collect();
        Self { draining: Cell::new(false), started: Instant::now(), workers: config.workers, listeners, assembled, telemetry }
    }

    fn plugins(&self) -> Vec<Value> {
        let plugin = |plugin: &crate::assembly::AssembledPlugin| {
            let component = &plugin.recipe.component;
            let breakers = self.telemetry.plugin_breakers(&plugin.recipe.name).into_iter();
            let breakers = breakers.map(|(hook, reading)| json!({ "hook": hook, "open": reading.open, "opened": reading.opened }));
            json!({
                "name": &*plugin.recipe.name,
                "digest": format!("sha256:{}", component.digest),
                "size_bytes": component.size,
                "hooks": component.rights.hooks.iter().map(|hook| hook.as_str()).collect::<Vec<_>>(),
                "capabilities": component.rights.capabilities,
                "configurations": plugin.recipe.configurations.len(),
                "routes": plugin.routes,
                "instances": self.telemetry.plugin_instances(&plugin.recipe.name),
                "breakers": breakers.collect::<Vec<_>>(),
            })
        };
        self.assembled.plugins.iter().map(plugin).collect()
    }

    fn upstreams(&self) -> Vec<Value> {
        let now = Instant::now();
        self.assembled
            .upstreams
            .iter()
            .map(|upstream| {
                let endpoints: Vec<_> = upstream
                    .endpoints
                    .iter()
                    .map(|endpoint| {
                        json!({
                            "id": endpoint.id,
                            "url": endpoint.url,
                            "weight": endpoint.weight,
                            "available": endpoint.is_available(now),
                            "in_flight": endpoint.state.in_flight(),
                            "latency_us": endpoint.state.latency_us(),
                            "connections": endpoint.state.connections(),
                        })
                    })
                    .collect();
                json!({ "name": &*upstream.name, "endpoints": endpoints })
            })
            .collect()
    }

    fn routes(&self) -> Vec<Value> {
        let routes = self.assembled.snapshot.routes.iter().zip(&self.assembled.chains);
        routes
            .map(|(route, chain)| {
                json!({
                    "name": &*route.facts.name,
                    "api": route.facts.api.as_deref(),
                    "version": route.facts.version.as_deref(),
                    "upstream": &*route.upstream.name,
                    "public": route.chain.public,
                    "chain": chain.steps.iter().map(|(what, name)| json!({ "step": what, "plugin": name })).collect::<Vec<_>>(),
                })
            })
            .collect()
    }
}

impl Administered for Status {
    fn ready(&self) -> bool {
        !self.draining.get()
    }

    fn metrics(&self) -> Vec<u8> {
        self.telemetry.render()
    }

    fn status(&self) -> Value {
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.started.elapsed().as_secs(),
            "draining": self.draining.get(),
            "snapshot": self.assembled.snapshot.number,
            "listeners": self.listeners.iter().map(|(name, address)| json!({ "name": name, "address": address })).collect::<Vec<_>>(),
            "routes": self.routes(),
            "plugins": self.plugins(),
            "upstreams": self.upstreams(),
            "workers": (0..self.workers).map(|index| self.telemetry.worker(index).status()).collect::<Vec<_>>(),
        })
    }
}
