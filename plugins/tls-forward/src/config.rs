//! The configuration as written, and its check. Whatever does not depend on the upstream is refused here, so that
//! `plugway check` shows it and no request meets it.

use std::collections::BTreeMap;

use plugway_sdk::{HeaderName, Protocol, RetryCondition};
use serde::Deserialize;

use crate::TlsForward;
use crate::rewrite::Rewrite;
use crate::{duration, host, lines};

/// `config = { … }` of the place. Every key is optional; one that is absent leaves the upstream's own setting.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    scheme: Option<Scheme>,
    tls_profile: Option<String>,
    server_name: Option<String>,
    protocol: Option<WrittenProtocol>,
    connect_timeout: Option<String>,
    response_timeout: Option<String>,
    max_attempts: Option<u32>,
    retry_on: Option<Vec<RetryCondition>>,
    path: Option<WrittenPath>,
    host: Option<String>,
    headers: Headers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scheme {
    Http,
    Https,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenProtocol {
    Http1,
    Http2,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenPath {
    strip_prefix: Option<String>,
    add_prefix: Option<String>,
    replace: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Headers {
    set: BTreeMap<String, String>,
    remove: Vec<String>,
}

impl Config {
    /// Checks every key. The error is for the operator.
    pub(crate) fn check(self) -> Result<TlsForward, String> {
        if self.scheme == Some(Scheme::Http) {
            return Err("`scheme` can only be \"https\": no forwarder takes TLS away; leave it out for endpoints without TLS".to_owned());
        }
        if let Some(name) = &self.tls_profile
            && name.is_empty()
        {
            return Err("`tls_profile` is empty: name one of the upstream's `tls_profiles`, or leave it out".to_owned());
        }
        if let Some(name) = &self.server_name {
            host::check_name(name).map_err(|why| format!("`server_name` = {name:?}: {why}"))?;
        }
        if let Some(authority) = &self.host {
            host::check_authority(authority).map_err(|why| format!("`host` = {authority:?}: {why}"))?;
        }
        if self.max_attempts == Some(0) {
            return Err("`max_attempts` is 0: there is always one attempt".to_owned());
        }
        let (set, remove) = self.headers.check()?;
        Ok(TlsForward {
            // A profile or a server name means nothing without TLS, and whoever writes one counts on it.
            tls_only: self.scheme.is_some() || self.tls_profile.is_some() || self.server_name.is_some(),
            tls_profile: self.tls_profile,
            server_name: self.server_name,
            protocol: self.protocol.map(|protocol| match protocol {
                WrittenProtocol::Http1 => Protocol::Http1,
                WrittenProtocol::Http2 => Protocol::Http2,
            }),
            connect_timeout: duration::optional("connect_timeout", self.connect_timeout.as_deref())?,
            response_timeout: duration::optional("response_timeout", self.response_timeout.as_deref())?,
            max_attempts: self.max_attempts,
            retry_on: self.retry_on,
            path: self.path.map(WrittenPath::check).transpose()?,
            host: self.host,
            set,
            remove,
        })
    }
}

impl WrittenPath {
    fn check(self) -> Result<Rewrite, String> {
        match (self.strip_prefix, self.add_prefix, self.replace) {
            (None, None, Some(path)) => Rewrite::whole(path),
            (None, None, None) => Err("`path` is empty: give `strip_prefix`, `add_prefix` or `replace`, or leave `path` out".to_owned()),
            (strip, add, None) => Rewrite::prefix(strip, add),
            (_, _, Some(_)) => Err("`path.replace` stands alone: it would undo `strip_prefix` and `add_prefix`".to_owned()),
        }
    }
}

type Lines = (Vec<(HeaderName<'static>, String)>, Vec<HeaderName<'static>>);

impl Headers {
    fn check(self) -> Result<Lines, String> {
        let mut set: Vec<(HeaderName<'static>, String)> = Vec::with_capacity(self.set.len());
        for (name, value) in self.set {
            let checked = lines::check_name(&name).map_err(|why| format!("`headers.set`: {name:?}: {why}"))?;
            lines::check_value(&value).map_err(|why| format!("`headers.set.{name}`: {why}"))?;
            if set.iter().any(|(known, _)| *known == checked) {
                return Err(format!("`headers.set`: {name:?} is there twice, in upper and lower case"));
            }
            set.push((checked, value));
        }
        let remove = self.remove.iter().map(|name| lines::check_name(name).map_err(|why| format!("`headers.remove`: {name:?}: {why}")));
        Ok((set, remove.collect::<Result<_, _>>()?))
    }
}
