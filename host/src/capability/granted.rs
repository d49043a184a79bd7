//! What one configured plugin was granted, and what of it belongs to the gateway rather than to a version of the plugin.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Weak};

use super::keys::Keys;
use super::kv::Store;
use super::rate_limit::Limiter;
use super::secrets::{Secret, Secrets};
use super::signatures::Signatures;
use crate::config::model::{CryptoGrant, KvGrant, Plugin, RateLimitGrant};
use crate::telemetry::{Holder, Telemetry};

/// The capabilities of one plugin that have a state of their own. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Granted {
    /// `crypto`: what its instances found good
    pub signatures: Option<Arc<Signatures>>,
    /// `kv`
    pub store: Option<Arc<Store>>,
    /// `rate-limit`
    pub limiter: Option<Arc<Limiter>>,
    /// `secrets`, as they were when the configuration was assembled
    pub secrets: Arc<Secrets>,
    /// `keys`, as they were then
    pub keys: Arc<Keys>,
}

/// Finds what is there already when a configuration is assembled again: buckets and entries outlive a swap of the plugin that
/// uses them. What no plugin has any more goes by itself.
#[derive(Debug)]
pub struct Kept {
    telemetry: Arc<Telemetry>,
    signatures: ByGrant<CryptoGrant, Signatures>,
    stores: ByGrant<KvGrant, Store>,
    limiters: ByGrant<RateLimitGrant, Limiter>,
}

/// By the plugin's configured name and what it was granted. A configuration that is tried and refused leaves what serves where
/// it was, even if it granted something else.
type ByGrant<G, T> = HashMap<(String, G), Weak<T>>;

impl Kept {
    /// Nothing yet.
    pub fn new(telemetry: Arc<Telemetry>) -> Self {
        Self { telemetry, signatures: HashMap::new(), stores: HashMap::new(), limiters: HashMap::new() }
    }

    /// What a plugin was granted: as before under its name, unless the grant itself is another. Of all `secrets` it gets those its grant
    /// names.
    pub fn granted(&mut self, plugin: &Plugin, secrets: &BTreeMap<String, Secret>) -> Granted {
        self.find(&plugin.name, plugin, secrets)
    }

    /// The same for a version in shadow: entries and buckets of its own, which are empty at first, so that nothing it writes or takes
    /// reaches the version that serves. What they hold is measured under the plugin's name followed by `(shadow)`.
    pub fn granted_aside(&mut self, plugin: &Plugin, secrets: &BTreeMap<String, Secret>) -> Granted {
        self.find(&format!("{} (shadow)", plugin.name), plugin, secrets)
    }

    fn find(&mut self, name: &str, plugin: &Plugin, secrets: &BTreeMap<String, Secret>) -> Granted {
        let Self { telemetry, signatures, stores, limiters } = self;
        let named = |names: &[String]| -> Vec<(String, Secret)> {
            names.iter().filter_map(|name| Some((name.clone(), secrets.get(name)?.clone()))).collect()
        };
        Granted {
            signatures: plugin
                .grants
                .crypto
                .as_ref()
                .map(|grant| find(signatures, telemetry, name, grant, || Signatures::new(grant.max_signatures))),
            store: plugin
                .grants
                .kv
                .as_ref()
                .map(|grant| find(stores, telemetry, name, grant, || Store::new(grant.max_entries, grant.max_bytes))),
            secrets: Arc::new(named(&plugin.grants.secrets).into_iter().collect()),
            keys: Arc::new(named(&plugin.grants.keys).into_iter().collect()),
            limiter: plugin.grants.rate_limit.as_ref().map(|grant| find(limiters, telemetry, name, grant, || Limiter::new(grant.max_keys))),
        }
    }
}

fn find<G: Clone + Eq + Hash, T: Holder + 'static>(
    kept: &mut ByGrant<G, T>,
    telemetry: &Telemetry,
    name: &str,
    grant: &G,
    make: impl FnOnce() -> T,
) -> Arc<T> {
    kept.retain(|_, held| held.strong_count() > 0);
    let key = (name.to_owned(), grant.clone());
    kept.get(&key).and_then(Weak::upgrade).unwrap_or_else(|| {
        let made = Arc::new(make());
        let holder: Arc<dyn Holder> = made.clone();
        telemetry.measure(name, "", &holder);
        kept.insert(key, Arc::downgrade(&made));
        made
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::KvScope;

    /// What each plugin has of its own, and a shadow beside it.
    #[test]
    fn no_plugin_has_what_another_one_has_and_each_finds_its_own_again() {
        let text = "[listen.web]\naddress = \"127.0.0.1:0\"\n[upstreams.up]\nendpoints = [\"http://127.0.0.1:9\"]\n\
                    [plugins.a]\nsource = \"same.wasm\"\ngrants = { crypto = {}, kv = {} }\n\
                    [plugins.b]\nsource = \"same.wasm\"\ngrants = { crypto = {}, kv = {} }\n\
                    [plugins.c]\nsource = \"same.wasm\"\n[[routes]]\nname = \"all\"\nupstream = \"up\"\n";
        let config = crate::config::parse(text, std::path::Path::new("plugway.toml")).unwrap().config;
        let mut kept = Kept::new(Telemetry::new().unwrap());
        let secrets = BTreeMap::new();
        let [a, b, c] = &config.plugins[..] else { panic!("{:?}", config.plugins) };
        let all = [kept.granted(a, &secrets), kept.granted(b, &secrets), kept.granted_aside(a, &secrets)];
        for (number, one) in all.iter().enumerate() {
            let (signatures, store) = (one.signatures.as_ref().unwrap(), one.store.as_ref().unwrap());
            for other in &all[..number] {
                assert!(!Arc::ptr_eq(signatures, other.signatures.as_ref().unwrap()) && !Arc::ptr_eq(store, other.store.as_ref().unwrap()));
            }
        }
        let again = kept.granted(a, &secrets);
        assert!(Arc::ptr_eq(again.signatures.as_ref().unwrap(), all[0].signatures.as_ref().unwrap()));
        assert!(kept.granted(c, &secrets).signatures.is_none());
    }

    #[test]
    fn a_store_is_found_again_by_its_plugin_and_its_grant_for_as_long_as_somebody_has_it() {
        let telemetry = Telemetry::new().unwrap();
        let mut kept = HashMap::new();
        let mut find = |name: &str, max_entries| {
            let grant = KvGrant { scope: KvScope::Node, max_entries, max_bytes: 1 << 20 };
            super::find(&mut kept, &telemetry, name, &grant, || Store::new(grant.max_entries, grant.max_bytes))
        };
        let first = find("p", 10);
        first.set("k", b"v", None).unwrap();
        assert!(Arc::ptr_eq(&first, &find("p", 10)));
        assert!(!Arc::ptr_eq(&first, &find("q", 10)));
        // A configuration with another grant was tried, and is gone: what serves is found as before.
        assert!(!Arc::ptr_eq(&first, &find("p", 20)));
        assert!(Arc::ptr_eq(&first, &find("p", 10)));
        drop(first);
        assert_eq!(find("p", 10).get("k"), Ok(None));
    }
}
