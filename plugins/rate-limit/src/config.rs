//! The configuration as written, and its check.

use plugway_sdk::metrics::Counter;
use plugway_sdk::rate_limit::{Quota, RateLimit};
use plugway_sdk::{HeaderName, one_or_many};
use serde::{Deserialize, Deserializer};

use crate::key::{Key, MissingKey, Prefixes, Source, kind};
use crate::{Fields, Limit, RateLimiter, fields, period};

/// Limits of one place: each is a few calls into the gateway for every request.
const MAX_LIMITS: usize = 8;
/// Parts of one key.
const MAX_PARTS: usize = 4;
/// Longest name, bytes.
const MAX_NAME: usize = 64;
/// A customer of a provider has a /64 at least (RFC 6177, section 2), and every address in it.
const IPV6_PREFIX: u8 = 64;

/// `config = { … }`, the plugin's own merged with the route's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    limits: Vec<LimitConfig>,
    #[serde(default = "yes")]
    headers: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitConfig {
    name: String,
    key: Sources,
    requests: u32,
    period: String,
    burst: Option<u32>,
    #[serde(default)]
    missing_key: MissingKey,
    ipv4_prefix: Option<u8>,
    ipv6_prefix: Option<u8>,
    #[serde(default)]
    dry_run: bool,
}

/// One source of a key, or several.
#[derive(Debug)]
struct Sources(Vec<Source>);

fn yes() -> bool {
    true
}

impl Config {
    /// Checks every key and declares the limits. The error is for the operator.
    pub(crate) fn check(self) -> Result<RateLimiter, String> {
        if self.limits.is_empty() || self.limits.len() > MAX_LIMITS {
            return Err(format!("`limits` has {} entries: write 1 to {MAX_LIMITS}", self.limits.len()));
        }
        let names: Vec<String> = self.limits.iter().map(|limit| limit.name.clone()).collect();
        let limits = self.limits.into_iter().enumerate().map(|(place, limit)| {
            if names.iter().take(place).any(|earlier| *earlier == limit.name) {
                return Err(format!("`limits[{place}].name`: {:?} is there twice", limit.name));
            }
            limit.check().map_err(|(key, why)| format!("`limits[{place}].{key}`: {why}"))
        });
        let limits = limits.collect::<Result<_, _>>()?;
        let number = |name| HeaderName::numbered(name).map_err(|error| format!("the field {name}: {error}"));
        Ok(RateLimiter {
            limits,
            headers: self.headers,
            fields: Fields { limit: number("ratelimit")?, policy: number("ratelimit-policy")? },
            refused: counter("rate_limited_total", "Requests answered with 429, by limit.")?,
            would_refuse: counter("rate_limited_dry_run_total", "Requests that a limit with `dry_run` would have refused.")?,
        })
    }
}

fn counter(name: &str, description: &str) -> Result<Counter<1>, String> {
    Counter::declare(name, description, "1", ["limit"]).map_err(|error| format!("the counter {name}: {error}"))
}

impl LimitConfig {
    /// The error has the key it is about.
    fn check(self) -> Result<Limit, (&'static str, String)> {
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        if !(1..=MAX_NAME).contains(&self.name.len()) || !self.name.bytes().all(legal) {
            return Err(("name", format!("{:?}: write 1 to {MAX_NAME} of a to z, 0 to 9, `-` and `_`", self.name)));
        }
        let Sources(sources) = self.key;
        if sources.is_empty() || sources.len() > MAX_PARTS {
            return Err(("key", format!("{} sources: name 1 to {MAX_PARTS}", sources.len())));
        }
        sources.iter().try_for_each(Source::check).map_err(|why| ("key", why))?;
        let by_address = sources.contains(&Source::ClientAddress);
        let prefix = |key, prefix: Option<u8>, default, most| match prefix {
            Some(_) if !by_address => Err((key, "only a key with \"client-address\" has one; take it out".to_owned())),
            Some(prefix) if prefix > most => Err((key, format!("{prefix} is more than {most} bits"))),
            prefix => Ok(prefix.unwrap_or(default)),
        };
        let prefixes = Prefixes {
            ipv4: prefix("ipv4_prefix", self.ipv4_prefix, 32, 32)?,
            ipv6: prefix("ipv6_prefix", self.ipv6_prefix, IPV6_PREFIX, 128)?,
        };
        let period = period::parse(&self.period).map_err(|why| ("period", format!("{:?}: {why}", self.period)))?;
        if self.requests == 0 {
            return Err(("requests", "0 would let nothing pass; take the route out instead".to_owned()));
        }
        let burst = self.burst.unwrap_or(self.requests);
        if burst == 0 {
            return Err(("burst", "0 would let nothing pass; 1 spreads requests evenly".to_owned()));
        }
        let quota = Quota { tokens: self.requests, period, burst };
        // Keys of another kind may look the same, and a client can see to it where it writes its own.
        let limit = format!("{} {}", self.name, kind(&sources, prefixes));
        let buckets = RateLimit::declare(&limit, quota).map_err(|error| ("requests", error.to_string()))?;
        Ok(Limit {
            policy: fields::policy(&self.name, self.requests, period.as_secs()),
            key: Key::new(sources, prefixes, self.missing_key),
            name: self.name,
            buckets,
            dry_run: self.dry_run,
        })
    }
}

impl<'de> Deserialize<'de> for Sources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_or_many(
            deserializer,
            "\"client-address\", \"route\", \"identity\", a table such as { header = \"x-api-key\" }, or a list of those",
        )
        .map(Self)
    }
}
