//! Which version serves each plugin, which is tried, what its file is now, and what was not taken.

mod finding;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::canary::{Ended, OnTrial};
use super::rejection::Rejection;
use super::stock::{Item, Stock};
use super::unix;
use super::versions::{Rollback, Versions};
use crate::assembly::{self, Supplied, Supplies};
use crate::config::Problem;
use crate::config::model::{Canary, Config, Plugin, Source};
use crate::plugin::{Hook, LoadedComponent};
use crate::telemetry::{CanaryEnd, Telemetry};

/// What is known of plugins' files.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) versions: Versions,
    /// By plugin.
    serving: BTreeMap<String, Serving>,
    /// By plugin.
    pub(super) canaries: BTreeMap<String, OnTrial>,
    /// How the last canary of each plugin ended.
    ended: BTreeMap<String, Ended>,
    /// The plugin whose canary is being promoted, and that version.
    promoted: Option<(String, String)>,
    /// By plugin; under the empty name the configuration.
    rejected: BTreeMap<String, Rejection>,
    /// Plugins whose file cannot be read, and why.
    absent: BTreeMap<String, String>,
}

/// The version that serves.
#[derive(Debug)]
struct Serving {
    component: Arc<LoadedComponent>,
    source: Source,
    since: SystemTime,
}

// === impl Catalogue ===

impl Catalogue {
    /// Nothing serves yet.
    pub(super) fn new(versions: Versions) -> Self {
        let (serving, canaries, ended) = Default::default();
        Self { versions, serving, canaries, ended, promoted: None, rejected: BTreeMap::new(), absent: BTreeMap::new() }
    }

    /// The canary of a plugin, if it has that digest.
    fn on_trial(&self, name: &str, digest: &str) -> Option<Arc<LoadedComponent>> {
        self.canaries.get(name).filter(|canary| canary.component.digest == digest).map(|canary| Arc::clone(&canary.component))
    }

    /// Which version a plugin's canary is.
    ///
    /// # Errors
    /// There is none, for people.
    pub(super) fn canary(&self, config: &Config, name: &str) -> Result<String, String> {
        let plugin = config.plugins.iter().find(|plugin| plugin.name == name).ok_or(format!("no plugin is named `{name}`"))?;
        let canary = self.canaries.get(name).ok_or(format!("no canary of `{name}` runs"))?;
        match assembly::read(config, plugin) {
            Ok(bytes) if bytes.digest != canary.component.digest => {
                Err(format!("the file of `{name}` holds another version by now, which is tried next"))
            }
            _ => Ok(canary.component.digest.clone()),
        }
    }

    /// Has a canary serve when plugins are read next, or not any more.
    pub(super) fn promote(&mut self, promoted: Option<(&str, &str)>) {
        self.promoted = promoted.map(|(name, digest)| (name.to_owned(), digest.to_owned()));
    }

    /// Whether these supplies are what serves and what is tried. What no route uses serves nothing, whatever its file holds.
    pub(super) fn is_in_use(&self, config: &Config, supplies: &Supplies) -> bool {
        let serves = |(plugin, supplied): (&Plugin, &Supplied)| match supplied {
            Supplied::Serving(component) => self.serving(plugin).is_some_and(|serving| serving.digest == component.digest),
            Supplied::Unused => true,
            Supplied::Bytes(_) | Supplied::Nothing(_) => false,
        };
        let tried = |(plugin, supplied): (&usize, &Supplied)| {
            let name = config.plugins.get(*plugin).map_or("", |plugin| plugin.name.as_str());
            matches!(supplied, Supplied::Serving(component) if self.on_trial(name, &component.digest).is_some())
        };
        config.plugins.iter().zip(&supplies.serving).all(serves)
            && supplies.canaries.iter().all(tried)
            && supplies.canaries.len() == self.canaries.len()
    }

