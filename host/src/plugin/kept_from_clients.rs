//! Request headers that a plugin says to the upstream, and no client may.

use std::collections::BTreeMap;

use http::HeaderName;

/// Of one instance.
const MOST: usize = 256;

/// By the plugin's own words, for each configuration it was given.
#[derive(Debug, Clone, Default)]
pub(super) struct KeptFromClients(BTreeMap<u32, Vec<HeaderName>>);

impl KeptFromClients {
    /// One more, if there is room.
    pub(super) fn add(&mut self, config: u32, name: HeaderName) -> bool {
        if self.of(config).contains(&name) {
            return true;
        }
        let has_room = self.0.values().map(Vec::len).sum::<usize>() < MOST;
        if has_room {
            self.0.entry(config).or_default().push(name);
        }
        has_room
    }

    /// Those of a configuration.
    pub(super) fn of(&self, config: u32) -> &[HeaderName] {
        self.0.get(&config).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_for_each_configuration_up_to_a_number() {
        let mut kept = KeptFromClients::default();
        let name = |number: usize| HeaderName::try_from(format!("x-{number}")).unwrap();
        for number in (0..MOST).chain(0..MOST) {
            assert!(kept.add(u32::from(number % 2 == 0), name(number)), "{number}");
        }
        assert!(!kept.add(0, name(MOST)) && !kept.add(2, name(0)));
        assert_eq!((kept.of(0).len(), kept.of(1).first(), kept.of(2)), (MOST / 2, Some(&name(0)), &[][..]));
    }
}
