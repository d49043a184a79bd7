//! Which version serves each plugin, what its file is now, and what was not taken.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::unix;
use super::versions::{Rollback, Versions};
use crate::assembly::{self, Bytes, Supplied};
use crate::config::Problem;
use crate::config::model::{Config, Plugin, Source};
use crate::plugin::LoadedComponent;
use crate::watch::is_whole;

/// What is known of plugins' files.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) versions: Versions,
    /// By plugin.
    serving: BTreeMap<String, Serving>,
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

/// A file that was not taken.
#[derive(Debug, Clone)]
pub(super) struct Rejection {
    /// The plugin; `None` for the configuration.
    pub(super) plugin: Option<String>,
    /// The file.
    pub(super) file: PathBuf,
    /// SHA-256 of what was in it, in hexadecimal.
    pub(super) digest: String,
    /// Why, in one word.
    pub(super) why: &'static str,
    /// Why.
    pub(super) reason: String,
    at: SystemTime,
}

/// What every plugin of a configuration can be made from now.
#[derive(Debug)]
pub(super) struct Stock(Vec<Item>);

#[derive(Debug)]
pub(super) struct Item {
    name: String,
    source: Source,
    /// What its source holds.
    newest: Supplied,
    /// What serves, where there is such a thing and the source holds something else.
    serving: Option<Arc<LoadedComponent>>,
    /// Of what its source holds; of what was gone back to instead.
    digest: Option<String>,
    /// Of what its source holds, where another version was gone back to.
    instead_of: Option<String>,
    is_whole: bool,
}

// === impl Catalogue ===

impl Catalogue {
    /// Nothing serves yet.
    pub(super) fn new(versions: Versions) -> Self {
        Self { versions, serving: BTreeMap::new(), rejected: BTreeMap::new(), absent: BTreeMap::new() }
    }