    /// Which version of a plugin can be gone back to: the one whose digest begins so, else the one that served before. With what
    /// its file holds now.
    ///
    /// # Errors
    /// There is none, for people.
    pub(super) fn earlier(&self, config: &Config, name: &str, digest: Option<&str>) -> Result<Rollback, String> {
        let plugin = config.plugins.iter().find(|plugin| plugin.name == name).ok_or(format!("no plugin is named `{name}`"))?;
        if let Source::Builtin(_) = plugin.source {
            return Err(format!("`{name}` is built in and has one version"));
        }
        let canary = self.canaries.get(name);
        let instead_of = match (assembly::read(config, plugin), canary) {
            (Ok(found), _) => found.digest,
            (Err(_), Some(canary)) => canary.component.digest.clone(),
            (Err(unread), None) => return Err(unread.problem.message),
        };
        let serving = self.serving(plugin).map(|serving| serving.digest.as_str());
        let digest = match (digest, serving) {
            (Some(digest), _) => {
                let mut fitting = self.versions.of(name).into_iter().filter(|kept| kept.starts_with(digest));
                let chosen = fitting.next().ok_or_else(|| format!("no version of `{name}` is kept whose digest begins with {digest}"))?;
                if fitting.next().is_some() {
                    return Err(format!("more than one version of `{name}` has a digest that begins so"));
                }
                chosen
            }
            // A canary is what there is to go back from.
            (None, Some(serving)) if canary.is_some() => serving.to_owned(),
            // Going back twice does not lead forward again.
            (None, serving) => {
                let before = self.versions.before(name, serving).into_iter().next();
                before.ok_or_else(|| format!("no earlier version of `{name}` is kept"))?
            }
        };
        Ok(Rollback { digest, instead_of, reason: None })
    }

    /// The version that serves was another one until now, which is newer: somebody went back, and not to come to it again.
    pub(super) fn has_gone_back(&self, name: &str, from: &str) {
        let kept = self.versions.of(name);
        let place = |digest: &str| kept.iter().position(|kept| kept == digest);
        let now = self.serving.get(name).and_then(|serving| place(&serving.component.digest));
        if place(from).is_some_and(|from| now.is_some_and(|now| from < now))
            && let Err(error) = self.versions.leave(name, from)
        {
            tracing::warn!(plugin = name, digest = from, %error, "It could not be remembered that a version was gone back from");
        }
    }

    /// Which version serves a plugin of that name.
    pub(super) fn serving_digest(&self, name: &str) -> Option<String> {
        Some(self.serving.get(name)?.component.digest.clone())
    }

    /// A version that was not taken when it was gone back to is no fault of the plugin's file.
    pub(super) fn forget_rejection(&mut self, name: &str) {
        self.rejected.remove(name);
    }

    /// Keeps what was read and serves or is tried now, and forgets what was gone back to where something else serves.
    pub(super) fn keep(&self, config: &Config, stock: &Stock) {
        for item in &stock.0 {
            let (Some(serving), Source::File(_)) = (self.serving.get(&item.name), &item.source) else { continue };
            if let Err(error) = self.keep_item(config, item, &serving.component.digest) {
                let digest = &serving.component.digest;
                tracing::warn!(plugin = item.name, digest, %error, "A version could not be kept to go back to");
            }
        }
    }

    fn keep_item(&self, config: &Config, item: &Item, serving: &str) -> std::io::Result<()> {
        let (Source::File(file), name) = (&item.source, &item.name) else { return Ok(()) };
        let tried = self.canaries.get(name).map_or("", |canary| &canary.component.digest);
        for supplied in std::iter::once(&item.newest).chain(&item.canary) {
            if let Supplied::Bytes(bytes) = supplied
                && [serving, tried].contains(&bytes.digest.as_str())
            {
                self.versions.keep(name, file, bytes)?;
            }
        }
        // To be gone back to once it has served everybody.
        if !tried.is_empty() {
            self.versions.leave(name, tried)?;
        }
        self.versions.set_served(name, file, serving)?;
        if self.versions.rollback(name).is_some_and(|rollback| rollback.digest != serving) {
            self.versions.set_rollback(name, None)?;
        }
        self.versions.forget(name, config.keep_versions, &[serving, tried])
    }

