//! Why something was refused. Each mirrors one error of the contract and reads as a sentence.

mod crypto;

use std::fmt;

pub use crypto::{CryptoError, JwsError};

use crate::bindings::imports::plugway::gateway as raw;

/// Any error. `?` turns every `std::error::Error`, `String` and `&str` into it; what becomes of it depends on the hook.
pub type Error = Box<dyn std::error::Error>;

/// Why a change to a request, response, plan or identity was refused. It had no effect, and the hook goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeError {
    /// Never settable by a plugin: framing and hop-by-hop headers, the gateway's identity and forwarding headers.
    Forbidden,
    /// Not settable by this hook, e.g. the path in an authorizer.
    Immutable,
    /// Not a legal name or value; why.
    Invalid(String),
    /// Past the plugin's `max_headers`, `max_header_bytes` or `max_attribute_bytes`, or past a number that the function says.
    TooLarge,
}

/// Why a part of a forward plan was refused: a plan can tighten the upstream's settings but never weaken them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanError {
    /// Weaker than the upstream's own settings: plaintext in place of TLS, a longer timeout, more attempts.
    Weaker,
    /// Not among the upstream's `tls_profiles` or `server_names`.
    NotAllowed,
    /// Not a legal value; why.
    Invalid(String),
}

/// Why an instrument cannot be declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricError {
    /// Not a name, twice the same label, or bounds that are not finite and growing; which. A name or label is `[a-z][a-z0-9_]*` of at
    /// most 64 bytes; the labels `plugin` and `le` are taken, and so are names the gateway itself exports.
    InvalidName(String),
    /// Declared before with another kind, other labels or other bounds.
    Conflict,
    /// More than 64 instruments, 8 labels or 64 bounds.
    TooMany,
    /// Not called from `configure`.
    TooLate,
}

/// Why something was not done with an entry. It is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvError {
    /// A key of more than 1 KiB, or a value of more than 64 KiB.
    TooLarge,
    /// What is there is not the decimal text of a number of 64 bits.
    NotANumber,
    /// The sum is no number of 64 bits.
    Overflow,
    /// What is there is not what was expected.
    Mismatch,
    /// A time to live of less than a millisecond, or of more than a year.
    InvalidTtl,
    /// What keeps the entries cannot be reached now. Never with the scope `node`.
    Unavailable,
    /// What is pinned has all the room there is for it.
    Full,
}

/// Why a rate limit gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RateLimitError {
    /// The quota cannot be kept; why.
    InvalidQuota(String),
    /// More than 256 limits.
    TooMany,
    /// Not declared in `configure`.
    TooLate,
    /// Not declared by this instance.
    UnknownLimit,
    /// A name of more than 4 KiB, a key of more than 64 KiB, or more tokens at once than the bucket ever holds.
    TooLarge,
}

/// Why a key was not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyError {
    /// The plugin was not granted a key of that name. Whether there is one is not told.
    NotGranted,
    /// The key cannot be used for this; why.
    InvalidKey(String),
    /// The algorithm is unknown, or not one of the key's.
    Unsupported,
    /// Not sealed with this key and context, or changed since.
    Mismatch,
    /// More than 1 MiB of input, or, to open, than sealing makes of 1 MiB.
    TooLarge,
}

/// Why there is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretError {
    /// The plugin was not granted a secret of that name. Whether there is one is not told.
    NotGranted,
    /// It is no UTF-8 text.
    NotText,
}

