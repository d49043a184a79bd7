//! Keys that came while the gateway runs: in `kv`, so that every worker has them at once. There is nothing but their digests.
//!
//! A key is good if two entries say so: `key:DIGEST` names its consumer, and that consumer's own entry, `consumer:NAME`, has the digest. The
//! second is the truth, and one change of it at a time (compare-and-swap) makes or ends a key for everybody. Whichever entry is gone, evicted or
//! never made, the key is refused: no loss lets anybody in.

use std::fmt::Write;
use std::time::Duration;

use plugway_sdk::{AuthError, KvError, kv};

use crate::consumers::{Consumer, Consumers, Found, MOST_KEYS};
use crate::digest::Digest;

/// How often a change is tried again that somebody else's came before.
const ATTEMPTS: usize = 8;

/// A key of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issued {
    /// 1 or 2, one that no configured key has.
    pub(crate) number: usize,
    pub(crate) digest: Digest,
    /// Since the Unix epoch, in seconds.
    pub(crate) made: u64,
    /// When it ends, where it does by itself.
    pub(crate) ends: Option<u64>,
}

/// Why a key was not added or not revoked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The consumer has two.
    Full,
    /// Somebody has that key.
    Taken,
    /// There is no such key.
    NoSuchKey,
    /// Others change the same consumer all the time.
    Busy,
    /// `kv` did not do it.
    Kv(KvError),
}

impl From<KvError> for Refused {
    fn from(error: KvError) -> Self {
        Self::Kv(error)
    }
}

/// Whose key this is, among those in `kv`.
pub(crate) fn find<'a>(consumers: &'a Consumers, digest: &Digest, now: Duration) -> Result<Option<Found<'a>>, AuthError> {
    let unavailable = |_: KvError| AuthError::Unavailable(None);
    let Some(name) = kv::get(&key_entry(digest)).map_err(unavailable)? else { return Ok(None) };
    // One that the configuration does not have any more has no keys either.
    let Some(consumer) = std::str::from_utf8(&name).ok().and_then(|name| consumers.named(name)) else { return Ok(None) };
    let text = kv::get(&consumer_entry(consumer)).map_err(unavailable)?.unwrap_or_default();
    let key = parse(&text, now).filter(|key| key.digest.is(digest) && counts(key, consumer)).last();
    Ok(key.map(|key| Found { consumer, number: key.number }))
}

/// The keys of a consumer, each with whether it is let pass.
pub(crate) fn list(consumer: &Consumer, now: Duration) -> Result<Vec<(Issued, bool)>, KvError> {
    let text = kv::get(&consumer_entry(consumer))?.unwrap_or_default();
    parse(&text, now).map(|key| Ok((key.clone(), is_good(&key, consumer)?))).collect()
}

