//! Plugin files: found, read, loaded.

use std::sync::Arc;

use super::{Workshop, builtin};
use crate::config::model::{Config, Plugin, Source};
use crate::config::{Problem, Problems};
use crate::plugin::LoadedComponent;

impl Workshop {
    /// Loads the component of every plugin, as the configuration numbers them; `None` where a problem was found.
    pub(super) fn components(&self, config: &Config, problems: &mut Problems) -> Vec<Option<Arc<LoadedComponent>>> {
        config
            .plugins
            .iter()
            .map(|plugin| match self.component(plugin) {
                Ok(component) => Some(component),
                Err(problem) => {
                    problems.push(problem);
                    None
                }
            })
            .collect()
    }

    fn component(&self, plugin: &Plugin) -> Result<Arc<LoadedComponent>, Problem> {
        let key = format!("plugins.{}.source", plugin.name);
        let read;
        let bytes = match &plugin.source {
            Source::Builtin(name) => builtin(name)
                .ok_or_else(|| Problem::error(plugin.position, key.clone(), format!("there is no built-in plugin `{name}`")))?,
            Source::File(path) => {
                read = std::fs::read(path)
                    .map_err(|error| Problem::error(plugin.position, key.clone(), format!("{} cannot be read: {error}", path.display())))?;
                &read
            }
        };
        LoadedComponent::load(&self.engine, self.cache.as_ref(), &self.compiler, bytes, &plugin.grants).map_err(|error| {
            let what = match &plugin.source {
                Source::Builtin(name) => format!("builtin:{name}"),
                Source::File(path) => path.display().to_string(),
            };
            Problem::error(plugin.position, key, format!("plugin `{}` ({what}) was not loaded: {error}", plugin.name))
                .with_suggestion(error.remedy(&plugin.name))
        })
    }
}
