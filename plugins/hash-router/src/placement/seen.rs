//! A set of members. Up to 128 of them it lives on the stack, so that passing over a few costs no allocation.

/// Members an order has given before.
#[derive(Debug, Default)]
pub(super) struct Seen {
    low: u128,
    /// Members from 128 on, 64 to a word; empty until one of them enters.
    high: Vec<u64>,
}

impl Seen {
    /// Adds one of so many members.
    pub(super) fn insert(&mut self, member: usize, members: usize) {
        match member.checked_sub(128) {
            None => self.low |= 1 << member,
            Some(high) => {
                if self.high.is_empty() {
                    self.high.resize(members.saturating_sub(128).div_ceil(64), 0);
                }
                if let Some(word) = self.high.get_mut(high / 64) {
                    *word |= 1 << (high % 64);
                }
            }
        }
    }

    pub(super) fn contains(&self, member: usize) -> bool {
        match member.checked_sub(128) {
            None => self.low & (1 << member) != 0,
            Some(high) => self.high.get(high / 64).is_some_and(|word| word & (1 << (high % 64)) != 0),
        }
    }

    /// Whether nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.low == 0 && self.high.is_empty()
    }

    /// The first of so many members that is not in it.
    pub(super) fn first_absent(&self, members: usize) -> Option<usize> {
        (0..members).find(|member| !self.contains(*member))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_added_on_both_sides_of_128() {
        let mut seen = Seen::default();
        assert!(seen.is_empty());
        for member in [0, 127, 128, 191, 192, 299] {
            assert!(!seen.contains(member));
            seen.insert(member, 300);
            assert!(seen.contains(member), "{member}");
        }
        assert_eq!((0..300).filter(|member| seen.contains(*member)).count(), 6);
        assert_eq!(seen.first_absent(300), Some(1));
        assert!(!seen.is_empty());
    }

    #[test]
    fn says_when_every_member_was_added() {
        let mut seen = Seen::default();
        (0..130).for_each(|member| seen.insert(member, 130));
        assert_eq!(seen.first_absent(130), None);
    }
}
