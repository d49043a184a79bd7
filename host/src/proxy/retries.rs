//! When a request is made again: what upstream and route say, narrowed by the plan of each attempt.

use crate::config::model::RetryOn;
use crate::fault::Fault;
use crate::upstream::Upstream;

/// A policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Attempts in all.
    max_attempts: u32,
    on: RetryOn,
}

impl Retries {
    /// An upstream's own.
    pub fn of(upstream: &Upstream) -> Self {
        Self { max_attempts: upstream.max_attempts, on: upstream.retry_on }
    }

    /// What is left of it: nobody after the upstream can allow more.
    #[must_use]
    pub fn narrowed(self, max_attempts: Option<u32>, on: Option<RetryOn>) -> Self {
        Self {
            max_attempts: max_attempts.map_or(self.max_attempts, |attempts| attempts.min(self.max_attempts)),
            on: on.map_or(self.on, |on| on.and(self.on)),
        }
    }

    /// Whether another attempt follows the one of this number, which failed.
    pub(super) fn after_fault(self, number: u32, fault: Fault) -> bool {
        number < self.max_attempts
            && match fault {
                Fault::UpstreamReset => self.on.reset,
                Fault::UpstreamTimeout => self.on.timeout,
                fault => self.on.connect && fault.retryable(),
            }
    }

    /// Whether another attempt follows the one of this number, which was answered.
    pub(super) fn after_status(self, number: u32, status: u16) -> bool {
        number < self.max_attempts && self.on.status(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(words: &[&str]) -> RetryOn {
        words.iter().map(|word| RetryOn::parse(word).unwrap()).fold(RetryOn::NOTHING, RetryOn::or)
    }

    #[test]
    fn each_fault_has_its_word() {
        let faults = |words: &[&str]| {
            let retries = Retries { max_attempts: 2, on: on(words) };
            Fault::ALL.iter().copied().filter(|fault| retries.after_fault(1, *fault)).collect::<Vec<_>>()
        };
        assert_eq!(faults(&["reset"]), [Fault::UpstreamReset]);
        assert_eq!(faults(&["timeout"]), [Fault::UpstreamTimeout]);
        assert_eq!(faults(&["503"]), []);
        assert_eq!(
            faults(&["connect"]),
            [
                Fault::EndpointRefused,
                Fault::UpstreamSaturated,
                Fault::UpstreamUnresolved,
                Fault::UpstreamConnectFailed,
                Fault::UpstreamTlsFailed,
                Fault::UpstreamConnectTimeout
            ]
        );
    }

    #[test]
    fn nobody_widens_what_stands_before() {
        let own = Retries { max_attempts: 3, on: on(&["connect", "503"]) };
        assert_eq!(own.narrowed(None, None), own);
        let wanted = own.narrowed(Some(9), Some(on(&["reset", "503"])));
        assert_eq!(wanted, Retries { max_attempts: 3, on: on(&["503"]) });
        assert!(wanted.after_status(2, 503) && !wanted.after_status(3, 503) && !wanted.after_status(1, 502));
        let fewer = own.narrowed(Some(1), None);
        assert!(!fewer.after_status(1, 503) && !fewer.after_fault(1, Fault::UpstreamConnectFailed));
    }
}