    /// Keeps signatures that came after what they are for.
    pub(super) fn keep_signatures(&self, config: &Config, stock: &Stock) {
        let Ok(keys) = assembly::trusted_keys(config) else { return };
        for item in &stock.0 {
            let (Source::File(file), Some(digest), None) = (&item.source, &item.digest, &item.instead_of) else { continue };
            let counts = |file: &std::path::Path| keys.signer(file, digest).is_ok();
            if let Err(error) = self.versions.keep_signature(&item.name, file, digest, counts) {
                tracing::warn!(plugin = item.name, digest, %error, "A signature could not be kept");
            }
        }
    }

    /// The version that serves a plugin: by its name, and else one of the same file.
    fn serving(&self, plugin: &Plugin) -> Option<&Arc<LoadedComponent>> {
        let same = |serving: &&Serving| serving.source == plugin.source;
        let serving = self.serving.get(&plugin.name).filter(same).or_else(|| self.serving.values().find(same))?;
        Some(&serving.component)
    }

    /// Plugins whose source holds what was not taken before.
    pub(super) fn held(&self, stock: &Stock) -> BTreeSet<String> {
        let is_held = |item: &&Item| self.rejected.get(&item.name).is_some_and(|rejection| Some(&rejection.digest) == item.digest.as_ref());
        stock.0.iter().filter(is_held).map(|item| item.name.clone()).collect()
    }

    /// Whether a configuration of that digest was not taken before.
    pub(super) fn is_rejected(&self, digest: &str) -> bool {
        self.rejected.get("").is_some_and(|rejection| rejection.digest == digest)
    }

    /// Whether a file is known not to be taken for this very reason: a signature that comes, and is the wrong one, is another.
    pub(super) fn was_said(&self, rejection: &Rejection) -> bool {
        let known = self.rejected.get(rejection.plugin.as_deref().unwrap_or_default());
        let is_same = |known: &Rejection| known.why == rejection.why && (rejection.plugin.is_some() || known.reason == rejection.reason);
        known.is_some_and(|known| known.digest == rejection.digest && is_same(known))
    }

    /// What of a stock is to blame for a problem: the file of a plugin that is new where another version serves. Without one there is nothing to
    /// leave it out for, and no configuration with it can be served.
    pub(super) fn blame(&self, stock: &Stock, problem: &Problem) -> Option<Rejection> {
        let new = |name: &str| stock.item(name).filter(|item| item.is_new() && item.serving.is_some());
        let (item, why) = match &problem.plugin {
            Some((name, why)) => (new(name)?, *why),
            None => (problem.suspects.iter().find_map(|name| new(name).filter(|_| self.was_authorizer(name)))?, "hooks"),
        };
        let (Source::File(file), Some(digest)) = (&item.source, &item.digest) else { return None };
        Some(Rejection::new(Some(&item.name), file, digest, why, problem.message.clone()))
    }

    fn was_authorizer(&self, name: &str) -> bool {
        self.serving.get(name).is_some_and(|serving| serving.component.has(Hook::Authorizer))
    }

    /// Remembers what was not taken.
    pub(super) fn reject(&mut self, rejection: Rejection) {
        self.rejected.insert(rejection.plugin.clone().unwrap_or_default(), rejection);
    }

    /// The configuration's file holds what serves, or what can.
    pub(super) fn configuration_is_good(&mut self) {
        self.rejected.remove("");
    }

    /// What is rejected now.
    pub(super) fn rejected(&self) -> impl Iterator<Item = &Rejection> {
        self.rejected.values()
    }