/// Why a plugin's own request has no answer. A status such as 404 or 500 is an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpError {
    /// Only `authorize`, `on_request`, `on_response` and `on_tick` can wait.
    NotHere,
    /// The grant has not the host, the scheme, the port or the address; which. For redirects too.
    NotAllowed(String),
    /// Not a request that can be made; why.
    Invalid(String),
    /// The host's name has no address now.
    Unresolved(String),
    /// No connection came about.
    NotConnected(String),
    /// The TLS handshake failed.
    Tls(String),
    /// Not done within the time of the request.
    Timeout,
    /// The body, or the head, is larger than the request allows.
    TooLarge,
    /// More redirects than the request allows.
    TooManyRedirects,
    /// As many calls of this plugin are in flight as the grant allows.
    TooManyCalls,
    /// What came is not HTTP, or broke off.
    Protocol(String),
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden => f.write_str("no plugin may change this"),
            Self::Immutable => f.write_str("this hook may not change this"),
            Self::Invalid(why) => write!(f, "not a legal value: {why}"),
            Self::TooLarge => f.write_str("past the plugin's size limits"),
        }
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weaker => f.write_str("weaker than the upstream's own settings"),
            Self::NotAllowed => f.write_str("the upstream does not allow this name"),
            Self::Invalid(why) => write!(f, "not a legal value: {why}"),
        }
    }
}

impl fmt::Display for MetricError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidName(name) => write!(f, "the instrument cannot be declared so: {name}"),
            Self::Conflict => f.write_str("the instrument was declared before with another kind, other labels or other bounds"),
            Self::TooMany => f.write_str("more than 64 instruments, 8 labels or 64 bounds"),
            Self::TooLate => f.write_str("instruments are declared in configure"),
        }
    }
}

impl fmt::Display for KvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "a key of more than 1 KiB, or a value of more than 64 KiB",
            Self::NotANumber => "what is there is no number",
            Self::Overflow => "the sum is no number of 64 bits",
            Self::Mismatch => "what is there is not what was expected",
            Self::InvalidTtl => "an entry lives for a millisecond to a year",
            Self::Unavailable => "what keeps the entries cannot be reached",
            Self::Full => "what is pinned has all the room there is for it",
        })
    }
}

impl fmt::Display for RateLimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidQuota(why) => write!(f, "the quota cannot be kept: {why}"),
            Self::TooMany => f.write_str("more than 256 limits"),
            Self::TooLate => f.write_str("limits are declared in configure"),
            Self::UnknownLimit => f.write_str("the limit was not declared by this instance"),
            Self::TooLarge => {
                f.write_str("a name of more than 4 KiB, a key of more than 64 KiB, or more tokens than the bucket ever holds")
            }
        }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted => f.write_str("the plugin was not granted a key of that name"),
            Self::InvalidKey(why) => write!(f, "the key cannot be used: {why}"),
            Self::Unsupported => f.write_str("the key does not sign by that algorithm"),
            Self::Mismatch => f.write_str("it was not sealed with this key for this"),
            Self::TooLarge => f.write_str("more than 1 MiB of input"),
        }
    }
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotGranted => "the plugin was not granted a secret of that name",
            Self::NotText => "the secret is no UTF-8 text",
        })
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHere => f.write_str("this hook cannot wait for another server"),
            Self::NotAllowed(what) => write!(f, "the grant does not allow it: {what}"),
            Self::Invalid(why) => write!(f, "not a request that can be made: {why}"),
            Self::Unresolved(why) => write!(f, "the host has no address: {why}"),
            Self::NotConnected(why) => write!(f, "no connection: {why}"),
            Self::Tls(why) => write!(f, "the TLS handshake failed: {why}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::TooLarge => f.write_str("larger than the request allows"),
            Self::TooManyRedirects => f.write_str("more redirects than the request allows"),
            Self::TooManyCalls => f.write_str("too many calls of this plugin are in flight"),
            Self::Protocol(why) => write!(f, "not HTTP, or broken off: {why}"),
        }
    }
}

impl std::error::Error for ChangeError {}
impl std::error::Error for PlanError {}
impl std::error::Error for MetricError {}
impl std::error::Error for KvError {}
impl std::error::Error for RateLimitError {}
impl std::error::Error for KeyError {}
impl std::error::Error for SecretError {}
impl std::error::Error for HttpError {}

