//! `[trust]`.

use super::Compiler;
use crate::config::defaults;
use crate::config::document::At;
use crate::config::model::{Plugin, Source, Trust, TrustedKey};
use crate::config::schema;

impl Compiler<'_> {
    pub(super) fn trust(&mut self, raw: schema::Trust) -> Trust {
        let section = At::default().key("trust").key("keys");
        let mut keys = Vec::with_capacity(raw.keys.len());
        for (name, file) in raw.keys {
            let at = section.key(&name);
            self.name(&at, "a key", &name);
            keys.push(TrustedKey { file: self.path(&at, &file), name });
        }
        Trust { require_signature: raw.require_signature.unwrap_or(defaults::REQUIRE_SIGNATURE), keys }
    }

    /// What is required and cannot be met is most likely half a change.
    pub(super) fn warn_of_trust_without_keys(&mut self, trust: &Trust, plugins: &[Plugin]) {
        let none_can_load = plugins.iter().all(|plugin| matches!(plugin.source, Source::Builtin(_)) || !plugin.require_signature);
        if trust.require_signature && trust.keys.is_empty() && none_can_load {
            let at = At::default().key("trust").key("require_signature");
            self.warn(&at, "no key is trusted, so no plugin file can be loaded", "name the keys that may sign in `[trust.keys]`");
        }
    }
}
