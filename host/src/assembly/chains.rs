//! The chain of each route, from its plugins and the hooks they turn out to have.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::numbering::{Numbering, Side, members_for};
use super::sources::{Components, Version};
use crate::capability::log::version;
use crate::config::model::{Config, FailurePolicy, Isolation, PluginUse, Route, Share, Trial};
use crate::config::{Problem, Problems};
use crate::exchange::RouteFacts;
use crate::pipeline::{Chain, Place, Shadow, Step, StepKind};
use crate::plugin::{Hook, LoadedComponent};
use crate::proxy::{Canaries, Retries, RoutePlan};
use crate::upstream::Upstream;

/// What a route runs, in order, for people.
#[derive(Debug, Clone)]
pub struct EffectiveChain {
    /// The route.
    pub route: String,
    /// Its steps: what, and which plugin.
    pub steps: Vec<(String, String)>,
    /// What is allowed and most likely not meant.
    pub warnings: Vec<Problem>,
}

/// The chain of one route.
pub(super) struct Built {
    chain: Chain,
    /// Chains with canaries in it, and below which number a client meets each, in ten-thousandths; ascending.
    canaries: Vec<(u32, Chain)>,
    shown: EffectiveChain,
}

/// Builds every route's chain, and finds everything that is wrong with them and does not follow from what is `known`.
pub(super) fn build(
    config: &Config,
    components: &Components,
    numbering: &mut Numbering,
    known: &Problems,
    problems: &mut Problems,
) -> Vec<Built> {
    let mut built = Vec::with_capacity(config.routes.len());
    for route in &config.routes {
        let mut own = Problems::new(&config.file);
        let none = BTreeSet::new();
        let builder = Builder { config, components, numbering: &mut *numbering, known, problems: &mut own, route, canaries: &none };
        let (chain, shown) = builder.build();
        let mut canaries = Vec::new();
        for (bound, met) in levels(config, components, route) {
            let mut theirs = Problems::new(&config.file);
            let builder = Builder { config, components, numbering: &mut *numbering, known, problems: &mut theirs, route, canaries: &met };
            let (with, _) = builder.build();
            // Off the request's path the version that serves is enough.
            let (observers, batch_observers) = (chain.observers.clone(), chain.batch_observers.clone());
            canaries.push((bound, Chain { observers, batch_observers, ..with }));
            theirs.iter().filter(|problem| !own.iter().any(|known| known == *problem)).for_each(|problem| problems.push(problem.clone()));
        }
        own.iter().for_each(|problem| problems.push(problem.clone()));
        built.push(Built { chain, canaries, shown });
    }
    built
}

/// The sets of canaries that clients of a route meet together, each with the number below which a client meets it. A client has
/// one number for all plugins: who is among the first 5 % meets every canary with a share of 5 % or more, so versions that came
/// together are met together.
fn levels(config: &Config, components: &Components, route: &Route) -> Vec<(u32, BTreeSet<usize>)> {
    let mut shares = BTreeMap::new();
    for plugin in route.uses().map(|used| used.plugin).filter(|plugin| components.canaries.contains_key(plugin)) {
        let trial = config.plugins.get(plugin).and_then(|plugin| plugin.canary.as_ref()).map(|canary| canary.trial);
        if let Some(Trial::Share(Share(share))) = trial {
            shares.insert(plugin, share);
        }
    }
    let bounds: BTreeSet<u32> = shares.values().copied().collect();
    let met = |bound| shares.iter().filter(move |(_, share)| **share >= bound).map(|(plugin, _)| *plugin).collect();
    bounds.into_iter().map(|bound| (bound, met(bound))).collect()
}

