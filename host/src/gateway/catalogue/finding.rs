//! What each plugin is to be made from: what its source holds, what serves, what was gone back to, and which of them is tried.

use std::sync::Arc;

use super::Catalogue;
use crate::assembly::{self, Bytes, Supplied};
use crate::config::model::{Config, Plugin, Source};
use crate::gateway::stock::{Item, Stock};
use crate::gateway::versions::Rollback;
use crate::plugin::LoadedComponent;
use crate::watch::is_whole;

impl Catalogue {
    /// Reads what every plugin of a configuration is made from: each source once. What is read is what is used.
    pub(in crate::gateway) fn read(&mut self, config: &Config) -> Stock {
        let items: Vec<Item> = config.plugins.iter().map(|plugin| self.item(config, plugin)).collect();
        for item in &items {
            let found = item.digest.as_ref();
            if self.rejected.get(&item.name).is_some_and(|rejection| found.is_some_and(|found| *found != rejection.digest)) {
                self.rejected.remove(&item.name);
            }
        }
        Stock(items)
    }

    fn item(&mut self, config: &Config, plugin: &Plugin) -> Item {
        let serving = self.serving(plugin).cloned();
        match assembly::read(config, plugin) {
            Ok(bytes) => {
                if self.absent.remove(&plugin.name).is_some() {
                    tracing::info!(plugin = plugin.name, "A plugin's file is there again");
                }
                self.found(config, plugin, bytes, serving)
            }
            Err(unread) => match serving {
                Some(serving) => {
                    // What was wrong with what it held is wrong with nothing any more.
                    self.rejected.remove(&plugin.name);
                    if self.absent.insert(plugin.name.clone(), unread.state).is_none() {
                        tracing::warn!(
                            plugin = plugin.name,
                            digest = serving.digest,
                            error = unread.problem.message,
                            "A plugin's file {}; the version that serves stays",
                            if unread.gone { "is gone" } else { "cannot be read" }
                        );
                    }
                    self.without_file(plugin, serving)
                }
                None => Item::of(plugin, Supplied::Nothing(unread.problem)),
            },
        }
    }

    /// A plugin whose source holds these bytes.
    fn found(&self, config: &Config, plugin: &Plugin, bytes: Bytes, serving: Option<Arc<LoadedComponent>>) -> Item {
        let serves = |digest: &str| serving.clone().filter(|serving| serving.digest == digest).map(Supplied::Serving);
        if let Some(Rollback { digest, instead_of, .. }) = self.rolled_back(plugin, &bytes.digest) {
            if serving.is_none() {
                // Nothing else would say at a start why it is not the file that serves.
                let file_digest = instead_of.as_str();
                tracing::info!(
                    plugin = plugin.name,
                    digest,
                    file_digest,
                    "A version that was gone back to serves until the plugin's file changes"
                );
            }
            let newest = serves(&digest).unwrap_or_else(|| self.kept(config, plugin, &digest));
            return Item { serving, digest: Some(digest), instead_of: Some(instead_of), ..Item::of(plugin, newest) };
        }
        let digest = Some(bytes.digest.clone());
        let stays = self.stays(plugin, &bytes.digest, serving.as_ref());
        let tried = || self.on_trial(&plugin.name, &bytes.digest).map(Supplied::Serving);
        let known = serves(&bytes.digest).or_else(tried);
        let is_whole = known.is_some() || matches!(plugin.source, Source::Builtin(_)) || is_whole(bytes.all());
        let found = known.unwrap_or_else(|| Supplied::Bytes(Arc::new(bytes)));
        match stays {
            Some(stays) => {
                let on_trial = self.canaries.get(&plugin.name).map(|canary| Arc::clone(&canary.component));
                Item { serving, digest, is_whole, canary: Some(found), on_trial, ..Item::of(plugin, stays) }
            }
            None => Item { serving, digest, is_whole, ..Item::of(plugin, found) },
        }
    }

    /// A plugin whose file is gone: everything of it goes on.
    fn without_file(&self, plugin: &Plugin, serving: Arc<LoadedComponent>) -> Item {
        let tried = self.canaries.get(&plugin.name).map(|canary| Arc::clone(&canary.component));
        match tried {
            Some(tried) if plugin.canary.is_none() || self.is_promoted(plugin, &tried.digest) => Item::of(plugin, Supplied::Serving(tried)),
            tried => Item { canary: tried.map(Supplied::Serving), ..Item::of(plugin, Supplied::Serving(serving)) },
        }
    }

    /// What goes on serving while what a plugin's file holds is tried; `None` where that is not tried. At a start, that is what served
    /// last.
    fn stays(&self, plugin: &Plugin, found: &str, serving: Option<&Arc<LoadedComponent>>) -> Option<Supplied> {
        let Source::File(file) = &plugin.source else { return None };
        if plugin.canary.is_none() || self.is_promoted(plugin, found) {
            return None;
        }
        if let Some(serving) = serving {
            return (serving.digest != found).then(|| Supplied::Serving(Arc::clone(serving)));
        }
        let served = self.versions.served(&plugin.name, file).filter(|served| served != found)?;
        match self.versions.read(&plugin.name, &served) {
            Ok(bytes) => Some(Supplied::Bytes(Arc::new(bytes))),
            Err(error) => {
                let what = "What served before cannot be read, so the version in a plugin's file serves at once";
                tracing::warn!(plugin = plugin.name, digest = served, %error, "{what}");
                None
            }
        }
    }

    fn is_promoted(&self, plugin: &Plugin, digest: &str) -> bool {
        self.promoted.as_ref().is_some_and(|(name, promoted)| *name == plugin.name && promoted == digest)
    }

    /// What was gone back to, while the plugin's file holds what it held then.
    fn rolled_back(&self, plugin: &Plugin, found: &str) -> Option<Rollback> {
        let is_file = matches!(plugin.source, Source::File(_));
        self.versions.rollback(&plugin.name).filter(|rollback| is_file && rollback.instead_of == found)
    }

    fn kept(&self, config: &Config, plugin: &Plugin, digest: &str) -> Supplied {
        match self.versions.read(&plugin.name, digest) {
            Ok(bytes) => Supplied::Bytes(Arc::new(bytes)),
            Err(error) => {
                let key = format!("plugins.{}.source", plugin.name);
                let message =
                    format!("the version sha256:{} that was gone back to cannot be read: {error}", LoadedComponent::short(digest));
                let help = format!("delete {} to have the plugin's file count again", self.versions.rolled_back(&plugin.name).display());
                Supplied::Nothing(config.problem(key, message).with_suggestion(help).of_plugin(&plugin.name, "no-file"))
            }
        }
    }
}
