//! How long the head of an answer is waited for while the request's body is on its way: an upload may take as long as it does, as long as it goes on.

use std::time::Duration;

use tokio::time::Instant;

/// Who has to do something next: the upstream, or who sends it the body of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The upstream: it was given the last of the body then, if it was given any.
    Upstream(Option<Instant>),
    /// Who sends the body. How long they may take is no matter of the upstream's.
    Sender,
}

/// Knows whose turn it is.
pub trait Turns {
    /// Whose turn it is now.
    fn turn(&self) -> Turn;
}

/// Of a body that is there with its head.
impl Turns for () {
    fn turn(&self) -> Turn {
        Turn::Upstream(None)
    }
}

/// Until when the upstream is waited for that was waited for until now; `None` if it has had its time.
pub(super) fn later(turns: &dyn Turns, allowed: Duration, now: Instant) -> Option<Instant> {
    match turns.turn() {
        Turn::Upstream(since) => since.map(|since| since + allowed).filter(|deadline| *deadline > now),
        Turn::Sender => Some(now + allowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    struct Now(Turn);

    impl Turns for Now {
        fn turn(&self) -> Turn {
            self.0
        }
    }

    #[test]
    fn the_upstreams_time_begins_with_the_last_it_was_given() {
        let now = Instant::now();
        let later = |turn| later(&Now(turn), SECOND * 10, now + SECOND * 10);
        assert_eq!(later(Turn::Upstream(None)), None);
        assert_eq!(later(Turn::Upstream(Some(now))), None);
        assert_eq!(later(Turn::Upstream(Some(now + SECOND))), Some(now + SECOND * 11));
        assert_eq!(later(Turn::Sender), Some(now + SECOND * 20));
        assert_eq!(super::later(&(), SECOND, now), None);
    }
}
