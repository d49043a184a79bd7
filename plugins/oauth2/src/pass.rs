//! What a token that passed is worth to a request: made once, given out as often as the token is good.

use std::time::Duration;

use plugway_sdk::Identity;

use crate::binding::Binding;
use crate::claims::Lifetime;
use crate::published::CheckedWith;

/// Everything a request with the token needs.
#[derive(Debug)]
pub(crate) struct Pass {
    /// Judged at each use.
    pub(crate) lifetime: Lifetime,
    /// When the server that said so has to be asked again, where one was.
    pub(crate) counts_until: Option<Duration>,
    /// The set its signature was checked with, where that may change.
    pub(crate) checked_with: Option<CheckedWith>,
    /// Checked at each use.
    pub(crate) binding: Binding,
    /// What the request gets.
    pub(crate) given: Given,
}

/// What a request gets that passes.
#[derive(Debug)]
pub(crate) enum Given {
    /// All in one, once the call has ended; and how many bytes its headers have, which the gateway keeps.
    AtEnd(plugway_sdk::Pass, usize),
    /// A copy of the identity, and values of `claims_as_headers` in the order of the configuration: where more is written after them.
    AtOnce(Identity, Vec<Option<String>>),
}

impl Pass {
    /// Whether it has to be judged anew: what a server said of it does not count any more, or its issuer has other keys now.
    pub(crate) fn is_outdated(&self, now: Duration) -> bool {
        self.counts_until.is_some_and(|until| now >= until) || self.checked_with.as_ref().is_some_and(|set| !set.holds(now))
    }

    /// The set that has to be asked for before it counts once more.
    pub(crate) fn overdue_set(&self, now: Duration) -> Option<CheckedWith> {
        self.checked_with.as_ref().filter(|set| set.is_overdue(now)).cloned()
    }

    /// Bytes it holds beside its own size.
    pub(crate) fn bytes(&self) -> usize {
        match &self.given {
            Given::AtEnd(_, bytes) => *bytes,
            Given::AtOnce(_, headers) => bytes_of(headers),
        }
    }
}

/// Bytes of values of headers, and of what holds them.
pub(crate) fn bytes_of(headers: &[Option<String>]) -> usize {
    headers.iter().map(|text| size_of::<Option<String>>() + text.as_ref().map_or(0, String::len)).sum()
}
