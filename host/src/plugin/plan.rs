//! The forward plan a forwarder writes on: it can tighten the upstream's settings, never weaken them.

use std::sync::Arc;
use std::time::Duration;

use http::uri::Authority;
use http::{HeaderName, HeaderValue};

use crate::config::model::{Protocol, RetryOn};
use crate::exchange::{ChangeError, ChangeLimits, Refused, is_reserved};
use crate::http::path;
use crate::upstream::{Endpoint, Upstream};

/// Longest authority, bytes: a name of the DNS with a dot at its end, and a port.
const LONGEST_HOST: usize = 261;

/// What one attempt does differently from the upstream's own settings.
#[derive(Debug)]
pub struct PlanDraft {
    upstream: Arc<Upstream>,
    endpoint: Arc<Endpoint>,
    /// What the request says, before any rewrite.
    original_path: String,
    original_host: String,
    /// What differs.
    pub edits: PlanEdits,
    /// Whether it holds for the endpoint, whatever the request.
    pub keep: bool,
    header_bytes: usize,
    refused: Refused,
}

/// Only what differs; `None` leaves the upstream's own setting.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PlanEdits {
    /// TLS to an endpoint configured as plaintext.
    pub force_tls: bool,
    /// An index into the upstream's TLS profiles.
    pub tls_profile: Option<usize>,
    /// SNI and verified name.
    pub server_name: Option<String>,
    /// Application protocol.
    pub protocol: Option<Protocol>,
    /// Connecting, TLS included.
    pub connect_timeout: Option<Duration>,
    /// Until the response head.
    pub response_timeout: Option<Duration>,
    /// Attempts in all.
    pub max_attempts: Option<u32>,
    /// What another attempt follows.
    pub retry_on: Option<RetryOn>,
    /// Path sent.
    pub path: Option<String>,
    /// `Host` sent.
    pub host: Option<HeaderValue>,
    /// Headers set (`Some`) or removed (`None`), in order.
    pub headers: Vec<(HeaderName, Option<HeaderValue>)>,
}

impl PlanEdits {
    /// Memory it takes, about.
    pub(super) fn bytes(&self) -> usize {
        let texts = [&self.server_name, &self.path].into_iter().flatten().map(String::len).sum::<usize>();
        let header = |(name, value): &(HeaderName, Option<HeaderValue>)| {
            size_of::<(HeaderName, Option<HeaderValue>)>() + name.as_str().len() + value.as_ref().map_or(0, HeaderValue::len)
        };
        size_of::<Self>() + texts + self.host.as_ref().map_or(0, HeaderValue::len) + self.headers.iter().map(header).sum::<usize>()
    }
}

/// Why part of a plan was refused. The words are those of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanError {
    /// Weaker than the upstream's own settings.
    Weaker,
    /// Not among the names the upstream allows.
    NotAllowed,
    /// Not legal; why.
    Invalid(&'static str),
}

type Planned = Result<(), PlanError>;

impl PlanDraft {
    /// The upstream's own settings, for one attempt at one endpoint.
    pub fn new(upstream: Arc<Upstream>, endpoint: Arc<Endpoint>, path: &str, host: &str) -> Self {
        Self {
            upstream,
            endpoint,
            original_path: path.to_owned(),
            original_host: host.to_owned(),
            edits: PlanEdits::default(),
            keep: false,
            header_bytes: 0,
            refused: Refused::default(),
        }
    }

    /// What the forwarder was refused for its size.
    pub fn refused(&self) -> Refused {
        self.refused
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.endpoint.tls || self.edits.force_tls { "https" } else { "http" }
    }

