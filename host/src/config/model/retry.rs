//! When a request is made again.

use std::fmt;

/// What another attempt follows. Each set is made of words that configuration and plugins share; see [`RetryOn::parse`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RetryOn {
    /// Nothing of the request was used: no connection, none free, or a forwarder that does not want the endpoint.
    pub connect: bool,
    /// The connection ended before the response.
    pub reset: bool,
    /// No response head in time.
    pub timeout: bool,
    /// Statuses 500 to 599 of answers, one bit each.
    statuses: u128,
}

/// The lowest status that may be an answer's reason for another attempt: it is the server's fault (RFC 9110, section 15.6).
const LOWEST: u16 = 500;
const HIGHEST: u16 = 599;

impl RetryOn {
    /// Never.
    pub const NOTHING: Self = Self { connect: false, reset: false, timeout: false, statuses: 0 };

    /// Default: `connect` and `reset`.
    pub const DEFAULT: Self = Self { connect: true, reset: true, ..Self::NOTHING };

    /// One word: `connect`, `reset`, `timeout`, or a status from 500 to 599.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "connect" => Self { connect: true, ..Self::NOTHING },
            "reset" => Self { reset: true, ..Self::NOTHING },
            "timeout" => Self { timeout: true, ..Self::NOTHING },
            status if status.bytes().all(|byte| byte.is_ascii_digit()) => Self { statuses: bit(status.parse().ok()?)?, ..Self::NOTHING },
            _ => return None,
        })
    }

    /// Either's.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            connect: self.connect || other.connect,
            reset: self.reset || other.reset,
            timeout: self.timeout || other.timeout,
            statuses: self.statuses | other.statuses,
        }
    }

    /// What both have.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            connect: self.connect && other.connect,
            reset: self.reset && other.reset,
            timeout: self.timeout && other.timeout,
            statuses: self.statuses & other.statuses,
        }
    }

    /// Whether another attempt may follow an answer.
    pub fn status(self, status: u16) -> bool {
        bit(status).is_some_and(|bit| self.statuses & bit != 0)
    }
}

fn bit(status: u16) -> Option<u128> {
    (LOWEST..=HIGHEST).contains(&status).then(|| 1 << (status - LOWEST))
}

/// Its words, as they are written.
impl fmt::Debug for RetryOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [(self.connect, "connect"), (self.reset, "reset"), (self.timeout, "timeout")];
        let words = words.into_iter().filter(|(has, _)| *has).map(|(_, word)| word.to_owned());
        let statuses = (LOWEST..=HIGHEST).filter(|status| self.status(*status)).map(|status| status.to_string());
        f.debug_list().entries(words.chain(statuses)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(words: &[&str]) -> RetryOn {
        words.iter().map(|word| RetryOn::parse(word).unwrap()).fold(RetryOn::NOTHING, RetryOn::or)
    }

    #[test]
    fn words_say_what_is_made_again() {
        assert_eq!(all(&["connect", "reset"]), RetryOn::DEFAULT);
        let some = all(&["timeout", "500", "503", "599"]);
        assert_eq!(format!("{some:?}"), r#"["timeout", "500", "503", "599"]"#);
        assert!([500, 503, 599].into_iter().all(|status| some.status(status)));
        assert!([200, 404, 499, 502, 600, u16::MAX].into_iter().all(|status| !some.status(status)));
        for word in ["", "Connect", "400", "600", "5xx", "+503", " 503", "99999999"] {
            assert_eq!(RetryOn::parse(word), None, "{word:?}");
        }
    }

    #[test]
    fn two_policies_leave_what_both_allow() {
        assert_eq!(all(&["connect", "timeout", "503"]).and(all(&["connect", "reset", "502", "503"])), all(&["connect", "503"]));
    }
}
