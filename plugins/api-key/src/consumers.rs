//! Who may have keys, and the keys that are configured. A key is found by its digest: what a request brings is never compared with a
//! key, and from what is configured no key can be worked out.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::digest::{Digest, PREFIX};

/// Keys of one consumer: one, and a second while one replaces the other.
pub(crate) const MOST_KEYS: usize = 2;
/// The claim that says which of a consumer's keys it was.
pub(crate) const KEY_CLAIM: &str = "key";
/// Keys of one place.
const MOST_CONSUMERS: usize = 10_000;
/// Longest name, bytes: it may become a header and the label of a metric.
const LONGEST_NAME: usize = 128;

/// One consumer as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Consumer {
    pub(crate) name: String,
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    #[serde(default)]
    pub(crate) claims: BTreeMap<String, String>,
}

/// All of one place.
#[derive(Debug)]
pub(crate) struct Consumers {
    /// Sorted by name.
    list: Vec<Consumer>,
    /// Sorted by digest.
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    digest: Digest,
    consumer: usize,
    number: usize,
}

/// Whose key it was.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    pub(crate) consumer: &'a Consumer,
    /// 1 or 2: which of the consumer's keys.
    pub(crate) number: usize,
}

impl Consumer {
    /// How many of its keys are configured. These have the first numbers; what is in `kv` has those that are left.
    pub(crate) fn configured(&self) -> usize {
        self.keys.len()
    }
}

impl Consumers {
    /// Checks them; `least` is how many keys of each have to be configured. The error is for the operator.
    pub(crate) fn new(mut list: Vec<Consumer>, least: usize) -> Result<Self, String> {
        if list.is_empty() {
            return Err(
                "there is none: write `consumers = [{ name = \"shop\", keys = [\"sha256:…\"] }]`, or `{ file = \"consumers.json\" }`"
                    .to_owned(),
            );
        }
        if list.len() > MOST_CONSUMERS {
            return Err(format!("{} are more than {MOST_CONSUMERS}", list.len()));
        }
        list.sort_by(|one, other| one.name.cmp(&other.name));
        if let Some((one, _)) = list.iter().zip(list.iter().skip(1)).find(|(one, next)| one.name == next.name) {
            return Err(format!("{:?} is there twice; a consumer has up to {MOST_KEYS} keys", one.name));
        }
        let mut keys = Vec::with_capacity(list.len());
        for (index, consumer) in list.iter().enumerate() {
            let name = &consumer.name;
            if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(format!("{name:?} is no name: 1 to {LONGEST_NAME} letters, digits and signs, without spaces"));
            }
            if consumer.claims.contains_key(KEY_CLAIM) {
                return Err(format!("{name:?}: the claim `{KEY_CLAIM}` says which of the keys it was; give yours another name"));
            }
            if !(least..=MOST_KEYS).contains(&consumer.keys.len()) {
                return Err(format!("{name:?} has {} keys: one, or two while one replaces the other", consumer.keys.len()));
            }
            for (number, written) in (1..).zip(&consumer.keys) {
                let digest = Digest::read(written).ok_or_else(|| {
                    // Not what was written: somebody may have written the key itself.
                    format!(
                        "{name:?}, key {number}: write \"{PREFIX}\" and the 64 digits of `printf %s \"$KEY\" | sha256sum`, never the key"
                    )
                })?;
                keys.push(Key { digest, consumer: index, number });
            }
        }
        keys.sort_unstable_by_key(|key| key.digest);
        if let Some((one, other)) = keys.iter().zip(keys.iter().skip(1)).find(|(one, other)| one.digest == other.digest) {
            let name = |key: &Key| list.get(key.consumer).map_or("", |consumer| &consumer.name);
            return Err(format!("{:?} and {:?} have the same key", name(one), name(other)));
        }
        Ok(Self { list, keys })
    }

    /// Whose key this is, among those that are configured. Where a digest stands in the list depends on bits nobody can choose; the rest of
    /// it is compared in a time that does not depend on where it differs.
    pub(crate) fn find(&self, digest: &Digest) -> Option<Found<'_>> {
        let from = self.keys.partition_point(|known| known.digest.beginning() < digest.beginning());
        let alike = self.keys.iter().skip(from).take_while(|known| known.digest.beginning() == digest.beginning());
        let known = alike.filter(|known| known.digest.is(digest)).last()?;
        Some(Found { consumer: self.list.get(known.consumer)?, number: known.number })
    }

    /// The one of that name.
    pub(crate) fn named(&self, name: &str) -> Option<&Consumer> {
        let place = self.list.binary_search_by(|consumer| consumer.name.as_str().cmp(name)).ok()?;
        self.list.get(place)
    }

    /// Those whose names come after this one, in their order.
    pub(crate) fn after<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Consumer> + use<'a> {
        self.list.iter().skip(self.list.partition_point(|consumer| consumer.name.as_str() <= name))
    }

    /// Digests of the keys of one that are configured, with their numbers.
    pub(crate) fn keys_of(&self, consumer: &Consumer) -> impl Iterator<Item = (usize, Digest)> {
        (1..).zip(consumer.keys.iter().filter_map(|written| Digest::read(written)))
    }
}