impl From<raw::types::ChangeError> for ChangeError {
    fn from(error: raw::types::ChangeError) -> Self {
        match error {
            raw::types::ChangeError::Forbidden => Self::Forbidden,
            raw::types::ChangeError::Immutable => Self::Immutable,
            raw::types::ChangeError::Invalid(why) => Self::Invalid(why),
            raw::types::ChangeError::TooLarge => Self::TooLarge,
        }
    }
}

impl From<raw::forward_plan::PlanError> for PlanError {
    fn from(error: raw::forward_plan::PlanError) -> Self {
        match error {
            raw::forward_plan::PlanError::Weaker => Self::Weaker,
            raw::forward_plan::PlanError::NotAllowed => Self::NotAllowed,
            raw::forward_plan::PlanError::Invalid(why) => Self::Invalid(why),
        }
    }
}

impl From<raw::metrics::MetricError> for MetricError {
    fn from(error: raw::metrics::MetricError) -> Self {
        match error {
            raw::metrics::MetricError::InvalidName(name) => Self::InvalidName(name),
            raw::metrics::MetricError::Conflict => Self::Conflict,
            raw::metrics::MetricError::TooMany => Self::TooMany,
            raw::metrics::MetricError::TooLate => Self::TooLate,
        }
    }
}

impl From<raw::kv::KvError> for KvError {
    fn from(error: raw::kv::KvError) -> Self {
        match error {
            raw::kv::KvError::TooLarge => Self::TooLarge,
            raw::kv::KvError::NotANumber => Self::NotANumber,
            raw::kv::KvError::Overflow => Self::Overflow,
            raw::kv::KvError::Mismatch => Self::Mismatch,
            raw::kv::KvError::InvalidTtl => Self::InvalidTtl,
            raw::kv::KvError::Unavailable => Self::Unavailable,
            raw::kv::KvError::Full => Self::Full,
        }
    }
}

impl From<raw::rate_limit::RateLimitError> for RateLimitError {
    fn from(error: raw::rate_limit::RateLimitError) -> Self {
        match error {
            raw::rate_limit::RateLimitError::InvalidQuota(why) => Self::InvalidQuota(why),
            raw::rate_limit::RateLimitError::TooMany => Self::TooMany,
            raw::rate_limit::RateLimitError::TooLate => Self::TooLate,
            raw::rate_limit::RateLimitError::UnknownLimit => Self::UnknownLimit,
            raw::rate_limit::RateLimitError::TooLarge => Self::TooLarge,
        }
    }
}

impl From<raw::keys::KeyError> for KeyError {
    fn from(error: raw::keys::KeyError) -> Self {
        match error {
            raw::keys::KeyError::NotGranted => Self::NotGranted,
            raw::keys::KeyError::InvalidKey(why) => Self::InvalidKey(why),
            raw::keys::KeyError::Unsupported => Self::Unsupported,
            raw::keys::KeyError::Mismatch => Self::Mismatch,
            raw::keys::KeyError::TooLarge => Self::TooLarge,
        }
    }
}

impl From<raw::secrets::SecretError> for SecretError {
    fn from(error: raw::secrets::SecretError) -> Self {
        match error {
            raw::secrets::SecretError::NotGranted => Self::NotGranted,
        }
    }
}

impl From<raw::http_client::HttpError> for HttpError {
    fn from(error: raw::http_client::HttpError) -> Self {
        use raw::http_client::HttpError as Raw;
        match error {
            Raw::NotHere => Self::NotHere,
            Raw::NotAllowed(what) => Self::NotAllowed(what),
            Raw::Invalid(why) => Self::Invalid(why),
            Raw::Unresolved(why) => Self::Unresolved(why),
            Raw::NotConnected(why) => Self::NotConnected(why),
            Raw::Tls(why) => Self::Tls(why),
            Raw::Timeout => Self::Timeout,
            Raw::TooLarge => Self::TooLarge,
            Raw::TooManyRedirects => Self::TooManyRedirects,
            Raw::TooManyCalls => Self::TooManyCalls,
            Raw::Protocol(why) => Self::Protocol(why),
        }
    }
}
