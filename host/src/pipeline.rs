//! The hooks of one route, in order, and what happens when one fails.
//!
//! `Chain` is what assembly made of a route's plugins; `Plugins` is what one worker calls them on. A hook that no plugin
//! of a route exports is not in its chain, so it costs nothing.

mod admit;
mod called;
mod finish;
mod outcomes;
mod select;
mod shadow;
mod told;

use std::cell::RefCell;
use std::ops::Deref;
use std::sync::Arc;

use http::HeaderName;

use crate::config::model::FailurePolicy;
use crate::exchange::LocalResponse;
use crate::fault::Fault;
use crate::plugin::{Hook, Slot, Stands};

pub use called::Holds;
pub use finish::Finished;
pub use outcomes::Ended;
pub use select::Selected;

use outcomes::Outcomes;

/// The hooks of one route.
#[derive(Debug, Default, Clone)]
pub struct Chain {
    /// Authorizers and request filters, as written.
    pub incoming: Vec<Step>,
    /// Response filters, in reverse.
    pub outgoing: Vec<Place>,
    /// Picks the endpoint; native round robin without.
    pub router: Option<Place>,
    /// Writes the plan; the upstream's own settings without.
    pub forwarder: Option<Place>,
    /// Learn of the end; `Place::slot` counts on the control side.
    pub observers: Vec<Place>,
    /// Observers of batches, on the control side too.
    pub batch_observers: Vec<Place>,
    /// Whether a request that no authorizer allowed may pass.
    pub public: bool,
    /// Whether versions of its plugins are held against each other: then all of them are asked, whatever they say of themselves.
    pub compared: bool,
}

/// One step of a request's way in.
#[derive(Debug, Clone)]
pub struct Step {
    /// Which hook.
    pub kind: StepKind,
    /// Whose.
    pub place: Place,
}

/// The hooks of the way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// `authorize`; `last` when no other authorizer follows, so that a denial comes before later filters run.
    Authorize {
        /// Whether it is the chain's last.
        last: bool,
    },
    /// `on-request`
    Filter,
}

/// A plugin in one place of a route.
#[derive(Debug, Clone)]
pub struct Place {
    /// An index into [`Plugins`].
    pub slot: usize,
    /// Which of its configurations.
    pub config: u32,
    /// Its configured name.
    pub name: Arc<str>,
    /// Which version of it, by the beginning of its digest.
    pub version: Arc<str>,
    /// What happens to the request when it fails.
    pub on_failure: FailurePolicy,
    /// The canary that is called beside it and compared.
    pub shadow: Option<Shadow>,
}

/// Where the same hook of a canary is, that is called beside the serving version's.
#[derive(Debug, Clone, Copy)]
pub struct Shadow {
    /// An index into [`Plugins`].
    pub slot: usize,
    /// Which of its configurations.
    pub config: u32,
}

/// Every plugin of one worker, ready to be called.
#[derive(Debug, Default)]
pub struct Plugins {
    slots: Vec<OfItsOwn>,
    /// By slot.
    outcomes: Vec<Option<Outcomes>>,
}

/// A plugin on cache lines of its own.
#[derive(Debug)]
#[repr(align(64))]
struct OfItsOwn(RefCell<Slot>);

impl Deref for OfItsOwn {
    type Target = RefCell<Slot>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Where a request goes after the way in.
#[derive(Debug)]
pub enum Verdict {
    /// On to an upstream.
    Pass,
    /// Back to the client, with a plugin's answer.
    Answer {
        /// Who answered.
        by: Arc<str>,
        /// What.
        response: LocalResponse,
    },
    /// Back to the client, with a fault.
    Fault(Fault),
}

// === impl Chain ===

impl Chain {
    /// The same without the filters that have nothing to do, by the plugins' own words.
    pub fn on(&self, plugins: &Plugins) -> Self {
        let first = self.incoming.iter().find(|step| matches!(step.kind, StepKind::Authorize { .. })).map(|step| step.place.at());
        let stands = |place: &Place| if first == Some(place.at()) { Stands::First } else { Stands::Behind };
        let has_work = |hook, place: &Place| self.compared || !plugins.leaves_out(hook, place.at(), stands(place));
        let mut chain = self.clone();
        chain.incoming.retain(|step| step.kind != StepKind::Filter || has_work(Hook::RequestFilter, &step.place));
        chain.outgoing.retain(|place| has_work(Hook::ResponseFilter, place));
        chain
    }

    /// Where its plugins stand that say something to the upstream: slots and configurations.
    pub fn places(&self) -> impl Iterator<Item = (usize, u32)> {
        let incoming = self.incoming.iter().map(|step| &step.place);
        incoming.chain(&self.outgoing).chain(&self.router).chain(&self.forwarder).map(Place::at)
    }
}

// === impl Plugins ===

impl Plugins {
    /// Ends them, on the thread of that number.
    pub fn retire(self, thread: usize) {
        for OfItsOwn(slot) in self.slots {
            slot.into_inner().retire(thread);
        }
    }

    /// A worker's plugins, in the order assembly numbered them.
    pub fn new(slots: Vec<Slot>) -> Self {
        let outcomes = slots.iter().map(Outcomes::of).collect();
        Self { slots: slots.into_iter().map(|slot| OfItsOwn(RefCell::new(slot))).collect(), outcomes }
    }

    fn leaves_out(&self, hook: Hook, (slot, config): (usize, u32), stands: Stands) -> bool {
        self.slots.get(slot).is_some_and(|slot| slot.borrow().leaves_out(hook, config, stands))
    }

    /// Request headers that a plugin says to the upstream of such a place, and no client may.
    pub fn kept_from_clients(&self, (slot, config): (usize, u32)) -> Vec<HeaderName> {
        self.slots.get(slot).map_or_else(Vec::new, |slot| slot.borrow().kept_from_clients(config).to_vec())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}
