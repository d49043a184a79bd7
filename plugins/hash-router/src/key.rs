//! The key: what of a request decides where it goes.

use plugway_sdk::{ChangeError, Prefetch, Prefetched, Request};
use serde::Deserialize;

/// Stands between the parts of a joined key, so that different lists of parts never make the same key.
///
/// No single byte will do: a header cannot hold 0x00 (RFC 9110, section 5.5) but may hold 0xFF, and everything else is UTF-8,
/// which never holds 0xFF but after percent-decoding may hold 0x00. The pair is unambiguous: a header part ends at the first
/// 0x00, any other part one byte before the first 0xFF.
const SEPARATOR: [u8; 2] = [0x00, 0xFF];

/// Longest name of a parameter, header, cookie or claim, bytes.
const MAX_NAME: usize = 256;

/// Where one part of a key comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The normalised path.
    Path,
    /// The client's address after the gateway's trust rules, without port.
    ClientAddress,
    /// A `{name}` segment of the matched route, percent-decoded.
    Parameter(String),
    /// The first query parameter of that name, percent-decoded.
    Query(String),
    /// The first value of a header, bytes as received; of `host` what the client asked for, however it said it.
    Header(String),
    /// The first cookie of that name, without quotes.
    Cookie(String),
    /// A claim of the identity an authorizer found; `sub` and `iss` are its subject and issuer.
    Claim(String),
}

impl Source {
    /// Refuses a name that could never be found.
    pub fn check(&self) -> Result<(), String> {
        let (what, name, is_token) = match self {
            Self::Path | Self::ClientAddress => return Ok(()),
            Self::Parameter(name) => ("parameter", name, false),
            Self::Query(name) => ("query", name, false),
            Self::Header(name) => ("header", name, true),
            Self::Cookie(name) => ("cookie", name, true),
            Self::Claim(name) => ("claim", name, false),
        };
        if name.is_empty() {
            return Err(format!("`{what}` needs a name"));
        }
        if name.len() > MAX_NAME {
            return Err(format!("the name of `{what}` is longer than {MAX_NAME} bytes"));
        }
        // RFC 9110, section 5.6.2; cookie names are tokens too (RFC 6265, section 4.1.1).
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if is_token && !name.bytes().all(token) {
            return Err(format!("`{name}` is not a legal name for a {what}"));
        }
        Ok(())
    }
}

/// What reads the key of a request.
#[derive(Debug)]
pub struct Key {
    first: Part,
    rest: Vec<Part>,
}

/// A source, prepared.
#[derive(Debug)]
enum Part {
    /// A header or the path: the first of them comes with the call, names of others cross as numbers.
    Prefetched(Prefetch),
    /// Where a client asks by HTTP/2, or by an absolute target, it is not in `Host`, or not what is in it.
    Authority,
    ClientAddress,
    Parameter(String),
    Query(String),
    Cookie(String),
    Claim(String),
}

impl Key {
    /// Joins sources; an empty list reads the path.
    ///
    /// # Errors
    /// When a header's name is none.
    pub fn new(sources: Vec<Source>) -> Result<Self, ChangeError> {
        let mut parts = sources.into_iter().map(Part::new);
        let first = parts.next().unwrap_or_else(|| Part::new(Source::Path))?;
        Ok(Self { first, rest: parts.collect::<Result<_, _>>()? })
    }

    /// The key, or `None` if every part is absent or empty. In a joined key an absent part is like an empty one. A single
    /// source is not copied.
    pub fn read(&self, request: &Request<'_>) -> Option<Prefetched> {
        let first = self.first.read(request);
        if self.rest.is_empty() {
            return first.filter(|key| !key.is_empty());
        }
        let mut key = first.map(|first| first.to_vec()).unwrap_or_default();
        let mut found = !key.is_empty();
        for part in &self.rest {
            let value = part.read(request);
            let value = value.as_deref().unwrap_or_default();
            found |= !value.is_empty();
            key.extend_from_slice(&SEPARATOR);
            key.extend_from_slice(value);
        }
        found.then(|| key.into())
    }
}

impl Part {
    fn new(source: Source) -> Result<Self, ChangeError> {
        Ok(match source {
            Source::Header(name) if name.eq_ignore_ascii_case("host") => Self::Authority,
            Source::Header(name) => Self::Prefetched(Prefetch::header(&name)?),
            Source::Path => Self::Prefetched(Prefetch::path()),
            Source::ClientAddress => Self::ClientAddress,
            Source::Parameter(name) => Self::Parameter(name),
            Source::Query(name) => Self::Query(name),
            Source::Cookie(name) => Self::Cookie(name),
            Source::Claim(name) => Self::Claim(name),
        })
    }

    fn read(&self, request: &Request<'_>) -> Option<Prefetched> {
        let text = match self {
            Self::Prefetched(prefetch) => return request.prefetched(prefetch),
            Self::Authority => Some(request.authority()),
            Self::ClientAddress => Some(request.client_address()),
            Self::Parameter(name) => request.path_parameter(name),
            Self::Query(name) => request.query_parameter(name),
            Self::Cookie(name) => request.cookie(name),
            Self::Claim(name) => request.identity()?.claim_text(name),
        };
        text.map(Prefetched::from)
    }
}

#[cfg(test)]
mod tests;
