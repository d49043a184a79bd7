//! Configuration: what is written, and what is left of it after the checks.

use plugway_sdk::one_or_many;
use serde::{Deserialize, Deserializer};

use crate::hash::Hash;
use crate::key::{Key, Source};
use crate::placement::Kind;
use crate::placement::maglev::{self, TableSize};

/// Most parts a joined key may have: each but the first header or path is a call into the gateway per request.
const MAX_PARTS: usize = 8;

/// Smallest and largest `bounded_load`. At 1 every member would have to be exactly even; from 100 on it bounds nothing.
const LOAD_FACTORS: std::ops::RangeInclusive<f64> = 1.01..=100.0;

/// The configuration as written. Every key but `key` may be left out.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the key comes from: one source or a list of sources, which are joined.
    pub key: Sources,
    /// What makes a number of the key. Default `xxh3`; the two ketama placements have a hash of their own.
    pub hash: Option<KeyHash>,
    /// How members are laid out. Default `maglev`.
    #[serde(default)]
    pub placement: PlacementName,
    /// Entries of Maglev's table, a prime from 251 to 1 000 003. Default 65 537. Other placements have no table.
    pub table_size: Option<u32>,
    /// What becomes of a request without the key. Default `spread`.
    #[serde(default)]
    pub missing_key: MissingKey,
    /// How far above its fair share of the requests in flight a member may go, 1.01 to 100, e.g. 1.25. Default: no bound.
    pub bounded_load: Option<f64>,
}

/// One source of a key, or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources(pub Vec<Source>);

/// `hash`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyHash {
    /// XXH3, 64 bits.
    Xxh3,
    /// SHA-1, its first 8 bytes.
    Sha1,
    /// MD5, its first 8 bytes.
    Md5,
}

/// `placement`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlacementName {
    /// A table of entries in fair turns.
    #[default]
    Maglev,
    /// libketama's ring.
    Ketama,
    /// nginx's ring, that of `hash ... consistent`.
    KetamaNginx,
    /// Highest random weight.
    Rendezvous,
    /// The remainder of the hash.
    Modulo,
}

/// `missing_key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingKey {
    /// A random member, by weight.
    #[default]
    Spread,
    /// No member: the request is answered with 503.
    Reject,
}

/// The configuration after the checks.
#[derive(Debug)]
pub struct Checked {
    /// Where the key comes from.
    pub key: Key,
    /// What makes a number of it.
    pub hash: Hash,
    /// How members are laid out.
    pub placement: Kind,
    /// What becomes of a request without the key.
    pub missing_key: MissingKey,
    /// How far above its fair share a member may go.
    pub bounded_load: Option<f64>,
}

impl Config {
    /// Checks what the types do not say. The error names the key and what to do.
    pub fn check(self) -> Result<Checked, String> {
        let parts = self.key.0.len();
        if parts == 0 {
            return Err("`key`: the list is empty; name at least one source, e.g. \"path\"".to_owned());
        }
        if parts > MAX_PARTS {
            return Err(format!("`key`: {parts} sources are too many; join at most {MAX_PARTS}"));
        }
        for source in &self.key.0 {
            source.check().map_err(|why| format!("`key`: {why}"))?;
        }
        if let Some(factor) = self.bounded_load
            && !LOAD_FACTORS.contains(&factor)
        {
            return Err(format!(
                "`bounded_load`: {factor} is outside {} to {}; 1.25 lets a member have a quarter more than its share",
                LOAD_FACTORS.start(),
                LOAD_FACTORS.end()
            ));
        }
        if self.table_size.is_some() && self.placement != PlacementName::Maglev {
            return Err("`table_size`: only `placement = \"maglev\"` has a table; take the key out".to_owned());
        }
        Ok(Checked {
            hash: hash_of(self.placement, self.hash)?,
            placement: match self.placement {
                PlacementName::Maglev => Kind::Maglev(TableSize::new(self.table_size.unwrap_or(maglev::DEFAULT_TABLE_SIZE))?),
                PlacementName::Ketama => Kind::Ketama,
                PlacementName::KetamaNginx => Kind::KetamaNginx,
                PlacementName::Rendezvous => Kind::Rendezvous,
                PlacementName::Modulo => Kind::Modulo,
            },
            key: Key::new(self.key.0).map_err(|why| format!("`key`: {why}"))?,
            missing_key: self.missing_key,
            bounded_load: self.bounded_load,
        })
    }
}

/// The two ketama placements are promises to agree with other programs, which leave no choice of hash.
fn hash_of(placement: PlacementName, hash: Option<KeyHash>) -> Result<Hash, String> {
    match (placement, hash) {
        (PlacementName::Ketama, None | Some(KeyHash::Md5)) => Ok(Hash::Md5),
        (PlacementName::Ketama, Some(_)) => Err("`hash`: `placement = \"ketama\"` hashes keys with md5; take the key out".to_owned()),
        (PlacementName::KetamaNginx, None) => Ok(Hash::Crc32),
        (PlacementName::KetamaNginx, Some(_)) => {
            Err("`hash`: `placement = \"ketama-nginx\"` hashes keys with CRC32, as nginx does; take the key out".to_owned())
        }
        (_, None | Some(KeyHash::Xxh3)) => Ok(Hash::Xxh3),
        (_, Some(KeyHash::Sha1)) => Ok(Hash::Sha1),
        (_, Some(KeyHash::Md5)) => Ok(Hash::Md5),
    }
}

impl<'de> Deserialize<'de> for Sources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_or_many(deserializer, "\"path\", \"client-address\", a table such as { header = \"x-user\" }, or a list of those").map(Self)
    }
}

#[cfg(test)]
mod tests;
