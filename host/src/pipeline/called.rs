//! Calls of hooks that may wait. Where a plugin cannot wait its call is made here and now; where it can, the call finds the plugin
//! again through whatever holds all of them, since it may outlive the request it was made for.

use std::cell::RefMut;
use std::rc::Rc;
use std::time::Instant;

use super::{Place, Plugins};
use crate::exchange::Exchange;
use crate::fault::Fault;
use crate::plugin::{self, Called, Decision, Flow, Holder, Slot};

/// What a worker's plugins are part of.
pub trait Holds: 'static {
    /// Those plugins.
    fn plugins(&self) -> &Plugins;
}

impl Holds for Plugins {
    fn plugins(&self) -> &Plugins {
        self
    }
}

/// One slot of what holds it.
struct Held<H> {
    holds: Rc<H>,
    slot: usize,
}

impl<H: Holds> Held<H> {
    fn new(holds: &Rc<H>, slot: usize) -> Self {
        Self { holds: Rc::clone(holds), slot }
    }
}

impl<H> Clone for Held<H> {
    fn clone(&self) -> Self {
        Self { holds: Rc::clone(&self.holds), slot: self.slot }
    }
}

impl<H: Holds> Holder for Held<H> {
    fn with<R>(&self, take: impl FnOnce(&mut Slot) -> R) -> R {
        match self.holds.plugins().slots.get(self.slot) {
            Some(slot) => take(&mut slot.borrow_mut()),
            None => unreachable!("a slot was there when the call began, and none is ever taken away"),
        }
    }
}

/// A slot, and one of its configurations.
type At = (usize, u32);

/// One hook of a place, wherever its calls are made. The slot is not held while a call waits.
macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident -> $answer:ty;)*) => {
        $(
            $(#[$doc])*
            pub(super) async fn $name<H: Holds>(holds: &Rc<H>, (slot, config): At, exchange: Box<Exchange>) -> Called<$answer> {
                match holds.plugins().at(slot) {
                    Ok(mut slot) if !slot.runs_in_turns() => return slot.$name(config, exchange),
                    Ok(_) => {}
                    Err(fault) => return (exchange, Err(fault)),
                }
                // Boxed: requests whose plugins cannot wait have no room for one that does.
                Box::pin(plugin::$name(Held::new(holds, slot), config, exchange)).await
            }
        )*
    };
}

calls! {
    /// Asks an authorizer.
    authorize -> Decision;
    /// Shows a request filter the request.
    on_request -> Flow;
    /// Shows a response filter the response.
    on_response -> Flow;
}

impl Place {
    /// Where it is called.
    pub(super) fn at(&self) -> At {
        (self.slot, self.config)
    }
}

impl Plugins {
    /// Ends instances that were not used for a while.
    pub fn tidy(&self, now: Instant) {
        self.slots.iter().filter_map(|slot| slot.try_borrow_mut().ok()).for_each(|mut slot| slot.tidy(now));
    }

    /// The slot of a place.
    pub(super) fn slot(&self, place: &Place) -> Result<RefMut<'_, Slot>, Fault> {
        self.at(place.slot)
    }

    /// A slot. Hooks never call hooks, so it is never borrowed twice; a number out of range is a fault of
    /// assembly, answered as one.
    pub(super) fn at(&self, slot: usize) -> Result<RefMut<'_, Slot>, Fault> {
        self.slots.get(slot).and_then(|slot| slot.try_borrow_mut().ok()).ok_or(Fault::Internal)
    }
}
