//! Plugin files: read once, held against their signatures, loaded from exactly the bytes that were read.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Workshop, builtin, trust};
use crate::config::model::{Config, Plugin, Source};
use crate::config::{Problem, Problems, defaults, read_file};
use crate::plugin::{LoadedComponent, TrustedKeys};

/// The components of a configuration's plugins.
#[derive(Debug, Default)]
pub(super) struct Components {
    /// As the configuration numbers them; `None` where a problem was found.
    pub(super) serving: Vec<Option<Loaded>>,
    /// Canaries, by plugin.
    pub(super) canaries: BTreeMap<usize, Loaded>,
    /// What is allowed and most likely not meant.
    pub(super) warnings: Vec<Problem>,
}

/// A component, and the name of the trusted key that vouches for it.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) component: Arc<LoadedComponent>,
    pub(super) signer: Option<Arc<str>>,
}

/// Which version of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// The one that serves.
    Serving,
    /// A new one, that serves a share or runs in its shadow.
    Canary,
}

/// What a configuration is assembled from.
#[derive(Debug, Default)]
pub struct Supplies {
    /// What serves, as the configuration numbers its plugins.
    pub serving: Vec<Supplied>,
    /// Canaries, by plugin.
    pub canaries: BTreeMap<usize, Supplied>,
}

/// What a plugin is made from.
#[derive(Debug, Clone)]
pub enum Supplied {
    /// These bytes.
    Bytes(Arc<Bytes>),
    /// What serves already.
    Serving(Arc<LoadedComponent>),
    /// Nothing: why.
    Nothing(Problem),
    /// Nothing, since no route uses it.
    Unused,
}

/// A plugin's bytes, as they were read.
#[derive(Debug)]
pub struct Bytes {
    /// SHA-256 in hexadecimal.
    pub digest: String,
    /// All of them.
    pub content: Content,
    /// The file in the state directory they are from, where that is so; its signature counts then.
    pub kept: Option<PathBuf>,
}

/// Where bytes are held.
#[derive(Debug)]
pub enum Content {
    /// In this program.
    Embedded(&'static [u8]),
    /// In memory, read from a file.
    Read(Vec<u8>),
}

impl Bytes {
    /// Reads a file.
    ///
    /// # Errors
    /// As the system reports it, it is no file, or larger than any plugin may be.
    pub fn read(file: &Path) -> std::io::Result<Self> {
        Ok(Self::of(Content::Read(read_file(file, defaults::LARGEST_PLUGIN_FILE)?)))
    }

    /// Bytes and their digest.
    pub fn of(content: Content) -> Self {
        let bytes: &[u8] = match &content {
            Content::Embedded(bytes) => bytes,
            Content::Read(bytes) => bytes,
        };
        Self { digest: LoadedComponent::digest(bytes), content, kept: None }
    }

