//! Where a slot's next instance comes from: made here, on the worker, where that takes next to nothing, as for nearly every plugin; and
//! otherwise from the nursery, where spares wait.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot::error::TryRecvError;

use super::budget::thread_cpu_time;
use super::failure::FailureKind;
use super::instance::{Instance, Surroundings};
use super::nursery::Coming;
use super::recipe::{Recipe, SetupError, SetupTime};
use crate::config::model::Isolation;

/// Spares of a plugin whose calls all take one: a burst of so many is met without waiting for the nursery.
const SPARES_FOR_REQUESTS: usize = 4;

/// Where one more instance is.
pub(super) enum Another {
    /// Here.
    Made(Box<Result<Instance, SetupError>>),
    /// Being made elsewhere.
    Coming(Coming),
}

/// Instances of one plugin for one worker.
#[derive(Debug)]
pub(super) struct Supply {
    recipe: Arc<Recipe>,
    surroundings: Surroundings,
    /// Ordered, oldest first; none for a plugin that is cheap to set up.
    spares: VecDeque<Coming>,
    /// CPU time of the nursery for those that were taken, since it was last asked for.
    elsewhere: Duration,
}

impl Supply {
    /// A supply, and its first instance, which proves that there will be others. Runs guest code under its setup budget: call it
    /// off the workers.
    ///
    /// # Errors
    /// When the instance cannot be made ready.
    pub(super) fn open(recipe: Arc<Recipe>, surroundings: Surroundings) -> Result<(Self, Instance), SetupError> {
        let began = thread_cpu_time();
        let first = recipe.instantiate(&surroundings, SetupTime::PerCall, None)?;
        let is_dear = thread_cpu_time().saturating_sub(began) > here(&recipe);
        let mut supply = Self { recipe, surroundings, spares: VecDeque::new(), elsewhere: Duration::ZERO };
        if is_dear {
            supply.order();
        }
        Ok((supply, first))
    }

    pub(super) fn recipe(&self) -> &Arc<Recipe> {
        &self.recipe
    }

    pub(super) fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// Whether what it takes to make one is too much for a worker, as far as is known: spares are made elsewhere.
    pub(super) fn is_dear(&self) -> bool {
        !self.spares.is_empty()
    }

    /// Another instance; `None` while one is being made. One that serves a single call may know only that call's configuration.
    pub(super) fn another(&mut self, only: Option<u32>) -> Option<Result<Instance, SetupError>> {
        if self.spares.is_empty() {
            match self.here(only) {
                // Dearer than it was at first: it is made elsewhere.
                Err(SetupError { failure, .. }) if failure.kind == FailureKind::Cpu => self.order(),
                made => return Some(made),
            }
        }
        match self.spares.front_mut()?.try_recv() {
            Ok(made) => {
                self.spares.pop_front();
                self.elsewhere += made.took;
                // On a busy machine a cheap one can look dear for once.
                if made.took > here(&self.recipe) {
                    self.order();
                }
                Some(made.instance)
            }
            Err(TryRecvError::Empty) => None,
            // The nursery is gone, as at the end of a process.
            Err(TryRecvError::Closed) => {
                self.spares.pop_front();
                Some(self.here(only))
            }
        }
    }

    /// CPU time that instances took which were made elsewhere and taken since this was asked last.
    pub(super) fn take_elsewhere(&mut self) -> Duration {
        std::mem::take(&mut self.elsewhere)
    }

    /// One more beside those there are, made here where that is cheap.
    pub(super) fn one_more(&mut self, only: Option<u32>) -> Another {
        match self.spares.pop_front() {
            Some(spare) => {
                self.order();
                Another::Coming(spare)
            }
            None => match self.here(only) {
                // Dearer than it was at first: it is made elsewhere.
                Err(SetupError { failure, .. }) if failure.kind == FailureKind::Cpu => {
                    Another::Coming(self.surroundings.nursery.order(&self.recipe, &self.surroundings))
                }
                made => Another::Made(Box::new(made)),
            },
        }
    }

    fn here(&self, only: Option<u32>) -> Result<Instance, SetupError> {
        self.recipe.instantiate(&self.surroundings, SetupTime::InAll(here(&self.recipe)), only)
    }

    fn order(&mut self) {
        let wanted = match self.recipe.isolation {
            Isolation::Worker => 1,
            Isolation::Request => SPARES_FOR_REQUESTS,
        };
        while self.spares.len() < wanted {
            self.spares.push_back(self.surroundings.nursery.order(&self.recipe, &self.surroundings));
        }
    }
}

/// CPU time a worker may spend on making an instance: as much as the operator lets a call take.
fn here(recipe: &Recipe) -> Duration {
    recipe.budget.cpu
}
