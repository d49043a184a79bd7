//! Keys: what of a request says which bucket it counts for.

use std::cell::Cell;
use std::net::IpAddr;

use plugway_sdk::{Identity, Prefetch, Prefetched, Request, log};
use serde::Deserialize;

/// Longest name of a header, claim or parameter, bytes.
const MAX_NAME: usize = 256;
/// Bytes of one value that count. Values that are alike up to here share a bucket, so a client gains nothing by longer ones.
const MAX_VALUE: usize = 4 << 10;

/// Where one part of a key comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Source {
    /// The client's address after the gateway's trust rules, as far as its prefix goes.
    ClientAddress,
    /// The route: every request of it counts for the same bucket.
    Route,
    /// Issuer and subject of the identity an authorizer found.
    Identity,
    /// The first value of a header; of `host` what the client asked for, however it said it.
    Header(String),
    /// A claim of the identity; `sub` and `iss` are its subject and issuer.
    Claim(String),
    /// A `{name}` segment of the route's path, percent-decoded.
    Parameter(String),
}

/// What becomes of requests without the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MissingKey {
    /// They share one bucket.
    #[default]
    Share,
    /// The limit is not theirs.
    Skip,
}

/// Bits of an address that count; who has all addresses of a prefix is one client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prefixes {
    pub(crate) ipv4: u8,
    pub(crate) ipv6: u8,
}

/// What reads the key of a request.
#[derive(Debug)]
pub(crate) struct Key {
    parts: Vec<Part>,
    prefixes: Prefixes,
    missing: MissingKey,
    /// Whether it was said that a request had none of what every request should have.
    told: Cell<bool>,
}

#[derive(Debug)]
enum Part {
    /// A header: the first one comes with the call, names of others cross as numbers.
    Header(Prefetch),
    /// Where a client asks by HTTP/2, or by an absolute target, it is not in `Host`, or not what is in it.
    Authority,
    Other(Source),
}

// === impl Source ===

impl Source {
    /// Refuses a name that could never be found.
    pub(crate) fn check(&self) -> Result<(), String> {
        let (what, name) = match self {
            Self::ClientAddress | Self::Route | Self::Identity => return Ok(()),
            Self::Header(name) => ("header", name),
            Self::Claim(name) => ("claim", name),
            Self::Parameter(name) => ("parameter", name),
        };
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(format!("the name of a {what} has 1 to {MAX_NAME} bytes"));
        }
        // RFC 9110, section 5.6.2.
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if what == "header" && !name.bytes().all(token) {
            return Err(format!("{name:?} is no header name"));
        }
        Ok(())
    }
}

/// What keys of these sources are, in a text that no others have: names have their length in front.
pub(crate) fn kind(sources: &[Source], prefixes: Prefixes) -> String {
    let named = |what: &str, name: &str| format!("{what} {} {name}", name.len());
    let kinds: Vec<String> = sources
        .iter()
        .map(|source| match source {
            Source::ClientAddress => format!("client-address {} {}", prefixes.ipv4, prefixes.ipv6),
            Source::Route => "route".to_owned(),
            Source::Identity => "identity".to_owned(),
            Source::Header(name) => named("header", &name.to_ascii_lowercase()),
            Source::Claim(name) => named("claim", name),
            Source::Parameter(name) => named("parameter", name),
        })
        .collect();
    kinds.join(" ")
}

// === impl Key ===

impl Key {
    pub(crate) fn new(sources: Vec<Source>, prefixes: Prefixes, missing: MissingKey) -> Self {
        let part = |source| match source {
            Source::Header(name) if name.eq_ignore_ascii_case("host") => Part::Authority,
            Source::Header(name) => match Prefetch::header(&name) {
                Ok(prefetch) => Part::Header(prefetch),
                Err(_) => Part::Other(Source::Header(name)),
            },
            other => Part::Other(other),
        };
        Self { parts: sources.into_iter().map(part).collect(), prefixes, missing, told: Cell::new(false) }
    }

    /// The key, or `None` where the limit is not for this request. A value that is absent or empty is missing.
    pub(crate) fn read(&self, request: &Request<'_>) -> Option<Vec<u8>> {
        let mut key = Vec::with_capacity(32);
        for part in &self.parts {
            let value = part.read(request, self.prefixes);
            let value = value.as_deref().unwrap_or_default();
            if value.is_empty() {
                self.tell(part);
            }
            if value.is_empty() && self.missing == MissingKey::Skip {
                return None;
            }
            let counted = value.get(..MAX_VALUE).unwrap_or(value);
            // With its length in front no list of values looks like another.
            key.extend_from_slice(&u16::try_from(counted.len()).unwrap_or(u16::MAX).to_le_bytes());
            key.extend_from_slice(counted);
        }
        Some(key)
    }
}

