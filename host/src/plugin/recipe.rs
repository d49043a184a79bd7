//! Everything a worker needs to have one plugin at work: the component and every configuration its instances are given.
//! Built once by assembly and shared; an instance made from it anywhere is like every other.

use std::sync::Arc;
use std::time::Duration;

use super::bindings::plugway::gateway::routing;
use super::budget::thread_cpu_time;
use super::component::{Linked, LoadedComponent};
use super::failure::Failure;
use super::instance::{Instance, Surroundings};
use super::rights::Hook;
use crate::capability::granted::Granted;
use crate::capability::log::LineRate;
use crate::config::defaults;
use crate::config::model::{Budget, Isolation};
use crate::exchange::Phase;
use crate::http_client::HttpClient;
use crate::upstream::{Directory, Upstream};

/// A plugin as configured.
#[derive(Debug)]
pub struct Recipe {
    /// Its configured name.
    pub name: Arc<str>,
    /// Its component.
    pub component: Arc<LoadedComponent>,
    /// What shares an instance.
    pub isolation: Isolation,
    /// What it may use.
    pub budget: Arc<Budget>,
    /// Every configuration, by `config-id`: its index here.
    pub configurations: Vec<Configuration>,
    /// How much it may write to the log.
    pub log_rate: Arc<LineRate>,
    /// What it was granted.
    pub granted: Granted,
    /// What makes its requests, where granted.
    pub http_client: Option<Arc<HttpClient>>,
    /// What it may ask about endpoints.
    pub endpoints: Arc<Directory>,
}

/// One distinct configuration.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// A JSON object.
    pub json: Arc<str>,
    /// The members a router learns.
    pub upstream: Option<Arc<Upstream>>,
}

/// Why an instance could not be made ready.
#[derive(Debug)]
pub struct SetupError {
    /// Which configuration it refused; `None` when it failed before any.
    pub configuration: Option<usize>,
    /// What happened.
    pub failure: Failure,
}

/// Shortest and longest period of a timer, milliseconds.
const SHORTEST_PERIOD_MS: u64 = 100;
const LONGEST_PERIOD_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// CPU time an instance may take to become ready.
#[derive(Debug, Clone, Copy)]
pub(super) enum SetupTime {
    /// `setup_cpu` for each call: off the workers.
    PerCall,
    /// This much for all of it: on a worker.
    InAll(Duration),
}

impl Recipe {
    /// Makes an instance ready to serve: instantiated, configured for every place, or for `only` one, and told the endpoints.
    ///
    /// # Errors
    /// When the guest traps, runs over its time, or refuses a configuration.
    pub(super) fn instantiate(&self, surroundings: &Surroundings, time: SetupTime, only: Option<u32>) -> Result<Instance, SetupError> {
        let limit = match time {
            SetupTime::PerCall => self.budget.setup_cpu,
            SetupTime::InAll(limit) => limit,
        };
        let began = thread_cpu_time();
        let mut instance =
            Instance::new(&self.component, surroundings, limit).map_err(|failure| SetupError { configuration: None, failure })?;
        let wanted = |id: &usize| only.is_none_or(|only| usize::try_from(only).is_ok_and(|only| only == *id));
        for (id, configuration) in self.configurations.iter().enumerate().filter(|(id, _)| wanted(id)) {
            if matches!(time, SetupTime::InAll(limit) if thread_cpu_time().saturating_sub(began) > limit) {
                return Err(SetupError { configuration: None, failure: Failure::late(limit) });
            }
            configure(&mut instance, id, configuration, limit).map_err(|failure| SetupError { configuration: Some(id), failure })?;
        }
        Ok(instance)
    }

