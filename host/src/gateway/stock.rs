//! What the plugins of a configuration can be made from now, as it was found where they come from.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::assembly::{Supplied, Supplies};
use crate::config::model::{Config, Plugin, Source};
use crate::plugin::LoadedComponent;

/// What every plugin of a configuration can be made from now, as it numbers them.
#[derive(Debug)]
pub(super) struct Stock(pub(super) Vec<Item>);

/// One plugin.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) source: Source,
    /// What is to serve: what its source holds, unless that is tried first, or another version was gone back to.
    pub(super) newest: Supplied,
    /// What its source holds, where that is tried first.
    pub(super) canary: Option<Supplied>,
    /// What is tried now, where that is to go on while what its source holds is not taken.
    pub(super) on_trial: Option<Arc<LoadedComponent>>,
    /// What serves, where there is such a thing and something else is to serve or to be tried.
    pub(super) serving: Option<Arc<LoadedComponent>>,
    /// Of what its source holds; of what was gone back to instead.
    pub(super) digest: Option<String>,
    /// Of what its source holds, where another version was gone back to.
    pub(super) instead_of: Option<String>,
    pub(super) is_whole: bool,
}

/// Which plugins are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Every one: at a start, nothing may be wrong.
    All,
    /// Those that some route uses: what serves nothing keeps nothing else back.
    Used,
}

impl Item {
    /// A plugin that is made from this, all of which is there.
    pub(super) fn of(plugin: &Plugin, newest: Supplied) -> Self {
        let (name, source) = (plugin.name.clone(), plugin.source.clone());
        Self { name, source, newest, canary: None, on_trial: None, serving: None, digest: None, instead_of: None, is_whole: true }
    }

    /// Whether what its source holds was never served, nor tried.
    pub(super) fn is_new(&self) -> bool {
        matches!(self.canary.as_ref().unwrap_or(&self.newest), Supplied::Bytes(_))
    }
}

impl Stock {
    /// Whether everything was all there.
    pub(super) fn is_whole(&self) -> bool {
        self.0.iter().all(|item| item.is_whole)
    }

    /// One plugin of it.
    pub(super) fn item(&self, name: &str) -> Option<&Item> {
        self.0.iter().find(|item| item.name == name)
    }

    /// What plugins are to be made from; those named in `held` from what serves, where something does.
    pub(super) fn supplies(&self, config: &Config, scope: Scope, held: &BTreeSet<String>) -> Supplies {
        let mut supplies = Supplies::default();
        for (index, item) in self.0.iter().enumerate() {
            let is_held = held.contains(&item.name);
            supplies.serving.push(match &item.serving {
                _ if scope == Scope::Used && !config.uses(index) => Supplied::Unused,
                Some(serving) if is_held => Supplied::Serving(Arc::clone(serving)),
                _ => item.newest.clone(),
            });
            let on_trial = || item.on_trial.clone().map(Supplied::Serving);
            let canary = if is_held { on_trial() } else { item.canary.clone() };
            if let Some(canary) = canary.filter(|_| config.uses(index)) {
                supplies.canaries.insert(index, canary);
            }
        }
        supplies
    }

    /// Whether something is to be tried.
    pub(super) fn has_canaries(&self) -> bool {
        self.0.iter().any(|item| item.canary.is_some())
    }

    /// The same where nothing is tried: what a plugin's source holds is to serve.
    pub(super) fn without_canaries(&self) -> Self {
        let at_once = |item: &Item| match &item.canary {
            Some(canary) => Item { newest: canary.clone(), canary: None, ..item.clone() },
            None => item.clone(),
        };
        Self(self.0.iter().map(at_once).collect())
    }
}