/// Makes the routes workers read.
pub(super) fn routes(config: &Config, built: Vec<Built>, upstreams: &[Arc<Upstream>]) -> (Vec<Arc<RoutePlan>>, Vec<EffectiveChain>) {
    let by = Arc::new(config.canary_by.clone());
    let mut plans = Vec::with_capacity(built.len());
    let mut effective = Vec::with_capacity(built.len());
    for (route, Built { chain, canaries, shown }) in config.routes.iter().zip(built) {
        let Some(upstream) = upstreams.get(route.upstream) else { continue };
        let facts = Arc::new(RouteFacts {
            name: Arc::from(route.name.as_str()),
            api: route.api.as_deref().map(Arc::from),
            version: route.version.as_deref().map(Arc::from),
        });
        let max_body_bytes = route.max_body_bytes.or(config.limits.max_body_bytes);
        let retries = Retries::of(upstream).narrowed(route.max_attempts, route.retry_on);
        let plan = |chain, canaries| {
            Arc::new(RoutePlan {
                facts: Arc::clone(&facts),
                chain,
                upstream: Arc::clone(upstream),
                retries,
                max_body_bytes,
                kept_from_clients: Arc::default(),
                canaries,
            })
        };
        let levels: Vec<_> = canaries.into_iter().map(|(bound, chain)| (bound, plan(chain, None))).collect();
        let canaries = (!levels.is_empty()).then(|| Box::new(Canaries { by: Arc::clone(&by), levels }));
        plans.push(plan(chain, canaries));
        effective.push(shown);
    }
    (plans, effective)
}

struct Builder<'a> {
    config: &'a Config,
    components: &'a Components,
    numbering: &'a mut Numbering,
    known: &'a Problems,
    problems: &'a mut Problems,
    route: &'a Route,
    /// Plugins whose canary stands in this chain.
    canaries: &'a BTreeSet<usize>,
}

