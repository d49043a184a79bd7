//! The keys of an issuer as its server publishes them: fetched when they are needed, again in time, and at once where a token names
//! a key that is not among them. Requests that name keys nobody has cannot make the gateway ask more often than it would for one.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use plugway_sdk::http_client::OutgoingRequest;
use plugway_sdk::{AuthError, clock, log};

use crate::Refusal;
use crate::algorithm::Algorithm;
use crate::denial::Denial;
use crate::document::{Document, Trouble};
use crate::held::Held;
use crate::keys::KeySet;
use crate::server::{KEYS, Location, shared};
use crate::token::Token;

/// How long a set counts that does not say so.
const FRESHNESS: Duration = Duration::from_secs(300);
/// A set younger than this is asked for again out of turn alone. The gateway's cache is one for all workers, so otherwise it is at most one
/// request in this time, where the set may be kept and does not come out of another cache, which makes it older.
const YOUNG: Duration = Duration::from_secs(1);
/// The gateway's cache is asked no more often than this because of unknown keys: for so long one instance may refuse what another has a key for.
const LOOK: Duration = Duration::from_millis(100);
/// So often in a row an instance asks because of an unknown key, and then once in so long: as often as the cache lets one of them through, and
/// seldom where nothing is kept, or only what other caches have had for long, so that each asks the server.
const BURST: f64 = 5.0;
const AFTER_BURST: Duration = YOUNG;
const AFTER_BURST_UNSHIELDED: Duration = Duration::from_secs(10);
/// So often in a row an instance asks for a young set, and then once in so long: a key may have come right after it. The first answer may be one that others
/// wait for already. The gateway's cache bounds how often all of them reach the server.
const BURST_OUT_OF_TURN: f64 = 2.0;
const OUT_OF_TURN: Duration = Duration::from_secs(30);

thread_local! {
    /// One for each address and choice of algorithms, whichever places use it.
    static SETS: RefCell<BTreeMap<String, Weak<Published>>> = const { RefCell::new(BTreeMap::new()) };
}

/// A set that is fetched.
#[derive(Debug)]
pub(crate) struct Published {
    /// For the log.
    issuer: String,
    location: Location,
    accepted: Vec<Algorithm>,
    keys: RefCell<Held<KeySet>>,
    asking: RefCell<Allowance>,
    asking_out_of_turn: RefCell<Allowance>,
    /// When the gateway's cache was asked last because of an unknown key.
    looked: Cell<Duration>,
}

/// What asks for a set, where its address is known.
type Requested = Result<OutgoingRequest, Trouble>;

/// The set that a signature was checked with. What was found good by it is good as long as it is the issuer's: a key that the issuer takes back
/// must not go on through tokens that were seen before.
#[derive(Debug, Clone)]
pub(crate) struct CheckedWith {
    published: Rc<Published>,
    keys: Weak<KeySet>,
}

/// How often unknown keys may still be asked for: a bucket that fills with time.
#[derive(Debug)]
struct Allowance {
    most: f64,
    left: f64,
    since: Duration,
}

impl Published {
    pub(crate) fn new(issuer: &str, location: Location, accepted: &[Algorithm]) -> Rc<Self> {
        let place = location.written();
        shared(&SETS, &format!("{issuer} {place} {accepted:?}"), || Self {
            issuer: issuer.to_owned(),
            location,
            accepted: accepted.to_vec(),
            keys: RefCell::default(),
            asking: RefCell::new(Allowance::of(BURST)),
            asking_out_of_turn: RefCell::new(Allowance::of(BURST_OUT_OF_TURN)),
            looked: Cell::default(),
        })
    }

