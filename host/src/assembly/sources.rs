//! Plugin files: read once, held against their signatures, loaded from exactly the bytes that were read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Workshop, builtin, trust};
use crate::config::model::{Config, Plugin, Source};
use crate::config::{Problem, Problems};
use crate::plugin::{LoadedComponent, TrustedKeys};

/// The components of a configuration's plugins, as it numbers them.
#[derive(Debug, Default)]
pub(super) struct Components {
    /// `None` where a problem was found.
    pub(super) loaded: Vec<Option<Arc<LoadedComponent>>>,
    /// Who vouches for each: the name of a trusted key.
    pub(super) signers: Vec<Option<Arc<str>>>,
    /// What is allowed and most likely not meant.
    pub(super) warnings: Vec<Problem>,
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
    /// As the system reports it.
    pub fn read(file: &Path) -> std::io::Result<Self> {
        Ok(Self::of(Content::Read(std::fs::read(file)?)))
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
                Err(Box::new(Unread { problem, gone: false }))
            }
        },
        Source::File(path) => Bytes::read(path).map_err(|error| {
            let help = "correct the path, or put the file there; a relative path starts at `plugin_directory`";
            let problem = at(config, plugin, format!("{} cannot be read: {error}", path.display()), "no-file");
            Box::new(Unread { problem: problem.with_suggestion(help), gone: error.kind() == std::io::ErrorKind::NotFound })
        }),
    }
}

/// Why there are no bytes.
#[derive(Debug)]
pub struct Unread {
    /// For the operator.
    pub problem: Problem,
    /// Whether there is no such file.
    pub gone: bool,
}

fn at(config: &Config, plugin: &Plugin, message: String, why: &'static str) -> Problem {
    config.problem(format!("plugins.{}.source", plugin.name), message).of_plugin(&plugin.name, why)
}

/// Every plugin's source, read now, as the configuration numbers them.
pub fn read_all(config: &Config) -> Vec<Supplied> {
    let supplied = |plugin| match read(config, plugin) {
        Ok(bytes) => Supplied::Bytes(Arc::new(bytes)),
        Err(unread) => Supplied::Nothing(unread.problem),
    };
    config.plugins.iter().map(supplied).collect()
}

impl Workshop {
    /// Loads the component of every plugin.
    ///
    /// Plugins of the same bytes share one component: its code is in memory, and in the processor's caches, once.
    ///
    /// What is known to be wrong with a plugin's source is not looked for.
    pub(super) fn components(&mut self, config: &Config, supply: Vec<Supplied>, known: &Problems, problems: &mut Problems) -> Components {
        let mut loaded = HashMap::new();
        for supplied in &supply {
            if let Supplied::Serving(component) = supplied {
                loaded.insert(component.digest.clone(), Arc::clone(component));
            }
        }
        let mut components = Components::default();
        let keys = trust::keys(config, problems);
        // Which files they would vouch for nobody knows where a key is wrong; that it is was said.
        let keys = keys.as_ref().filter(|_| !known.concern("trust"));
        let mut supply = supply.into_iter();
        for plugin in &config.plugins {
            let table = format!("plugins.{}", plugin.name);
            let is_known = known.concern(&format!("{table}.source")) || known.concern(&format!("{table}.grants"));
            let has_judge = keys.is_some() || !plugin.require_signature || matches!(plugin.source, Source::Builtin(_));
            let supplied = supply.next().filter(|_| !is_known && has_judge);
            let made = supplied.map(|supplied| self.component(config, plugin, supplied, keys, &mut loaded, &mut components.warnings));
            let (component, signer) = made
                .and_then(|made| made.map_err(|problem| problems.push(*problem)).ok())
                .map_or((None, None), |(component, signer)| (Some(component), signer));
            components.loaded.push(component);
            components.signers.push(signer);
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
    ) -> Result<(Arc<LoadedComponent>, Option<Arc<str>>), Box<Problem>> {
        let (digest, kept) = match &supplied {
            Supplied::Nothing(problem) => return Err(Box::new(problem.clone())),
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
        Ok((component, signer))
    }
}