    /// Remembers what serves from now on. Says which plugins are served by another version, or came, or went.
    pub(super) fn serve(&mut self, config: &Config, served: &[(String, Arc<LoadedComponent>)]) -> Vec<String> {
        let now = SystemTime::now();
        let mut changes = Vec::new();
        let mut before = std::mem::take(&mut self.serving);
        for (name, component) in served {
            let Some(plugin) = config.plugins.iter().find(|plugin| plugin.name == *name) else { continue };
            let known = before.remove(name);
            let since = match &known {
                Some(known) if known.component.digest == component.digest => known.since,
                Some(known) => {
                    changes.push(format!(
                        "plugin {name}: sha256:{} -> sha256:{}",
                        known.component.short_digest(),
                        component.short_digest()
                    ));
                    now
                }
                None => {
                    changes.push(format!("plugin {name}: sha256:{}", component.short_digest()));
                    now
                }
            };
            self.serving.insert(name.clone(), Serving { component: Arc::clone(component), source: plugin.source.clone(), since });
        }
        changes.extend(before.keys().map(|name| format!("plugin {name}: removed")));
        self.absent.retain(|name, _| self.serving.contains_key(name));
        changes
    }

    /// Remembers what is tried from now on, and how what was tried before ended. Says so.
    pub(super) fn try_out(&mut self, config: &Config, tried: &[(String, Arc<LoadedComponent>)], telemetry: &Telemetry) -> Vec<String> {
        config.plugins.iter().filter(|plugin| plugin.canary.is_some()).for_each(|plugin| telemetry.canaries().may_end(&plugin.name));
        let (mut changes, mut before) = (Vec::new(), std::mem::take(&mut self.canaries));
        for (name, component) in tried {
            let trial = config.plugins.iter().find(|plugin| plugin.name == *name).and_then(|plugin| Some(plugin.canary.as_ref()?.trial));
            let (Some(trial), Some(serving)) = (trial, self.serving.get(name)) else { continue };
            let beside = Arc::clone(&serving.component);
            let on_trial = match before.remove(name) {
                Some(known) if known.is_of(component, &beside, trial) => known.with(trial),
                known => {
                    if let Some(known) = known.filter(|known| known.component.digest != component.digest) {
                        self.end(name, &known, telemetry);
                    }
                    changes.push(format!("canary {name}: sha256:{}, {trial}", component.short_digest()));
                    self.ended.remove(name);
                    OnTrial::begin(name, component, &beside, trial, telemetry)
                }
            };
            self.canaries.insert(name.clone(), on_trial);
        }
        for (name, canary) in &before {
            self.end(name, canary, telemetry);
            let how = self.ended.get(name).map_or("", |ended| ended.how.as_str());
            changes.push(format!("canary {name}: sha256:{} {how}", canary.component.short_digest()));
        }
        telemetry.canaries().run(self.canaries.iter().map(|(name, canary)| canary.running(name)).collect());
        // What was rejected may be good after all: its signature came, or the configuration it needs.
        let is_still = |name: &String, rejection: &Rejection| {
            let is_it = |component: &LoadedComponent| component.digest == rejection.digest;
            let is_tried = self.canaries.get(name).is_some_and(|canary| is_it(&canary.component));
            !is_tried && self.serving.get(name).is_some_and(|serving| !is_it(&serving.component))
        };
        self.rejected.retain(|name, rejection| name.is_empty() || is_still(name, rejection));
        changes
    }

