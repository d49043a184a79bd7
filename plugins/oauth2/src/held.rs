//! Something fetched that an instance keeps: when to ask for it again, and what counts while its server is away. Pure: the time is given.

use std::rc::Rc;
use std::time::Duration;

use crate::document::{Document, MOST_STALE, Trouble};

/// Whatever a server says, it is asked no more often than this, and no less often than that: a key that it takes back is gone then.
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// What is only used, and not asked for anything new, makes it be asked for so long after its time: something new does sooner, where there is any.
const OVERDUE: Duration = SHORTEST;
/// Ages are told in whole seconds (RFC 9111, section 5.1). One answer that is taken from the cache again seems younger than it did by up to this; the
/// older reckoning is nearer.
const AGES_STEP: Duration = Duration::from_secs(1);
/// From one vain attempt to the next.
pub(crate) const RETRY: Duration = Duration::from_secs(10);

/// What was fetched last, and read.
#[derive(Debug)]
pub(crate) struct Held<T> {
    value: Option<Rc<T>>,
    body: Vec<u8>,
    /// When the server made it, or said that it has not changed.
    made: Duration,
    /// When it was known to be of use.
    good: Duration,
    /// When to ask again.
    due: Duration,
    /// Until when the gateway's cache has it.
    cached_until: Duration,
    /// Whether what the server sends is of no age, and so is old in the gateway's cache when it has been there for long.
    comes_young: bool,
    /// Whether the last attempt was in vain.
    in_trouble: bool,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self {
            value: None,
            body: Vec::new(),
            made: Duration::ZERO,
            good: Duration::ZERO,
            due: Duration::ZERO,
            cached_until: Duration::ZERO,
            comes_young: false,
            in_trouble: false,
        }
    }
}

impl<T> Held<T> {
    /// What counts now.
    pub(crate) fn value(&self, now: Duration) -> Option<Rc<T>> {
        self.value.clone().filter(|_| now.saturating_sub(self.good) <= LONGEST + MOST_STALE)
    }

    /// Whether it is time to ask. A clock that was set back must not make it wait for long.
    pub(crate) fn is_due(&self, now: Duration) -> bool {
        self.is_late(now, Duration::ZERO)
    }

    /// Whether it was time to ask long ago.
    pub(crate) fn is_overdue(&self, now: Duration) -> bool {
        self.is_late(now, OVERDUE)
    }

    fn is_late(&self, now: Duration, by: Duration) -> bool {
        now >= self.due.saturating_add(by) || now + LONGEST < self.due
    }

    /// Whether its server was away, or talked rubbish, when it was asked last.
    pub(crate) fn is_in_trouble(&self) -> bool {
        self.in_trouble
    }

    /// Whether the gateway's cache keeps its server from being asked for one that is younger, whoever asks.
    pub(crate) fn is_shielded(&self, now: Duration) -> bool {
        self.comes_young && self.is_cached(now)
    }

    /// Whether the gateway's cache has it, or a newer one.
    pub(crate) fn is_cached(&self, now: Duration) -> bool {
        now < self.cached_until
    }

