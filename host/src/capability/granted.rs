//! What one configured plugin was granted, and what of it belongs to the gateway rather than to a version of the plugin.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use super::rate_limit::Limiter;
use crate::config::model::Plugin;
use crate::telemetry::{Holder, Telemetry};

/// The capabilities of one plugin that have a state of their own. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Granted {
    /// `rate-limit`
    pub limiter: Option<Arc<Limiter>>,
}

/// Finds what is there already when a configuration is assembled again: buckets outlive a swap of the plugin that uses them.
/// What no plugin has any more goes by itself.
#[derive(Debug)]
pub struct Kept {
    telemetry: Arc<Telemetry>,
    limiters: HashMap<String, (usize, Weak<Limiter>)>,
}

impl Kept {
    /// Nothing yet.
    pub fn new(telemetry: Arc<Telemetry>) -> Self {
        Self { telemetry, limiters: HashMap::new() }
    }

    /// What a plugin was granted: as before under its name, unless the grant itself is another.
    pub fn granted(&mut self, plugin: &Plugin) -> Granted {
        Granted { limiter: plugin.grants.rate_limit.as_ref().map(|grant| self.limiter(&plugin.name, grant.max_keys)) }
    }

    fn limiter(&mut self, name: &str, max_keys: usize) -> Arc<Limiter> {
        self.limiters.retain(|_, (_, limiter)| limiter.strong_count() > 0);
        let known = self.limiters.get(name).filter(|(most, _)| *most == max_keys).and_then(|(_, limiter)| limiter.upgrade());
        known.unwrap_or_else(|| {
            let limiter = Arc::new(Limiter::new(max_keys));
            let holder: Arc<dyn Holder> = limiter.clone();
            self.telemetry.measure(name, &holder);
            self.limiters.insert(name.to_owned(), (max_keys, Arc::downgrade(&limiter)));
            limiter
        })
    }
}
