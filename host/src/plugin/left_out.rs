//! What a plugin says that it need not be asked: filters that have no work with a configuration.

use std::collections::{BTreeMap, BTreeSet};

use super::rights::Hook;

/// Where an authorizer stands in a chain, and with it the filter beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// Before all other authorizers: it is called for every request.
    First,
    /// Behind another one, which may have let a request pass; or nobody knows.
    Behind,
}

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

    /// Whether a filter that stands there has nothing to do.
    pub(super) fn has(&self, hook: Hook, config: u32, stands: Stands) -> bool {
        let if_first = || stands == Stands::First && hook == Hook::RequestFilter && self.if_first.contains(&config);
        self.everywhere.contains(&(hook, config)) || if_first()
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
        for stands in [Stands::First, Stands::Behind] {
            assert!(left_out.has(Hook::ResponseFilter, 1, stands) && !left_out.has(Hook::RequestFilter, 1, stands));
            assert!(!left_out.has(Hook::ResponseFilter, 2, stands) && !left_out.has(Hook::RequestFilter, 3, stands));
            assert_eq!(left_out.has(Hook::RequestFilter, 2, stands), stands == Stands::First);
        }
        assert_eq!(left_out.counted(), BTreeMap::from([(Hook::ResponseFilter, 1)]));
    }
}
