//! The plugin objects of one instance: one for each place it is configured for.

use std::cell::RefCell;

/// One object for each `config-id`, sorted by it. The gateway's ids grow, so adding one is a push.
#[derive(Debug)]
#[doc(hidden)]
pub struct Places<P> {
    list: RefCell<Vec<(u32, P)>>,
}

impl<P> Places<P> {
    /// None yet.
    #[doc(hidden)]
    pub const fn new() -> Self {
        Self { list: RefCell::new(Vec::new()) }
    }

    /// Runs a hook on the object of a place. The component model never enters an instance twice, so no hook meets the
    /// list borrowed by another.
    pub(crate) fn with<R>(&self, id: u32, hook: impl FnOnce(&P) -> R) -> Option<R> {
        let list = self.list.borrow();
        let place = list.binary_search_by_key(&id, |(known, _)| *known).ok()?;
        list.get(place).map(|(_, plugin)| hook(plugin))
    }

    /// The same, where the hook changes the object.
    pub(crate) fn with_mut<R>(&self, id: u32, hook: impl FnOnce(&mut P) -> R) -> Option<R> {
        let mut list = self.list.borrow_mut();
        let place = list.binary_search_by_key(&id, |(known, _)| *known).ok()?;
        list.get_mut(place).map(|(_, plugin)| hook(plugin))
    }

    /// Keeps the object of a place in the stead of the one it had.
    pub(crate) fn insert(&self, id: u32, plugin: P) {
        let mut list = self.list.borrow_mut();
        match list.binary_search_by_key(&id, |(known, _)| *known) {
            Ok(place) => {
                if let Some(entry) = list.get_mut(place) {
                    entry.1 = plugin;
                }
            }
            Err(place) => list.insert(place, (id, plugin)),
        }
    }

    /// Forgets a place.
    pub(crate) fn remove(&self, id: u32) {
        let mut list = self.list.borrow_mut();
        if let Ok(place) = list.binary_search_by_key(&id, |(known, _)| *known) {
            list.remove(place);
        }
    }
}

impl<P> Default for Places<P> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