    /// Checks a signature, as [`KeySet::verify`]. Gives the payload, and what it was checked with.
    pub(crate) fn verify(self: &Rc<Self>, algorithm: Algorithm, token: &Token<'_>) -> Result<(Vec<u8>, CheckedWith), Refusal> {
        let now = clock::now();
        let mut has_asked = false;
        if self.keys.borrow().is_due(now) {
            // What there is counts meanwhile.
            has_asked = self.fetch_in_turn(now).unwrap_or_default();
        }
        let keys = self.current(now).ok_or_else(|| self.unavailable(now))?;
        match self.check(&keys, algorithm, token) {
            Err(Denial::UnknownKey) => {}
            known => return Ok(known?),
        }
        // It may be newer than what is here. While the server is away nobody can say, and it is not a reason to ask again.
        if self.keys.borrow().is_in_trouble() {
            return Err(self.unavailable(now).into());
        }
        // Made before the cache is asked: what another instance is told meanwhile will do.
        let may_ask_out_of_turn = self.asking_out_of_turn.borrow().is_left(now, OUT_OF_TURN);
        let out_of_turn = may_ask_out_of_turn.then(|| self.request(now, Duration::ZERO));
        // Another instance may have asked already: what it got is in the gateway's cache, and to look there costs the server nothing, so that no flood
        // of unknown keys keeps a good one away.
        let may_look = self.keys.borrow().is_cached(now) && now.abs_diff(self.looked.get()) >= LOOK;
        if may_look {
            self.looked.set(now);
            match self.look_again(now, self.in_turn(now), algorithm, token) {
                // Nobody was asked, which is no news of the key.
                Err(Trouble::Busy) => {}
                Ok((is_of_now, None)) => has_asked |= is_of_now,
                Err(_) => return Err(self.unavailable(now).into()),
                Ok((_, Some(known))) => return Ok(known?),
            }
        }
        if self.may_ask(now) {
            let (is_of_now, known) = self.look_again(now, self.request(now, YOUNG), algorithm, token).map_err(|_| self.unavailable(now))?;
            if let Some(known) = known {
                return Ok(known?);
            }
            if !is_of_now {
                // The cache had one that is young enough, so nobody was asked.
                self.asking.borrow_mut().give_back();
            }
            has_asked |= is_of_now;
        }
        // An answer that others wait for, too, may have been asked for before there was this key: the next one was not.
        for request in out_of_turn.filter(|_| !has_asked).map(Some).into_iter().chain([None]) {
            match self.look_out_of_turn(now, request, algorithm, token) {
                Some(Err(Denial::UnknownKey)) => {}
                Some(known) => return Ok(known?),
                None => break,
            }
        }
        Err(Denial::UnknownKey.into())
    }

    /// As [`look_again`](Self::look_again), where nobody has to be asked: none if nobody was, or nothing was said.
    fn look_out_of_turn(
        self: &Rc<Self>,
        now: Duration,
        request: Option<Requested>,
        algorithm: Algorithm,
        token: &Token<'_>,
    ) -> Option<Result<(Vec<u8>, CheckedWith), Denial>> {
        if !self.asking_out_of_turn.borrow_mut().take(now, OUT_OF_TURN) {
            return None;
        }
        let fetched = request.unwrap_or_else(|| self.request(now, Duration::ZERO)).and_then(Document::receive);
        // What another instance was told meanwhile, and what could not be asked, reached nobody.
        if fetched.as_ref().map_or_else(|trouble| *trouble == Trouble::Busy, |document| !document.is_of_now) {
            self.asking_out_of_turn.borrow_mut().give_back();
        }
        // A server that does not like to be asked again so soon is in no trouble.
        self.take(now, Ok(fetched.ok()?)).ok()?;
        Some(self.check(&self.current(now)?, algorithm, token))
    }

    /// Whether the server may be asked because of an unknown key, if the gateway's cache has no set that is young.
    fn may_ask(&self, now: Duration) -> bool {
        let (age, is_shielded) = (self.keys.borrow().age(now), self.keys.borrow().is_shielded(now));
        age >= YOUNG && self.asking.borrow_mut().take(now, if is_shielded { AFTER_BURST } else { AFTER_BURST_UNSHIELDED })
    }