    /// Reads what every plugin of a configuration is made from: each source once. What is read is what is used.
    pub(super) fn read(&mut self, config: &Config) -> Stock {
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
                    let why = if unread.gone { "file gone".to_owned() } else { unread.problem.message.clone() };
                    if self.absent.insert(plugin.name.clone(), why).is_none() {
                        tracing::warn!(
                            plugin = plugin.name,
                            digest = serving.digest,
                            error = unread.problem.message,
                            "A plugin's file is gone; the version that serves stays"
                        );
                    }
                    Item::of(plugin, Supplied::Serving(serving))
                }
                None => Item::of(plugin, Supplied::Nothing(unread.problem)),
            },
        }
    }

    /// A plugin whose source holds these bytes.
    fn found(&self, config: &Config, plugin: &Plugin, bytes: Bytes, serving: Option<Arc<LoadedComponent>>) -> Item {
        let serves = |digest: &str| serving.clone().filter(|serving| serving.digest == digest).map(Supplied::Serving);
        if let Some(Rollback { digest, instead_of }) = self.rolled_back(plugin, &bytes.digest) {
            let newest = serves(&digest).unwrap_or_else(|| self.kept(config, plugin, &digest));
            return Item { serving, digest: Some(digest), instead_of: Some(instead_of), ..Item::of(plugin, newest) };
        }
        let digest = Some(bytes.digest.clone());
        match serves(&bytes.digest) {
            Some(same) => Item { digest, ..Item::of(plugin, same) },
            None => {
                let is_whole = matches!(plugin.source, Source::Builtin(_)) || is_whole(bytes.all());
                Item { serving, digest, is_whole, ..Item::of(plugin, Supplied::Bytes(Arc::new(bytes))) }
            }
        }
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
                let message = format!("the version sha256:{} that was gone back to cannot be read: {error}", short(digest));
                let help = format!("delete {} to have the plugin's file count again", self.versions.rolled_back(&plugin.name).display());
                Supplied::Nothing(config.problem(key, message).with_suggestion(help).of_plugin(&plugin.name, "no-file"))
            }
        }
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
        let found = assembly::read(config, plugin).map_err(|unread| unread.problem.message)?;
        let serving = self.serving(plugin).map(|serving| serving.digest.clone());
        let kept = self.versions.of(name);
        let mut fitting = kept.iter().filter(|kept| match digest {
            Some(digest) => kept.starts_with(digest),
            None => serving.as_ref() != Some(*kept),
        });
        let chosen = fitting.next().ok_or_else(|| match digest {
            Some(digest) => format!("no version of `{name}` is kept whose digest begins with {digest}"),
            None => format!("no earlier version of `{name}` is kept"),
        })?;
        if digest.is_some() && fitting.next().is_some() {
            return Err(format!("more than one version of `{name}` has a digest that begins so"));
        }
        Ok(Rollback { digest: chosen.clone(), instead_of: found.digest })
    }

    /// A version that was not taken when it was gone back to is no fault of the plugin's file.
    pub(super) fn forget_rejection(&mut self, name: &str) {
        self.rejected.remove(name);
    }

    /// Keeps what was read and serves now, and forgets what was gone back to where something else does.
    pub(super) fn keep(&self, config: &Config, stock: &Stock, served: &[(String, Arc<LoadedComponent>)]) {
        for item in &stock.0 {
            let Some((_, component)) = served.iter().find(|(name, _)| *name == item.name) else { continue };
            let (Source::File(file), name) = (&item.source, &item.name) else { continue };
            let kept = match &item.newest {
                Supplied::Bytes(bytes) if bytes.digest == component.digest => self.versions.keep(name, file, bytes, config.keep_versions),
                _ => Ok(()),
            };
            let is_over = self.versions.rollback(name).is_some_and(|rollback| rollback.digest != component.digest);
            let forgotten = if is_over { self.versions.set_rollback(name, None) } else { Ok(()) };
            if let Err(error) = kept.and(forgotten) {
                tracing::warn!(plugin = name, digest = component.digest, %error, "A version could not be kept to go back to");
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

    /// What of a stock is to blame for a problem: the file of a plugin that is new.
    pub(super) fn blame(&self, stock: &Stock, problem: &Problem) -> Option<Rejection> {
        let (name, why) = problem.plugin.as_ref()?;
        let item = stock.0.iter().find(|item| item.name == *name)?;
        let (Source::File(file), Supplied::Bytes(_), Some(digest)) = (&item.source, &item.newest, &item.digest) else { return None };
        Some(Rejection::new(Some(name), file, digest, why, problem.message.clone()))
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
                        short(&known.component.digest),
                        short(&component.digest)
                    ));
                    now
                }
                None => {
                    changes.push(format!("plugin {name}: sha256:{}", short(&component.digest)));
                    now
                }
            };
            self.serving.insert(name.clone(), Serving { component: Arc::clone(component), source: plugin.source.clone(), since });
        }
        changes.extend(before.keys().map(|name| format!("plugin {name}: removed")));
        self.absent.retain(|name, _| self.serving.contains_key(name));
        // What was rejected may be good after all: its signature came, or the configuration it needs.
        let is_still = |name: &String, rejection: &Rejection| {
            self.serving.get(name).is_some_and(|serving| serving.component.digest != rejection.digest)
        };
        self.rejected.retain(|name, rejection| name.is_empty() || is_still(name, rejection));
        changes
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
        let item = stock.0.iter().find(|item| item.name == name);
        let instead_of = item.and_then(|item| item.instead_of.as_ref());
        let found = instead_of.or_else(|| item.and_then(|item| item.digest.as_ref()));
        let state = match (file, self.absent.get(name), self.rejected.get(name)) {
            (None, _, _) => "built in".to_owned(),
            (_, Some(why), _) => why.clone(),
            (_, None, Some(_)) => "rejected".to_owned(),
            _ if instead_of.is_some() => "rolled back".to_owned(),
            _ if found == Some(&serving.component.digest) => "serving".to_owned(),
            _ => "not serving".to_owned(),
        };
        json!({
            "source": source,
            "file": state,
            "file_digest": found.map(|digest| format!("sha256:{digest}")),
            "since": unix(serving.since),
            "versions": self.versions.of(name).iter().map(|digest| format!("sha256:{digest}")).collect::<Vec<_>>(),
            "rejected": self.rejected.get(name).map(Rejection::shown),
        })
    }
}

// === impl Item ===

impl Item {
    /// A plugin that is made from this, all of which is there.
    fn of(plugin: &Plugin, newest: Supplied) -> Self {
        let (name, source) = (plugin.name.clone(), plugin.source.clone());
        Self { name, source, newest, serving: None, digest: None, instead_of: None, is_whole: true }
    }
}

// === impl Stock ===

impl Stock {
    /// Whether everything was all there.
    pub(super) fn is_whole(&self) -> bool {
        self.0.iter().all(|item| item.is_whole)
    }

    /// What plugins are to be made from; those named in `held` from what serves, where something does.
    pub(super) fn supply(&self, held: &BTreeSet<String>) -> Vec<Supplied> {
        let supplied = |item: &Item| match (held.contains(&item.name), &item.serving) {
            (true, Some(serving)) => Supplied::Serving(Arc::clone(serving)),
            _ => item.newest.clone(),
        };
        self.0.iter().map(supplied).collect()
    }
}

// === impl Rejection ===

impl Rejection {
    pub(super) fn new(plugin: Option<&str>, file: &Path, digest: &str, why: &'static str, reason: String) -> Self {
        let (plugin, file, digest) = (plugin.map(str::to_owned), file.to_owned(), digest.to_owned());
        Self { plugin, file, digest, why, reason, at: SystemTime::now() }
    }

    /// As status shows it.
    pub(super) fn shown(&self) -> Value {
        json!({
            "plugin": self.plugin,
            "file": self.file.display().to_string(),
            "digest": format!("sha256:{}", self.digest),
            "why": self.why,
            "reason": self.reason,
            "at": unix(self.at),
        })
    }
}

/// As much of a digest as tells versions apart.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