/// Adds a key, or says which it is where the consumer has it already.
pub(crate) fn add(consumer: &Consumer, digest: Digest, lifetime: Option<Duration>, now: Duration) -> Result<(Issued, bool), Refused> {
    for _ in 0..ATTEMPTS {
        let before = kv::get(&consumer_entry(consumer))?;
        // What is not let pass any more makes room.
        let mut keys = Vec::with_capacity(MOST_KEYS);
        for key in parse(before.as_deref().unwrap_or_default(), now) {
            if is_good(&key, consumer)? {
                keys.push(key);
            }
        }
        let known = keys.iter().find(|key| key.digest == digest).cloned();
        let number = match &known {
            Some(key) => key.number,
            None => {
                (consumer.configured() + 1..=MOST_KEYS).find(|number| keys.iter().all(|key| key.number != *number)).ok_or(Refused::Full)?
            }
        };
        let made = known.as_ref().map_or(now.as_secs(), |key| key.made);
        // One that is told of again without an end keeps the end that it has.
        let ends = lifetime.map(|lifetime| (now + lifetime).as_secs()).or(known.as_ref().and_then(|key| key.ends));
        let issued = Issued { number, digest, made, ends };
        keys.retain(|key| key.digest != digest);
        keys.push(issued.clone());
        // First: a key that the consumer has and that nobody finds is refused, and not the other way round.
        match claim(consumer, &digest, ends.map(|ends| Duration::from_secs(ends).saturating_sub(now)), now) {
            Err(Refused::Busy) => continue,
            claimed => claimed?,
        }
        match kv::compare_and_swap(&consumer_entry(consumer), before.as_deref(), Some(write(&keys).as_bytes()), None) {
            Ok(()) => return Ok((issued, known.is_none())),
            Err(KvError::Mismatch) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Refused::Busy)
}

/// Ends the keys of a consumer that are meant, for all workers at once; says which.
pub(crate) fn revoke(consumer: &Consumer, is_meant: impl Fn(&Issued) -> bool, now: Duration) -> Result<Vec<Issued>, Refused> {
    for _ in 0..ATTEMPTS {
        let Some(before) = kv::get(&consumer_entry(consumer))? else { return Err(Refused::NoSuchKey) };
        let (gone, kept): (Vec<_>, Vec<_>) = parse(&before, now).partition(&is_meant);
        if gone.is_empty() {
            return Err(Refused::NoSuchKey);
        }
        let kept = (!kept.is_empty()).then(|| write(&kept));
        match kv::compare_and_swap(&consumer_entry(consumer), Some(&before), kept.as_ref().map(String::as_bytes), None) {
            Ok(()) => {
                for key in &gone {
                    // By now it may lead to another one, who was given the same key.
                    match kv::compare_and_swap(&key_entry(&key.digest), Some(consumer.name.as_bytes()), None, None) {
                        Ok(()) | Err(KvError::Mismatch) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                return Ok(gone);
            }
            Err(KvError::Mismatch) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Refused::Busy)
}

/// Has the digest lead to the consumer, unless it leads to another one who has the key.
fn claim(consumer: &Consumer, digest: &Digest, lifetime: Option<Duration>, now: Duration) -> Result<(), Refused> {
    let entry = key_entry(digest);
    let before = kv::get(&entry)?;
    if let Some(other) = before.as_deref().filter(|name| *name != consumer.name.as_bytes()) {
        let other = String::from_utf8_lossy(other);
        // What it has is read without regard to what is configured for it: a key that may count again is taken.
        let text = kv::get(&named_entry(&other))?.unwrap_or_default();
        if parse(&text, now).any(|key| key.digest == *digest) {
            return Err(Refused::Taken);
        }
    }
    match kv::compare_and_swap(&entry, before.as_deref(), Some(consumer.name.as_bytes()), lifetime) {
        Err(KvError::Mismatch) => Err(Refused::Busy),
        done => Ok(done?),
    }
}

/// Whether a key of a consumer's entry is let pass: it has a number of its own, and its digest leads here.
fn is_good(key: &Issued, consumer: &Consumer) -> Result<bool, KvError> {
    Ok(counts(key, consumer) && kv::get(&key_entry(&key.digest))?.as_deref() == Some(consumer.name.as_bytes()))
}

/// A configured key that came later has the number of one that is here: there are never more than two.
fn counts(key: &Issued, consumer: &Consumer) -> bool {
    (consumer.configured() + 1..=MOST_KEYS).contains(&key.number)
}

/// A line for each: number, digest, when it was made, when it ends. A line that another version of this plugin wrote and nobody can read is no key.
fn parse(text: &[u8], now: Duration) -> impl Iterator<Item = Issued> + use<'_> {
    let lines = std::str::from_utf8(text).unwrap_or_default().lines();
    lines.filter_map(line).filter(move |key| key.ends.is_none_or(|ends| now.as_secs() < ends))
}

fn line(text: &str) -> Option<Issued> {
    let mut words = text.split(' ');
    let mut next = || words.next();
    let (number, digest, made, ends) = (next()?.parse().ok()?, Digest::read(next()?)?, next()?.parse().ok()?, next()?);
    let ends = if ends == "-" { None } else { Some(ends.parse().ok()?) };
    words.next().is_none().then_some(Issued { number, digest, made, ends })
}

fn write(keys: &[Issued]) -> String {
    let mut text = String::new();
    for Issued { number, digest, made, ends } in keys {
        let ends = ends.map_or("-".to_owned(), |ends| ends.to_string());
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{number} {digest} {made} {ends}");
    }
    text
}

fn key_entry(digest: &Digest) -> String {
    format!("key:{digest}")
}

fn consumer_entry(consumer: &Consumer) -> String {
    named_entry(&consumer.name)
}

fn named_entry(name: &str) -> String {
    format!("consumer:{name}")
}