impl Builder<'_> {
    fn build(mut self) -> (Chain, EffectiveChain) {
        let compared = self.route.uses().any(|used| self.components.canaries.contains_key(&used.plugin));
        let mut chain = Chain { public: self.route.public, compared, ..Chain::default() };
        let mut shown = Vec::new();
        let mut outgoing = Vec::new();
        for used in &self.route.chain {
            self.link(used, &mut chain, &mut shown, &mut outgoing);
        }
        let last = chain.incoming.iter().rposition(|step| matches!(step.kind, StepKind::Authorize { .. }));
        match last.and_then(|last| chain.incoming.get_mut(last)) {
            Some(step) => step.kind = StepKind::Authorize { last: true },
            None if !self.route.public && self.is_whole() && !self.has_authorizer() => {
                let message = format!("route `{}` has no authorizer, so anyone could use it", self.route.name);
                let help = "put an authorizer such as `builtin:oauth2` in its `plugins`, or write `public = true`";
                let problem = self.config.problem(format!("{}.public", self.route.key), message).with_suggestion(help);
                // One of them may have been an authorizer before.
                let suspects = self.route.chain.iter().map(|used| self.name(used)).collect();
                self.problems.push(Problem { suspects, ..problem });
            }
            None => {}
        }
        chain.router = self.route.router.as_ref().and_then(|used| self.one(used, "router", Hook::Router));
        shown.push(("router".to_owned(), self.name_or(self.route.router.as_ref(), "native round robin")));
        let learns =
            self.route.router.as_ref().and_then(|used| self.component(used)).is_some_and(|router| router.has(Hook::OutcomeObserver));
        if let Some(place) = chain.router.as_ref().filter(|_| learns) {
            shown.push(("outcome observer".to_owned(), place.name.to_string()));
        }
        chain.forwarder = self.route.forwarder.as_ref().and_then(|used| self.one(used, "forwarder", Hook::Forwarder));
        shown.push(("forwarder".to_owned(), self.name_or(self.route.forwarder.as_ref(), "the upstream's settings")));
        let upstream = self.config.upstreams.get(self.route.upstream).map_or("", |upstream| upstream.name.as_str());
        shown.push(("upstream".to_owned(), upstream.to_owned()));
        chain.outgoing.reverse();
        shown.extend(outgoing.into_iter().rev());
        shown.extend(chain.observers.iter().map(|place| ("observer".to_owned(), place.name.to_string())));
        shown.extend(chain.batch_observers.iter().map(|place| ("batch observer".to_owned(), place.name.to_string())));
        shown.extend(self.timers().map(|name| ("timer".to_owned(), name)));
        let warnings = self.early_readers();
        (chain, EffectiveChain { route: self.route.name.clone(), steps: shown, warnings })
    }

    /// Plugins of this route that are ticked.
    fn timers(&self) -> impl Iterator<Item = String> + '_ {
        self.route
            .uses()
            .filter(|used| self.component(used).is_some_and(|component| component.has(Hook::Timer)))
            .map(|used| self.name(used))
    }

    /// Filters that ask who is calling where no authorizer has said it yet.
    fn early_readers(&self) -> Vec<Problem> {
        let loaded = self.route.chain.iter().filter_map(|used| Some((used, self.component(used)?)));
        let before = loaded.take_while(|(_, component)| !component.has(Hook::Authorizer));
        let asking = before.filter(|(_, component)| component.has(Hook::RequestFilter) && component.rights.reads_identity);
        let warning = |(used, _): (&PluginUse, _)| {
            let name = self.name(used);
            let message = format!("the filter `{name}` asks who is calling, and no authorizer stands before it: it will learn nothing");
            self.config.problem(&used.key, message).with_suggestion("write it after the authorizer")
        };
        asking.map(warning).collect()
    }

    /// Whether every plugin of the chain is there and was loaded, so that a missing hook is really missing.
    fn is_whole(&self) -> bool {
        let own = format!("{}.plugins", self.route.key);
        self.route.chain.iter().all(|used| self.component(used).is_some())
            && !["defaults", "defaults.plugins", own.as_str()].iter().any(|list| self.known.leave_gaps(list))
            && !self.known.concern(&format!("{}.public", self.route.key))
    }

    /// Whether one of its plugins is an authorizer, configured rightly or not.
    fn has_authorizer(&self) -> bool {
        self.route.chain.iter().filter_map(|used| self.component(used)).any(|component| component.has(Hook::Authorizer))
    }

    /// Numbers a use of a plugin; `None` where what it is configured by is known to be wrong.
    fn place(&mut self, used: &PluginUse, component: &LoadedComponent, side: Side, hook: Hook) -> Option<Place> {
        let plugin = format!("plugins.{}", self.name(used));
        let tables = [format!("{}.config", used.key), format!("{plugin}.config"), format!("{plugin}.budget")];
        if tables.iter().any(|table| self.known.concern(table)) {
            return None;
        }
        let (route, upstream) = (&self.route.name, self.route.upstream);
        let stands = self.version(used);
        let place = self.numbering.place(self.config, (used, stands), route, side, members_for(component, upstream))?;
        let shadow = self.shadow(used).filter(|shadow| side == Side::Worker && shadow.has(hook)).cloned();
        let shadow = shadow.and_then(|shadow| {
            let canary = (used, Version::Canary);
            let Place { slot, config, .. } = self.numbering.place(self.config, canary, route, side, members_for(&shadow, upstream))?;
            Some(Shadow { slot, config })
        });
        Some(Place { shadow, version: Arc::from(version(&component.digest)), ..place })
    }

    /// Which version of a plugin stands in this chain.
    fn version(&self, used: &PluginUse) -> Version {
        if self.canaries.contains(&used.plugin) { Version::Canary } else { Version::Serving }
    }

    /// The canary that runs in the shadow of a plugin.
    fn shadow(&self, used: &PluginUse) -> Option<&Arc<LoadedComponent>> {
        let canary = self.config.plugins.get(used.plugin)?.canary.as_ref()?;
        let loaded = self.components.of(used.plugin, Version::Canary)?;
        (canary.trial == Trial::Shadow).then_some(&loaded.component)
    }

    fn component(&self, used: &PluginUse) -> Option<&Arc<LoadedComponent>> {
        self.components.of(used.plugin, self.version(used)).map(|loaded| &loaded.component)
    }

    /// Which plugins could stand where that hook is needed.
    fn suited(&self, hook: Hook) -> String {
        let loaded = self.config.plugins.iter().zip(&self.components.serving);
        let suited = loaded.filter(|(_, loaded)| loaded.as_ref().is_some_and(|loaded| loaded.component.has(hook)));
        let names: Vec<_> = suited.map(|(plugin, _)| format!("`{}`", plugin.name)).collect();
        if names.is_empty() {
            format!("no configured plugin exports `{hook}`; remove it")
        } else {
            format!("these do: {}", names.join(", "))
        }
    }

    fn name(&self, used: &PluginUse) -> String {
        self.config.plugins.get(used.plugin).map(|plugin| plugin.name.clone()).unwrap_or_default()
    }

    fn name_or(&self, used: Option<&PluginUse>, otherwise: &str) -> String {
        used.map_or_else(|| otherwise.to_owned(), |used| self.name(used))
    }

    /// One entry of `plugins`: every chain hook it has.
    fn link(&mut self, used: &PluginUse, chain: &mut Chain, shown: &mut Vec<(String, String)>, outgoing: &mut Vec<(String, String)>) {
        let Some(component) = self.component(used).cloned() else { return };
        let name = self.name(used);
        let hooks = [Hook::Authorizer, Hook::RequestFilter, Hook::ResponseFilter, Hook::Observer, Hook::BatchObserver, Hook::Timer];
        if !hooks.iter().any(|hook| component.has(*hook)) {
            let has: Vec<_> = component.rights.hooks.iter().map(|hook| hook.as_str()).collect();
            let message = format!("plugin `{name}` has no hook that runs in a chain; it has {}", has.join(", "));
            let problem = self.config.problem(&used.key, message).of_plugin(&name, "hooks");
            self.problems.push(problem.with_suggestion("name it as the route's `router` or `forwarder`"));
            return;
        }
        if component.has(Hook::Authorizer) && used.on_failure == FailurePolicy::Skip {
            let message = format!("`on_failure = \"skip\"` for the authorizer `{name}` would let everyone in when it fails");
            let key = format!("{}.on_failure", used.key);
            self.problems.push(self.config.problem(key, message).with_suggestion("remove it, or write \"reject\""));
        }
        let is_asked = |step: &Step| matches!(step.kind, StepKind::Authorize { .. }) && *step.place.name == *name;
        if component.has(Hook::Authorizer) && chain.incoming.iter().any(is_asked) {
            let route = &self.route.name;
            let message = format!(
                "the authorizer `{name}` stands twice in the chain of route `{route}`: who the first lets pass is not asked again, so nothing that is written \
                 here would be looked at"
            );
            let help = "write it once: here, and on the other routes that need it, in place of `[defaults] plugins`";
            self.problems.push(self.config.problem(&used.key, message).with_suggestion(help));
        }
        for hook in hooks.into_iter().filter(|hook| component.has(*hook)) {
            let side = if matches!(hook, Hook::Observer | Hook::BatchObserver | Hook::Timer) { Side::Control } else { Side::Worker };
            if side == Side::Control && self.version(used) == Version::Canary {
                continue;
            }
            let Some(place) = self.place(used, &component, side, hook) else { continue };
            match hook {
                Hook::Authorizer => {
                    chain.incoming.push(Step { kind: StepKind::Authorize { last: false }, place });
                    shown.push(("authorizer".to_owned(), name.clone()));
                }
                Hook::RequestFilter => {
                    chain.incoming.push(Step { kind: StepKind::Filter, place });
                    shown.push(("request filter".to_owned(), name.clone()));
                }
                Hook::ResponseFilter => {
                    chain.outgoing.push(place);
                    outgoing.push(("response filter".to_owned(), name.clone()));
                }
                Hook::Observer => chain.observers.push(place),
                Hook::BatchObserver => chain.batch_observers.push(place),
                // It has a number now, which is all that a timer needs.
                _ => {}
            }
        }
    }

    /// The route's `router` or `forwarder`.
    fn one(&mut self, used: &PluginUse, what: &str, hook: Hook) -> Option<Place> {
        let component = self.component(used)?.clone();
        if !component.has(hook) {
            let name = self.name(used);
            let message = format!("plugin `{name}` is no {what}: it does not export `{hook}`");
            let problem = self.config.problem(&used.key, message).of_plugin(&name, "hooks");
            self.problems.push(problem.with_suggestion(self.suited(hook)));
            return None;
        }
        let isolation = self.config.plugins.get(used.plugin).map(|plugin| plugin.isolation);
        if hook == Hook::Router && isolation == Some(Isolation::Request) {
            let name = self.name(used);
            let message = format!("plugin `{name}` keeps no instance, so as a router it would learn its endpoints anew for every request");
            let help = format!("remove `isolation = \"request\"` from [plugins.{name}]");
            self.problems.push(self.config.problem(&used.key, message).with_suggestion(help));
            return None;
        }
        let place = self.place(used, &component, Side::Worker, hook);
        if component.has(Hook::Timer) && self.version(used) == Version::Serving {
            self.place(used, &component, Side::Control, Hook::Timer);
        }
        place
    }
}

impl fmt::Display for EffectiveChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.route)?;
        for (what, name) in &self.steps {
            write!(f, "\n  {what:<17} {name}")?;
        }
        Ok(())
    }
}