    /// What was chosen of TLS for a request that would go out in the clear, and so counts for nothing.
    pub fn chosen_in_vain(&self) -> Option<&'static str> {
        match (&self.edits.tls_profile, &self.edits.server_name) {
            _ if self.scheme() == "https" => None,
            (Some(_), _) => Some("TLS profile"),
            (None, Some(_)) => Some("server name"),
            (None, None) => None,
        }
    }

    /// Asks for TLS, or for what is there already.
    pub fn set_scheme(&mut self, scheme: &str) -> Planned {
        match scheme {
            "https" if self.endpoint.tls => {}
            // How the endpoint is to be verified must have been said by the operator.
            "https" if self.upstream.has_tls() || self.edits.tls_profile.is_some() => self.edits.force_tls = true,
            "https" => return Err(PlanError::NotAllowed),
            "http" if self.endpoint.tls => return Err(PlanError::Weaker),
            "http" => self.edits.force_tls = false,
            _ => return Err(PlanError::Invalid("the scheme is neither http nor https")),
        }
        Ok(())
    }

    /// Chooses a TLS profile by name.
    pub fn set_tls_profile(&mut self, name: &str) -> Planned {
        self.edits.tls_profile = Some(self.upstream.profile(name).ok_or(PlanError::NotAllowed)?);
        Ok(())
    }

    /// Chooses a server name.
    pub fn set_server_name(&mut self, name: &str) -> Planned {
        self.upstream.server_name(name).ok_or(PlanError::NotAllowed)?;
        self.edits.server_name = Some(name.to_owned());
        Ok(())
    }

    /// Chooses the application protocol.
    pub fn set_protocol(&mut self, protocol: Protocol) -> Planned {
        self.edits.protocol = Some(protocol);
        Ok(())
    }

    /// Shortens the connect timeout.
    pub fn set_connect_timeout(&mut self, timeout: Duration) -> Planned {
        self.edits.connect_timeout = Some(shorter(timeout, self.upstream.connect_timeout)?);
        Ok(())
    }

    /// Shortens the response timeout.
    pub fn set_response_timeout(&mut self, timeout: Duration) -> Planned {
        self.edits.response_timeout = Some(shorter(timeout, self.upstream.response_timeout)?);
        Ok(())
    }

    /// Lowers the number of attempts.
    pub fn set_max_attempts(&mut self, attempts: u32) -> Planned {
        if attempts == 0 {
            return Err(PlanError::Invalid("there is always one attempt"));
        }
        if attempts > self.upstream.max_attempts {
            return Err(PlanError::Weaker);
        }
        self.edits.max_attempts = Some(attempts);
        Ok(())
    }

    /// Names what another attempt follows, in the words of the upstream's `retry_on`.
    pub fn set_retry_on(&mut self, words: &[String]) -> Planned {
        let mut all = RetryOn::NOTHING;
        for word in words {
            all = all.or(RetryOn::parse(word).ok_or(PlanError::Invalid("neither connect, reset, timeout nor a status from 500 to 599"))?);
        }
        if all.and(self.upstream.retry_on) != all {
            return Err(PlanError::Weaker);
        }
        self.edits.retry_on = Some(all);
        Ok(())
    }

    /// The path that will be sent.
    pub fn path(&self) -> &str {
        self.edits.path.as_deref().unwrap_or(&self.original_path)
    }

    /// Rewrites the path.
    pub fn set_path(&mut self, new: String) -> Planned {
        if new.len() > path::LONGEST {
            return Err(PlanError::Invalid("the path is longer than 32766 bytes"));
        }
        if !path::is_normal(&new) {
            return Err(PlanError::Invalid("the path is not in normal form"));
        }
        self.edits.path = Some(new);
        Ok(())
    }

    /// The authority that will be sent.
    pub fn host(&self) -> &str {
        self.edits.host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or(&self.original_host)
    }

    /// Rewrites the authority.
    pub fn set_host(&mut self, host: &str) -> Planned {
        if host.len() > LONGEST_HOST {
            return Err(PlanError::Invalid("the authority is longer than 261 bytes"));
        }
        let authority: Authority = host.parse().map_err(|_| PlanError::Invalid("not an authority"))?;
        if authority.as_str().contains('@') {
            return Err(PlanError::Invalid("an authority with user information"));
        }
        self.edits.host = Some(HeaderValue::from_str(host).map_err(|_| PlanError::Invalid("not an authority"))?);
        Ok(())
    }

    /// Sets (`Some`) or removes (`None`) a header on this attempt.
    pub fn edit_header(&mut self, limits: &ChangeLimits, name: HeaderName, value: Option<HeaderValue>) -> Result<(), ChangeError> {
        if is_reserved(&name) {
            return Err(ChangeError::Forbidden);
        }
        let bytes = self.header_bytes + name.as_str().len() + value.as_ref().map_or(0, HeaderValue::len);
        if self.refused.header(limits, self.edits.headers.len(), bytes) {
            return Err(ChangeError::TooLarge);
        }
        self.header_bytes = bytes;
        self.edits.headers.push((name, value));
        Ok(())
    }
}

fn shorter(wanted: Duration, own: Duration) -> Result<Duration, PlanError> {
    if wanted.is_zero() {
        return Err(PlanError::Invalid("a timeout of nothing"));
    }
    if wanted > own { Err(PlanError::Weaker) } else { Ok(wanted) }
}