    /// Every configuration an instance does not take, each asked of one that no other has spoilt. Runs guest code under its
    /// setup budget: call it off the workers.
    pub fn refusals(&self, surroundings: &Surroundings) -> Vec<SetupError> {
        let limit = self.budget.setup_cpu;
        let (mut refusals, mut instance) = (Vec::new(), None);
        for (id, configuration) in self.configurations.iter().enumerate() {
            let mut asked = match instance.take().map_or_else(|| Instance::new(&self.component, surroundings, limit), Ok) {
                Ok(instance) => instance,
                Err(failure) => return vec![SetupError { configuration: None, failure }],
            };
            match configure(&mut asked, id, configuration, limit).and_then(|()| self.period(&mut asked, id).map(drop)) {
                Ok(()) => instance = Some(asked),
                Err(failure) => refusals.push(SetupError { configuration: Some(id), failure }),
            }
        }
        refusals
    }

    /// Takes every configuration from an instance that nothing calls any more. All of it has the setup budget of one call: an instance
    /// with ten thousand of them must not hold up the others that end.
    ///
    /// # Errors
    /// When the guest fails.
    pub(super) fn unconfigure(&self, instance: &mut Instance) -> Result<(), Failure> {
        let (began, limit) = (thread_cpu_time(), self.budget.setup_cpu);
        // The last one first: what was put at the end of a list is taken from its end.
        for id in (0..self.configurations.len()).rev() {
            let left = limit.saturating_sub(thread_cpu_time().saturating_sub(began));
            if left.is_zero() {
                return Err(Failure::late(limit));
            }
            instance.call(Phase::Aside, left, |hooks, store| hooks.unconfigure(store, number(id)?))?;
        }
        Ok(())
    }

    /// How often the timer of a configuration is ticked; `None` for never. Runs guest code under its setup budget.
    ///
    /// # Errors
    /// When the guest fails, or says what is no period of a timer.
    pub(super) fn period(&self, instance: &mut Instance, id: usize) -> Result<Option<Duration>, Failure> {
        let said = instance.call(Phase::Setup, self.budget.setup_cpu, |hooks, store| hooks.period(store, number(id)?))?;
        match said {
            None => Ok(None),
            Some(milliseconds @ SHORTEST_PERIOD_MS..=LONGEST_PERIOD_MS) => Ok(Some(Duration::from_millis(milliseconds))),
            Some(milliseconds) => Err(Failure::output(format!(
                "it asks to be ticked every {milliseconds} ms, and a period has {SHORTEST_PERIOD_MS} ms to {LONGEST_PERIOD_MS} ms (30 days)"
            ))),
        }
    }

    /// Whether calls of it may overlap: it can wait for other servers, or may take more CPU time than one tick and so steps
    /// back for others. Each has an instance and a stack of its own then.
    pub fn runs_in_turns(&self) -> bool {
        runs_in_turns(self.component.linked(self.http_client.is_some()), &self.budget)
    }

    /// Whether its component exports that hook.
    pub fn has(&self, hook: Hook) -> bool {
        self.component.has(hook)
    }
}

/// See [`Recipe::runs_in_turns`].
pub(super) fn runs_in_turns(linked: &Linked, budget: &Budget) -> bool {
    linked.waits || budget.cpu > defaults::PLUGIN_CPU_IN_PLACE
}

/// A `config-id`.
fn number(id: usize) -> Result<u32, Failure> {
    u32::try_from(id).map_err(|_| Failure::refused("more configurations than can be numbered"))
}

fn configure(instance: &mut Instance, id: usize, configuration: &Configuration, limit: Duration) -> Result<(), Failure> {
    let id = number(id)?;
    instance.configure(id, &configuration.json, limit)?;
    let Some(upstream) = &configuration.upstream else { return Ok(()) };
    let members: Vec<routing::Endpoint> = upstream
        .endpoints
        .iter()
        .map(|endpoint| routing::Endpoint {
            id: endpoint.id,
            url: endpoint.url.clone(),
            host: endpoint.host.clone(),
            port: endpoint.port,
            weight: endpoint.weight,
            labels: endpoint.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        })
        .collect();
    let taken = instance.call(Phase::Setup, limit, |hooks, store| hooks.on_endpoints(store, id, upstream.version, &members))?;
    taken.map_err(|why| instance.refused(&why))
}
