//! How long one call may wait in all. It may have to ask several times, one after another: for metadata, under two names, for keys, and about the token.
//! A call that misses its deadline would count as a failure of the plugin, and some in a row close the place to everybody.

use std::cell::Cell;
use std::time::Duration;

use plugway_sdk::clock;

/// Together. A call has 5 s where nothing else is written (`deadline`), and may have waited for its instance.
const MOST: Duration = Duration::from_millis(4_500);
/// For one that comes late: what the gateway has in its cache takes none.
const LEAST: Duration = Duration::from_millis(50);

thread_local! {
    /// When the running call asked for the first time.
    static BEGAN: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// A call begins. It does not look at the clock: most never ask anybody.
pub(crate) fn begin() {
    BEGAN.set(None);
}

/// Time for one answer, `most` at most.
pub(crate) fn left(most: Duration) -> Duration {
    let now = clock::now();
    let began = BEGAN.get().unwrap_or(now);
    BEGAN.set(Some(began));
    most.min(MOST.saturating_sub(now.saturating_sub(began))).max(LEAST)
}

#[cfg(test)]
mod tests {
    use plugway_sdk::testing;

    use super::*;

    #[test]
    fn answers_together_have_less_than_the_deadline() {
        let milliseconds = Duration::from_millis;
        begin();
        for (took, expected) in [(1_500, 1_500), (1_500, 1_500), (1_500, 1_500), (50, 50), (10_000, 50)] {
            assert_eq!(left(milliseconds(1_500)), milliseconds(expected));
            testing::advance(milliseconds(took));
        }
        begin();
        assert_eq!(left(milliseconds(3_000)), milliseconds(3_000));
        testing::advance(milliseconds(3_000));
        assert_eq!(left(milliseconds(3_000)), milliseconds(1_500));
    }
}