    /// Fetches the set once more and checks the signature with it; none where it has no key for it either. And whether the server was asked just now.
    fn look_again(
        self: &Rc<Self>,
        now: Duration,
        request: Requested,
        algorithm: Algorithm,
        token: &Token<'_>,
    ) -> Result<(bool, Option<Result<(Vec<u8>, CheckedWith), Denial>>), Trouble> {
        let is_of_now = self.fetch(now, request)?;
        let checked = self.current(now).map(|keys| self.check(&keys, algorithm, token));
        Ok((is_of_now, checked.filter(|checked| !matches!(checked, Err(Denial::UnknownKey)))))
    }

    fn check(self: &Rc<Self>, keys: &Rc<KeySet>, algorithm: Algorithm, token: &Token<'_>) -> Result<(Vec<u8>, CheckedWith), Denial> {
        let payload = keys.verify(algorithm, token)?;
        Ok((payload, CheckedWith { published: Rc::clone(self), keys: Rc::downgrade(keys) }))
    }

    fn current(&self, now: Duration) -> Option<Rc<KeySet>> {
        self.keys.borrow().value(now)
    }

    /// Gives whether the server was asked just now.
    fn fetch(&self, now: Duration, request: Requested) -> Result<bool, Trouble> {
        // Nothing is borrowed while it waits.
        let fetched = request.and_then(Document::receive);
        let is_of_now = fetched.as_ref().is_ok_and(|document| document.is_of_now);
        self.take(now, fetched).map(|()| is_of_now)
    }

    fn take(&self, now: Duration, fetched: Result<Document, Trouble>) -> Result<(), Trouble> {
        let taken = self.keys.borrow_mut().take(now, fetched, |body| KeySet::parse(body, &self.accepted));
        taken.inspect_err(|trouble| log::warn!("the keys of {}: {trouble}", self.issuer))
    }

    /// The same as it is fetched in turn.
    fn fetch_in_turn(&self, now: Duration) -> Result<bool, Trouble> {
        self.fetch(now, self.in_turn(now))
    }

    fn in_turn(&self, now: Duration) -> Requested {
        let most_age = self.keys.borrow().most_age();
        self.request(now, most_age)
    }

    fn request(&self, now: Duration, most_age: Duration) -> Requested {
        Ok(Document::request(&self.location.url(KEYS, false, now)?, most_age, FRESHNESS))
    }

    fn unavailable(&self, now: Duration) -> AuthError {
        AuthError::Unavailable(Some(self.keys.borrow().retry_after(now)))
    }
}

impl CheckedWith {
    /// Whether the set was to be asked for long ago: tokens that are known need no key, and would never ask.
    pub(crate) fn is_overdue(&self, now: Duration) -> bool {
        self.published.keys.borrow().is_overdue(now)
    }

    /// Asks for it.
    pub(crate) fn renew(&self, now: Duration) {
        // What there is counts meanwhile.
        let _ = self.published.fetch_in_turn(now);
    }

    /// Whether it is still the issuer's set.
    pub(crate) fn holds(&self, now: Duration) -> bool {
        self.published.current(now).is_some_and(|keys| std::ptr::eq(Rc::as_ptr(&keys), self.keys.as_ptr()))
    }
}

impl Allowance {
    fn of(most: f64) -> Self {
        Self { most, left: most, since: Duration::ZERO }
    }

    /// Takes one of those that are there, where one more comes in so long.
    fn take(&mut self, now: Duration, every: Duration) -> bool {
        self.left = self.left_at(now, every);
        self.since = now;
        let is_left = self.left >= 1.0;
        if is_left {
            self.left -= 1.0;
        }
        is_left
    }

    /// Whether there is one to take.
    fn is_left(&self, now: Duration, every: Duration) -> bool {
        self.left_at(now, every) >= 1.0
    }

    fn left_at(&self, now: Duration, every: Duration) -> f64 {
        let passed = now.saturating_sub(self.since);
        (self.left + passed.as_secs_f64() / every.as_secs_f64()).min(self.most)
    }

    /// What was taken was not used.
    fn give_back(&mut self) {
        self.left = (self.left + 1.0).min(self.most);
    }
}

#[cfg(test)]
mod tests;
