//! What a plugin says that it need not be asked: filters that have no work with a configuration.

use std::collections::{BTreeMap, BTreeSet};

use super::rights::Hook;

/// By the plugin's own words, for each configuration it was given.
#[derive(Debug, Clone, Default)]
pub(super) struct LeftOut {
    everywhere: BTreeSet<(Hook, u32)>,
    /// Request filters whose work is done by the authorizer beside them, where that is called for every request.
    if_first: BTreeSet<u32>,
}

impl LeftOut {
    /// A filter lets everything go on as it is.
    pub(super) fn everywhere(&mut self, hook: Hook, config: u32) {
        self.everywhere.insert((hook, config));
    }

    /// A request filter lets everything go on that the plugin's own authorizer has seen.
    pub(super) fn if_first(&mut self, config: u32) {
        self.if_first.insert(config);
    }

    /// Whether a filter has nothing to do. `is_first`: no authorizer is called before the one beside it.
    pub(super) fn has(&self, hook: Hook, config: u32, is_first: bool) -> bool {
        self.everywhere.contains(&(hook, config)) || (is_first && hook == Hook::RequestFilter && self.if_first.contains(&config))
    }

    /// Filters that some configurations leave without work wherever they stand, and how many do.
    pub(super) fn counted(&self) -> BTreeMap<Hook, usize> {
        self.everywhere.iter().fold(BTreeMap::new(), |mut counted, (hook, _)| {
            *counted.entry(*hook).or_default() += 1;
            counted
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_left_out_where_its_plugin_says_so() {
        let mut left_out = LeftOut::default();
        left_out.everywhere(Hook::ResponseFilter, 1);
        left_out.if_first(2);
        for is_first in [true, false] {
            assert!(left_out.has(Hook::ResponseFilter, 1, is_first) && !left_out.has(Hook::RequestFilter, 1, is_first));
            assert!(!left_out.has(Hook::ResponseFilter, 2, is_first) && !left_out.has(Hook::RequestFilter, 3, is_first));
            assert_eq!(left_out.has(Hook::RequestFilter, 2, is_first), is_first);
        }
        assert_eq!(left_out.counted(), BTreeMap::from([(Hook::ResponseFilter, 1)]));
    }
}