impl Key {
    /// Says once that something was missing that no client leaves out: an authorizer that stands behind this plugin, or a segment that the route has
    /// not, is a mistake that nothing else shows.
    #[cold]
    fn tell(&self, part: &Part) {
        const CALLER: &str = "If an authorizer says who calls, write it before this plugin";
        const SEGMENT: &str = "Name one that every route with this limit has";
        let (what, advice) = match part {
            Part::Other(Source::Identity) => ("caller".to_owned(), CALLER),
            Part::Other(Source::Claim(name)) => (format!("claim {name:?} of a caller"), CALLER),
            Part::Other(Source::Parameter(name)) => (format!("segment {name:?} in the path of its route"), SEGMENT),
            _ => return,
        };
        if !self.told.replace(true) {
            let then = if self.missing == MissingKey::Skip { "are not limited" } else { "share one bucket" };
            log::warn!("a request has no {what}; such requests {then}. {advice}");
        }
    }
}

impl Part {
    fn read(&self, request: &Request<'_>, prefixes: Prefixes) -> Option<Prefetched> {
        let source = match self {
            Self::Header(prefetch) => return request.prefetched(prefetch),
            Self::Authority => return Some(request.authority().into()),
            Self::Other(source) => source,
        };
        let text = match source {
            Source::ClientAddress => return Some(network(&request.client_address(), prefixes).into()),
            Source::Route => Some(request.route()),
            Source::Identity => return request.optional_identity().map(|identity| caller(&identity).into()),
            Source::Header(name) => return request.header(&*name.to_ascii_lowercase()).map(Prefetched::from),
            Source::Claim(name) => request.optional_identity()?.claim_text(name),
            Source::Parameter(name) => request.path_parameter(name),
        };
        text.map(Prefetched::from)
    }
}

/// The network of an address, in bytes.
fn network(address: &str, prefixes: Prefixes) -> Vec<u8> {
    // An IPv4 client of an IPv6 socket is the same client.
    match address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(u32::from(32 - prefixes.ipv4.min(32))).unwrap_or(0);
            (address.to_bits() & mask).to_be_bytes().to_vec()
        }
        Ok(IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(u32::from(128 - prefixes.ipv6.min(128))).unwrap_or(0);
            (address.to_bits() & mask).to_be_bytes().to_vec()
        }
        Err(_) => address.as_bytes().to_vec(),
    }
}

/// Subjects are unique only to their issuer (RFC 7519, section 4.1.2).
fn caller(identity: &Identity) -> Vec<u8> {
    let mut caller = identity.issuer().unwrap_or_default().into_bytes();
    caller.push(0);
    caller.extend_from_slice(identity.subject().as_bytes());
    caller
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_counts_as_far_as_its_prefix() {
        let at = |ipv4, ipv6| move |address| network(address, Prefixes { ipv4, ipv6 });
        let usual = at(32, 64);
        assert_eq!(usual("2001:db8:1:2:3:4:5:6"), usual("2001:db8:1:2::1"));
        assert_ne!(usual("2001:db8:1:2::1"), usual("2001:db8:1:3::1"));
        assert_ne!(usual("192.0.2.1"), usual("192.0.2.2"));
        assert_eq!(usual("::ffff:192.0.2.1"), usual("192.0.2.1"));
        assert_eq!(at(24, 64)("192.0.2.1"), at(24, 64)("192.0.2.255"));
        assert_eq!(at(0, 0)("192.0.2.1"), at(0, 0)("203.0.113.9"));
        assert_eq!(at(0, 0)("::1"), at(0, 0)("2001:db8::1"));
        assert_ne!(at(32, 128)("::1"), at(32, 128)("::2"));
    }

    #[test]
    fn what_a_key_is_made_of_is_told_apart() {
        let header = |name: &str| Source::Header(name.to_owned());
        let kind = |sources: &[Source]| kind(sources, Prefixes { ipv4: 32, ipv6: 64 });
        let kinds = [
            kind(&[Source::Route]),
            kind(&[header("a"), header("b")]),
            kind(&[header("a header 1 b")]),
            kind(&[header("b"), header("a")]),
            kind(&[Source::Claim("a".to_owned())]),
            kind(&[Source::ClientAddress]),
            super::kind(&[Source::ClientAddress], Prefixes { ipv4: 24, ipv6: 64 }),
        ];
        for (number, one) in kinds.iter().enumerate() {
            assert!(kinds.iter().skip(number + 1).all(|other| one != other), "{one}");
        }
        assert_eq!(kind(&[header("X-Api-Key")]), kind(&[header("x-api-key")]));
    }
}