    /// Remembers how a canary ended.
    fn end(&mut self, name: &str, canary: &OnTrial, telemetry: &Telemetry) {
        let digest = &canary.component.digest;
        let rollback = self.versions.rollback(name).filter(|rollback| rollback.instead_of == *digest);
        let (how, reason) = match rollback {
            _ if self.serving.get(name).is_some_and(|serving| serving.component.digest == *digest) => (CanaryEnd::Promoted, None),
            Some(Rollback { reason: Some(reason), .. }) => (CanaryEnd::Returned, Some(reason)),
            Some(_) => (CanaryEnd::RolledBack, None),
            None => (CanaryEnd::Replaced, None),
        };
        telemetry.canaries().ended(name, how);
        tracing::info!(plugin = name, digest, how = how.as_str(), reason, "A canary ended");
        self.ended.insert(name.to_owned(), Ended { digest: digest.clone(), how, reason, at: SystemTime::now() });
    }

    /// What is tried, and how.
    pub(super) fn shown_canaries(&self, config: &Config) -> BTreeMap<String, (OnTrial, Canary)> {
        let settings = |name: &String| config.plugins.iter().find(|plugin| plugin.name == *name)?.canary.clone();
        self.canaries.iter().filter_map(|(name, canary)| Some((name.clone(), (canary.clone(), settings(name)?)))).collect()
    }

    /// What status shows of plugins that no route uses: whether their files could be loaded.
    pub(super) fn unused(&self, config: &Config, stock: &Stock) -> Vec<Value> {
        let unused = |item: &Item| {
            // It may be the stock of another configuration, which was not taken.
            let (index, plugin) = config.plugins.iter().enumerate().find(|(_, plugin)| plugin.name == item.name)?;
            if config.uses(index) {
                return None;
            }
            let problem = match &item.newest {
                Supplied::Nothing(problem) => Some(problem.message.clone()),
                Supplied::Bytes(bytes) => LoadedComponent::look_at(bytes.all(), &plugin.grants).err().map(|error| error.to_string()),
                Supplied::Serving(_) | Supplied::Unused => None,
            };
            let digest = item.digest.as_ref().map(|digest| format!("sha256:{digest}"));
            Some(json!({ "name": item.name, "file_digest": digest, "problem": problem }))
        };
        stock.0.iter().filter_map(unused).collect()
    }

    /// What status shows of each plugin's file.
    pub(super) fn shown(&self, stock: &Stock) -> BTreeMap<String, Value> {
        self.serving.iter().map(|(name, serving)| (name.clone(), self.shown_plugin(name, serving, stock))).collect()
    }

    fn shown_plugin(&self, name: &str, serving: &Serving, stock: &Stock) -> Value {
        let (source, file) = match &serving.source {
            Source::Builtin(builtin) => (format!("builtin:{builtin}"), None),
            Source::File(file) => (file.display().to_string(), Some(file)),
        };
        let item = stock.item(name);
        let instead_of = item.and_then(|item| item.instead_of.as_ref());
        let found = instead_of.or_else(|| item.and_then(|item| item.digest.as_ref()));
        let canary = self.canaries.get(name);
        let state = match (file, self.absent.get(name), self.rejected.get(name)) {
            (None, _, _) => "built in".to_owned(),
            (_, Some(why), _) => why.clone(),
            (_, None, Some(_)) => "rejected".to_owned(),
            _ if instead_of.is_some() => "rolled back".to_owned(),
            _ if found == Some(&serving.component.digest) => "serving".to_owned(),
            _ if canary.is_some_and(|canary| found == Some(&canary.component.digest)) => "canary".to_owned(),
            _ => "not serving".to_owned(),
        };
        // After a restart only what was gone back to is known of how it ended.
        let returned = || self.versions.rollback(name).filter(|_| instead_of.is_some()).and_then(Ended::of);
        let ended = self.ended.get(name).map(Ended::shown).or_else(|| returned().map(|ended| ended.shown()));
        json!({
            "source": source,
            "file": state,
            "file_digest": found.map(|digest| format!("sha256:{digest}")),
            "since": unix(serving.since),
            "versions": self.versions.of(name).iter().map(|digest| format!("sha256:{digest}")).collect::<Vec<_>>(),
            "rejected": self.rejected.get(name).map(Rejection::shown),
            "last_canary": ended,
        })
    }
}
