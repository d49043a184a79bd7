//! `[plugins.NAME]` and the places that name a plugin.

use std::collections::BTreeMap;

use super::Compiler;
use super::settings::count;
use crate::config::defaults;
use crate::config::document::At;
use crate::config::model::{
    Budget, CryptoGrant, FailurePolicy, Grants, Isolation, KvGrant, KvScope, Plugin, PluginUse, RateLimitGrant, Source,
};
use crate::config::schema::{self, Table};
use crate::config::suggest::advice;

/// What `builtin:` can be followed by.
pub(crate) const BUILTINS: [&str; 6] = ["api-key", "hash-router", "metrics", "oauth2", "rate-limit", "tls-forward"];

impl Compiler<'_> {
    pub(super) fn plugins(&mut self, raw: BTreeMap<String, schema::Plugin>, require_signature: bool) -> Vec<Plugin> {
        let section = At::default().key("plugins");
        let mut plugins = Vec::with_capacity(raw.len());
        for (name, raw) in raw {
            let at = section.key(&name);
            self.name(&at, "a plugin", &name);
            let source = self.source(&at.key("source"), raw.source.as_deref());
            let grants = self.grants(&at.key("grants"), raw.grants.unwrap_or_default());
            let plugin = Plugin {
                canary: raw.canary.and_then(|canary| self.canary(&at.key("canary"), canary, &source, &grants)),
                source,
                require_signature: raw.require_signature.unwrap_or(require_signature),
                grants,
                config: self.plugin_table(&at.key("config"), raw.config),
                isolation: raw.isolation.map_or(Isolation::default(), isolation),
                budget: self.budget(&at.key("budget"), raw.budget.unwrap_or_default()),
                on_failure: raw.on_failure.map_or(FailurePolicy::Reject, policy),
                name,
            };
            plugins.push(plugin);
        }
        plugins
    }

    fn source(&mut self, at: &At, text: Option<&str>) -> Source {
        // Reported as missing, and never looked for.
        let Some(text) = text else { return Source::Builtin(String::new()) };
        if let Some(name) = text.strip_prefix("builtin:") {
            if !BUILTINS.contains(&name) {
                let help = advice(name, BUILTINS, "there are none");
                self.error(at, format!("there is no built-in plugin `{name}`"), help);
            }
            return Source::Builtin(name.to_owned());
        }
        if BUILTINS.contains(&text) {
            let message = format!("`{text}` is the name of a built-in plugin, but without `builtin:` a file is meant");
            self.error(at, message, format!("write \"builtin:{text}\", or \"./{text}\" for a file of that name"));
        } else if text.is_empty() || text.contains('\0') || text.ends_with('/') {
            self.error(at, format!("{text:?} is no file"), "write \"builtin:NAME\", or the name of a file in `plugin_directory`");
        } else if let Some((scheme, _)) = text.split_once("://") {
            let message = format!("plugins are not fetched over `{scheme}`");
            self.error(at, message, "download the file into `plugin_directory` and write its name here");
        }
        Source::File(self.plugin_directory.join(text))
    }

    fn grants(&mut self, at: &At, raw: schema::Grants) -> Grants {
        let crypto = raw.crypto.map(|grant| CryptoGrant { max_signatures: count(grant.max_signatures, defaults::CRYPTO_MAX_SIGNATURES) });
        let kv = raw.kv.map(|grant| {
            let at = at.key("kv");
            KvGrant {
                scope: match grant.scope {
                    None | Some(schema::KvScope::Node) => KvScope::Node,
                },
                max_entries: count(grant.max_entries, defaults::KV_MAX_ENTRIES),
                max_bytes: self.size(&at.key("max_bytes"), grant.max_bytes, defaults::KV_MAX_BYTES, 1 << 20..=64 << 30),
            }
        });
        let rate_limit = raw.rate_limit.map(|grant| RateLimitGrant { max_keys: count(grant.max_keys, defaults::RATE_LIMIT_MAX_KEYS) });
        let secrets = self.granted_secrets(&at.key("secrets"), raw.secrets);
        let keys = self.granted_secrets(&at.key("keys"), raw.keys);
        let http_client = raw.http_client.map(|grant| self.http_client_grant(&at.key("http-client"), grant));
        Grants { crypto, kv, rate_limit, secrets, keys, http_client }
    }

    fn budget(&mut self, at: &At, raw: schema::Budget) -> Budget {
        Budget {
            cpu: self.span(&at.key("cpu"), raw.cpu, defaults::PLUGIN_CPU),
            failed_cpu: self.span(&at.key("failed_cpu"), raw.failed_cpu, defaults::PLUGIN_FAILED_CPU),
            setup_cpu: self.span(&at.key("setup_cpu"), raw.setup_cpu, defaults::PLUGIN_SETUP_CPU),
            // One page of WebAssembly memory is the least.
            memory: self.size(&at.key("memory"), raw.memory, defaults::PLUGIN_MEMORY, 64 << 10..=defaults::MOST_PLUGIN_MEMORY),
            instances: count(raw.instances, defaults::PLUGIN_INSTANCES),
            deadline: self.span(&at.key("deadline"), raw.deadline, defaults::PLUGIN_DEADLINE),
            max_headers: count(raw.max_headers, defaults::PLUGIN_MAX_HEADERS),
            max_header_bytes: self.size(&at.key("max_header_bytes"), raw.max_header_bytes, defaults::PLUGIN_MAX_HEADER_BYTES, 1..=16 << 20),
            max_local_body_bytes: self.size(
                &at.key("max_local_body_bytes"),
                raw.max_local_body_bytes,
                defaults::PLUGIN_MAX_LOCAL_BODY_BYTES,
                1..=1 << 30,
            ),
            max_attribute_bytes: self.size(
                &at.key("max_attribute_bytes"),
                raw.max_attribute_bytes,
                defaults::PLUGIN_MAX_ATTRIBUTE_BYTES,
                1..=1 << 30,
            ),
            log_lines_per_second: raw.log_lines_per_second.unwrap_or(defaults::PLUGIN_LOG_LINES_PER_SECOND),
            max_series: count(raw.max_series, defaults::PLUGIN_MAX_SERIES),
        }
    }

    /// A plugin where it is named, or `None` when the name is not declared or what it names is wrong.
    pub(super) fn plugin_use(&mut self, at: &At, raw: schema::PluginUse, plugins: &[Plugin]) -> Option<PluginUse> {
        let (name_at, name, own, on_failure) = match raw {
            schema::PluginUse::Name(name) => (at.clone(), name, None, None),
            schema::PluginUse::Table(raw) => (at.key("plugin"), raw.plugin, raw.config, raw.on_failure),
        };
        let own = self.plugin_table(&at.key("config"), own);
        let Some(&index) = self.declared.plugins.get(&name) else {
            match name.strip_prefix("builtin:") {
                Some(builtin) if BUILTINS.contains(&builtin) => {
                    let help = format!("write `[plugins.{builtin}]` with `source = \"{name}\"`, and the name `{builtin}` here");
                    self.error(&name_at, format!("`{name}` is a source, and here stands the name of a plugin"), help);
                }
                _ => self.unknown(&name_at, "plugin", &name),
            }
            return None;
        };
        if let Some(used) = self.plugins_used.get_mut(index) {
            *used = true;
        }
        // What is wrong with a plugin's whole table leaves none.
        let plugin = plugins.binary_search_by(|plugin| plugin.name.cmp(&name)).ok()?;
        let Plugin { config, on_failure: inherited, .. } = plugins.get(plugin)?;
        Some(PluginUse { plugin, config: merge(config, own), on_failure: on_failure.map_or(*inherited, policy), key: at.to_string() })
    }
}

fn isolation(raw: schema::Isolation) -> Isolation {
    match raw {
        schema::Isolation::Worker => Isolation::Worker,
        schema::Isolation::Request => Isolation::Request,
    }
}

fn policy(raw: schema::FailurePolicy) -> FailurePolicy {
    match raw {
        schema::FailurePolicy::Reject => FailurePolicy::Reject,
        schema::FailurePolicy::Skip => FailurePolicy::Skip,
    }
}

/// A place's table over its plugin's: whole values are replaced, tables inside them are not merged.
fn merge(plugin: &Table, place: Table) -> Table {
    let mut merged = plugin.clone();
    merged.extend(place);
    merged
}
