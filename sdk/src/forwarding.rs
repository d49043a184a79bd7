//! What a forwarder writes on.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

pub use crate::bindings::imports::plugway::gateway::forward_plan::Protocol;
use crate::error::{ChangeError, PlanError};
use crate::header::HeaderName;
use crate::status::Status;
use crate::sys::{self, ask};

/// The upstream's own settings, and what this plugin wants different for this attempt.
pub struct Plan<'a> {
    raw: sys::PlanHandle<'a>,
}

/// What another attempt may follow; in a plugin's configuration as in an upstream's `retry_on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum RetryCondition {
    /// `connect`: nothing of the request was used.
    Connect,
    /// `reset`: the connection ended before the response.
    Reset,
    /// `timeout`: no response head in time.
    Timeout,
    /// An answer with this status, 500 to 599.
    Status(Status),
}

impl FromStr for RetryCondition {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        match (word, word.parse()) {
            ("connect", _) => Ok(Self::Connect),
            ("reset", _) => Ok(Self::Reset),
            ("timeout", _) => Ok(Self::Timeout),
            (_, Ok(status @ 500..=599)) if is_number => Ok(Self::Status(Status(status))),
            _ => Err(format!("{word:?} is neither `connect`, `reset`, `timeout` nor a status from `500` to `599`")),
        }
    }
}

impl TryFrom<String> for RetryCondition {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        word.parse()
    }
}

impl fmt::Display for RetryCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("connect"),
            Self::Reset => f.write_str("reset"),
            Self::Timeout => f.write_str("timeout"),
            Self::Status(Status(status)) => write!(f, "{status}"),
        }
    }
}

impl<'a> Plan<'a> {
    pub(crate) fn new(raw: sys::PlanHandle<'a>) -> Self {
        Self { raw }
    }

    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn fake(&self) -> &crate::testing::FakePlan {
        &self.raw
    }
}

impl fmt::Debug for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").finish_non_exhaustive()
    }
}

/// Where to, and how.
impl Plan<'_> {
    /// Scheme of the endpoint: `http` or `https`.
    pub fn scheme(&self) -> String {
        ask!(self, forward_plan::scheme())
    }

    /// Asks for TLS (`https`) to an endpoint configured as plaintext; `http` where TLS is configured is `Weaker`.
    pub fn set_scheme(&mut self, scheme: &str) -> Result<(), PlanError> {
        Ok(ask!(self, forward_plan::set_scheme(scheme))?)
    }

    /// Chooses one of the upstream's `tls_profiles` by name. It does not ask for TLS; [`Plan::set_scheme`] does, before or after. A hook that returns with a
    /// profile or a server name chosen and the scheme still `http` has failed: nothing goes out in the clear that was meant to be verified.
    pub fn set_tls_profile(&mut self, name: &str) -> Result<(), PlanError> {
        Ok(ask!(self, forward_plan::set_tls_profile(name))?)
    }

    /// Server name to send (SNI) and to verify the certificate against; one of the upstream's `server_names`. It does not ask for TLS either.
    pub fn set_server_name(&mut self, name: &str) -> Result<(), PlanError> {
        Ok(ask!(self, forward_plan::set_server_name(name))?)
    }

    /// Chooses the application protocol.
    pub fn set_protocol(&mut self, protocol: Protocol) -> Result<(), PlanError> {
        Ok(ask!(self, forward_plan::set_protocol(protocol))?)
    }

    /// Time allowed for connecting, TLS included; at most the upstream's own. Whole milliseconds count.
    pub fn set_connect_timeout(&mut self, timeout: Duration) -> Result<(), PlanError> {
        Ok(ask!(self, forward_plan::set_connect_timeout_ms(milliseconds(timeout)))?)
    }

    /// Time allowed until the response head is complete; at most the upstream's own. Whole milliseconds count.
    pub fn set_response_timeout(&mut self, timeout: Duration) -> Result<(), PlanError> {
        Ok(ask!(self, forward_plan::set_response_timeout_ms(milliseconds(timeout)))?)
    }

    /// Attempts allowed in all, at most the upstream's own.
    pub fn set_max_attempts(&mut self, attempts: u32) -> Result<(), PlanError> {
        Ok(ask!(self, forward_plan::set_max_attempts(attempts))?)
    }

    /// What another attempt follows, out of what the upstream's `retry_on` has; nothing for none. `Weaker` where the upstream does not have one of
    /// them.
    pub fn set_retry_on(&mut self, conditions: &[RetryCondition]) -> Result<(), PlanError> {
        let words: Vec<String> = conditions.iter().map(ToString::to_string).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Ok(ask!(self, forward_plan::set_retry_on(&words))?)
    }
}

/// What is sent.
impl Plan<'_> {
    /// Bytes of the longest path that can be set. Where a request's own path leads past it, [`ForwardError::UriTooLong`](crate::ForwardError::UriTooLong)
    /// says so.
    pub const LONGEST_PATH: usize = 32_766;

    /// The path that will be sent.
    pub fn path(&self) -> String {
        ask!(self, forward_plan::path())
    }

    /// Sets the path to send; must be in normal form, and of [`LONGEST_PATH`](Self::LONGEST_PATH) bytes at most.
    pub fn set_path(&mut self, path: &str) -> Result<(), PlanError> {
        Ok(ask!(self, forward_plan::set_path(path))?)
    }

    /// The authority that will be sent as `Host` or `:authority`.
    pub fn host(&self) -> String {
        ask!(self, forward_plan::host())
    }

    /// Sets the authority to send.
    pub fn set_host(&mut self, host: &str) -> Result<(), PlanError> {
        Ok(ask!(self, forward_plan::set_host(host))?)
    }

    /// Sets a header on this attempt only.
    pub fn set_header<'n>(&mut self, name: impl Into<HeaderName<'n>>, value: impl AsRef<[u8]>) -> Result<(), ChangeError> {
        Ok(ask!(self, forward_plan::set_header(name.into(), value.as_ref()))?)
    }

    /// Removes a header from this attempt only.
    pub fn remove_header<'n>(&mut self, name: impl Into<HeaderName<'n>>) -> Result<(), ChangeError> {
        Ok(ask!(self, forward_plan::remove_header(name.into()))?)
    }
}

/// For how long.
impl Plan<'_> {
    /// Says that this plan, path and host too if they were set, is the same for every request to this endpoint in places configured like this one, on
    /// whichever route, so that the gateway need not ask again: it follows from the configuration and the endpoint alone.
    pub fn keep(&mut self) {
        ask!(self, forward_plan::keep());
    }
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_and_written_as_retry_on_has_them() {
        for word in ["connect", "reset", "timeout", "500", "599"] {
            assert_eq!(word.parse::<RetryCondition>().unwrap().to_string(), word);
        }
        for word in ["", "Connect", "499", "600", "+503", "5xx"] {
            assert!(word.parse::<RetryCondition>().unwrap_err().contains("neither"), "{word}");
        }
    }
}