    /// All of them.
    pub fn all(&self) -> &[u8] {
        match &self.content {
            Content::Embedded(bytes) => bytes,
            Content::Read(bytes) => bytes,
        }
    }
}

/// What a plugin's source says, read now.
///
/// # Errors
/// There is no such built-in plugin, or the file cannot be read.
pub fn read(config: &Config, plugin: &Plugin) -> Result<Bytes, Box<Unread>> {
    match &plugin.source {
        Source::Builtin(name) => match builtin(name) {
            Some(bytes) => Ok(Bytes::of(Content::Embedded(bytes))),
            None => {
                let problem = at(config, plugin, format!("there is no built-in plugin `{name}`"), "no-file");
                Err(Box::new(Unread { problem, state: "no such built-in plugin".to_owned(), gone: false }))
            }
        },
        Source::File(path) => Bytes::read(path).map_err(|error| {
            let help = "correct the path, or put the file there; a relative path starts at `plugin_directory`";
            let problem = at(config, plugin, format!("{} cannot be read: {error}", path.display()), "no-file");
            let gone = error.kind() == std::io::ErrorKind::NotFound;
            let state = if gone { "file gone".to_owned() } else { format!("cannot be read: {error}") };
            Box::new(Unread { problem: problem.with_suggestion(help), state, gone })
        }),
    }
}

/// Why there are no bytes.
#[derive(Debug)]
pub struct Unread {
    /// For the operator.
    pub problem: Problem,
    /// The same in a few words, for lists.
    pub state: String,
    /// Whether there is no such file.
    pub gone: bool,
}

fn at(config: &Config, plugin: &Plugin, message: String, why: &'static str) -> Problem {
    config.problem(format!("plugins.{}.source", plugin.name), message).of_plugin(&plugin.name, why)
}

/// Every plugin's source, read now, as the configuration numbers them.
pub fn read_all(config: &Config) -> Supplies {
    let supplied = |plugin| match read(config, plugin) {
        Ok(bytes) => Supplied::Bytes(Arc::new(bytes)),
        Err(unread) => Supplied::Nothing(unread.problem),
    };
    Supplies { serving: config.plugins.iter().map(supplied).collect(), canaries: BTreeMap::new() }
}

impl Components {
    /// What was loaded of a plugin.
    pub(super) fn of(&self, plugin: usize, version: Version) -> Option<&Loaded> {
        match version {
            Version::Serving => self.serving.get(plugin)?.as_ref(),
            Version::Canary => self.canaries.get(&plugin),
        }
    }
}

impl Workshop {
    /// Loads the component of every plugin.
    ///
    /// Plugins of the same bytes share one component: its code is in memory, and in the processor's caches, once.
    ///
    /// What is known to be wrong with a plugin's source is not looked for.
    pub(super) fn components(&mut self, config: &Config, supplies: Supplies, known: &Problems, problems: &mut Problems) -> Components {
        let Supplies { serving, mut canaries } = supplies;
        let mut loaded = HashMap::new();
        for supplied in serving.iter().chain(canaries.values()) {
            if let Supplied::Serving(component) = supplied {
                loaded.insert(component.digest.clone(), Arc::clone(component));
            }
        }
        let mut components = Components::default();
        let keys = trust::keys(config, problems);
        // Which files they would vouch for nobody knows where a key is wrong; that it is was said.
        let keys = keys.as_ref().filter(|_| !known.concern("trust"));
        let mut serving = serving.into_iter();
        for (index, plugin) in config.plugins.iter().enumerate() {
            let table = format!("plugins.{}", plugin.name);
            let is_known = known.concern(&format!("{table}.source")) || known.concern(&format!("{table}.grants"));
            let has_judge = keys.is_some() || !plugin.require_signature || matches!(plugin.source, Source::Builtin(_));
            let may_load = |supplied: &Supplied| !is_known && has_judge && !matches!(supplied, Supplied::Unused);
            let mut load = |supplied| {
                let made = self.component(config, plugin, supplied, keys, &mut loaded, &mut components.warnings);
                made.map_err(|problem| problems.push(*problem)).ok()
            };
            components.serving.push(serving.next().filter(may_load).and_then(&mut load));
            if let Some(canary) = canaries.remove(&index).filter(may_load).and_then(&mut load) {
                components.canaries.insert(index, canary);
            }
        }
        components
    }

    fn component(
        &mut self,
        config: &Config,
        plugin: &Plugin,
        supplied: Supplied,
        keys: Option<&TrustedKeys>,
        loaded: &mut HashMap<String, Arc<LoadedComponent>>,
        warnings: &mut Vec<Problem>,
    ) -> Result<Loaded, Box<Problem>> {
        let unused = || Box::new(at(config, plugin, "no route uses it".to_owned(), "no-file"));
        let (digest, kept) = match &supplied {
            Supplied::Nothing(problem) => return Err(Box::new(problem.clone())),
            Supplied::Unused => return Err(unused()),
            Supplied::Serving(component) => (&component.digest, None),
            Supplied::Bytes(bytes) => (&bytes.digest, bytes.kept.as_deref()),
        };
        // Before anything is made of the bytes, or taken from the cache for them.
        let signer = match keys {
            Some(keys) => self.vouched.signer(config, keys, plugin, (digest, kept), warnings)?,
            None => None,
        };
        let component = match supplied {
            Supplied::Nothing(problem) => return Err(Box::new(problem)),
            Supplied::Unused => return Err(unused()),
            Supplied::Serving(component) => Ok(component),
            Supplied::Bytes(bytes) => match loaded.get(&bytes.digest) {
                Some(component) => Ok(Arc::clone(component)),
                None => LoadedComponent::load(&self.engine, self.cache.as_ref(), &self.compiler, bytes.digest.clone(), bytes.all()),
            },
        };
        let component = component.and_then(|component| component.check(&plugin.grants).map(|()| component)).map_err(|error| {
            let what = match &plugin.source {
                Source::Builtin(name) => format!("builtin:{name}"),
                Source::File(path) => path.display().to_string(),
            };
            let message = format!("plugin `{}` ({what}) was not loaded: {error}", plugin.name);
            Box::new(at(config, plugin, message, error.why()).with_suggestion(error.remedy(&plugin.name)))
        })?;
        loaded.insert(component.digest.clone(), Arc::clone(&component));
        Ok(Loaded { component, signer })
    }
}
