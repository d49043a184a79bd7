//! What `crypto.verify-jws` found good, remembered for all workers and instances of a plugin. Why so, and why not more, is in
//! `docs/adr/0039-good-signatures-are-remembered-by-the-host.md`.

use std::sync::atomic::{AtomicU64, Ordering};

use super::crypto::{self, JwsError, PublicKey};
use super::kv::Store;
use crate::telemetry::{Held, Holder};

/// How long one counts, milliseconds: a day. That a signature is good stays true; this is for what nobody sends any more, which goes first then.
const KEPT_MS: u64 = 24 * 60 * 60 * 1_000;
/// Bytes there are for each, on average: a token, its key's name, and what an entry costs.
const BYTES_OF_ONE: usize = 2 << 10;
/// The least a store has.
const LEAST_BYTES: usize = 1 << 20;
/// Characters of a signature that are part of its name: 192 bits.
const TAIL: usize = 32;

/// The signatures of one plugin.
#[derive(Debug)]
pub struct Signatures {
    /// `None` where the grant says that none are remembered.
    good: Option<Store>,
    found: AtomicU64,
}

impl Signatures {
    /// None yet, with room for so many.
    pub fn new(most: usize) -> Self {
        let good = (most > 0).then(|| Store::new(most, most.saturating_mul(BYTES_OF_ONE).max(LEAST_BYTES)));
        Self { good, found: AtomicU64::new(0) }
    }

    /// As [`PublicKey::verify_jws`], without the work where the same text was found good by the same key and algorithm before. It is found by a
    /// keyed hash, and counts only if all of its bytes are the same.
    ///
    /// # Errors
    /// As there.
    pub fn verify_jws(&self, key: &PublicKey, algorithm: &str, jws: &str) -> Result<Vec<u8>, JwsError> {
        match &self.good {
            Some(good) => self.verify_jws_at(good, key, algorithm, jws, good.now()),
            None => key.verify_jws(algorithm, jws),
        }
    }

    fn verify_jws_at(&self, good: &Store, key: &PublicKey, algorithm: &str, jws: &str, now: u64) -> Result<Vec<u8>, JwsError> {
        let Some(name) = name(key, algorithm, jws) else { return key.verify_jws(algorithm, jws) };
        if good.has_at(&name, jws.as_bytes(), now) {
            self.found.fetch_add(1, Ordering::Relaxed);
            return crypto::payload(jws);
        }
        let payload = key.verify_jws(algorithm, jws)?;
        // What is too long for the store is checked each time.
        let _ = good.set_at(&name, jws.as_bytes(), Some(KEPT_MS), now);
        Ok(payload)
    }
}

/// Where it would be: its key, its algorithm, and the end of its signature, which nobody knows who was not given it. `None` for what is too
/// short to be signed.
fn name(key: &PublicKey, algorithm: &str, jws: &str) -> Option<String> {
    let tail = jws.get(jws.len().checked_sub(TAIL)?..)?;
    Some([key.name(), algorithm, tail].join(" "))
}

impl Holder for Signatures {
    fn held(&self) -> Vec<(Held, u64)> {
        let kept = self.good.iter().flat_map(Store::held).filter_map(|(measure, amount)| match measure {
            Held::KvEntries => Some((Held::Signatures, amount)),
            Held::KvBytes => Some((Held::SignatureBytes, amount)),
            Held::KvEvicted => Some((Held::SignaturesEvicted, amount)),
            _ => None,
        });
        kept.chain([(Held::SignaturesFound, self.found.load(Ordering::Relaxed))]).collect()
    }
}

#[cfg(test)]
mod tests;
