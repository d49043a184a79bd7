//! A configuration in a few lines. What is a default is left out.

use std::fmt::Write;

use super::super::{Loaded, defaults, parse};
use crate::config::model::{Config, Endpoint, Match, PluginUse, Position};

/// A summary, with the warnings behind it.
pub(super) fn summary(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let plain = plain();
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").unwrap();
    if config.workers != plain.workers {
        line(format!("workers: {}", config.workers));
    }
    if config.cache_directory != plain.cache_directory {
        line(format!("cache: {}", config.cache_directory.display()));
    }
    if config.keep_versions != plain.keep_versions {
        line(format!("versions: {}", config.keep_versions));
    }
    if config.canary_by != plain.canary_by {
        line(format!("canary by: {:?}", config.canary_by));
    }
    for listener in &config.listeners {
        line(format!("listen {}: {}, {:?}", listener.name, listener.address, listener.tls));
    }
    if config.admin != Some(defaults::ADMIN_ADDRESS) {
        line(format!("admin: {:?}", config.admin));
    }
    if !config.trusted_proxies.is_empty() {
        line(format!("trusted proxies: {:?}", config.trusted_proxies));
    }
    if config.client_address_header != plain.client_address_header {
        line(format!("client address by: {:?}", config.client_address_header));
    }
    if config.keep_underscores {
        line("header underscores: kept".to_owned());
    }
    if config.trust != plain.trust {
        line(format!("{:?}", config.trust));
    }
    for plugin in &config.plugins {
        line(format!(
            "plugin {} {}: {:?}, {:?}, {:?}",
            plugin.name,
            place(config, &format!("plugins.{}", plugin.name)),
            plugin.source,
            plugin.grants,
            plugin.on_failure
        ));
        if plugin.isolation != plain.plugins[0].isolation || plugin.require_signature {
            line(format!("  isolation {:?}, require_signature {}", plugin.isolation, plugin.require_signature));
        }
        if let Some(canary) = &plugin.canary {
            line(format!("  {canary:?}"));
        }
        line(format!("  config: {}", serde_json::to_string(&plugin.config).unwrap()));
        if plugin.budget != plain.plugins[0].budget {
            line(format!("  budget: {:?}", plugin.budget));
        }
    }
    for secret in &config.secrets {
        line(format!("secret {}: {:?}", secret.name, secret.source));
    }
    for upstream in &config.upstreams {
        let plain = &plain.upstreams[0];
        line(format!(
            "upstream {} {}: {:?}, host {:?}",
            upstream.name,
            place(config, &format!("upstreams.{}", upstream.name)),
            upstream.protocol,
            upstream.host
        ));
        for endpoint in &upstream.endpoints {
            let Endpoint { weight, labels, .. } = endpoint;
            line(format!("  {} weight {weight} {labels:?}", endpoint.url()));
        }
        if upstream.tls != plain.tls {
            line(format!("  {:?}", upstream.tls));
        }
        for (name, profile) in &upstream.tls_profiles {
            line(format!("  {name}: {profile:?}"));
        }
        if !upstream.server_names.is_empty() {
            line(format!("  server names: {:?}", upstream.server_names));
        }
        let numbers = |upstream: &crate::config::model::Upstream| {
            format!(
                "  timeouts {:?} {:?} {:?} {:?}, connections {} {}, attempts {} on {:?}",
                upstream.connect_timeout,
                upstream.response_timeout,
                upstream.stream_timeout,
                upstream.idle_timeout,
                upstream.max_idle_connections,
                upstream.max_connections,
                upstream.max_attempts,
                upstream.retry_on
            )
        };
        if numbers(upstream) != numbers(plain) {
            line(numbers(upstream));
        }
    }
    for route in &config.routes {
        let name = route.api.as_ref().map(|api| format!(", api {api}")).unwrap_or_default();
        let version = route.version.as_ref().map(|version| format!(", version {version}")).unwrap_or_default();
        line(format!("route {} {}{name}{version}, public {}", route.name, place(config, &route.key), route.public));
        if route.matches != Match::default() {
            line(format!("  {:?}", route.matches));
        }
        for used in &route.chain {
            line(format!("  plugin {}", of(config, used)));
        }
        for (what, used) in [("router", &route.router), ("forwarder", &route.forwarder)] {
            if let Some(used) = used {
                line(format!("  {what} {}", of(config, used)));
            }
        }
        line(format!(
            "  to {}{}",
            config.upstreams[route.upstream].name,
            route.max_body_bytes.map(|most| format!(", at most {most} bytes")).unwrap_or_default()
        ));
        if route.max_attempts.is_some() || route.retry_on.is_some() {
            line(format!("  attempts {:?} on {:?}", route.max_attempts, route.retry_on));
        }
        if let Some(slo) = &route.slo {
            line(format!("  {slo:?}"));
        }
    }
    if config.limits != plain.limits {
        line(format!("{:?}", config.limits));
    }
    if config.timeouts != plain.timeouts {
        line(format!("{:?}", config.timeouts));
    }
    if config.log != plain.log {
        line(format!("{:?}", config.log));
    }
    if config.access_log != plain.access_log {
        line(format!("{:?}", config.access_log));
    }
    if config.tracing != plain.tracing {
        line(format!("{:?}", config.tracing));
    }
    if let Some(otlp) = &config.otlp {
        line(format!("{otlp:?}"));
    }
    for warning in &loaded.warnings {
        let help = warning.suggestion.as_deref().unwrap_or_default();
        line(format!("warning {}: {}: {}; {help}", shown(warning.position), warning.key, warning.message));
    }
    out
}

/// Nothing but defaults.
pub(super) fn plain() -> Config {
    let text = super::with("plugins = ['p']\n[plugins.p]\nsource = 'p.wasm'\n");
    parse(&text, std::path::Path::new("plugway.toml")).unwrap().config
}

fn of(config: &Config, used: &PluginUse) -> String {
    let json = serde_json::to_string(&used.config).unwrap();
    format!("{} {}: {json}, {:?}", config.plugins[used.plugin].name, place(config, &used.key), used.on_failure)
}

fn place(config: &Config, key: &str) -> String {
    shown(config.places.nearest(key))
}

fn shown(position: Position) -> String {
    format!("({}:{})", position.line, position.column)
}
