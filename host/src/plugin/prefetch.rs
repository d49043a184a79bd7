//! What of a request comes with a call, by the plugin's own words.

use http::HeaderName;

use super::bindings::plugway::gateway::types::{Prefetched, ShortValue};
use crate::exchange::RequestHead;

/// Bytes that come so; one more and they are asked for.
const MOST: usize = 40;
/// Different facts of one instance, in all its configurations.
const MOST_FACTS: usize = 256;

/// A fact for each configuration an instance was given.
#[derive(Debug, Default)]
pub(super) struct Prefetch {
    /// Positions among the facts, from 1; 0 is none. An array and not a map, since it is looked at in every call.
    by_configuration: Vec<u16>,
    facts: Vec<Fact>,
}

/// What can come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// The first value of a header.
    Header(HeaderName),
    /// The normalised path.
    Path,
}

/// It does not come with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

impl Prefetch {
    /// Says which a configuration gets.
    ///
    /// # Errors
    /// When that gets another one already, or all together are too many.
    pub(super) fn add(&mut self, config: u32, fact: Fact) -> Result<(), TooMany> {
        let config = usize::try_from(config).map_err(|_| TooMany)?;
        if self.by_configuration.get(config).is_some_and(|number| *number > 0) {
            return if self.fact(config) == Some(&fact) { Ok(()) } else { Err(TooMany) };
        }
        let position = match self.facts.iter().position(|known| *known == fact) {
            Some(position) => position,
            None if self.facts.len() < MOST_FACTS => {
                self.facts.push(fact);
                self.facts.len() - 1
            }
            None => return Err(TooMany),
        };
        if self.by_configuration.len() <= config {
            self.by_configuration.resize(config + 1, 0);
        }
        if let (Some(own), Ok(number)) = (self.by_configuration.get_mut(config), u16::try_from(position + 1)) {
            *own = number;
        }
        Ok(())
    }

    /// What a call for a place with that configuration gets.
    #[inline]
    pub(super) fn of(&self, config: u32, request: &RequestHead) -> Prefetched {
        match usize::try_from(config).ok().and_then(|config| self.fact(config)) {
            None => Prefetched::Unknown,
            Some(Fact::Header(name)) => request.headers.get(name).map_or(Prefetched::Absent, |value| short(value.as_bytes())),
            Some(Fact::Path) => short(request.path().as_bytes()),
        }
    }

    fn fact(&self, config: usize) -> Option<&Fact> {
        self.facts.get(usize::from(self.by_configuration.get(config)?.checked_sub(1)?))
    }
}

fn short(value: &[u8]) -> Prefetched {
    let mut bytes = [0; MOST];
    let Some(taken) = bytes.get_mut(..value.len()) else { return Prefetched::Unknown };
    taken.copy_from_slice(value);
    let (words, _) = bytes.as_chunks::<8>();
    let (&[first, second, third, fourth, fifth], Ok(length)) = (words, u8::try_from(value.len())) else { return Prefetched::Unknown };
    let [first, second, third, fourth, fifth] = [first, second, third, fourth, fifth].map(u64::from_le_bytes);
    Prefetched::Value(ShortValue { length, words: (first, second, third, fourth, fifth) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str) -> Fact {
        Fact::Header(HeaderName::try_from(name).unwrap())
    }

    #[test]
    fn each_configuration_has_one_fact_and_an_instance_so_many() {
        let mut prefetch = Prefetch::default();
        assert_eq!(prefetch.add(3, Fact::Path), Ok(()));
        assert_eq!(prefetch.add(3, header("x-a")), Err(TooMany));
        assert_eq!(prefetch.add(3, Fact::Path), Ok(()), "the same again is no other one");
        for number in 1..MOST_FACTS {
            assert_eq!(prefetch.add(number as u32 + 10, header(&format!("x-{number}"))), Ok(()));
        }
        assert_eq!(prefetch.add(1, header("x-one-more")), Err(TooMany));
        assert_eq!(prefetch.add(1, header("x-7")), Ok(()), "configurations share what they name");
        let facts = [0, 1, 3, 17, 9_999].map(|config| prefetch.fact(config));
        assert_eq!(facts, [None, Some(&header("x-7")), Some(&Fact::Path), Some(&header("x-7")), None]);
    }

    #[test]
    fn bytes_come_in_the_order_of_the_value_as_far_as_there_is_room() {
        let words = |value: &[u8]| match short(value) {
            Prefetched::Value(ShortValue { length, words }) => Some((length, words)),
            _ => None,
        };
        assert_eq!(words(b""), Some((0, (0, 0, 0, 0, 0))));
        assert_eq!(words(b"\x01\x02"), Some((2, (0x0201, 0, 0, 0, 0))));
        assert_eq!(words(b"\0\0\0\0\0\0\0\0\xff"), Some((9, (0, 0xff, 0, 0, 0))));
        assert_eq!(words(&[0xff; MOST]), Some((40, (u64::MAX, u64::MAX, u64::MAX, u64::MAX, u64::MAX))));
        assert_eq!(words(&[0; MOST + 1]), None);
    }
}
