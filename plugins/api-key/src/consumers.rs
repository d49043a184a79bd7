//! Who has which key. A key is found by its digest: what a request brings is never compared with a key, and from what is
//! configured no key can be worked out.

use std::collections::{BTreeMap, BTreeSet};

use plugway_sdk::CryptoError;
use plugway_sdk::crypto::{self, DigestAlgorithm};
use serde::Deserialize;

/// Keys of one consumer: one, and a second while one replaces the other.
const MOST_KEYS: usize = 2;
/// Keys of one place.
const MOST_CONSUMERS: usize = 10_000;
/// How a digest is written.
const PREFIX: &str = "sha256:";
/// Longest name, bytes: it may become a header and the label of a metric.
const LONGEST_NAME: usize = 128;

/// One consumer as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Consumer {
    pub(crate) name: String,
    keys: Vec<String>,
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    #[serde(default)]
    pub(crate) claims: BTreeMap<String, String>,
}

/// All of one place.
#[derive(Debug)]
pub(crate) struct Consumers {
    list: Vec<Consumer>,
    /// Sorted by digest.
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    digest: [u8; 32],
    consumer: usize,
    number: i64,
}

/// Whose key it was.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    pub(crate) consumer: &'a Consumer,
    /// 1 or 2: which of the consumer's keys.
    pub(crate) number: i64,
}

impl Consumers {
    /// Checks them. The error is for the operator.
    pub(crate) fn new(list: Vec<Consumer>) -> Result<Self, String> {
        if list.is_empty() {
            return Err(
                "there is none: write `consumers = [{ name = \"shop\", keys = [\"sha256:…\"] }]`, or `{ file = \"consumers.json\" }`"
                    .to_owned(),
            );
        }
        if list.len() > MOST_CONSUMERS {
            return Err(format!("{} are more than {MOST_CONSUMERS}", list.len()));
        }
        let mut names = BTreeSet::new();
        let mut keys = Vec::with_capacity(list.len());
        for (index, consumer) in list.iter().enumerate() {
            let name = &consumer.name;
            if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(format!("{name:?} is no name: 1 to {LONGEST_NAME} letters, digits and signs, without spaces"));
            }
            if !names.insert(name) {
                return Err(format!("{name:?} is there twice; a consumer has up to {MOST_KEYS} keys"));
            }
            if !(1..=MOST_KEYS).contains(&consumer.keys.len()) {
                return Err(format!("{name:?} has {} keys: one, or two while one replaces the other", consumer.keys.len()));
            }
            for (number, written) in (1..).zip(&consumer.keys) {
                let digest = read_digest(written).ok_or_else(|| {
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

    /// Whose key this is. Where a digest stands in the list depends on bits nobody can choose; the rest of it is compared in a time
    /// that does not depend on where it differs.
    pub(crate) fn find(&self, key: &[u8]) -> Result<Option<Found<'_>>, CryptoError> {
        let digest = crypto::digest(DigestAlgorithm::Sha256, key)?;
        let beginning = |digest: &[u8]| digest.first_chunk::<8>().copied();
        let from = self.keys.partition_point(|known| beginning(&known.digest) < beginning(&digest));
        let alike = self.keys.iter().skip(from).take_while(|known| beginning(&known.digest) == beginning(&digest));
        let known = alike.filter(|known| is_same(&known.digest, &digest)).last();
        Ok(known.and_then(|known| Some(Found { consumer: self.list.get(known.consumer)?, number: known.number })))
    }
}

fn is_same(known: &[u8; 32], digest: &[u8]) -> bool {
    known.len() == digest.len() && known.iter().zip(digest).fold(0, |differ, (known, given)| differ | (known ^ given)) == 0
}

fn read_digest(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix(PREFIX).filter(|digits| digits.len() == 64 && digits.is_ascii())?;
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| !pair.contains('+'))?, 16).ok()?;
    }
    Some(digest)
}
