//! Plugin files: found, read, loaded.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Workshop, builtin};
use crate::config::model::{Config, Plugin, Source};
use crate::config::{Problem, Problems};
use crate::plugin::LoadedComponent;

impl Workshop {
    /// Loads the component of every plugin, as the configuration numbers them; `None` where a problem was found.
    ///
    /// Plugins of the same file share one component: its code is in memory, and in the processor's caches, once.
    ///
    /// What is known to be wrong with a plugin's source is not looked for.
    pub(super) fn components(&self, config: &Config, known: &Problems, problems: &mut Problems) -> Vec<Option<Arc<LoadedComponent>>> {
        let mut loaded = HashMap::new();
        config
            .plugins
            .iter()
            .map(|plugin| {
                let table = format!("plugins.{}", plugin.name);
                if known.concern(&format!("{table}.source")) || known.concern(&format!("{table}.grants")) {
                    return None;
                }
                self.component(config, plugin, &mut loaded).map_err(|problem| problems.push(problem)).ok()
            })
            .collect()
    }

    fn component(
        &self,
        config: &Config,
        plugin: &Plugin,
        loaded: &mut HashMap<String, Arc<LoadedComponent>>,
    ) -> Result<Arc<LoadedComponent>, Problem> {
        let key = format!("plugins.{}.source", plugin.name);
        let read;
        let bytes = match &plugin.source {
            Source::Builtin(name) => builtin(name).ok_or_else(|| config.problem(&key, format!("there is no built-in plugin `{name}`")))?,
            Source::File(path) => {
                read = std::fs::read(path).map_err(|error| {
                    let help = "correct the path, or put the file there; a relative path starts at `plugin_directory`";
                    config.problem(&key, format!("{} cannot be read: {error}", path.display())).with_suggestion(help)
                })?;
                &read
            }
        };
        let digest = LoadedComponent::digest(bytes);
        let component = match loaded.get(&digest) {
            Some(component) => Ok(Arc::clone(component)),
            None => LoadedComponent::load(&self.engine, self.cache.as_ref(), &self.compiler, digest, bytes),
        };
        let component = component.and_then(|component| component.check(&plugin.grants).map(|()| component)).map_err(|error| {
            let what = match &plugin.source {
                Source::Builtin(name) => format!("builtin:{name}"),
                Source::File(path) => path.display().to_string(),
            };
            config
                .problem(key, format!("plugin `{}` ({what}) was not loaded: {error}", plugin.name))
                .with_suggestion(error.remedy(&plugin.name))
        })?;
        loaded.insert(component.digest.clone(), Arc::clone(&component));
        Ok(component)
    }
}