    /// How old it is.
    pub(crate) fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.made)
    }

    /// How old an answer may be: one that was rubbish may be in the gateway's cache, and fresh there; and for how long one is fresh there its
    /// server says alone.
    pub(crate) fn most_age(&self) -> Duration {
        if self.in_trouble { RETRY / 2 } else { LONGEST }
    }

    /// Seconds until it may be there: at once, unless its server is away.
    pub(crate) fn retry_after(&self, now: Duration) -> u32 {
        if !self.in_trouble {
            return 1;
        }
        u32::try_from(self.due.saturating_sub(now).as_secs()).unwrap_or(u32::MAX).clamp(1, 60)
    }

    /// Takes what came. What cannot be read, or did not come, leaves the last good one as it is; what was not asked for leaves everything.
    pub(crate) fn take(
        &mut self,
        now: Duration,
        fetched: Result<Document, Trouble>,
        read: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<(), Trouble> {
        if fetched.as_ref().is_err_and(|trouble| *trouble == Trouble::Busy) {
            return fetched.map(drop);
        }
        self.in_trouble = true;
        self.due = now + RETRY;
        let document = fetched?;
        let made = now.saturating_sub(document.age);
        let is_new = self.value.is_none() || self.body != document.body;
        if is_new {
            self.value = Some(Rc::new(read(&document.body).map_err(Trouble::Rubbish)?));
            self.body = document.body;
        }
        if is_new || made < self.made || made >= self.made + AGES_STEP {
            self.made = made;
        }
        self.comes_young = document.age < AGES_STEP || self.comes_young && !document.is_of_now;
        self.cached_until = (now + document.fresh_for).min(self.made + LONGEST);
        // A fresh answer is of now, however long it lay in caches on its way.
        self.good = if document.is_stale { self.made } else { now };
        if document.is_stale {
            return Err(Trouble::Away("it is away, and the gateway's cache has the last good answer".to_owned()));
        }
        self.in_trouble = false;
        self.due = now + document.fresh_for.clamp(SHORTEST, LONGEST);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Duration = Duration::from_secs(1_800_000_000);

    fn document(body: &str, fresh: u64) -> Document {
        Document { body: body.into(), age: Duration::ZERO, fresh_for: Duration::from_secs(fresh), is_of_now: true, is_stale: false }
    }

    fn read(body: &[u8]) -> Result<String, String> {
        let text = String::from_utf8(body.to_vec()).unwrap();
        if text == "rubbish" { Err(text) } else { Ok(text) }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn asks_again_by_what_the_server_says_within_bounds() {
        for (fresh, first) in [(0, 60), (300, 300), (1_000_000, 3600)] {
            let mut held = Held::default();
            assert!(held.is_due(NOON) && held.value(NOON).is_none());
            held.take(NOON, Ok(document("a", fresh)), read).unwrap();
            assert!(!held.is_due(NOON + seconds(first) - seconds(1)), "{fresh}");
            assert!(held.is_due(NOON + seconds(first)), "{fresh}");
            // What is only used waits a minute longer.
            let overdue = NOON + seconds(first) + OVERDUE;
            assert!(!held.is_overdue(NOON + seconds(1)) && !held.is_overdue(overdue - seconds(1)) && held.is_overdue(overdue), "{fresh}");
            assert!(held.is_overdue(NOON - seconds(100_000)));
            // A clock that was wrong by days is no reason to wait for days.
            assert!(held.is_due(NOON - seconds(100_000)));
        }
    }

    #[test]
    fn of_one_answer_taken_again_the_older_reckoning_counts() {
        let mut held = Held::default();
        let millis = |millis: u64| NOON + Duration::from_millis(millis);
        // Made at noon, and told in whole seconds.
        let mut take = |at: u64| {
            held.take(millis(at), Ok(Document { age: seconds(at / 1_000), ..document("a", 300) }), read).unwrap();
            held.age(millis(at))
        };
        assert_eq!(take(900), Duration::ZERO);
        assert_eq!([take(950), take(1_050), take(1_950)], [50, 1_000, 1_900].map(Duration::from_millis));
        // Another that says the same, and a new one.
        held.take(millis(5_000), Ok(document("a", 300)), read).unwrap();
        assert_eq!(held.age(millis(5_000)), Duration::ZERO);
        held.take(millis(5_500), Ok(document("b", 300)), read).unwrap();
        assert_eq!(held.age(millis(5_500)), Duration::ZERO);
    }

    #[test]
    fn an_answer_that_lay_long_in_caches_is_as_good_as_it_is_fresh() {
        let mut held = Held::default();
        let old = Document { age: seconds(200_000), ..document("a", 3_000) };
        held.take(NOON, Ok(old), read).unwrap();
        assert!(held.value(NOON).is_some() && !held.is_cached(NOON), "it is not asked of the cache again");
        assert!(held.value(NOON + MOST_STALE + LONGEST).is_some() && held.value(NOON + MOST_STALE + LONGEST + seconds(1)).is_none());
    }

    #[test]
    fn the_last_good_one_counts_while_the_server_is_away_and_not_for_ever() {
        let mut held = Held::default();
        held.take(NOON, Ok(document("a", 300)), read).unwrap();
        let later = NOON + seconds(400);
        for vain in [Err(Trouble::Status(plugway_sdk::Status(500))), Ok(document("rubbish", 300))] {
            assert!(held.take(later, vain, read).is_err());
            assert!(held.is_in_trouble() && !held.is_due(later + seconds(9)) && held.is_due(later + RETRY));
            assert_eq!((held.value(later).unwrap().as_str(), held.most_age()), ("a", RETRY / 2));
        }
        let stale = Document { is_stale: true, age: seconds(400), ..document("b", 0) };
        assert!(held.take(later, Ok(stale), read).is_err());
        assert_eq!((held.value(later).unwrap().as_str(), held.retry_after(later)), ("b", 10));
        assert!(held.value(later + MOST_STALE + LONGEST).is_none());
        held.take(later, Ok(document("c", 300)), read).unwrap();
        assert_eq!((held.value(later).unwrap().as_str(), held.is_in_trouble(), held.most_age()), ("c", false, LONGEST));
    }
}
