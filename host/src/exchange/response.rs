//! The final response while response filters see it, and answers plugins make themselves.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::fault::Fault;

/// Head of the final response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHead {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Who made it.
    pub origin: Origin,
}

/// Who made a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// An endpoint.
    Upstream(u64),
    /// The gateway.
    Gateway(Fault),
    /// A plugin.
    Plugin(Arc<str>),
}

/// An answer made by a plugin, checked.
#[derive(Debug, PartialEq, Eq)]
pub struct LocalResponse {
    /// 200 to 599.
    pub status: StatusCode,
    /// Legal and within limits.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The whole body.
    pub body: Bytes,
}
