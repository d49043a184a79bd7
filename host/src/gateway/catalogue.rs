//! Which version serves each plugin, what its file is now, and what was not taken.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::unix;
use crate::assembly::{self, Supplied};
use crate::config::Problem;
use crate::config::model::{Config, Plugin, Source};
use crate::plugin::LoadedComponent;
use crate::watch::is_whole;

/// What is known of plugins' files.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
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
    /// Of what its source holds.
    digest: Option<String>,
    is_whole: bool,
}

// === impl Catalogue ===

impl Catalogue {
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
        let serving = self.serving(plugin).map(Arc::clone);
        let (name, source) = (plugin.name.clone(), plugin.source.clone());
        match assembly::read(config, plugin) {
            Ok(bytes) => {
                if self.absent.remove(&name).is_some() {
                    tracing::info!(plugin = name, "A plugin's file is there again");
                }
                let digest = Some(bytes.digest.clone());
                match serving.filter(|serving| serving.digest == bytes.digest) {
                    Some(serving) => Item { name, source, newest: Supplied::Serving(serving), serving: None, digest, is_whole: true },
                    None => {
                        let is_whole = matches!(source, Source::Builtin(_)) || is_whole(bytes.all());
                        let serving = self.serving(plugin).map(Arc::clone);
                        Item { name, source, newest: Supplied::Bytes(Arc::new(bytes)), serving, digest, is_whole }
                    }
                }
            }
            Err(unread) => match serving {
                Some(serving) => {
                    let why = if unread.gone { "file gone".to_owned() } else { unread.problem.message.clone() };
                    if self.absent.insert(name.clone(), why).is_none() {
                        tracing::warn!(
                            plugin = name,
                            digest = serving.digest,
                            error = unread.problem.message,
                            "A plugin's file is gone; the version that serves stays"
                        );
                    }
                    Item { name, source, newest: Supplied::Serving(serving), serving: None, digest: None, is_whole: true }
                }
                None => Item { name, source, newest: Supplied::Nothing(unread.problem), serving: None, digest: None, is_whole: true },
            },
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

    /// Remembers what was not taken; whether that was known.
    pub(super) fn reject(&mut self, rejection: Rejection) -> bool {
        let name = rejection.plugin.clone().unwrap_or_default();
        let is_known = self.rejected.get(&name).is_some_and(|known| known.digest == rejection.digest);
        self.rejected.insert(name, rejection);
        is_known
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
        self.rejected.retain(|name, _| name.is_empty() || self.serving.contains_key(name));
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
        let found = stock.0.iter().find(|item| item.name == name).and_then(|item| item.digest.as_ref());
        let state = match (file, self.absent.get(name), self.rejected.get(name)) {
            (None, _, _) => "built in".to_owned(),
            (_, Some(why), _) => why.clone(),
            (_, None, Some(_)) => "rejected".to_owned(),
            _ if found == Some(&serving.component.digest) => "serving".to_owned(),
            _ => "not serving".to_owned(),
        };
        json!({
            "source": source,
            "file": state,
            "file_digest": found.map(|digest| format!("sha256:{digest}")),
            "since": unix(serving.since),
            "rejected": self.rejected.get(name).map(Rejection::shown),
        })
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
